"""Verdicts in words: reasons, confidence, and what became of a leak between two conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.format import rate
from listen2lab.verdict.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from listen2lab.findings.records import ConditionContrast, ConditionNumbers

__all__ = ["MEANINGS", "REASONS", "confidence", "contrast", "why"]

MEANINGS = {
    "reduced": "lower",
    "worse": "higher",
    "unchanged": "no difference worth acting on",
    "inconclusive": "not known well enough to say",
}
"""What became of a level, in words."""

REASONS: dict[str, str] = {
    # -- why this verdict
    "steady-growth": "Memory grows at the same pace in every part of the run and in every repeat.",
    "grows-with-input": (
        "The growth follows the amount of input more closely than the number of steps."
    ),
    "grows-in-lumps": "The growth comes in lumps spread evenly over the run.",
    "under-teeth": "Memory is cleared again and again, but to an ever higher floor.",
    "flat": "No growth, and no rise beyond the noise.",
    "follows-largest-input": "Memory follows the largest input so far, and stays there.",
    "rises-in-steps": "Memory rises in a few steps and is flat between.",
    "settles": "Memory rises at first and settles well before the run's end.",
    "falls": "Memory falls over the run.",
    "cleared-again": "Memory is cleared again and again, to the same floor.",
    "follows-new-shapes": (
        "Memory follows the number of distinct input shapes, as a cache for each shape does."
    ),
    "not-worth-acting-on": "There is growth, but less than the smallest rate worth acting on.",
    # -- read with care
    "every-input-new": (
        "Every step had an input shape not seen before: growth for each new shape cannot be told "
        "from growth for each step; run again over the same inputs twice."
    ),
    "one-repeat": (
        "One repeat only: a drift of this one process cannot be told from the workload's."
    ),
    "repeats-alike": "The repeats are near copies of each other and count as fewer than they are.",
    "thinned": "Neighbouring steps of this long run were averaged.",
    "few-steps": "Fewer than 50 steps or 5 repeats: not yet a firm verdict.",
    "negative-values": (
        "There are values below zero; they were taken as differences from a baseline."
    ),
    "repeat-empty": "A repeat without any sample was left out.",
    "short-repeat": "A repeat with fewer than 8 samples was left out.",
    "kept-by-allocator": (
        "Live bytes are flat: what grows are pages that the allocator keeps or had reserved."
    ),
    "live-bytes-unknown": (
        "The allocator's live bytes cannot be seen from outside: whether the program holds what "
        "grew, or its allocator keeps or had reserved it, is not told; nor is growth that fits "
        "into pages which were there before."
    ),
    "grows-outside": (
        "What grows is not in the process itself: its children, files in shared memory, open "
        "descriptors or threads."
    ),
    "asks-ahead": (
        "Live bytes rise as well, in ever rarer jumps: a pool that asks for more than it needs yet."
    ),
    "quantities-disagree": "The measured quantities do not agree on whether memory grows.",
    # -- no verdict
    "nothing-measured": "No step did any work that was measured: there is nothing to judge.",
    "too-few-steps": "Fewer than 15 steps: every shape fits so few; run at least 50.",
    "many-missing": "More than 30 % of the samples are missing.",
    "grey-zone": (
        "Memory rose, and growth is likelier than an end of it, but not by enough; more steps or "
        "repeats will decide."
    ),
    "grows-steadily": (
        "Memory grows steadily to the very end; this alone cannot tell a leak from a slow filling: "
        "give several runs, or longer ones."
    ),
    "still-slowing": (
        "Memory still rises at the end, but ever more slowly: a leak cannot be told from a height "
        "not yet reached; run longer."
    ),
    "uneven-growth": (
        "Late in the run some repeats did not grow: steps that become rarer, as a high-water "
        "mark's do, cannot be told from a leak; give the input sizes, or run longer."
    ),
    "not-settled": (
        "A rise late in the run leaves too little of it to show that it has ended; run longer."
    ),
    "noise-floor": (
        "The noise could hide a leak worth acting on; more steps or repeats will show it."
    ),
    "repeats-disagree": (
        "One repeat behaves unlike the others; look at it before believing any of them."
    ),
    "swapped": "Pages were swapped out, so resident memory says too little.",
    "memory-pressure": "The system was short of memory, which takes pages away from a process.",
    "sorted-inputs": (
        "The inputs grow along the run, so a high-water mark looks like a leak; shuffle them."
    ),
    "cache-never-full": "A bounded cache had not filled up by the end; run past its capacity.",
}
"""What each `listen2lab.verdict.reasons.Reason` says."""


def why(code: str, numbers: ConditionNumbers, unit: str) -> str:
    """Say what a reason says; where quantities disagree, which of them grew."""
    if code != Reason.QUANTITIES_DISAGREE:
        return REASONS.get(code, "No reason is known.")
    grows, rest = [], []
    for name, what in _QUANTITIES.items():
        found = numbers.quantities.get(name)
        if found is not None and found.verdict == "leak":
            grown = found.rate_per_step or 0.0
            amount = f"{grown:,.3g}" if name == "python_blocks" else rate(grown)
            grows.append(f"{what} grow by {amount} a {unit}")
        elif found is not None:
            rest.append(what)
    if "mapped" in numbers.grew:
        files = numbers.rate_of("rss") - max(numbers.rate_of("anonymous"), 0.0)
        grows.append(
            f"{rate(files)} a {unit} are pages of files, which can be dropped when memory is short"
        )
    still = f"; {' and '.join(rest)} do not surely grow" if rest else ""
    return f"The measured quantities do not agree: {', '.join(grows)}{still}."


_QUANTITIES = {
    "anonymous": "pages that no file backs",
    "in_use": "malloc's live bytes",
    "python_blocks": "Python's live blocks",
}

_SURE = {"positive": "moderate", "very-strong": "very strong"}


def confidence(code: str, reasons: Iterable[str]) -> str:
    """Say how sure a verdict is.

    Examples
    --------
    >>> confidence("very-strong", ["steady-growth", "few-steps"])
    'very strong, but from a small run'
    >>> confidence("positive", [])
    'moderate'
    """
    if code == "none":
        return "none: the run does not decide"
    word, given = _SURE.get(code, code), set(reasons)
    if Reason.ONE_REPEAT in given:
        return f"{word}, but from one repeat only"
    if Reason.FEW_STEPS in given:
        return f"{word}, but from a small run"
    return word if code == "positive" else f"{word}, firm"


def contrast(second: str, found: ConditionContrast) -> str:
    """Say what a condition changed, against the one it is compared with.

    Examples
    --------
    >>> from listen2lab.findings.records import ConditionContrast
    >>> found = ConditionContrast(
    ...     to="old", about="rate", verdict="worse", why="new-leak", end_difference_mib=3.0
    ... )
    >>> contrast("new", found)
    'new leaks where old does not.'
    """
    first = found.to
    if found.about == "level":
        amount = found.end_difference_mib
        way = "more" if amount > 0 else "less"
        return (
            f"{second} holds {abs(amount):,.3g} MiB {way} than {first} at the end"
            f"{_END_ENDINGS[found.verdict]}."
        )
    if found.why == "no-verdict":
        reason = REASONS.get(found.unjudged or "", "No reason is known.")
        return f"One condition has no verdict: {reason}"
    if found.why in _ONE_SIDED:
        return _ONE_SIDED[found.why].format(first=first, second=second)
    prefix = "Live bytes: " if found.quantity == "in_use" else ""
    a, b = found.rate_of_first or 0.0, found.rate or 0.0
    upper = max(found.upper or 0.0, _FEW_BYTES)
    ending = _RATE_ENDINGS[found.why].format(upper=_rate(upper))
    return f"{prefix}{first} leaks {_rate(a)} a step, {second} {_rate(b)}{ending}"


def _rate(value: float) -> str:
    """Return a rate; a few bytes are 0."""
    return rate(value) if abs(value) >= _FEW_BYTES else "0"


_FEW_BYTES = 4.0


_END_ENDINGS = {
    "reduced": "",
    "worse": "",
    "unchanged": ": no difference worth acting on",
    "inconclusive": "; the processes of one condition differ too much to say that it is so",
}
_ONE_SIDED = {
    "new-leak": "{second} leaks where {first} does not.",
    "first-not-known": "{second} leaks; the rate of {first} is not known well enough to say that "
    "it does not.",
}
_RATE_ENDINGS = {
    "leak-gone": ", at most {upper}: the leak is gone.",
    "less-of-it": ": less, but not shown to be gone.",
    "more-of-it": ": more than before.",
    "same-leak": ": the same within a quarter.",
    "not-told-apart": "; the difference is not known well enough.",
}
