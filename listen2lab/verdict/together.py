"""Resident, anonymous and live bytes judged together: which grew, and where they disagree."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from listen2lab.errors import InputError
from listen2lab.verdict.judge import Reason, Verdict, VerdictName, judge

__all__ = ["CONFIRMING_BLOCKS", "LIVE_ALONE", "Together", "judge_together"]


@dataclass(frozen=True)
class Together:
    """What several quantities of the same runs show.

    Attributes
    ----------
    verdict
        The common verdict; ``inconclusive`` where they disagree.
    grew
        Which parts grew: ``in use``, ``python objects``, ``kept by the allocator``, ``mapped``,
        ``mapped outside malloc``.
    agree
        Whether every quantity says the same about growth.
    sentence
        The result in words.
    reasons
        Codes, the deciding one first.
    verdicts
        Each quantity's own verdict.
    """

    verdict: VerdictName
    grew: tuple[str, ...]
    agree: bool
    sentence: str
    reasons: tuple[Reason, ...]
    verdicts: dict[str, Verdict]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        out = asdict(self)
        out["reasons"] = [str(r) for r in self.reasons]
        out["verdicts"] = {k: v.to_dict() for k, v in self.verdicts.items()}
        return out


LIVE_ALONE = {"in_use": 1000.0, "python_blocks": 8.0}
"""Bytes and blocks a step from which live objects alone make a leak, where pages do not show it: a
clean run of the pipeline gains a few hundred bytes a step while glibc's caches of freed blocks, one
for each thread, fill up (they count as in use), and a block of Python's."""


CONFIRMING_BLOCKS = 2.0
"""Live blocks of Python a step, surely leaked, that confirm growth of resident memory which alone
would not be worth acting on: two quantities agree, and a step may be a microsecond long."""


def judge_together(
    *,
    rss: Any = None,
    anonymous: Any = None,
    in_use: Any = None,
    kept: Any = None,
    trimmed: Any = None,
    python_blocks: Any = None,
    sizes: Any = None,
    shapes: Any = None,
    audit: tuple[Reason, ...] = (),
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
    trimmed
        Resident or anonymous bytes after ``malloc_trim``.
    python_blocks
        Live blocks of Python's own allocator, a count: malloc does not see small objects.
    sizes, shapes, audit
        As for `judge`.

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
    given = {
        "rss": rss,
        "anonymous": anonymous,
        "in_use": in_use,
        "trimmed": trimmed,
        "python_blocks": python_blocks,
    }
    verdicts = {
        name: judge(y, sizes, shapes=shapes, audit=audit, worth_rate=0.5)
        if name == "python_blocks"
        else judge(y, sizes, shapes=shapes, audit=audit)
        for name, y in given.items()
        if y is not None
    }
    resident = next((verdicts[n] for n in ("anonymous", "rss") if n in verdicts), None)
    live = verdicts.get("in_use")
    main = resident or live or next(iter(verdicts.values()), None)
    if main is None:
        raise InputError("no quantity was given; nothing was judged; give rss, anonymous or in_use")
    grew = _what_grew(verdicts)
    words = _say(verdicts, grew)
    names = {v.verdict == "leak" for n, v in verdicts.items() if v.verdict != "inconclusive"}
    agree = len(names) <= 1
    lives = [verdicts[n] for n in ("in_use", "python_blocks") if n in verdicts]
    owned = any(v.verdict == "leak" for v in lives)
    resident_grows = resident is not None and resident.verdict == "leak"
    if resident_grows and live is not None and not owned and _is_outside(anonymous, in_use, kept):
        grew = tuple("mapped outside malloc" if x.startswith("kept") else x for x in grew)
        told = _say(verdicts, grew)
        return Together(
            "leak", grew, agree=False, sentence=told, reasons=main.reasons, verdicts=verdicts
        )
    if resident_grows and live is not None and not owned:
        reasons = (Reason.QUANTITIES_DISAGREE, *_kept(verdicts), *main.reasons)
        return Together(
            "inconclusive", grew, agree=False, sentence=words, reasons=reasons, verdicts=verdicts
        )
    blocks = verdicts.get("python_blocks")
    if (
        resident is not None
        and resident.verdict == "baseline"
        and Reason.NOT_WORTH_ACTING_ON in resident.reasons
        and blocks is not None
        and blocks.verdict == "leak"
        and blocks.rate >= CONFIRMING_BLOCKS
    ):
        return Together("leak", grew, agree, words, blocks.reasons, verdicts)
    sure = any(
        name in verdicts and verdicts[name].verdict == "leak" and verdicts[name].rate >= least
        for name, least in LIVE_ALONE.items()
    )
    if sure and not resident_grows and resident is not None:
        reasons = (
            Reason.QUANTITIES_DISAGREE,
            *next(v for v in lives if v.verdict == "leak").reasons,
        )
        name: VerdictName = (
            "leak" if resident.verdict != "inconclusive" or live is not None else "inconclusive"
        )
        return Together(name, grew, agree=False, sentence=words, reasons=reasons, verdicts=verdicts)
    mapped = verdicts.get("rss")
    if "mapped" in grew and mapped is not None and not resident_grows:
        # Pages of files can be dropped when memory is short, so it is no leak yet; nor is it flat.
        reasons = (Reason.QUANTITIES_DISAGREE, *mapped.reasons)
        return Together(
            "inconclusive", grew, agree=False, sentence=words, reasons=reasons, verdicts=verdicts
        )
    return Together(main.verdict, grew, agree, words, main.reasons, verdicts)


def _is_outside(anonymous: Any, in_use: Any, kept: Any) -> bool:
    """Return whether most of the growth is more than all that malloc holds could account for.

    malloc's live and free bytes bound what touching its pages can add to anonymous memory. Only
    what lies above them is surely somebody else's: a library that maps memory for itself.
    """
    if anonymous is None or in_use is None or kept is None:
        return False
    outside, growth = [], []
    for resident, live, free in zip(anonymous, in_use, kept, strict=True):
        y, beyond = (np.asarray(x, dtype=float) for x in (resident, resident - (live + free)))
        width = max(1, len(y) // 5)
        growth.append(np.median(y[-width:]) - np.median(y[:width]))
        above = np.maximum(beyond, 0.0)
        outside.append(np.median(above[-width:]) - np.median(above[:width]))
    return bool(np.mean(outside) > 0.5 * np.mean(growth))


def _kept(verdicts: dict[str, Verdict]) -> tuple[Reason, ...]:
    """Say that the allocator keeps it, unless memory stays up even after a trim."""
    trimmed = verdicts.get("trimmed")
    return () if trimmed is not None and trimmed.verdict == "leak" else (Reason.KEPT_BY_ALLOCATOR,)


def _what_grew(verdicts: dict[str, Verdict]) -> tuple[str, ...]:
    out = []
    live, blocks = verdicts.get("in_use"), verdicts.get("python_blocks")
    anonymous, rss = verdicts.get("anonymous"), verdicts.get("rss")
    if live is not None and live.verdict == "leak":
        out.append("in use")
    if blocks is not None and blocks.verdict == "leak":
        out.append("python objects")
    private = anonymous or rss
    if (
        private is not None
        and live is not None
        and _more(private, live)
        and "python objects" not in out
    ):
        out.append("kept by the allocator")
    if rss is not None and anonymous is not None and _more(rss, anonymous):
        out.append("mapped")
    if not out and private is not None and private.verdict == "leak":
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


def _say(verdicts: dict[str, Verdict], grew: tuple[str, ...]) -> str:
    parts = []
    for name, v in verdicts.items():
        unit, scale = ("blocks", 1.0) if name == "python_blocks" else ("KiB", 1024.0)
        rate = f" ({v.rate / scale:+.3g} {unit} a step)" if np.isfinite(v.rate) else ""
        parts.append(f"{name.replace('_', ' ')}: {v.verdict}{rate}")
    what = f"What grew: {', '.join(grew)}." if grew else "Nothing grew."
    return f"{what} {'; '.join(parts)}."
