"""Bytes to text, with an error that says where they stop being text."""

from __future__ import annotations

import codecs
import re

from listen2lab.errors import TextError
from listen2lab.notice import Notice

__all__ = ["decode"]

# The longer mark first: UTF-32's little-endian one begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding=[\"']([A-Za-z0-9._-]{1,40})[\"']")
# Only plain character sets: Python also knows codecs that unpack or execute escapes.
_CHARACTER_SETS = re.compile(
    r"iso-8859-\d{1,2}|windows-125\d|us-ascii|koi8-[ru]|gb2312|gbk|gb18030|big5|shift_jis|euc-(jp|kr)"
)


def decode(data: bytes, name: str, *, is_markup: bool = False) -> tuple[str, list[Notice]]:
    r"""Decode UTF-8, or what a byte order mark says instead, or in markup an XML declaration.

    `name` is what an error calls the bytes: it tells the first bad one and its offset. Line ends
    become ``\n``; a notice says what told an encoding that is not UTF-8.
    """
    encoding, start, said_by = "utf-8", 0, ""
    for mark, marked in _MARKS:
        if data.startswith(mark):
            encoding, start = marked, len(mark)
            said_by = "byte-order-mark"
            break
    else:
        declared = _DECLARED.match(data) if is_markup else None
        wanted = declared[1].decode("ascii").lower() if declared else "utf-8"
        if _CHARACTER_SETS.fullmatch(wanted):
            encoding, said_by = wanted, "declaration"
    if encoding == "utf-8" and b"\0" in data[:4096]:
        raise TextError(_binary(data, name))
    try:
        text = data[start:].decode(encoding)
    except UnicodeDecodeError as error:
        raise TextError(_undecodable(data, name, encoding, start + error.start)) from error
    if "\0" in text:
        raise TextError(_binary(data, name))
    said = Notice("text-decoded", {"name": name, "encoding": encoding, "said_by": said_by})
    notices = [said] if encoding != "utf-8" else []
    return text.replace("\r\n", "\n").replace("\r", "\n"), notices


def _binary(data: bytes, name: str) -> str:
    at = data.find(b"\0")
    # UTF-16 without its mark: nearly every second byte of Western text is zero.
    is_wide = data[:200].count(0) * 3 > len(data[:200]) and at <= 1
    hint = (
        "it looks like UTF-16 without a byte order mark: save it as UTF-8"
        if is_wide
        else "it looks like a binary file: export it as .txt, .md or .epub"
    )
    return f"{name} holds a zero byte at offset {at}, so it is not plain text; {hint}"


def _undecodable(data: bytes, name: str, encoding: str, at: int) -> str:
    message = f"{name} is not valid {encoding.upper()}: byte 0x{data[at]:02X} at offset {at:,}"
    if encoding != "utf-8":
        return f"{message}; save it as UTF-8"
    line = data.count(b"\n", 0, at) + 1
    before = data[max(0, at - 20) : at].decode("utf-8", "replace").split("\n")[-1]
    after = data[at : at + 10].decode("cp1252", "replace").split("\n")[0]
    return (
        f"{message} (line {line:,}). As Windows-1252 it would read {before + after!r}; if that is "
        "right, convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
    )
