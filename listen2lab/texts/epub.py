"""EPUB reduced to what a reader would say aloud: container, package, spine, and the text in it.

An archive from anywhere is hostile until shown otherwise. Sizes are counted while members are
read, because the archive's own directory may lie; XML that declares entities is refused, because
a few lines of them expand to gigabytes; locked books are refused by name.
"""

from __future__ import annotations

import posixpath
import struct
import zlib
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from xml.parsers import expat
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from listen2lab.errors import TextError
from listen2lab.texts.decode import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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
# What zipfile and zlib raise on damaged archives, as found by fuzzing.
_DAMAGE = (
    BadZipFile, zlib.error, EOFError, RuntimeError, OSError, ValueError, struct.error, IndexError,
)  # fmt: skip


class _Package(NamedTuple):
    title: str | None
    spine: list[str]
    skipped: int


def read(path: str, name: str) -> tuple[str | None, list[str], list[str]]:
    """Read an EPUB's spine in order.

    Parameters
    ----------
    path
        The file.
    name
        What messages call it.

    Returns
    -------
    title : str or None
        The package's ``dc:title``.
    paragraphs : list of str
        One for each block of text.
    notes : list of str
        What was skipped or repaired.

    Raises
    ------
    TextError
        The archive is damaged, locked, too large when unpacked, or has no text.
    """
    try:
        with ZipFile(path) as archive:
            return _read(_Archive(archive, name), name)
    except _DAMAGE as error:
        raise TextError(
            f"{name} is not a readable EPUB: {error}; nothing was read. "
            "Download or export it again, or convert it to .txt"
        ) from error


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
        parts = []
        size = 0
        with self._archive.open(info) as stream:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                self._total += len(chunk)
                is_bomb = size > RATIO_APPLIES_FROM and size > MAX_RATIO * info.compress_size
                if is_bomb or self._total > MAX_TEXT_BYTES:
                    raise TextError(
                        f"{self._name} unpacks to far more than a book holds ({member!r} was "
                        f"stopped after {size:,} bytes, from {info.compress_size:,} packed); "
                        "it was refused as a zip bomb, and nothing was kept"
                    )
                parts.append(chunk)
        return b"".join(parts)


def _read(archive: _Archive, name: str) -> tuple[str | None, list[str], list[str]]:
    if _CONTAINER not in archive:
        raise TextError(f"{name} is a zip archive but no EPUB: it has no {_CONTAINER}")
    package_path = _package_path(archive.read(_CONTAINER), name)
    package = _package(archive.read(package_path), package_path, name)
    if not package.spine:
        raise TextError(f"{name} is a broken EPUB: its package lists nothing to read")
    if _ENCRYPTION in archive:
        locked = _encrypted(archive.read(_ENCRYPTION), name)
        if locked.intersection((package_path, *package.spine)):
            raise _locked(name)
    notes = []
    if package.skipped:
        notes.append(f"skipped {package.skipped} documents outside the reading order")
    paragraphs: list[str] = []
    for member in package.spine:
        markup, note = decode(archive.read(member), f"{name}: {member}", is_markup=True)
        if note:
            notes.append(f"{member}: {note}")
        paragraphs += _spoken(markup)
    return package.title, paragraphs, notes


def _locked(name: str) -> TextError:
    return TextError(
        f"{name} is copy-protected (its text is encrypted), so it was not read; "
        "use a copy without DRM"
    )


def _parse_xml(
    document: bytes, name: str, start: Callable[[str, dict[str, str]], None],
    text: Callable[[str], None] | None = None, end: Callable[[str], None] | None = None,
) -> None:  # fmt: skip
    """Parse with expat, namespaces kept apart by a space, no entities."""

    def refuse(*_: object) -> None:
        raise TextError(f"{name}: its XML declares entities, which no EPUB needs; it was refused")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = lambda tag, attributes: start(tag.rpartition(" ")[2], attributes)
    if text:
        parser.CharacterDataHandler = text
    if end:
        parser.EndElementHandler = lambda tag: end(tag.rpartition(" ")[2])
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(document, True)  # noqa: FBT003 - expat's own signature
    except expat.ExpatError as error:
        raise TextError(f"{name} is a broken EPUB: its XML cannot be parsed ({error})") from error


def _package_path(document: bytes, name: str) -> str:
    paths: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "rootfile" and attributes.get("full-path"):
            paths.append(attributes["full-path"])

    _parse_xml(document, name, start)
    if not paths:
        raise TextError(f"{name} is a broken EPUB: {_CONTAINER} names no package")
    return paths[0]


def _package(document: bytes, path: str, name: str) -> _Package:
    folder = posixpath.dirname(path)
    items: dict[str, str] = {}
    spine: dict[str, None] = {}  # keeps the order, and each document once
    title: list[str] = []
    state = {"in_title": False, "skipped": 0}

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "title" and not title:
            state["in_title"] = True
        elif tag == "item" and "html" in attributes.get("media-type", ""):
            items[attributes.get("id", "")] = _member(folder, attributes.get("href", ""))
        elif tag == "itemref":
            member = items.get(attributes.get("idref", ""))
            if member is None or attributes.get("linear") == "no":
                state["skipped"] += 1
            else:
                spine[member] = None

    def text(data: str) -> None:
        if state["in_title"]:
            title.append(data)

    def end(tag: str) -> None:
        if tag == "title":
            state["in_title"] = False

    _parse_xml(document, name, start, text, end)
    return _Package(" ".join("".join(title).split()) or None, list(spine), state["skipped"])


def _member(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(urlsplit(href).path)))


def _encrypted(document: bytes, name: str) -> set[str]:
    locked: set[str] = set()
    algorithm = ""

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal algorithm
        if tag == "EncryptionMethod":
            algorithm = attributes.get("Algorithm", "")
        elif tag == "CipherReference" and algorithm not in _FONT_SCRAMBLING:
            locked.add(_member("", attributes.get("URI", "")))

    _parse_xml(document, name, start)
    return locked


class _Spoken(HTMLParser):
    """Collects the text of block elements; a block ends where another begins."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.paragraphs: list[str] = []
        self._held: list[str] = []
        self._muted: list[str] = []
        self._cells = 0

    def flush(self) -> None:
        text = "".join(self._held).lstrip(", ") if self._cells else "".join(self._held)
        self._held.clear()
        if text.strip():
            self.paragraphs.append(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "body":
            self._muted.clear()  # a head that was never closed
        if tag in _UNSPOKEN:
            self._muted.append(tag)
        elif tag in _BLOCKS:
            self.flush()
            if tag == "tr":
                self._cells = 0
        elif tag == "br":
            self._held.append("\n")
        elif tag in _CELLS:
            self._cells += 1
            if self._cells > 1:
                self._held = ["".join(self._held).rstrip(), ", "]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # XHTML closes empty elements at once: <title/> or <script/> must not mute what follows.
        if tag not in _UNSPOKEN:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._muted:
            while self._muted.pop() != tag:
                pass
        elif tag in _BLOCKS:
            self.flush()
            if tag == "table":
                self._cells = 0

    def handle_data(self, data: str) -> None:
        if not self._muted:
            self._held.append(data)


def _spoken(markup: str) -> list[str]:
    parser = _Spoken()
    parser.feed(markup)
    parser.close()
    parser.flush()
    return parser.paragraphs
