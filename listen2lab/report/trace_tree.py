"""A trace as something to open: its calls as a tree, and memray's flame graph in a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from listen2lab.account.owners import moment_of
from listen2lab.report.card import Card, table_of
from listen2lab.report.text.format import number
from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from listen2lab.study.trace_records import Trace

__all__ = ["Page", "framed", "trace_card", "tree_card"]

_WORTH = 0.01  # of the heap: a call below it is not shown
_CHAIN = 5
_ALLOCATORS = ("operator new", "malloc", "calloc", "realloc", "__GI_", "posix_memalign", "mmap")
_OPEN = 0.5  # of the heap: a call above it is shown opened


class _Call:
    """A frame on the way to allocations: what it led to in all, and the calls below it."""

    def __init__(self) -> None:
        self.bytes = self.blocks = 0
        self.below: dict[str, _Call] = {}


def tree_card(trace: Trace, at: str) -> Card:
    """Return the calls that led to what was live at a moment, frames with one way on joined.

    Raises
    ------
    UnknownNameError
        The trace has no such moment.
    """
    root = _Call()
    for number_, (size, blocks) in trace.live(moment_of(trace, at).name).items():
        call = root
        call.bytes, call.blocks = call.bytes + size, call.blocks + blocks
        for name in _path(trace, number_):
            call = call.below.setdefault(name, _Call())
            call.bytes, call.blocks = call.bytes + size, call.blocks + blocks
    html = Markup("").join(_html(name, call, root.bytes) for name, call in _ways(root, root.bytes))
    lines = [
        line for name, call in _ways(root, root.bytes) for line in _lines(name, call, root.bytes, 0)
    ]
    return Card(html, lines)


def _path(trace: Trace, number: int) -> list[str]:
    """Return the frames of a stack from the outermost, without those that say nothing."""
    frames = [trace.frames[k] for k in reversed(trace.stacks[number].frames)]
    return [
        f"{function} {file.rpartition('/')[2]}:{line}" if line else function
        for function, file, line in frames
        if function != "<unknown>" and not function.startswith(_ALLOCATORS)
    ]


def _ways(call: _Call, whole: int) -> Iterator[tuple[str, _Call]]:
    """Yield the calls below one, the largest first; a call with one way on is joined with it."""
    for name, each in sorted(call.below.items(), key=lambda item: -item[1].bytes):
        if each.bytes < _WORTH * whole:
            return
        chain, below = [name], each
        while len(below.below) == 1:
            ((on, deeper),) = below.below.items()
            if deeper.bytes < below.bytes:
                break
            chain.append(on)
            below = deeper
        shown = chain if len(chain) <= _CHAIN else [*chain[:2], "…", *chain[-2:]]
        yield " › ".join(shown), below


def _said(call: _Call, whole: int) -> str:
    return f"{number(call.bytes / MIB)} MiB, {100 * call.bytes / max(1, whole):.0f} %"


def _html(name: str, call: _Call, whole: int) -> Markup:
    inner = Markup("").join(_html(below, each, whole) for below, each in _ways(call, whole))
    said = Markup("<b>{}</b> <code>{}</code>").format(_said(call, whole), name)
    if not inner:
        return Markup("<div style='margin-left:2.1em'>{}</div>").format(said)
    is_open = Markup(" open") * (call.bytes > _OPEN * whole)
    return Markup("<details{} style='margin-left:1em'><summary>{}</summary>{}</details>").format(
        is_open, said, inner
    )


def _lines(name: str, call: _Call, whole: int, depth: int) -> Iterator[str]:
    yield f"{'  ' * depth}{_said(call, whole)}  {name}"
    for below, each in _ways(call, whole):
        yield from _lines(below, each, whole, depth + 1)


def trace_card(title: str, top: pd.DataFrame, notes: Sequence[str]) -> Card:
    """Return a trace in one look: its peak, who held most of it, and what it cannot tell."""
    rows = [
        (str(name), number(row["mib"]), f"{row['blocks']:,.0f}") for name, row in top.iterrows()
    ]
    html = Markup("<p><b>{}</b></p>{}{}").format(
        title,
        table_of(("live at the peak", "MiB", "blocks"), rows, numbers_from=1),
        Markup("").join(Markup('<p class="quiet">{}</p>').format(note) for note in notes),
    )
    return Card(html, [title, *(f"  {mib:>10} MiB  {name}" for name, mib, _ in rows), *notes])


class Page:
    """A whole page in a frame of a notebook, with nothing of it loaded from elsewhere."""

    def __init__(self, page: str) -> None:
        self.page = page

    def _repr_html_(self) -> str:
        # Scripts of the page run in a frame without access to the notebook.
        return (
            f'<iframe sandbox="allow-scripts" srcdoc="{escape(self.page)}" '
            'style="width:100%;height:560px;border:0"></iframe>'
        )


def framed(page: str) -> Page:
    """Return a page as something that a notebook shows."""
    return Page(page)
