"""Who holds it: the rows of a trace, grouped by owner, function, library or line.

The lab's own calls are in no row but the last, which makes each table add up.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from listen2lab.account.stacks import BY, read_rules, stacks_of
from listen2lab.account.traces import NOT_FREED, PEAK
from listen2lab.errors import UnknownNameError
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.account.stacks import Rule
    from listen2lab.study.trace_records import Moment, Trace

__all__ = [
    "SMALL_STACKS", "arena_note", "by_moment", "fingerprints", "growth", "holders", "moment_of",
    "new_since",
]  # fmt: skip

SMALL_STACKS = "(small stacks, and the lab's own)"
"""Who holds what stands in stacks that are too small to be kept, or in the lab's own calls."""

_FEW_STEPS = 5  # below it many numbers are multiples
_STEP = r"step (\d+)"


def holders(
    trace: Trace, at: str = PEAK, by: str = "owner", *, rules: Sequence[Rule] | None = None
) -> pd.DataFrame:
    """Return who held the heap at one moment.

    A step that was not kept stands for the nearest before. One row each: the name in the column
    `by` (one of `BY`), ``bytes``, ``blocks`` and ``share`` of the moment's heap, the largest first;
    what stands in small stacks comes last, so that the bytes add up.
    """
    moment = moment_of(trace, at)
    frame = _ranked(trace, trace.live(moment.name), moment.bytes, by, rules).drop(columns="stack")
    frame["share"] = frame["bytes"] / max(1, moment.bytes)
    return frame


def growth(
    trace: Trace,
    since: str,
    until: str,
    by: str = "owner",
    *,
    rules: Sequence[Rule] | None = None,
) -> pd.DataFrame:
    """Return what grew between two moments; a step that was not kept stands for the nearest before.

    One row each: the name in the column `by` (one of `BY`), ``bytes``, ``blocks`` and ``share`` of
    all that grew, and ``stack``, the number of the one that grew most. The largest growth first,
    what shrank after it (below 0); growth of small stacks comes last (``stack`` is -1), so that the
    bytes add up to the growth of the heap. What did not change has no row.
    """
    first, last = moment_of(trace, since), moment_of(trace, until)
    before, after = trace.live(first.name), trace.live(last.name)
    more = {}
    for stack in {**before, **after}:
        (size, blocks), (now, blocks_now) = (at.get(stack, (0, 0)) for at in (before, after))
        more[stack] = (now - size, blocks_now - blocks)
    frame = _ranked(trace, more, last.bytes - first.bytes, by, rules)
    frame = frame[(frame["bytes"] != 0) | (frame["blocks"] != 0)].reset_index(drop=True)
    frame["share"] = frame["bytes"] / max(1, frame["bytes"].clip(lower=0).sum())
    return frame


def _ranked(
    trace: Trace,
    held: dict[int, tuple[int, int]],
    total: int,
    by: str,
    rules: Sequence[Rule] | None,
) -> pd.DataFrame:
    """Group bytes and blocks of stacks by name, the largest first; what is left of all, last."""
    if by not in BY:
        raise UnknownNameError("grouping", by, BY)
    table = read_rules() if rules is None else rules
    stacks = stacks_of(trace)
    rows = [
        (stacks[number].name(by, table), size, blocks, number)
        for number, (size, blocks) in sorted(held.items(), key=lambda each: -each[1][0])
        if not stacks[number].is_the_lab_s
    ]
    frame = _summed(rows, [by])
    if rest := total - sum(size for _, size, _, _ in rows):
        others = pd.DataFrame([(SMALL_STACKS, rest, 0, -1)], columns=frame.columns)
        frame = pd.concat([frame, others], ignore_index=True)
    return frame


def by_moment(
    trace: Trace, by: str = "owner", *, rules: Sequence[Rule] | None = None
) -> pd.DataFrame:
    """Return who held the heap at every moment.

    Returns
    -------
    DataFrame
        One row a moment, in the order of time, named as in the trace; one column a name, in bytes,
        `SMALL_STACKS` last: they add up to the heap.
    """
    if by not in BY:
        raise UnknownNameError("grouping", by, BY)
    table = read_rules() if rules is None else rules
    names = [
        SMALL_STACKS if stack.is_the_lab_s else stack.name(by, table) for stack in stacks_of(trace)
    ]
    rows = []
    for moment, live in trace.walk():
        row = dict.fromkeys([name for name in names if name != SMALL_STACKS], 0)
        for stack, (size, _) in live.items():
            if names[stack] in row:
                row[names[stack]] += size
        rows.append({**row, SMALL_STACKS: moment.bytes - sum(row.values())})
    index = pd.Index([moment.name for moment in trace.moments], name="moment")
    return pd.DataFrame(rows, index=index)


def _summed(rows: list[tuple[Any, ...]], names: list[str]) -> pd.DataFrame:
    """Add up bytes and blocks of what has the same names, with the first stack of each."""
    frame = pd.DataFrame(rows, columns=[*names, "bytes", "blocks", "stack"])
    sums = frame.groupby(names, sort=False, as_index=False).agg(
        {"bytes": "sum", "blocks": "sum", "stack": "first"}
    )
    return sums.sort_values("bytes", ascending=False, kind="stable", ignore_index=True)


def fingerprints(
    trace: Trace, at: str = NOT_FREED, *, rules: Sequence[Rule] | None = None
) -> pd.DataFrame:
    """Return what is live at a moment by fingerprint: an owner and the frames that stay the same.

    Line numbers, addresses and compilers' suffixes are not in a fingerprint, so that the same leak
    has the same one in another study, on another machine or with another version.

    ``fingerprint`` (ten hexadecimal digits), ``owner``, ``frames`` (from the innermost), ``bytes``,
    ``blocks``, and ``per_step``: blocks a step where there are as many in each, else 0. Those come
    first, as a leak in each call looks like that, then the largest; empty where a capture was cut
    before the end and nobody knows what was never freed.
    """
    table = read_rules() if rules is None else rules
    rows: list[tuple[Any, ...]] = []
    stacks = stacks_of(trace)
    for number, (size, blocks) in trace.live(at).items():
        stack = stacks[number]
        if stack.is_the_lab_s:
            continue
        owner, frames = stack.name("owner", table), stack.stable()
        digest = hashlib.sha256("\n".join([owner, *frames]).encode()).hexdigest()[:10]
        rows.append((digest, owner, " < ".join(frames), size, blocks, number))
    table_of = _summed(rows, ["fingerprint", "owner", "frames"]).drop(columns="stack")
    steps = max(trace.steps(), default=-1) + 1
    table_of["per_step"] = [_each_step(int(blocks), steps) for blocks in table_of["blocks"]]
    each = table_of["per_step"] > 0
    return pd.concat([table_of[each], table_of[~each]], ignore_index=True)


def _each_step(blocks: int, steps: int) -> int:
    """Return how many blocks came with each step; 0 where some steps had more than others.

    One block may be missing, which the last step, or the teardown, has freed.
    """
    if steps < _FEW_STEPS or blocks + 1 < steps:
        return 0
    many = round(blocks / steps)
    return many if abs(blocks - many * steps) <= 1 else 0


def new_since(now: pd.DataFrame, then: pd.DataFrame) -> pd.DataFrame:
    """Mark the fingerprints (``new``, ``bytes_then``) that another study did not have."""
    known = then.set_index("fingerprint")["bytes"]
    before = now["fingerprint"].map(known).fillna(0).astype(int)
    return now.assign(bytes_then=before, new=~now["fingerprint"].isin(known.index))


def arena_note(trace: Trace, at: str = PEAK) -> Notice | None:
    """Return what the engine's arena hides from a trace; None where it hides nothing.

    ``arena-hides-operators`` (``hidden``, ``heap``, bytes): it is charged to whichever operator
    made it grow, not to the one that uses it.
    """
    moment = moment_of(trace, at)
    stacks = stacks_of(trace)
    hidden = sum(
        size
        for number, (size, _) in trace.live(moment.name).items()
        if any("BFCArena::" in frame.function for frame in stacks[number].frames)
    )
    if not hidden:
        return None
    return Notice("arena-hides-operators", {"hidden": hidden, "heap": moment.bytes})


def moment_of(trace: Trace, at: str) -> Moment:
    """Return a moment of a trace; a step that was not kept stands for the nearest before."""
    moments = {moment.name: moment for moment in trace.moments}
    if at in moments:
        return moments[at]
    if wanted := re.fullmatch(_STEP, at):
        steps = {int(found[1]): name for name in moments if (found := re.fullmatch(_STEP, name))}
        if before := [step for step in steps if step <= int(wanted[1])]:
            return moments[steps[max(before)]]
    raise UnknownNameError("moment of this trace", at, moments)
