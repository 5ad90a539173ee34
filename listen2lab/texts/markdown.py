"""Markdown reduced to what a reader would say aloud, a block a paragraph.

A small reducer and no full parser: it knows headings, lists, quotations, fenced code, tables that
start with a bar, links, images, emphasis, code spans, escapes and entities. An indented code
block is read as prose. Every pattern excludes its own delimiter or is bounded, so the time grows
with the length of the text and not with its square.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["blocks", "inline"]

_FENCE = re.compile(r"[ \t]*(`{3,}(?=[^`]*$)|~{3,})")
_QUOTE = re.compile(r"^ {0,3}(?:> ?)+")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]+(?P<text>.*))?$")
_SETEXT = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")
_BREAK = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_BULLET = re.compile(r"[ \t]*[-*+][ \t]+(?:\[[ xX]\][ \t]+)?")
_NUMBER = re.compile(r"[ \t]*\d{1,9}[.)][ \t]+")
_DEFINITION = re.compile(r" {0,3}\[(?P<note>\^?)[^\]\[]{1,200}\]:[ \t]*")
_DELIMITER_ROW = re.compile(r"[ \t]*\|[-:| \t]*-[-:| \t]*$")
_BAR = re.compile(r"(?<!\\)\|")

# What is kept as it stands, whichever begins first: an escaped mark, code, an address.
_KEPT = re.compile(
    r"\\(?P<mark>[!-/:-@\[-`{-~])"
    r"|(?<!`)(?P<ticks>`{1,3})(?!`)(?P<code>[^`]{1,2000})(?P=ticks)(?!`)"
    r"|<(?P<address>[A-Za-z][A-Za-z0-9+.-]{1,31}:[^<>\s]{0,2000}|[^<>\s@]{1,64}@[^<>\s@]{1,255})>"
)
_IMAGE = re.compile(r"!\[([^\[\]]{0,2000})\]\([^()]{0,2000}\)")
_LINK = re.compile(
    r"\[([^\[\]]{0,2000})\](?:\([^()]{0,2000}(?:\([^()]{0,200}\)[^()]{0,200})?\)|\[[^\[\]]{0,200}\])"
)
_FOOTNOTE = re.compile(r"\[\^[^\[\]]{1,200}\]")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,2000}>")
_STARS = re.compile(r"(?<!\*)(\*{1,3})(?=[^\s*])([^*]{1,2000})(?<=\S)\1(?!\*)")
_UNDERSCORES = re.compile(r"(?<!\w)(_{1,3})(?=[^\s_])([^_]{1,2000})(?<=\S)\1(?!\w)")
_STRUCK = re.compile(r"~~([^~]{1,2000})~~")
# Emphasis in emphasis in emphasis is as deep as anyone writes.
_NESTING = 3


def blocks(text: str) -> tuple[str | None, list[str], list[str]]:
    r"""Split Markdown into the paragraphs that are spoken.

    Parameters
    ----------
    text
        The file's text with ``\n`` line ends, and without NUL (which marks a stash here).

    Returns
    -------
    title : str or None
        The first heading.
    paragraphs : list of str
        Headings, paragraphs, list items, table rows and pieces of fenced code, in order.
    notes : list of str
        What was left out on purpose.
    """
    text, notes = _without_unspoken(text)
    title: str | None = None
    spoken: list[str] = []
    for kind, raw in _raw_blocks(text):
        words = raw if kind == "code" else inline(raw)
        if kind == "heading" and title is None and words.strip():
            title = " ".join(words.split())
        spoken.append(words)
    return title, spoken, notes


def inline(text: str) -> str:
    """Reduce the marks inside one block: links to their words, emphasis to nothing.

    Parameters
    ----------
    text
        One block without NUL.

    Returns
    -------
    str
        The words. Code spans and escaped characters come back as they are.
    """
    import html  # noqa: PLC0415 - a plain text does not need it

    stash: list[str] = []

    def keep(match: re.Match[str]) -> str:
        stash.append(match["mark"] or match["code"] or match["address"])
        return f"\0{len(stash) - 1}\0"

    text = _KEPT.sub(keep, text)
    text = _FOOTNOTE.sub("", text)
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    text = _STRUCK.sub(r"\1", _TAG.sub("", text))
    for _ in range(_NESTING):
        text = _UNDERSCORES.sub(r"\2", _STARS.sub(r"\2", text))
    text = html.unescape(text)
    return re.sub(r"\0(\d+)\0", lambda match: stash[int(match[1])], text)


def _without_unspoken(text: str) -> tuple[str, list[str]]:
    """Drop a YAML header and HTML comments."""
    notes = []
    if text.startswith("---\n"):
        end = text.find("\n---\n", 3)
        if end >= 0:
            text = text[end + 5 :]
            notes.append("left out the header between the --- lines at the top")
    parts = []
    at = 0
    while (start := text.find("<!--", at)) >= 0:
        end = text.find("-->", start + 4)
        if end < 0:
            break
        parts.append(text[at:start])
        at = end + 3
    if parts:
        notes.append(f"left out {len(parts)} HTML comment{'s' if len(parts) > 1 else ''}")
    return "".join(parts) + text[at:], notes


def _raw_blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield ``(kind, text)`` for each block; kind is ``heading``, ``code`` or ``prose``."""
    held: list[str] = []
    fence = ""
    in_quote = False
    for raw in (*text.split("\n"), ""):
        line = _QUOTE.sub("", raw, count=1) if in_quote or not fence else raw
        bare = line.strip()
        if fence:
            is_end = bare.startswith(fence) and not bare.strip(fence[0])
            held += [line] if bare and not is_end else []
            if held and (is_end or not bare):
                yield "code", "\n".join(held)
                held.clear()
            fence = "" if is_end else fence
            continue
        is_heading = bool(held) and _SETEXT.match(line) is not None
        kind, words = ("gap", "") if is_heading else _line(line)
        if kind == "more":
            held.append(words)
            continue
        if held:
            yield "heading" if is_heading else "prose", "\n".join(held)
            held.clear()
        if kind == "fence":
            fence, in_quote = words, raw != line
        elif kind == "item":
            held.append(words)
        elif words:
            yield kind, words
    if held:
        yield "code", "\n".join(held)


def _line(line: str) -> tuple[str, str]:
    """Tell what a line outside a fence is, and its words.

    ``heading`` and ``prose`` are blocks of their own, ``item`` begins a block, ``more`` goes on
    with one, ``fence`` opens code (its words are the fence), ``gap`` only ends what was before.
    """
    kind, words = "more", line.strip().removesuffix("\\")
    if fence := _FENCE.match(line):
        kind, words = "fence", fence[1]
    elif heading := _HEADING.match(line):
        kind, words = "heading", _without_closing_marks(heading["text"] or "")
    elif definition := _DEFINITION.match(line):
        # a footnote's text is spoken, a link's address is not
        kind, words = ("item", line[definition.end() :]) if definition["note"] else ("gap", "")
    elif not words or _BREAK.match(line):
        kind, words = "gap", ""
    elif bullet := _BULLET.match(line):
        kind, words = "item", line[bullet.end() :]
    elif _NUMBER.match(line):
        kind = "item"
    elif words.startswith("|"):
        kind, words = ("gap", "") if _DELIMITER_ROW.match(line) else ("prose", _row(line))
    return kind, words


def _without_closing_marks(heading: str) -> str:
    bare = heading.rstrip()
    without = bare.rstrip("#")
    return without.rstrip() if not without or without[-1] in " \t" else bare


def _row(line: str) -> str:
    cells = (cell.strip().replace("\\|", "|") for cell in _BAR.split(line))
    return ", ".join(cell for cell in cells if cell)
