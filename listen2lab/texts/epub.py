"""EPUB reduced to what a reader would say aloud: container, package, spine, and the text in it.

An archive from anywhere is hostile until shown otherwise. Sizes are counted while members are
read, because the archive's own directory may lie; XML that declares entities is refused, because
a few lines of them expand to gigabytes; locked books are refused by name.
"""

from __future__ import annotations

import posixpath
import struct
import warnings
import zlib
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.parsers import expat
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from bs4 import BeautifulSoup, ParserRejectedMarkup
from bs4.element import NavigableString, Tag

from listen2lab.errors import TextError
from listen2lab.notice import Notice
from listen2lab.texts.decode import decode

if TYPE_CHECKING:
    from pathlib import Path

    from bs4.element import PageElement

__all__ = ["read"]

# The text of the longest novels is 5-10 MiB; pictures and fonts are never unpacked.
MAX_TEXT_BYTES = 64 * 2**20
MAX_MEMBERS = 20_000
# XHTML packs 3-10 times; DEFLATE cannot pack more than about 1,030 times.
MAX_RATIO = 200
RATIO_APPLIES_FROM = 2**20
_CHUNK = 2**16

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
# Lightly scrambled fonts are no lock: the text is readable.
_FONT_SCRAMBLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_BLOCKS = frozenset(
    (
        "address", "article", "aside", "blockquote", "body", "caption", "dd", "div", "dl", "dt",
        "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li",
        "main", "ol", "p", "pre", "section", "table", "tbody", "tfoot", "thead", "tr", "ul",
    )
)  # fmt: skip
_CELLS = frozenset(("td", "th"))
_UNSPOKEN = frozenset(("head", "math", "nav", "rp", "rt", "script", "style", "svg", "template"))
# Where a block or a table's cell begins or ends, in the text; no page can hold a zero.
_BLOCK_EDGE, _CELL_EDGE = "\0\n", "\0\t"
# What zipfile and zlib raise on damaged archives, as found by fuzzing.
_DAMAGE = (
    BadZipFile, zlib.error, EOFError, RuntimeError, OSError, ValueError, struct.error, IndexError,
)  # fmt: skip


def read(path: Path) -> tuple[str | None, list[str], list[Notice]]:
    """Read an EPUB's spine in order: its ``dc:title``, a paragraph for each block, and notices."""
    name = path.name
    try:
        with ZipFile(path) as zip_file:
            archive = _Archive(zip_file, name)
            if _CONTAINER not in archive:
                raise TextError(f"{name} is a zip archive but no EPUB: it has no {_CONTAINER}")
            roots = [e for e in _xml(archive.read(_CONTAINER), name) if e.tag == "rootfile"]
            package_path = next(filter(None, (e.get("full-path", "") for e in roots)), "")
            if not package_path:
                raise TextError(f"{name} is a broken EPUB: {_CONTAINER} names no package")
            title, spine, skipped = _package(archive.read(package_path), package_path, name)
            if not spine:
                raise TextError(f"{name} is a broken EPUB: its package lists nothing to read")
            if _ENCRYPTION in archive:
                locked = _encrypted(archive.read(_ENCRYPTION), name)
                if locked.intersection((package_path, *spine)):
                    raise _locked(name)
            notices = []
            if skipped:
                notices.append(Notice("text-documents-left-out", {"documents": skipped}))
            paragraphs: list[str] = []
            for member in spine:
                data = archive.read(member)
                markup, repaired = decode(data, f"{name}: {member}", is_markup=True)
                notices += repaired
                paragraphs += _spoken(markup, f"{name}: {member}")
    except _DAMAGE as error:
        raise TextError(
            f"{name} is not a readable EPUB: {error}; nothing was read. "
            "Download or export it again, or convert it to .txt"
        ) from error
    return title, paragraphs, notices


class _Archive:
    """A zip archive whose members are counted while they are read."""

    def __init__(self, archive: ZipFile, name: str) -> None:
        self._archive = archive
        self._name = name
        self._total = 0
        members = archive.infolist()
        if len(members) > MAX_MEMBERS:
            raise TextError(f"{name} has {len(members)} members; books have at most {MAX_MEMBERS}")
        self._members = {member.filename: member for member in members}

    def __contains__(self, member: str) -> bool:
        return member in self._members

    def read(self, member: str) -> bytes:
        info = self._members.get(member)
        if info is None:
            raise TextError(
                f"{self._name} is a broken EPUB: it names {member!r}, which is not in the archive"
            )
        if info.flag_bits & 0x1:
            raise _locked(self._name)
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise TextError(f"{self._name}: {member!r} is packed in a way that EPUB does not allow")
        data = bytearray()
        with self._archive.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                data += chunk
                size = len(data)
                self._total += len(chunk)
                is_bomb = size > RATIO_APPLIES_FROM and size > MAX_RATIO * info.compress_size
                if is_bomb or self._total > MAX_TEXT_BYTES:
                    raise TextError(
                        f"{self._name} unpacks to far more than a book holds ({member!r} was "
                        f"stopped after {size:,} bytes, from {info.compress_size:,} packed); "
                        "it was refused as a zip bomb, and nothing was kept"
                    )
        return bytes(data)


def _locked(name: str) -> TextError:
    why = "is copy-protected (its text is encrypted), so it was not read; use a copy without DRM"
    return TextError(f"{name} {why}")


def _xml(document: bytes, name: str) -> list[ET.Element]:
    """Return the elements in their order, without namespaces; refuse declared entities."""

    def refuse(*_: object) -> None:
        raise TextError(f"{name}: its XML declares entities, which no EPUB needs; it was refused")

    # ElementTree has no way to refuse them; expat tells of a declaration before it expands any.
    guard = expat.ParserCreate()
    guard.EntityDeclHandler = refuse
    try:
        guard.Parse(document, True)  # noqa: FBT003 - expat's own signature
        elements = list(ET.fromstring(document).iter())  # noqa: S314 - guarded above
    except (expat.ExpatError, ET.ParseError) as error:
        raise TextError(f"{name} is a broken EPUB: its XML cannot be parsed ({error})") from error
    for element in elements:
        element.tag = element.tag.rpartition("}")[2]
    return elements


def _package(document: bytes, path: str, name: str) -> tuple[str | None, list[str], int]:
    """Return the title, the documents to read, and how many others the spine names."""
    folder = posixpath.dirname(path)
    items: dict[str, str] = {}
    spine: dict[str, None] = {}  # keeps the order, and each document once
    title: str | None = None
    skipped = 0
    for element in _xml(document, name):
        if element.tag == "title" and title is None:
            title = " ".join("".join(element.itertext()).split()) or None
        elif element.tag == "item" and "html" in element.get("media-type", ""):
            items[element.get("id", "")] = _member(folder, element.get("href", ""))
        elif element.tag == "itemref":
            member = items.get(element.get("idref", ""))
            if member is None or element.get("linear") == "no":
                skipped += 1
            else:
                spine[member] = None
    return title, list(spine), skipped


def _member(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(urlsplit(href).path)))


def _encrypted(document: bytes, name: str) -> set[str]:
    locked: set[str] = set()
    algorithm = ""
    for element in _xml(document, name):
        if element.tag == "EncryptionMethod":
            algorithm = element.get("Algorithm", "")
        elif element.tag == "CipherReference" and algorithm not in _FONT_SCRAMBLING:
            locked.add(_member("", element.get("URI", "")))
    return locked


def _spoken(markup: str, name: str) -> list[str]:
    """Return the text of block elements; a block ends where another begins."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is XHTML, or a very short page
        try:
            soup = BeautifulSoup(markup, "html.parser")
        except ParserRejectedMarkup as error:
            raise TextError(f"{name} is no page that can be read ({error})") from error
    parts: list[str] = []
    # A stack with what is spoken: pages may be nested deeper than calls may be.
    waiting: list[tuple[PageElement | str, bool]] = [(soup, True)]
    while waiting:
        node, is_spoken = waiting.pop()
        if not isinstance(node, Tag):
            if is_spoken and type(node) in (str, NavigableString):  # no comment, no declaration
                parts.append(str(node))
        elif node.name == "br":
            parts.append("\n")
        else:
            # A body may be in a head that was never closed.
            is_spoken = node.name == "body" or (is_spoken and node.name not in _UNSPOKEN)
            edge = _BLOCK_EDGE if node.name in _BLOCKS else ""
            parts.append(_CELL_EDGE if is_spoken and node.name in _CELLS else edge)
            waiting.append((edge, True))
            waiting += [(child, is_spoken) for child in reversed(node.contents)]
    blocks = [block for block in "".join(parts).split(_BLOCK_EDGE) if block.strip()]
    return [
        ", ".join(cell for part in block.split(_CELL_EDGE) if (cell := part.strip()))
        if _CELL_EDGE in block
        else block
        for block in blocks
    ]
