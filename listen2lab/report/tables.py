"""Tables that renderers and `Study` share: grids, phases, conditions, cures, findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pandas as pd

from listen2lab.report.text.findings import because
from listen2lab.report.text.knobs import in_words
from listen2lab.units import MIB

if TYPE_CHECKING:
    from listen2lab.findings.records import Summary
    from listen2lab.study.data import StudyData
    from listen2lab.study.plan import Experiment, KnobValue

__all__ = [
    "Grid", "PhaseRow", "conditions_frame", "contrasts_frame", "cures_frame", "findings_frame",
    "grid", "phase_rows",
    "phase_table", "phases_frame", "watched_answer",
]  # fmt: skip


class Grid(NamedTuple):
    """Two factors, crossed: which condition stands in which cell.

    Attributes
    ----------
    across, down
        Names of the factors.
    columns, rows
        Their values in words.
    cells
        (row, column) to the name of a condition; a crossing that was not run is missing.
    """

    across: str
    down: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: dict[tuple[int, int], str]


def grid(item: Experiment) -> Grid | None:
    """Return the grid of an experiment whose factor is ``one x another``, both of them knobs."""
    names = item.factors
    if len(names) != 2:
        return None
    settings = {level.name: item.complete_settings(level) for level in item.levels}
    values = {name: [_words(knobs[each]) for each in names] for name, knobs in settings.items()}
    columns, rows = (tuple(dict.fromkeys(pair[k] for pair in values.values())) for k in (0, 1))
    cells = {
        (rows.index(down), columns.index(across)): name for name, (across, down) in values.items()
    }
    if len(cells) < len(values) or min(len(columns), len(rows)) < 2:
        return None
    return Grid(names[0], names[1], columns, rows, cells)


def _words(value: KnobValue) -> str:
    if value is None:
        return "no limit"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


_COLUMNS = ("rss", "private_dirty", "in_use")


def phase_table(study: StudyData, experiment: str, condition: str) -> pd.DataFrame | None:
    """Return what is held after each phase, as the mean of a condition's repeats."""
    (item,) = (each for each in study.plan.experiments if each.name == experiment)
    mine = study.complete_of(experiment, condition)
    if not item.phases or mine.empty:
        return None
    order = ["setup", "end", *item.phases, "released"]
    means = mine[mine["phase"].isin(order)].groupby("phase")[list(_COLUMNS)].mean()
    return means.reindex([phase for phase in order if phase in means.index])


class PhaseRow(NamedTuple):
    """What was held after a phase, in MiB."""

    phase: str
    resident: float
    private_dirty: float
    in_use: float


def phase_rows(table: pd.DataFrame) -> list[PhaseRow]:
    """Return a `phase_table` as rows for a page."""
    numbers = (table[list(_COLUMNS)] / MIB).to_numpy(float).tolist()
    return [PhaseRow(str(phase), *row) for phase, row in zip(table.index, numbers, strict=True)]


def conditions_frame(summary: Summary, experiment: str | None) -> pd.DataFrame:
    """Return one row a condition, of one experiment or all; see `Study.conditions`."""
    columns = ["experiment", "condition", "verdict", "end_mib", "peak_mib", "released_mib"]
    columns += ["rate_kib_per_step", "none_above_kib_per_step", "complete"]
    rows = []
    for where, n in summary.conditions():
        if experiment in (None, where.experiment):
            grows = n.verdict in ("leak", "inconclusive")
            rate = (n.rate_kib_per_step, None) if grows else (None, n.upper_kib_per_step)
            rows.append(
                (*where, n.verdict, n.end_mib, n.peak_mib, n.released_mib, *rate, n.n_complete)
            )
    frame = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[3:-1], float))
    return frame.set_index(["experiment", "condition"])


def contrasts_frame(summary: Summary, experiment: str | None) -> pd.DataFrame:
    """Return one row a condition beside its reference; see `Study.contrasts`."""
    columns = [
        *("against", "end_mib", "end_low_mib", "end_high_mib", "became"),
        *("peak_mib", "peak_low_mib", "peak_high_mib", "peak"),
    ]
    rows = []
    for name, item in summary.experiments.items():
        for condition, each in item.contrasts.items():
            if each is None or experiment not in (None, name):
                continue
            end, peak = (
                each.end_interval_mib or (None, None),
                each.peak_interval_mib or (None, None),
            )
            rows.append(
                (name, condition, each.to, each.end_difference_mib, *end, each.verdict,
                 each.peak_difference_mib, *peak, each.peak)
            )  # fmt: skip
    frame = pd.DataFrame(rows, columns=["experiment", "condition", *columns])
    return frame.set_index(["experiment", "condition"])


def phases_frame(study: StudyData, experiment: str) -> pd.DataFrame:
    """Return memory around the steps, in MiB, by condition and phase; see `Study.phases`."""
    complete = study.complete_of(experiment)
    around = complete[~complete["phase"].isin(["warmup", "step"])]
    columns = ["t", "rss", "anonymous", "private_dirty", "in_use", "kept"]
    means = around.groupby(["condition", "phase"], sort=False)[columns].mean()
    return (means.sort_values(["condition", "t"]).drop(columns="t") / MIB).round(1)


_ANSWER = (
    *("verdict", "rate_kib_per_step", "interval_kib_per_step", "smallest_visible_kib_per_step"),
    *("reasons", "confidence", "steps", "repeats", "runs"),
)
_FIELDS = {"interval_kib_per_step": "rate_interval_kib_per_step", "repeats": "n_complete"}


def watched_answer(study: StudyData, summary: Summary, name: str) -> dict[str, Any]:
    """Return the verdict of an experiment as JSON values; see `Study.answer`."""
    item = summary.experiments[name]
    (experiment,) = (each for each in study.plan.experiments if each.name == name)
    answers: dict[str, Any] = {}
    for condition, numbers in item.conditions.items():
        told = {key: getattr(numbers, _FIELDS.get(key, key)) for key in _ANSWER}
        answers[condition] = msgspec.to_builtins(told)
    found = {**next(iter(answers.values())), "study": str(study.folder.path)}
    found["sample_every"] = study.plan.sample_every(experiment)
    if len(answers) > 1:
        found["conditions"] = answers
        found["contrast"] = msgspec.to_builtins(next(iter(item.contrasts.values()), None))
    return found


def cures_frame(summary: Summary) -> pd.DataFrame:
    """Return cures and prices, one row a condition; see `listen2lab.facade.Study.cures`."""
    columns = [
        *("condition", "change", "complete", "peak_mib", "end_mib", "cpu_per_s", "cpu_ratio"),
        *("load_s", "first_sound_s", "audio", "random_peak_mib", "random_end_mib"),
    ]
    found = None if summary.answers is None else summary.answers.cures
    rows = [
        [in_words(each.knobs) if name == "change" else getattr(each, name) for name in columns]
        for each in (found.cures if found is not None else ())
    ]
    return pd.DataFrame(rows, columns=columns).set_index("condition")


def findings_frame(summary: Summary) -> pd.DataFrame:
    """Return the findings, one row a hypothesis."""
    numbers = ["effect_mib", "low_mib", "high_mib", "explains_mib", "of_mib"]
    rows = []
    for name, each in summary.findings.items():
        low, high = each.interval_mib or (None, None)
        amounts = (each.effect_mib, low, high, each.explains_mib, each.of_mib)
        rows.append((name, each.claim, each.finding, *amounts, because(each)))
    columns = ["hypothesis", "claim", "finding", *numbers, "because"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, float))
