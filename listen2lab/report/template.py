"""The templates, each kind with its one exit: what is inserted is made harmless."""

from __future__ import annotations

import functools
import re
from typing import Any

import jinja2
from markupsafe import Markup

from listen2lab.report.text.escape import as_code, markdown, one_line, printable
from listen2lab.report.text.format import number

__all__ = ["template"]


@functools.cache
def template(name: str) -> jinja2.Template:
    """Return a template of the report.

    In ``.html.j2`` what is inserted is escaped for HTML, in ``.md.j2`` for Markdown; the filter
    ``svg`` inserts a picture of our own as it is, ``block`` a line of a code block, ``unbroken``
    keeps a number and its unit in one line.
    """
    is_markdown = name.endswith(".md.j2")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("listen2lab.report", "templates"),
        autoescape=not is_markdown,  # noqa: S701 - Markdown has its own
        finalize=_for_markdown if is_markdown else _for_html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "mib": number,
        "code": as_code,
        "svg": Markup,
        "unbroken": lambda text: _BEFORE_UNIT.sub("\u00a0", text),
        "block": lambda text: Markup(one_line(text)),  # noqa: S704 - of a code block
    }
    return environment.get_template(name)


_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|min|h|[KM]iB|%)(?!\w))|(?<=min) (?=\d)")


def _for_html(value: Any) -> Any:
    return value if isinstance(value, (Markup, int, float)) else printable(str(value))


def _for_markdown(value: Any) -> Any:
    return value if isinstance(value, (Markup, int, float)) else markdown(str(value))
