"""Who holds what grew between two steps of a condition's traced run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from listen2lab.account.owners import growth, moment_of
from listen2lab.account.stacks import read_rules, stacks_of
from listen2lab.account.traces import trace_of
from listen2lab.errors import InputError
from listen2lab.privacy import FunctionName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listen2lab.account.stacks import Rule
    from listen2lab.account.traces import Reducer
    from listen2lab.study.data import StudyData

__all__ = ["Grown", "Growth", "what_grew"]

_UNSEEN = 0.6  # of the growth that plain runs show: below it a trace has missed something
_WORTH_BYTES = 64 * 1024


class Grown(msgspec.Struct, frozen=True, kw_only=True):
    """What one owner holds more than before; most of it is allocated in ``function``.

    ``share`` is of all that grew, also in small stacks. ``line`` is the innermost line of Python on
    the way there that is no library's.
    """

    owner: FunctionName
    function: FunctionName
    line: FunctionName
    bytes: int
    blocks: int
    share: float


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """What grew between two steps, the largest first.

    Attributes
    ----------
    since, until
        The steps, after both of which the heap was looked at.
    rows
        The first owners; ``owners`` is how many there are.
    seen
        Bytes that the trace saw grow, the lab's own left out.
    grown
        Bytes by which malloc's live bytes (where they are not told, anonymous memory) grew between
        these steps in the plain run that grew least; None where there is none.
    """

    since: int
    until: int
    rows: tuple[Grown, ...]
    owners: int
    seen: int
    grown: int | None = None

    @property
    def is_unseen(self) -> bool:
        """Whether memory was allocated past the trace: through a handle of ``dlopen``, say."""
        if self.grown is None or self.grown < _WORTH_BYTES:
            return False
        return self.grown - self.seen >= _WORTH_BYTES and self.seen < _UNSEEN * self.grown


def what_grew(
    study: StudyData,
    experiment: str,
    condition: str,
    between: tuple[int, int] | None = None,
    *,
    by: str = "owner",
    most: int | None = None,
    rules: Sequence[Rule] | None = None,
    reduce: Reducer | None = None,
) -> Growth | None:
    """Rank what grew between two steps; None where there is no trace of two steps.

    Parameters
    ----------
    study, experiment, condition
        Whose trace.
    between
        The first and the last step; None: the last half of the steps. One that was not kept stands
        for the nearest before.
    by
        What a row is, one of `listen2lab.account.stacks.BY`; it stands in the field ``owner``.
    most
        Rows; None: all.
    rules, reduce
        See `listen2lab.account.stacks.read_rules`, `listen2lab.account.traces.trace_of`.
    """
    trace, _ = trace_of(study, experiment, condition, reduce)
    between = between or (None if trace is None else trace.last_half())
    if trace is None or between is None:
        return None
    ends, (since, until) = trace.steps(), between
    if not ends[0] <= since < until <= ends[-1]:
        raise InputError(
            f"nothing can have grown between steps {since} and {until}: give two of the steps "
            f"{ends[0]} to {ends[-1]} that were traced, such as {ends[0]}-{ends[-1]}"
        )
    first, last = (moment_of(trace, f"step {step}") for step in (since, until))
    table = read_rules() if rules is None else rules
    ranked = growth(trace, first.name, last.name, by, rules=table)
    rising = ranked[(ranked["bytes"] > 0) & (ranked["stack"] >= 0)]
    stacks = stacks_of(trace)
    rows = [
        Grown(
            owner=name,
            function=stacks[stack].name("function", table),
            line=stacks[stack].caller(),
            bytes=size,
            blocks=blocks,
            share=share,
        )
        for name, size, blocks, stack, share in rising[:most].itertuples(index=False)
    ]
    before, after = (
        sum(size for each, (size, _) in trace.live(at.name).items() if stacks[each].is_the_lab_s)
        for at in (first, last)
    )
    return Growth(
        since=_step(first.name),
        until=_step(last.name),
        rows=tuple(rows),
        owners=len(rising),
        seen=(last.bytes - after) - (first.bytes - before),
        grown=_in_plain_runs(study, experiment, condition, since, until),
    )


def _step(name: str) -> int:
    return int(name.removeprefix("step "))


def _in_plain_runs(
    study: StudyData, experiment: str, condition: str, since: int, until: int
) -> int | None:
    """Return the growth of the complete plain run that grew least."""
    mine = study.complete_of(experiment, condition)
    found = []
    for _, run in mine[mine["step"].notna()].groupby("repeat"):
        column = "in_use" if "in_use" in run and run["in_use"].notna().any() else "anonymous"
        at = run.set_index("step")[column].dropna().sort_index()
        before, after = at[at.index <= since], at[at.index <= until]
        if len(before):
            found.append(int(after.iloc[-1] - before.iloc[-1]))
    return min(found, default=None)
