"""Markdown reduced to what a reader would say aloud, a block a paragraph."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

__all__ = ["blocks"]

# Of lists and quotations: the parser takes a call a level, of which Python allows 1,000.
_BLOCK_NESTING = 200
# Of brackets: time grows with it, and nobody writes more. What is deeper is read as it stands.
_INLINE_NESTING = 10
# Bounded, so that the time grows with the length of the text and not with its square.
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,2000}>")
_FOOTNOTE = re.compile(r"\[\^[^\[\]]{1,200}\]")
_FOOTNOTE_BEGINS = re.compile(r"\[\^[^\[\]]{1,200}\]:[ \t]*")
_TASK = re.compile(r"\A\[[ xX]\]\s+")


def blocks(text: str) -> tuple[str | None, list[str], list[Notice]]:
    """Split Markdown into its first heading and the paragraphs that are spoken.

    Headings, paragraphs, list items, table rows and pieces of code, in order. Tags, addresses of
    links and marks of footnotes are left out; notices say what else was.
    """
    text, notices = _without_unspoken(text)
    tokens = _parse(text)
    if any(token.level >= _BLOCK_NESTING - 2 for token in tokens):
        notices.append(Notice("text-nesting-left-out", {"levels": _BLOCK_NESTING}))
    title: str | None = None
    spoken: list[str] = []
    row = 0
    for place, token in enumerate(tokens):
        if token.type in ("fence", "code_block"):
            spoken += re.split(r"\n[ \t]*\n", token.content)
        elif token.type == "tr_open":
            row = len(spoken)
        elif token.type == "tr_close":
            spoken[row:] = [", ".join(cell for cell in spoken[row:] if cell)]
        elif token.type == "inline":
            words = _words(token.children or ()).strip()
            if title is None and tokens[place - 1].type == "heading_open":
                title = " ".join(words.split()) or None
            before = tokens[place - 2]
            if before.type == "list_item_open":
                number = f"{before.info}{before.markup} " if before.info else ""
                words = number + _TASK.sub("", words, count=1)
            spoken.append(words)
    return title, spoken, notices


def _parse(text: str) -> list[Token]:
    """Parse the blocks, and what is in each of them with the limit of its own."""
    outer = MarkdownIt("commonmark", {"maxNesting": _BLOCK_NESTING}).enable("table")
    outer.disable(["html_block", "inline"])
    ends = ["paragraph", "reference", "blockquote", "list"]
    outer.block.ruler.before("table", "footnote", _begin_footnote, {"alt": ends})
    inner = MarkdownIt("commonmark", {"maxNesting": _INLINE_NESTING}).enable("strikethrough")
    inner.disable("html_inline")
    inner.inline.ruler.before("link", "footnote_mark", _skip(_FOOTNOTE))
    inner.inline.ruler.after("autolink", "tag", _skip(_TAG))
    links: dict[str, object] = {}  # where the addresses of references are kept
    tokens = outer.parse(text, links)
    for token in tokens:
        if token.type == "inline":
            token.children = inner.parseInline(token.content, links)[0].children
    return tokens


def _skip(pattern: re.Pattern[str]) -> Callable[[StateInline, bool], bool]:
    def rule(state: StateInline, silent: bool) -> bool:  # noqa: ARG001, FBT001 - the parser's own
        found = pattern.match(state.src, state.pos)
        if found:
            state.pos = found.end()
        return found is not None

    return rule


def _begin_footnote(state: StateBlock, line: int, end: int, silent: bool) -> bool:  # noqa: ARG001, FBT001 - the parser's own
    """End the paragraph before a footnote, and let the next rules see its words alone."""
    begin = state.bMarks[line] + state.tShift[line]
    found = _FOOTNOTE_BEGINS.match(state.src, begin, state.eMarks[line])
    if found is None or state.is_code_block(line):
        return False
    if not silent:
        state.bMarks[line], state.tShift[line] = found.end(), 0
    return silent


def _words(tokens: Sequence[Token]) -> str:
    parts = []
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif token.type == "image":
            parts.append(_words(token.children or ()))
        else:
            parts.append(token.content)
    return "".join(parts)


def _without_unspoken(text: str) -> tuple[str, list[Notice]]:
    """Drop a YAML header and HTML comments."""
    notices = []
    if text.startswith("---\n") and (end := text.find("\n---\n", 3)) >= 0:
        text = text[end + 5 :]
        notices.append(Notice("text-header-left-out"))
    parts = []
    at = 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        parts.append(text[at:start])
        at = end + 3
    if parts:
        notices.append(Notice("text-comments-left-out", {"comments": len(parts)}))
    return "".join(parts) + text[at:], notices
