"""Resident, anonymous and live bytes judged together: which grew, and where they disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from listen2lab.errors import InputError
from listen2lab.verdict import thresholds as limits
from listen2lab.verdict.judge import Verdict, judge
from listen2lab.verdict.reasons import Reason, VerdictName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "CONFIRMING_BLOCKS", "LIVE_ALONE", "OUTSIDE", "Cache", "Grew", "Together", "growth",
    "judge_run", "judge_together",
]  # fmt: skip

Grew = Literal[
    "in-use",
    "python-objects",
    "kept-by-allocator",
    "mapped",
    "mapped-outside-malloc",
    "resident",
    "children",
    "shm_files",
    "descriptors",
    "threads",
]

OUTSIDE = {
    "children": limits.WORTH_RATE,
    "shm_files": limits.WORTH_RATE,
    "descriptors": 0.02,
    "threads": 0.02,
}
"""What a process holds outside of itself, each with the growth a step that is worth acting on: one
descriptor or thread in fifty steps is lost in a day's work a thousand times over."""


class Together(msgspec.Struct, frozen=True):
    """What several quantities of the same runs show.

    Attributes
    ----------
    verdict
        The common verdict; ``inconclusive`` where they disagree.
    grew
        Which parts grew.
    agree
        Whether every quantity says the same about growth.
    reasons
        Codes, the deciding one first.
    verdicts
        Each quantity's own verdict.
    """

    verdict: VerdictName
    grew: tuple[Grew, ...]
    agree: bool
    reasons: tuple[Reason, ...]
    verdicts: dict[str, Verdict]


LIVE_ALONE = {"in_use": 1000.0, "python_blocks": 8.0}
"""Bytes and blocks a step from which live objects alone make a leak, where pages do not show it: a
clean run of the pipeline gains a few hundred bytes a step while glibc's caches of freed blocks, one
for each thread, fill up (they count as in use), and a block of Python's."""


IN_HEAP = 0.5
"""Growth of which this share lies in malloc's own pages is not some library's own mapping."""

ASKED_AHEAD = 0.5
"""Live bytes that rose by this share of what pages did account for the pages: a pool that doubles
asks for its next half in one jump, and touches it step by step."""

CONFIRMING_BLOCKS = 2.0
"""Live blocks of Python a step, surely leaked, that confirm growth of resident memory which alone
would not be worth acting on: two quantities agree, and a step may be a microsecond long."""


class Cache(NamedTuple):
    """A bounded cache of the workload's, during the runs of a condition.

    Attributes
    ----------
    held, capacity
        Entries at the end, and at most.
    sizes
        Its bytes at each step, one array a repeat.
    """

    held: float
    capacity: float
    sizes: Sequence[Any]


BLOCK = 64.0
"""Bytes of a small Python object, as a cache counts them: 44 were measured for alignments."""


def judge_run(
    quantities: Mapping[str, Any],
    sizes: Any = None,
    *,
    audit: tuple[Reason, ...] = (),
    caches: Sequence[Cache] = (),
    outside: Mapping[str, Any] | None = None,
    every: float = 1.0,
) -> Together:
    """Judge the runs of a condition, or a phone's log: the one rule for what is called a leak.

    A leak must hold against growth with each input shape not seen before, too: an input of another
    size is another shape to the engine, which keeps a plan for each. And it must be more than
    bounded caches can explain that are not yet full.

    Parameters
    ----------
    quantities
        Those of `judge_together`, by name.
    sizes, audit
        As for `judge`.
    caches
        Caches of the workload; full ones are passed over.
    outside
        What is held outside of the process, by the names of `OUTSIDE`: growth there withdraws a
        verdict that nothing grows.
    every
        Steps between two values, where runs were thinned: what is worth acting on is told by the
        step, and so are the rates of the verdicts.
    """
    found = _judge_inside(dict(quantities, every=every), sizes, audit, caches)
    if sizes is None and found.verdict == "high-water":  # of what, nobody has said
        reasons = tuple(
            Reason.RISES_IN_STEPS if each is Reason.FOLLOWS_LARGEST_INPUT else each
            for each in found.reasons
        )
        found = replace(found, verdict="plateau", reasons=reasons)
    grown = {
        name: judge(values, sizes, audit=audit, worth_rate=every * OUTSIDE[name]).per(every)
        for name, values in (outside or {}).items()
        if growth(values) >= every * OUTSIDE[name] * len(values[0]) / 2
    }
    leaks = {name: each for name, each in grown.items() if each.verdict == "leak"}
    found = replace(found, verdicts={**found.verdicts, **grown})
    if not leaks:
        return found
    grew: tuple[Any, ...] = (*found.grew, *leaks)  # names of `OUTSIDE` are such codes
    code: tuple[Reason, ...] = (Reason.GROWS_OUTSIDE,)
    if found.verdict == "leak":  # the process grows as well: both are named
        return replace(found, grew=grew, reasons=found.reasons + code)
    codes = code + next(iter(leaks.values())).reasons
    return replace(found, verdict="leak", grew=grew, agree=False, reasons=codes)


def _judge_inside(
    quantities: Mapping[str, Any],
    sizes: Any,
    audit: tuple[Reason, ...],
    caches: Sequence[Cache],
) -> Together:
    known: dict[str, Verdict] = {}
    if sizes is not None:
        # Where both of these leak, the rest changes nothing, and all are judged again below.
        for name in ("anonymous", "in_use"):
            if quantities.get(name) is None:
                break
            known[name] = _one(name, quantities[name], sizes, audit, quantities["every"])
            if known[name].verdict != "leak":
                break
    is_leak = [each.verdict for each in known.values()] == ["leak", "leak"]
    if not is_leak:
        found = judge_together(**quantities, sizes=sizes, audit=audit, before=known)
        is_leak = found.verdict == "leak"
    if is_leak and sizes is not None:
        found = judge_together(**quantities, sizes=sizes, shapes=sizes, audit=audit)
    if found.verdict != "leak":
        return found
    filling = [cache for cache in caches if cache.held < cache.capacity]
    grown = sum(growth(cache.sizes) for cache in filling)
    explained = [
        name
        for name, each in found.verdicts.items()
        if filling
        and each.verdict == "leak"
        and grown
        >= limits.CACHE_SHARE
        * (BLOCK if name == "python_blocks" else 1.0)
        * growth(quantities[name])
    ]
    if "anonymous" in explained:
        audit = (*audit, Reason.CACHE_NEVER_FULL)
        return judge_together(**quantities, sizes=sizes, audit=audit)
    if explained:
        # Live objects alone grow, and a cache that fills holds them: they say nothing more.
        rest = {name: y for name, y in quantities.items() if name not in explained}
        return judge_together(**rest, sizes=sizes, audit=audit)
    return found


def growth(repeats: Iterable[Any]) -> float:
    """Return how much a quantity grew, from the first fifth to the last, mean of the repeats."""
    rows = [np.asarray(row) for row in repeats]
    if len({len(row) for row in rows}) == 1:
        rows = [np.asarray(rows)]  # medians of all at once
    each: list[Any] = []
    for row in rows:
        width = max(1, row.shape[-1] // 5)
        each.append(np.median(row[..., -width:], axis=-1) - np.median(row[..., :width], axis=-1))
    return float(np.mean(np.hstack(each)))


def judge_together(  # noqa: PLR0911 - one for each way in which quantities agree or do not
    *,
    rss: Any = None,
    anonymous: Any = None,
    in_use: Any = None,
    kept: Any = None,
    python_blocks: Any = None,
    in_heap: float = 0.0,
    sizes: Any = None,
    shapes: Any = None,
    audit: tuple[Reason, ...] = (),
    every: float = 1.0,
    before: Mapping[str, Verdict] | None = None,
) -> Together:
    """Judge the quantities of the same runs together.

    Parameters
    ----------
    rss, anonymous
        Resident bytes, and the anonymous part of them.
    in_use
        Bytes that malloc has handed out and not got back (``mallinfo2``: uordblks + hblkhd).
    kept
        Bytes that malloc holds free (fordblks). Not judged: with it, growth that malloc cannot
        explain (mappings of a library's own) is told from pages that malloc had reserved or kept.
    python_blocks
        Live blocks of Python's own allocator, a count: malloc does not see small objects.
    in_heap
        Share of the growth that lies in pages of malloc's own, as mappings tell: what malloc does
        not count as new there was handed out before, and is touched late.
    sizes, shapes, audit
        As for `judge`.
    every
        As for `judge_run`.
    before
        Verdicts that were found already.

    Returns
    -------
    Together
        Where resident memory grows and live bytes do not, no choice is made between them: the
        verdict is inconclusive, and the reasons say what grew.

    Raises
    ------
    InputError
        No quantity was given, or as `judge`.
    """
    given = {"rss": rss, "anonymous": anonymous, "in_use": in_use, "python_blocks": python_blocks}
    verdicts = {
        name: (before or {}).get(name) or _one(name, y, sizes, audit, every, shapes)
        for name, y in given.items()
        if y is not None
    }
    resident, live = verdicts.get("anonymous") or verdicts.get("rss"), verdicts.get("in_use")
    main = resident or live or verdicts.get("python_blocks")
    if main is None:
        raise InputError("no quantity was given; nothing was judged; give rss, anonymous or in_use")
    grew = _what_grew(verdicts)
    said = {v.verdict == "leak" for v in verdicts.values() if v.verdict != "inconclusive"}
    found = Together(main.verdict, grew, len(said) <= 1, main.reasons, verdicts)
    lives = {n: v for n, v in verdicts.items() if n in LIVE_ALONE and v.verdict == "leak"}
    if resident is None or (resident.verdict == "leak" and (live is None or lives)):
        return found
    disagree = Reason.QUANTITIES_DISAGREE
    if resident.verdict == "leak":
        if in_heap < IN_HEAP and _is_outside(anonymous, in_use, kept):
            grew = tuple("mapped-outside-malloc" if x.startswith("kept") else x for x in grew)
            return replace(found, grew=grew, agree=False)
        if in_use is not None and growth(in_use) >= ASKED_AHEAD * growth(
            rss if anonymous is None else anonymous
        ):
            return replace(found, agree=False, reasons=(*main.reasons, Reason.ASKS_AHEAD))
        reasons = (disagree, Reason.KEPT_BY_ALLOCATOR, *main.reasons)
        return replace(found, verdict="inconclusive", agree=False, reasons=reasons)
    blocks = lives.get("python_blocks")
    small = resident.verdict == "baseline" and Reason.NOT_WORTH_ACTING_ON in resident.reasons
    if small and blocks is not None and blocks.rate >= CONFIRMING_BLOCKS:
        return replace(found, verdict="leak", reasons=blocks.reasons)
    if any(v.rate >= LIVE_ALONE[name] for name, v in lives.items()):
        known = resident.verdict != "inconclusive" or live is not None
        verdict: VerdictName = "leak" if known else "inconclusive"
        reasons = (disagree, *next(iter(lives.values())).reasons)
        return replace(found, verdict=verdict, agree=False, reasons=reasons)
    if "mapped" in grew:
        # Pages of files can be dropped when memory is short, so it is no leak yet; nor is it flat.
        reasons = (disagree, *verdicts["rss"].reasons)
        return replace(found, verdict="inconclusive", agree=False, reasons=reasons)
    return found


def _one(  # noqa: PLR0917 - what `judge_together` was given
    name: str, y: Any, sizes: Any, audit: tuple[Reason, ...], every: float, shapes: Any = None
) -> Verdict:
    """Judge one quantity, by what of it is worth acting on."""
    worth = every * (0.5 if name == "python_blocks" else limits.WORTH_RATE)
    return judge(y, sizes, shapes=shapes, audit=audit, worth_rate=worth).per(every)


def _is_outside(anonymous: Any, in_use: Any, kept: Any) -> bool:
    """Return whether most of the growth is more than all that malloc holds could account for.

    malloc's live and free bytes bound what touching its pages can add to anonymous memory. Only
    what lies above them is surely somebody else's: a library that maps memory for itself.
    """
    if anonymous is None or in_use is None or kept is None:
        return False
    above = [
        np.maximum(resident - (live + free), 0.0)
        for resident, live, free in zip(anonymous, in_use, kept, strict=True)
    ]
    return growth(above) > 0.5 * growth(anonymous)


def _what_grew(verdicts: dict[str, Verdict]) -> tuple[Grew, ...]:
    out: list[Grew] = []
    live, blocks, anonymous, rss = (
        verdicts.get(name) for name in ("in_use", "python_blocks", "anonymous", "rss")
    )
    private = anonymous or rss
    if live and live.verdict == "leak":
        out.append("in-use")
    if blocks and blocks.verdict == "leak":
        out.append("python-objects")
    elif private and live and _more(private, live):
        out.append("kept-by-allocator")
    if rss and anonymous and _more(rss, anonymous):
        out.append("mapped")
    if not out and private and private.verdict == "leak":
        out.append("resident")
    return tuple(out)


def _more(outer: Verdict, inner: Verdict) -> bool:
    """Return whether the outer quantity grows by at least a quarter more than the inner."""
    if outer.verdict != "leak":
        return False
    inside = inner.rate if np.isfinite(inner.rate) else 0.0
    errors = [(v.interval[1] - v.interval[0]) / 3.92 for v in (outer, inner)]
    beyond = outer.rate - max(inside, 0.0)
    return beyond > 0.25 * outer.rate and beyond > 2 * float(np.hypot(*np.nan_to_num(errors)))
