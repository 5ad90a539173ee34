"""The parts of memory in words: what each is, and how it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from listen2lab.account.categories import CATEGORIES, UNACCOUNTED, categories
from listen2lab.units import MIB

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CODE_OF_PART", "NOT_HELD", "caption", "flame_graph_label", "how_measured", "label", "part",
]  # fmt: skip

CODE_OF_PART = UNACCOUNTED
"""The part that is nobody's."""

NOT_HELD = "no module holds it: a thread, a C library or a cycle does"
"""In the place of a chain of references, where none leads to a module."""

_GROUPS: dict[str, tuple[str, str]] = {
    "code and libraries": (
        "code and libraries",
        "pages of mapped files, libraries' own data and stacks",
    ),
    "Python": (
        "Python's objects",
        "the interpreter's arenas: what it has handed out, and what it keeps free",
    ),
    "models as loaded": ("models as loaded", "what setup added to malloc's live bytes"),
    "engine arena": (
        "held by the engine for the longest sentence",
        "blocks of ONNX Runtime's arena that came after setup (estimated, by their sizes)",
    ),
    "audio": ("audio in the cache and the player", "counted by the pipeline"),
    "alignments": ("alignments", "counted by the pipeline"),
    "native in use": (
        "native, in use by others",
        "malloc's live bytes less all that is named here",
    ),
    "native kept free": (
        "native, kept free",
        "resident pages of malloc's heap less its live bytes, after a trim",
    ),
    "instrument": ("listen2lab itself", "what the lab's own code had added to bare Python"),
}
"""A group of `listen2lab.account.at_end` to what it is and how it was measured, in a few words."""

_CATEGORIES: dict[str, tuple[str, str]] = {
    "files": (
        "code and mapped files",
        ("Resident pages of mapped files that nobody wrote to: the kernel's counters of files and "
        "shared memory. By library between phases, from smaps."),
    ),
    "library_data": (
        "libraries' own data",
        ("Written pages of mapped libraries, and the zeroed data behind them, from smaps; carried "
        "on between two walks, as it hardly moves."),
    ),
    "stacks": (
        "stacks",
        ("Resident pages of the main stack, and of mappings behind a guard page, from smaps; "
        "carried on between two walks."),
    ),
    "python": (
        "Python's objects",
        ("Bytes that the interpreter's own allocator has handed out (objects up to 512 bytes), as "
        "it says itself, less what is named below. Larger objects live in malloc's memory."),
    ),
    "python_kept": (
        "Python, kept free",
        "Resident pages of the interpreter's arenas less what it has handed out.",
    ),
    "native_in_use": (
        "native, in use",
        ("malloc's live bytes (mallinfo2) as far as they are resident, less all that is named "
        "below: what libraries and Python's larger objects hold."),
    ),
    "native_kept": (
        "native, kept free",
        "Resident pages of malloc's heap less its live bytes; a trim gives part of it back.",
    ),
    "engine_weights": (
        "models as loaded",
        ("What setup added to malloc's live bytes: weights, graph and tokens of each model, and "
        "the arena's first blocks. At most that much, after the session is gone."),
    ),
    "engine_arena_in_use": (
        "engine: needed by this step",
        ("The part of the arena that a sentence as long as this step's longest needs, read off the "
        "arena's size at each step that was longer than all before. Between calls the engine uses "
        "none of it."),
    ),
    "engine_arena_idle": (
        "engine: held for the longest sentence",
        ("Resident bytes of blocks as ONNX Runtime's arena asks for them (powers of two from 1 "
        "MiB), found by their headers, that came after setup; less what this step needed. Blocks "
        "within malloc's heap are counted between phases only."),
    ),
    "audio_cache": (
        "audio cache",
        "WAV files in the queue's window, by sys.getsizeof, taken out of malloc's live bytes.",
    ),
    "player": (
        "player",
        ("WAV files scheduled and not in the cache as well, by sys.getsizeof, out of malloc's "
        "live bytes."),
    ),
    "alignments": (
        "alignments",
        "Alignments in the queue, by sys.getsizeof of each part, taken out of Python's objects.",
    ),
    "service_cache": (
        "alignment service",
        ("Keys and alignments that the service keeps and the queue does not, by sys.getsizeof, "
        "taken out of Python's objects."),
    ),
    "trellis": (
        "trellis",
        "Bytes of the aligner's trellis; none between steps. Taken out of malloc's live bytes.",
    ),
    "instrument": (
        "listen2lab itself",
        ("Anonymous memory that the lab's worker had added to bare Python before it loaded the "
        "workload, taken out of Python's objects."),
    ),
    "unaccounted": ("unaccounted", "Resident memory less all of the above."),
}  # fmt: skip
"""A category to what it is, for a picture, and how it is measured."""


def part(name: str) -> str:
    """Return what a part of memory at the end is, as it stands after "are" in a sentence."""
    return _GROUPS[name][0] if name in _GROUPS else name


def how_measured(name: str, code: str) -> str:
    """Return how a part of memory at the end was measured, in a few words."""
    if code == "counters" and name in _BY_COUNTERS:
        return _BY_COUNTERS[name]
    return _GROUPS[name][1] if name in _GROUPS else _HOW.get(code, code)


_HOW = {
    "components": "what the workload says it holds",
    "rest": "resident memory less all of the above",
}
_BY_COUNTERS = {
    "code and libraries": "pages of mapped files",
    "Python": "what the imports allocated, and not malloc",
    "engine arena": "all that steps added to malloc's live bytes",
}


def label(category: str) -> tuple[str, str, str]:
    """Return what a category of an account is called, how sure it is, and how it is read."""
    what, how = _CATEGORIES.get(category, (category, "What the workload says it holds."))
    return what, CATEGORIES.get(category, "exact"), how


def flame_graph_label(what: str) -> str:
    """Return what a page of memray shows; see `listen2lab.account.flamegraph.links`."""
    labels = {"peak": "flame graph of the peak", "time": "flame graph by time"}
    return labels.get(what, f"kept by steps {what}")


def caption(table: pd.DataFrame) -> str:
    """Say what the picture shows, and how it is read."""
    last = table.iloc[-1]
    resident = float(last["rss"])
    idle = float(last["engine_arena_idle"])
    share = f"{idle / MIB:,.0f} of {resident / MIB:,.0f} MiB ({100 * idle / resident:.0f} %)"
    left = float(table["unaccounted"].abs().max()) / MIB
    end = (
        f"Less than {max(left, 0.05) + 0.05:.1f} MiB is unaccounted at any step. Bands add up to "
        "the line of resident memory after each step of one run; — marks the peak within the step."
    )
    if idle > 0.25 * resident and np.isfinite(float(last["longest"])):
        at = int(table["step"].iloc[int(table["longest"].to_numpy(float).argmax())])
        return (
            f"After the last step, {share} are held by the engine's session for step {at}, whose "
            f"longest sentence took {last['longest']:,.0f} s; the last step needed "
            f"{float(last['engine_arena_in_use']) / MIB:,.0f} MiB of it. {end}"
        )
    names = [name for name in categories(table) if name != "unaccounted"]
    largest = max(names, key=lambda name: float(last[name]))
    return (
        f"After the last step, {float(last[largest]) / MIB:,.0f} of {resident / MIB:,.0f} MiB are: "
        f"{label(largest)[0]}. {end}"
    )
