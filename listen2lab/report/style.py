"""One look for every picture.

Colours that print, that colour-blind readers tell apart, and that follow a page's light or dark
theme.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from listen2lab.report.text.escape import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "DASHES", "INK", "MARKERS", "QUIET", "SERIES", "Picture", "new_figure", "safe_label",
    "share_styles", "styled", "to_inline", "to_png", "to_svg", "to_svg_file",
]  # fmt: skip

# Okabe and Ito (2008), "Color universal design": told apart with any colour vision.
SERIES: Sequence[str] = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#e69f00", "#56b4e9")
DASHES: Sequence[Any] = ("-", (0, (5, 1.6)), (0, (1.5, 1.3)), (0, (6, 1.5, 1.5, 1.5)), "-", "--")
MARKERS: Sequence[str] = ("o", "s", "^", "D", "v", "P")
INK = "#1b1f24"
QUIET = "#8a9099"

# In a page the colours above become variables that its style sheet sets for light and dark.
_VARIABLES = {INK: "var(--ink)", QUIET: "var(--quiet)"} | {
    colour: f"var(--series-{k})" for k, colour in enumerate(SERIES)
}
_SETTINGS: Any = {  # matplotlib types its settings' names, not a dict of them
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": QUIET,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar in a name starts no formula
    "svg.hashsalt": "listen2lab",
}


def safe_label(name: str) -> str:
    """Return a name as a picture may show it: one line, no control characters, not too long.

    That a dollar is no formula is in the settings of every figure; see `styled`.
    """
    shown = one_line(name)
    return shown if len(shown) <= _LONGEST_LABEL else f"{shown[: _LONGEST_LABEL - 1]}…"


_LONGEST_LABEL = 60
_CSS_DOTS_PER_INCH = 96  # a browser's


class Picture(Figure):
    """A figure that a notebook shows by itself, without pyplot and its global state.

    As a drawing in the page, in the colours of the notebook's theme, and nothing beside it: a
    kernel makes every form that there is, and a PNG would take as long again.
    """

    def _repr_html_(self) -> str:
        return to_inline(self, label=str(self.get_label() or "a picture of memory"))


def new_figure(
    width: float, height: float, layout: Literal["constrained"] | None = "constrained"
) -> Picture:
    """Return an empty figure, in inches, that belongs to no window."""
    with mpl.rc_context(_SETTINGS):
        return Picture(figsize=(width, height), layout=layout)


def styled() -> Any:
    """Return the context in which axes are made, so that they have the look."""
    return mpl.rc_context(_SETTINGS)


def to_svg(figure: Figure, *, label: str) -> str:
    """Return a figure as an ``<svg>`` element for a page."""
    svg = _drawn(figure)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = _COMMENTS.sub("", svg)
    # Only what is drawn again refers to an id, and that is in <defs>.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    # A tenth of a point is finer than any screen.
    svg = re.sub(r"<[^>]*>", lambda tag: _NUMBER.sub(_to_tenth, tag[0]), svg)
    # The size comes from viewBox, so that the page decides.
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r">\s+<", "><", svg)
    svg = svg.replace("\n", " ").strip()
    quoted = str(escape(one_line(label)))
    return svg.replace("<svg", f'<svg role="img" aria-label="{quoted}"', 1)


# A notebook's own text colour is the ink, whatever its theme; JupyterLab, VS Code and Colab each
# say in their own way that it is dark.
_INLINE = """<style>
.l2l-picture {--ink: currentColor; --quiet: #8a9099; --series-0: #0072b2; --series-1: #d55e00;
  --series-2: #00875f; --series-3: #aa4499; --series-4: #b97f00; --series-5: #3f93c4;
  color: var(--jp-content-font-color1, var(--vscode-editor-foreground, inherit))}
:is([data-jp-theme-light="false"], .vscode-dark, html[theme="dark"]) .l2l-picture {
  --series-0: #5cb3ec; --series-1: #ff8f4a; --series-2: #3fce9f; --series-3: #dd86cc;
  --series-4: #f0b93a; --series-5: #8fd0f5}
.l2l-picture svg {display: block; width: 100%; height: auto}
</style>"""


def to_inline(figure: Figure, *, label: str) -> Markup:
    """Return a figure as HTML for a notebook, in its theme's colours."""
    svg = to_svg(figure, label=label).replace(">*{", ">.l2l-picture *{")  # not the notebook's own
    width = round(_CSS_DOTS_PER_INCH * float(figure.get_size_inches()[0]))
    html = f'{_INLINE}<div class="l2l-picture" style="max-width: {width}px">{svg}</div>'
    return Markup(html)  # noqa: S704 - our own drawing, its label escaped


def to_svg_file(figure: Figure, *, label: str) -> str:
    """Return a figure as an SVG file of its own, with its colours, on white."""
    quoted = str(escape(one_line(label)))
    svg = _COMMENTS.sub("", _drawn(figure, "white"))
    opening = svg.index(">") + 1
    return f"{svg[:opening]}<title>{quoted}</title>{svg[opening:]}"


def share_styles(svgs: Sequence[str]) -> tuple[list[str], str]:
    """Return pictures of one page with each style written once, and the page's rules for them."""
    classes: dict[str, str] = {}

    def named(match: re.Match[str]) -> str:
        return f'{match[1]}class="{classes.setdefault(match[2], f"m{len(classes)}")}"'

    # Within a tag: a name that reads `style="…"` is text, and becomes no rule.
    shared = [re.sub(r'(<[^<>]*)\bstyle="([^"]*)"', named, svg) for svg in svgs]
    return shared, "\n".join(f".{name}{{{style}}}" for style, name in classes.items())


_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_COMMENTS = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)


def _drawn(figure: Figure, background: str = "none") -> str:
    """Return a figure as SVG: drawn once, where `Figure.savefig` does so twice."""
    stream = io.StringIO()
    with mpl.rc_context(_SETTINGS):
        _lay_out(figure)
        for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
            patch.set(facecolor=background, edgecolor="none")
        draw: Any = FigureCanvasSVG(figure).print_svg
        draw(stream, metadata={"Date": None})
    svg = stream.getvalue()
    return svg[svg.index("<svg") :]


def _lay_out(figure: Figure) -> None:
    """Lay a figure out once: each drawing would do it anew, for half of its time."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def _to_tenth(match: re.Match[str]) -> str:
    return f"{float(match[0]):.1f}".removesuffix(".0")


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG on white."""
    stream = io.BytesIO()
    with mpl.rc_context(_SETTINGS):
        _lay_out(figure)
        figure.savefig(stream, format="png", dpi=160, facecolor="white")
    return stream.getvalue()
