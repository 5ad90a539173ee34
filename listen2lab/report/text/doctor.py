"""What ``listen2lab doctor`` says of each thing that it looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.format import fill

if TYPE_CHECKING:
    from listen2lab.experiment.doctor import Check

__all__ = ["CHECKS", "GAPS", "SIGNS", "said"]

SIGNS = {"works": "ok", "limited": "limited", "missing": "missing", "broken": "BROKEN"}
"""State to the word at a line's beginning."""

CHECKS = {
    "python": "Python {version} ({path})",
    "package": "{name} {version}",
    "package-broken": "{name} does not load{message}; install it again: pip install listen2lab",
    "memray-does-not-record": (
        "memray {version} loads and records nothing: traced runs and `attribute` will not work; "
        "plain runs do"
    ),
    "extra-missing": "{name}: {use}; pip install 'listen2lab[{extra}]'",
    "graphviz": "graphviz",
    "graphviz-missing": (
        "graphviz: without it, reports have no picture of what holds an object; it comes with the "
        "system's packages (the program `dot`)"
    ),
    "all-measured": "the kernel and the C library tell every quantity",
    "not-measured": "{field} cannot be measured: {why}",
    "memory": "{free:size} of {memory:size} free, {cores} cores",
    "memory-short": (
        "{free:size} of {memory:size} free, {cores} cores: a run of the tiny voice may need "
        "{needed:size}; watch and reports need little"
    ),
    "huge-pages": (
        "transparent huge pages are always on: memory moves by 2 MiB at a time, and small growth "
        "shows late; `echo madvise > /sys/kernel/mm/transparent_hugepage/enabled` as root"
    ),
    "small-pages": "transparent huge pages: {mode}",
    "folder": "{what} are kept in {path}",
    "folder-read-only": "{what} would be kept in {path}, which cannot be written",
}
"""Code to sentence."""

GAPS = {
    "no-proc": "this system has no /proc; psutil gives resident and unique memory",
    "no-smaps-rollup": "this kernel has no smaps_rollup",
    "smaps-rollup-failed": "smaps_rollup cannot be read",
    "no-mallinfo2": "this C library has no mallinfo2 (glibc 2.33 or newer has it)",
    "peak-not-reset": "clear_refs cannot be written, so no step has a peak of its own",
    "pagemap-unreadable": "pagemap cannot be read",
    "memory-unreadable": "/proc/self/mem cannot be read",
    "smaps-unreadable": "smaps cannot be read",
    "interpreter-silent": "this interpreter does not tell of its arenas",
    "no-children": "this kernel does not list a process's children",
    "no-pressure": "this kernel, or this container, does not tell of memory pressure",
}
"""Why a quantity cannot be read."""

_USES = {
    "lab": "the reading pipeline, its models, and the notebooks",
    "piper": "phonemes for real Piper voices with sherpa-onnx 2 (GPL)",
    "dask": "run --on, which carries runs to other machines",
    "panel": "lab.panel() and a widget for a bar in notebooks",
}


def said(check: Check) -> str:
    """Return one line for a check."""
    values = dict(check.values)
    values["why"] = GAPS.get(str(values.get("why")), str(values.get("why")))
    values["use"] = _USES.get(str(values.get("extra")), "")
    message = values.get("message")
    values["message"] = f" ({message})" if message else ""
    return f"{SIGNS[check.state]:8}{fill(CHECKS[check.code], values)}"
