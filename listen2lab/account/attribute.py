"""Who holds a study's memory: the account of a step, and what the traced run adds to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd

from listen2lab.account.categories import CATEGORIES, UNACCOUNTED, account, cannot_tell, categories
from listen2lab.account.growth import Growth, what_grew
from listen2lab.account.owners import arena_note, fingerprints, holders, new_since
from listen2lab.account.stacks import BY, read_rules
from listen2lab.account.traces import PEAK, trace_of, traced_run
from listen2lab.errors import InputError, StudyError, UnknownNameError
from listen2lab.study.trace_records import Objects

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from listen2lab.account.stacks import Rule
    from listen2lab.account.traces import Reducer
    from listen2lab.notice import Notice
    from listen2lab.study.data import StudyData

__all__ = [
    "Attribution",
    "attribute",
    "filling",
    "grown",
    "held",
    "leaks",
    "operators_without_arena",
    "survivors",
]


@dataclass(frozen=True)
class Attribution:
    """What one step's memory is made of.

    Attributes
    ----------
    experiment, condition, repeat, step
        Which.
    resident
        Bytes.
    parts
        One row a category: ``category``, ``bytes``, ``share`` and ``certainty``, the largest first,
        ``unaccounted`` last.
    untouched
        Bytes reserved by malloc and never touched: not resident.
    by
        What `who` is grouped by.
    moment
        Of the traced run; None where there is none.
    who
        See `listen2lab.account.owners.holders`; empty where there is no trace.
    operators
        The same of a run without the engine's arena, by owner, where the study has one.
    growth
        What grew between two steps, see `listen2lab.account.growth.what_grew`; None without trace.
    buffers
        How many large buffers Python held at the end of the traced run.
    notes
        What cannot be told, and what misleads.
    """

    experiment: str
    condition: str
    repeat: int
    step: int
    resident: int
    parts: pd.DataFrame
    untouched: int
    by: str
    moment: str | None = None
    who: pd.DataFrame = field(default_factory=pd.DataFrame)
    operators: pd.DataFrame = field(default_factory=pd.DataFrame)
    growth: Growth | None = None
    buffers: int = 0
    notes: tuple[Notice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, in bytes."""
        return {
            name: value.to_dict("records")
            if isinstance(value, pd.DataFrame)
            else msgspec.to_builtins(value)
            for name, value in vars(self).items()
        }


def attribute(
    study: StudyData,
    *,
    experiment: str | None = None,
    condition: str | None = None,
    repeat: int | None = None,
    at: int | None = None,
    between: tuple[int, int] | None = None,
    by: str = "owner",
    owners: Path | str | None = None,
    reduce: Reducer | None = None,
) -> Attribution:
    """Say what memory was made of after a step, and who allocated it.

    Parameters
    ----------
    study
        Any study with samples.
    experiment, condition, repeat
        Which run; None: the first that has samples.
    at
        The step; None: the last one, and the peak of the traced run.
    between
        The steps between which growth is ranked; None: the last half.
    by
        One of `listen2lab.account.stacks.BY`.
    owners
        A table of rules of one's own, see `listen2lab.account.stacks.read_rules`.
    reduce
        See `listen2lab.account.traces.trace_of`.
    """
    if by not in BY:
        raise UnknownNameError("grouping", by, BY)
    rules = read_rules(owners)
    run = _one_run(study, experiment, condition, repeat)
    table = account(run)
    if table.empty:
        raise StudyError(
            f"no step of {study.folder.path} was sampled: there is nothing to take apart; "
            "complete it with `listen2lab run --resume`"
        )
    steps = table["step"].astype(int)
    if at is not None and at not in set(steps):
        raise InputError(
            f"no sample was read at step {at}: steps go from {min(steps)} to {max(steps)}"
        )
    row = table[steps == (steps.iloc[-1] if at is None else at)].iloc[0]
    name, own = str(row["experiment"]), str(row["condition"])
    trace, found = trace_of(study, name, own, reduce)
    notes = [*cannot_tell(run), *found]
    growth = what_grew(study, name, own, between, by=by, rules=rules, reduce=reduce)
    moment, who, operators = None, pd.DataFrame(), pd.DataFrame()
    if trace is not None and trace.moments:
        moment = PEAK if at is None else f"step {at}"
        who = holders(trace, moment, by, rules=rules)
        operators = operators_without_arena(study, rules, reduce)
        note = arena_note(trace, moment)
        notes += [] if note is None else [note]
    return Attribution(
        experiment=name,
        condition=own,
        repeat=int(row["repeat"]),
        step=int(row["step"]),
        resident=int(row["rss"]),
        parts=_parts(row, categories(table)),
        untouched=int(row["untouched"]),
        by=by,
        moment=moment,
        who=who,
        operators=operators,
        growth=growth,
        buffers=_objects(study, name, own).buffers_in_all,
        notes=tuple(dict.fromkeys(notes)),
    )


def leaks(
    study: StudyData,
    experiment: str,
    condition: str,
    *,
    since: StudyData | None = None,
    owners: Path | str | None = None,
    reduce: Reducer | None = None,
) -> pd.DataFrame:
    """Return what a traced run had not freed after its teardown, by fingerprint.

    As `listen2lab.account.owners.fingerprints`, and with another study ``since`` also as
    `listen2lab.account.owners.new_since`; empty where there is no trace.
    """
    rules = read_rules(owners)
    trace, _ = trace_of(study, experiment, condition, reduce)
    if trace is None:
        return pd.DataFrame(
            columns=["fingerprint", "owner", "frames", "bytes", "blocks", "per_step"]
        )
    now = fingerprints(trace, rules=rules)
    before = None if since is None else trace_of(since, experiment, condition, reduce)[0]
    return now if before is None else new_since(now, fingerprints(before, rules=rules))


def held(study: StudyData, experiment: str, condition: str) -> pd.DataFrame:
    """Return the largest buffers that Python held at the end of a traced run, by their holder.

    ``holder`` (how one gets there from the workload, numbers and keys left out), ``buffers``,
    ``bytes`` and ``example`` (the whole path to the largest), the largest first.
    """
    found = _objects(study, experiment, condition)
    buffers = [(each.holder, each.bytes, each.path) for each in found.buffers]
    return (
        pd.DataFrame(buffers, columns=["holder", "bytes", "path"])
        .groupby("holder", sort=False, as_index=False)
        .agg(buffers=("bytes", "size"), bytes=("bytes", "sum"), example=("path", "first"))
        .sort_values("bytes", ascending=False, kind="stable", ignore_index=True)
    )


def grown(study: StudyData, experiment: str, condition: str) -> pd.DataFrame:
    """Return by how many objects each type grew between the phases of a traced run.

    ``between`` (two phases), ``type``, ``objects`` (more than before) and ``now``, the largest
    change of each stretch first.
    """
    found = _objects(study, experiment, condition)
    rows = [
        (between, *msgspec.structs.astuple(each))
        for between, types in found.growth.items()
        for each in types
    ]
    return pd.DataFrame(rows, columns=["between", "type", "objects", "now"])


def filling(study: StudyData, experiment: str, condition: str) -> pd.DataFrame:
    """Return the containers that had more items at the end of a traced run than after its setup.

    ``path`` (where it is, from a module), ``type``, ``items`` and ``more``, the largest growth
    first.
    """
    found = _objects(study, experiment, condition).containers
    rows = [(each.path, each.type, each.items, each.more) for each in found]
    return pd.DataFrame(rows, columns=["path", "type", "items", "more"])


def survivors(study: StudyData, experiment: str, condition: str) -> pd.DataFrame:
    """Return objects of the workload's own classes that were there after its teardown.

    ``type``, ``objects``, ``chain`` (how a module holds one of them; empty where none does) and
    ``picture`` (of what refers to it, a file relative to the study; "" without graphviz).
    """
    key = traced_run(study, experiment, condition).key
    rows = [
        (each.type, each.objects, each.chain, each.picture and f"runs/{key}/{each.picture}")
        for each in _objects(study, experiment, condition).survivors
    ]
    return pd.DataFrame(rows, columns=["type", "objects", "chain", "picture"]).fillna("")


def _objects(study: StudyData, experiment: str, condition: str) -> Objects:
    """Return what the traced run that tells of a condition says, as the study may tell it."""
    experiment, condition, _ = traced_run(study, experiment, condition).key.split("/")
    return study.objects(experiment, condition) or Objects()


def _one_run(
    study: StudyData, experiment: str | None, condition: str | None, repeat: int | None
) -> pd.DataFrame:
    """Return the samples of one plain run."""
    samples = study.samples
    samples = samples[~samples["traced"].astype(bool)]
    if experiment is None and condition in set(samples["condition"]):
        samples = samples[samples["condition"] == condition]
    for column, kind, wanted in (
        ("experiment", "experiment of this study", experiment),
        ("condition", "condition of this study", condition),
        ("repeat", "repeat of this condition", repeat),
    ):
        there = list(dict.fromkeys(samples[column]))
        if not there:
            raise StudyError(
                f"no plain run of {study.folder.path} has samples; complete it with "
                "`listen2lab run --resume`"
            )
        if wanted is not None and wanted not in there:
            raise UnknownNameError(kind, str(wanted), map(str, there))
        samples = samples[samples[column] == (there[0] if wanted is None else wanted)]
    return samples


def _parts(row: pd.Series[Any], names: Sequence[str]) -> pd.DataFrame:
    """Return a step's categories, the largest first, what is left last."""
    rows = [
        (name, int(row[name]), row[name] / max(1.0, row["rss"]), CATEGORIES.get(name, "exact"))
        for name in names
    ]
    rows.sort(key=lambda each: (each[0] == UNACCOUNTED, -each[1]))
    return pd.DataFrame(rows, columns=["category", "bytes", "share", "certainty"])


def operators_without_arena(
    study: StudyData, rules: list[Rule] | None = None, reduce: Reducer | None = None
) -> pd.DataFrame:
    """Return who held the heap at the peak in a run without the engine's arena.

    As `listen2lab.account.owners.holders`, and ``condition``: which run; empty where there is none.
    """
    without = [
        # The pattern would hide operators too; whatever else differs would change what they hold.
        (
            bool(level.knobs.get("mem_pattern", True)),
            len(experiment.changes(level)),
            experiment.name,
            level.name,
        )
        for experiment in study.plan.experiments
        for level in experiment.levels
        if not level.knobs.get("cpu_mem_arena", True)
    ]
    for _, _, name, condition in sorted(without):
        trace, _ = trace_of(study, name, condition, reduce)
        if trace is not None and trace.moments:
            table = holders(trace, PEAK, "owner", rules=rules)
            table.insert(0, "condition", f"{name}/{condition}")
            return table
    return pd.DataFrame()
