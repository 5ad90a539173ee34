"""One exit each: what a name may hold, made harmless for a page, Markdown, or a terminal.

Pictures go through `listen2lab.report.style.label`.
"""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

__all__ = ["as_code", "markdown", "one_line", "printable"]

_KEPT = frozenset("\n\t")
_ODD = frozenset(("Cc", "Cs", "Co", "Cn"))
# Characters that turn the direction of what follows: a line would read as another one.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    r"""Return a text without control characters, but for line ends and tabs.

    Examples
    --------
    >>> printable("a\x1b[31mb\x00")
    'a�[31mb�'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in _KEPT or not _is_odd(c) else "\ufffd" for c in text)


def _is_odd(character: str) -> bool:
    return character in _TURNING or unicodedata.category(character) in _ODD


def one_line(text: str) -> str:
    """Return a text as one line without control characters."""
    return printable(" ".join(text.splitlines())).replace("\t", " ")


_CODE = re.compile(r"(`[^`]+`)")
_SPECIAL = re.compile(r"([\\`*<>\[\]|~])")
_ENTITY = re.compile(r"&(?=#?\w+;)")


def markdown(text: str) -> str:
    r"""Return a text in which nothing but code between backticks is Markdown.

    No tag, link, picture, table's border or line end comes out of a name.

    Examples
    --------
    >>> markdown("<b>x</b> [y](http://z) `a[0]`")
    '\\<b\\>x\\</b\\> \\[y\\](http:\\/\\/z) `a[0]`'
    """
    parts = _CODE.split(one_line(text))
    for at, part in enumerate(parts):
        if at % 2:  # code
            parts[at] = part.replace("|", r"\|")
            continue
        said = _ENTITY.sub("&amp;", _SPECIAL.sub(r"\\\1", part))
        parts[at] = said.replace("://", r":\/\/").replace("www.", r"www\.")
    joined = "".join(parts)
    return f"\\{joined}" if joined.startswith("#") else joined


def as_code(text: str) -> Markup:
    """Return a sentence for a page, what stands between backticks as code."""
    escaped = str(escape(printable(text)))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped))  # noqa: S704 - escaped
