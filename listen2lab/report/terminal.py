"""What the terminal shows of a study: tables, verdicts with their reasons, a curve in blocks."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from listen2lab.findings.conditions import evenly
from listen2lab.findings.cures import limit_of
from listen2lab.findings.hypotheses import HYPOTHESES
from listen2lab.report.text import cures as cure_words
from listen2lab.report.text import findings as finding_words
from listen2lab.report.text import growth as growth_words
from listen2lab.report.text import study as words
from listen2lab.report.text.account import NOT_HELD
from listen2lab.report.text.answers import QUESTIONS, answers
from listen2lab.report.text.contrasts import TITLE, contrasts
from listen2lab.report.text.escape import one_line, printable
from listen2lab.report.text.format import DASH, number, span
from listen2lab.report.text.knobs import FAULT_MEANINGS
from listen2lab.report.text.notices import say
from listen2lab.report.text.verdicts import contrast, why
from listen2lab.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from listen2lab.account.attribute import Attribution
    from listen2lab.account.growth import Growth
    from listen2lab.findings.cure_records import Cures
    from listen2lab.findings.records import PlantedFault, Summary
    from listen2lab.study.data import StudyData

__all__ = [
    "attribution", "blocks", "conditions", "cures", "findings", "nothing_measured", "overview",
    "selftest", "table", "watched",
]  # fmt: skip

_WIDTH = 100
_BLOCKS = "▁▂▃▄▅▆▇█"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int = 1) -> str:
    """Return a table as text, as wide as it must be."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for at, head in enumerate(heads):
        made.add_column(head, justify="right" if at >= numbers_from else "left", no_wrap=True)
    for row in rows:
        made.add_row(*(Text(one_line(cell)) for cell in row))
    stream = io.StringIO()
    width = sum(max(map(len, column)) + 3 for column in zip(heads, *rows, strict=True))
    Console(file=stream, width=width, color_system=None, legacy_windows=False).print(made)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def overview(study: StudyData, summary: Summary) -> str:
    """Return what ``listen2lab report`` prints: conditions, answers, findings and contrasts."""
    parts = [
        conditions(summary),
        findings(summary),
        *_contrasts(study, summary),
        *words.endings(study.runs),
    ]
    return printable("\n\n".join(part for part in parts if part))


def _contrasts(study: StudyData, summary: Summary) -> Iterator[str]:
    for k, each in enumerate(contrasts(study, summary)):
        if not k:
            yield TITLE
        said = [each.question, *(f"Predicted: {sentence}" for sentence in each.predictions)]
        lines = [line for sentence in said for line in _wrapped(sentence)]
        lines += ["", table(each.heads, each.rows), "", *_wrapped(each.note)]
        yield "\n".join(lines).rstrip()


def conditions(summary: Summary) -> str:
    """Return a row for each condition."""
    rows = [
        (
            *(str(where), words.called(n), number(n.end_mib), number(n.peak_mib)),
            " ".join(words.growth(n)),
        )
        for where, n in summary.conditions()
    ]
    heads = ("experiment / condition", "verdict", "end, MiB", "peak, MiB", "growth, KiB a step")
    return table(heads, rows, numbers_from=2)


def findings(summary: Summary) -> str:
    """Return answers and findings; nothing for a study that tests no hypothesis."""
    said = answers(summary)
    if not said:
        return ""
    lines = []
    for name, question in QUESTIONS.items():
        lines.append(question)
        for sentence in said[name]:
            lines += _wrapped(sentence)
        if name == "under" and summary.answers is not None and summary.answers.cures is not None:
            lines += _plan(summary.answers.cures)
    rows = [
        (
            f"{name}  {HYPOTHESES[name].short}" if name in HYPOTHESES else name,
            f"{finding_words.SIGNS[each.finding]} {finding_words.word(each)}",
            finding_words.amount(each.effect_mib),
            finding_words.interval(each),
            finding_words.explains(each),
        )
        for name, each in summary.findings.items()
    ]
    heads = ("", "finding", "effect", "95 %", "explains")
    lines += ["", table(heads, rows, numbers_from=2), ""]
    for name, each in summary.findings.items():
        lines.append(f"{name}  {each.claim}")
    return printable("\n".join(lines))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(one_line(text), _WIDTH, initial_indent="  ", subsequent_indent="  ")


def cures(found: Cures, limits: Mapping[str, float]) -> str:
    """Return what ``listen2lab cures`` prints: every condition with its price, limits, the plan."""
    lines = [table(cure_words.HEADS, cure_words.rows(found)), ""]
    for name, limit in limits.items():
        told = limit_of(found.cures, name, limit / MIB)
        lines += textwrap.wrap(cure_words.limit(found, told), _WIDTH)
    return printable("\n".join([*lines, "", *_plan(found)]))


def _plan(found: Cures) -> list[str]:
    steps = cure_words.plan_lines(found)
    return [
        *(["The plan:"] if steps else []),
        *(
            line
            for step in steps
            for line in textwrap.wrap(step, _WIDTH, initial_indent="  ", subsequent_indent="     ")
        ),
    ]


def watched(study: StudyData, summary: Summary) -> str:
    """Return what ``listen2lab watch`` prints: verdict, reasons, numbers and curve."""
    ((name, item),) = summary.experiments.items()
    lines = []
    for condition, numbers in item.conditions.items():
        title = f"{condition}: " if len(item.conditions) > 1 else ""
        lines.append(said := f"{title}{words.verdict(numbers, item.unit)}")
        for code in numbers.reasons if numbers.n_complete else ():
            sentence = why(code, numbers, item.unit)
            # Once: the first reason of an inconclusive verdict is its sentence.
            lines.append(f"  - {code}" if sentence in said else f"  - {code}: {sentence}")
        lines.append(f"  {_curve(study, condition)}")
        if growth_words.is_worth_telling(grew := item.growth.get(condition)):
            lines.append(f"  {growth_words.title(grew)}")
            lines += [f"  {line}" for line in growth_words.first(grew)]
            lines += _wrapped(growth_words.coverage(grew))
    for condition, difference in item.contrasts.items():
        if difference is not None:
            what = f"from {difference.to} to {condition}"
            lines.append(f"{what}: {difference.verdict}. {contrast(condition, difference)}")
    (planned,) = (each for each in study.plan.experiments if each.name == name)
    every = study.plan.sample_every(planned)
    if every > 1:
        lines.append(f"  {words.THINNED.format(every=every)}")
    lines += words.endings(study.runs)
    lines.append(f"report: {study.folder.report_path}")
    return printable("\n".join(lines))


def _curve(study: StudyData, condition: str) -> str:
    samples = study.samples
    plain = samples[(samples["condition"] == condition) & ~samples["traced"].astype(bool)]
    steps = plain[plain["phase"] == "step"]
    return blocks(evenly(steps).groupby("step")["anonymous"].mean().to_numpy(float))


def blocks(curve: NDArray[np.float64], width: int = 60) -> str:
    """Return a curve of bytes as a row of blocks, with its lowest and highest value."""
    curve = curve[np.isfinite(curve)]
    if not len(curve):
        return "(no samples)"
    picked = curve[np.linspace(0, len(curve) - 1, min(width, len(curve))).astype(int)]
    low, high = float(picked.min()), float(picked.max())
    reach = max(high - low, 64 * KIB)  # a few pages up and down are flat to the eye
    bars = "".join(_BLOCKS[int((value - low) / reach * (len(_BLOCKS) - 1))] for value in picked)
    return f"{bars}  {span(low, high, between=' to ')} MiB"


def nothing_measured(study: StudyData) -> str:
    """Say that no run was complete, and how they ended."""
    ends = words.endings(study.runs)
    first = f" (the first: {one_line(ends[0])})" if ends else ""
    return f"no run was complete, so nothing was measured{first}; what there is lies in the study"


def selftest(found: Sequence[PlantedFault]) -> str:
    """Return what was planted and what was found, a row each, and what it comes to."""
    rows = [
        (
            each.fault,
            number(each.planted_kib) if each.planted_kib else DASH,
            each.verdict,
            number(each.found_kib),
            "" if each.error is None else f"{100 * each.error:+.1f} %",
            ("right: " if each.is_right else "WRONG: ") + FAULT_MEANINGS.get(each.fault, ""),
        )
        for each in found
    ]
    heads = ("planted", "KiB/step", "verdict", "KiB/step", "error", "")
    right = sum(each.is_right for each in found)
    return f"{table(heads, rows)}\n{right} of {len(found)} right"


_SHOWN = 15  # rows of a table
_NOT_FREED = 8  # stacks, two lines each


def attribution(
    found: Attribution,
    lost: pd.DataFrame,
    kept: pd.DataFrame,
    left: pd.DataFrame,
    filling: pd.DataFrame,
) -> str:
    """Return what ``listen2lab attribute`` prints."""
    shown = found.parts[(found.parts["bytes"] > 0) | (found.parts["category"] == "unaccounted")]
    rows = [
        (row["label"], _mib(row["bytes"]), _percent(row["share"]), row["certainty"])
        for row in shown.to_dict("records")
    ]
    if found.untouched:
        rows.append(("reserved and never touched (beside it)", _mib(found.untouched), "", ""))
    title = (
        f"{found.experiment}/{found.condition}, run {found.repeat}, after step {found.step}: "
        f"{_mib(found.resident)} MiB resident"
    )
    parts = [title, table(("part", "MiB", "share", "certainty"), rows)]
    if found.growth is not None:
        parts.append(_grown(found.growth))
    if len(found.who):
        title = f"traced run, {found.moment}, by {found.by}"
        title += growth_words.cut(min(_SHOWN, len(found.who)), len(found.who))
        parts.append(_ranking(found.who, found.by, title))
    if len(found.operators):
        where = found.operators["condition"].iloc[0]
        parts.append(_ranking(found.operators, "owner", f"{where}: without the arena, at the peak"))
    if len(kept):
        cells = [
            (str(row["holder"])[:_WIDTH], _mib(row["bytes"], 2), str(row["buffers"]))
            for row in kept.head(_SHOWN).to_dict("records")
        ]
        title = "largest buffers that Python held at the end (traced run), by holder"
        count = int(kept["buffers"].sum())
        title += growth_words.cut(count, max(count, found.buffers))
        parts.append(f"{title}\n{table(('holder', 'MiB', 'buffers'), cells)}")
    if len(filling):
        cells = [
            (str(row["path"])[:_WIDTH], f"{row['more']:+,}", f"{row['items']:,}")
            for row in filling.head(_SHOWN).to_dict("records")
        ]
        title = "containers that grew between setup and end (traced run)"
        parts.append(f"{title}\n{table(('container', 'items', 'in all'), cells)}")
    if len(lost):
        title = "not freed after the teardown (traced run)"
        lines = [title + growth_words.cut(min(_NOT_FREED, len(lost)), len(lost))]
        for row in lost.head(_NOT_FREED).to_dict("records"):
            held = growth_words.not_freed(row["bytes"], row["blocks"], row["per_step"])
            new = " NEW" if row.get("new") else ""
            lines.append(f"{row['fingerprint']}{new} {row['owner']}: {held}")
            lines.append(f"    {row['frames']}")
        parts.append("\n".join(lines))
    if len(left):
        title = "the workload's own objects that were there after the teardown, and how one is held"
        lines = [
            f"{row['objects']} {row['type']}: {row['chain'] or NOT_HELD}"
            for row in left.head(_SHOWN).to_dict("records")
        ]
        parts.append("\n".join([title, *lines]))
    return printable("\n\n".join([*parts, *map(say, found.notes)]))


def _grown(found: Growth) -> str:
    """Return the owners of what grew between two steps, and what the trace did not see."""
    said = growth_words.title(found) + growth_words.cut(min(_SHOWN, found.owners), found.owners)
    rows = growth_words.rows(found, _SHOWN)
    ranked = table(growth_words.HEADS, rows, numbers_from=3) if rows else ""
    return "\n".join(each for each in (said, growth_words.coverage(found), ranked) if each)


def _ranking(ranked: pd.DataFrame, by: str, title: str) -> str:
    rows = [
        (str(row[by])[:_WIDTH], _mib(row["bytes"]), _percent(row["share"]))
        for row in ranked.head(_SHOWN).to_dict("records")
    ]
    return f"{title}\n{table((by, 'MiB', 'share'), rows)}"


def _mib(value: float, digits: int = 1) -> str:
    return number(float(value) / MIB, digits)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
