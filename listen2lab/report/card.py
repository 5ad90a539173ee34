"""A study on a card: what a notebook shows of it in one look, in a light or a dark theme."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from markupsafe import Markup

from listen2lab.findings.records import Where
from listen2lab.report.text import findings as finding_words
from listen2lab.report.text.contrasts import TITLE, contrasts
from listen2lab.report.text.escape import as_code, printable
from listen2lab.report.text.format import number
from listen2lab.report.text.key_facts import key_facts, reference
from listen2lab.report.text.notices import say
from listen2lab.report.text.study import called, growth, subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from listen2lab.findings.hypothesis import Hypothesis
    from listen2lab.findings.records import ExperimentSummary, Summary
    from listen2lab.study.data import StudyData
    from listen2lab.study.plan import Experiment

__all__ = [
    "Card", "finding_card", "prediction_card", "study_card", "study_line", "table_card",
    "table_of", "tested",
]  # fmt: skip

# JupyterLab's own variables carry its theme; elsewhere what is inherited will do.
_STYLE = """<style>
.l2l {color: var(--jp-ui-font-color1, inherit); font-size: 13px; line-height: 1.45;
  border: 1px solid var(--jp-border-color1, #8886); border-radius: 4px; padding: 10px 14px;
  max-width: 62em}
.l2l p {margin: 0 0 6px}
.l2l pre {margin: 0 0 2px; padding-left: 2em; text-indent: -1em; color: inherit; font-size: 12px;
  background: none; white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere}
.l2l pre + p {margin-top: 10px}
.l2l ul {margin: 0 0 8px; padding-left: 1.4em}
.l2l table {border-collapse: collapse; margin: 4px 0 8px; font-size: inherit;
  color: inherit; background: none}
.l2l th, .l2l td {text-align: left !important; padding: 2px 18px 2px 0 !important;
  vertical-align: top; background: none !important; color: inherit; white-space: normal;
  max-width: 46em}
.l2l th {font-weight: 600}
.l2l thead th {border-bottom: 1px solid var(--jp-border-color1, #8886)}
.l2l .n {text-align: right !important; font-variant-numeric: tabular-nums}
.l2l summary {cursor: pointer}
.l2l .quiet {color: var(--jp-ui-font-color2, inherit)}
.l2l a {color: var(--jp-content-link-color, #0072b2)}
</style>"""


class Card:
    """Something to show: HTML in a notebook, lines of text in a terminal.

    Parameters
    ----------
    html
        Its content, escaped.
    lines
        The same as text.
    """

    def __init__(self, html: Markup, lines: Sequence[str]) -> None:
        self._html = html
        self._lines = lines

    def __repr__(self) -> str:
        return printable("\n".join(self._lines))

    def _repr_html_(self) -> str:
        return f'{_STYLE}<div class="l2l">{printable(self._html)}</div>'


def study_line(study: StudyData) -> str:
    """Return a study in a line: subject, experiments, runs, folder."""
    names = [item.name for item in study.plan.experiments]
    shown = ", ".join(names) if len(names) < 4 else f"{len(names)} experiments"
    what = subject(study.manifest.inputs)
    return printable(f"<Study {study.folder.path}: {what}, {shown}, {_runs(study)}>")


def study_card(study: StudyData, summary: Summary, shown: Sequence[str] = ()) -> Card:
    """Return a study's card: the answer, the picture, conditions, findings.

    ``shown``: the experiments that it lists; none: all.
    """
    names = [name for name in summary.experiments if not shown or name in shown]
    parts = [
        Markup("<p><b>Study of {}</b>, {}, {}</p>").format(
            subject(summary.inputs), summary.created[:10], _runs(study)
        )
    ]
    parts += _first_look(study, summary, names)
    parts += [
        _experiment(name, summary.experiments[name], is_open=len(names) == 1) for name in names
    ]
    for each in contrasts(study, summary):
        lines = [*(f"Predicted: {sentence}" for sentence in each.predictions), each.note]
        parts.append(
            Markup('<p><b>{}</b> <span class="quiet">{}</span></p>{}{}').format(
                TITLE,
                each.question,
                table_of(each.heads, each.rows, numbers_from=len(each.heads)),
                Markup("").join(Markup("<p>{}</p>").format(line) for line in lines if line),
            )
        )
    if found := tested(summary, names):
        rows = [
            (name, finding_words.word(summary.findings[name]), summary.findings[name].claim)
            for name in found
        ]
        parts.append(table_of(("", "finding", "claim"), rows, numbers_from=3))
    page = study.folder.report_path
    if page.is_file():
        # As a notebook beside it may link to it.
        href = os.path.relpath(page).replace(os.sep, "/")
        parts.append(Markup('<p><a href="{}">The report</a></p>').format(href))
    else:
        parts.append(Markup('<p class="quiet"><code>study.report()</code> writes the report.</p>'))
    return Card(Markup("").join(parts), [study_line(study)])


def _first_look(study: StudyData, summary: Summary, names: Sequence[str]) -> list[Markup]:
    """Return whether it leaks, and the picture of what memory is made of."""
    from listen2lab.report.account import plot_account
    from listen2lab.report.style import to_inline

    where = reference(study, summary)
    if where is None:
        return []
    fact, *_ = key_facts(study, summary)
    parts = [Markup("<p><b>{} {}</b>: {}.</p>").format(*fact)]
    if where.experiment not in names:
        item = next(each for each in study.plan.experiments if each.name == names[0])
        where = Where(item.name, item.reference.name)
    if (figure := plot_account(study, *where)) is not None:
        label = f"What resident memory is made of, {where}"
        parts.append(to_inline(figure, label=label))
    return parts


def tested(summary: Summary, experiments: Sequence[str]) -> list[str]:
    """Return the hypotheses about which an experiment, of these or any, predicts something."""
    asked = {
        hypothesis
        for name, item in summary.experiments.items()
        if not experiments or name in experiments
        for hypothesis in item.predictions
    }
    return [name for name in summary.findings if name in asked]


def _runs(study: StudyData) -> str:
    complete = int((study.runs["outcome"] == "complete").sum())
    return f"{complete} of {len(study.runs)} runs complete"


def _experiment(name: str, item: ExperimentSummary, *, is_open: bool) -> Markup:
    verdicts = ", ".join(dict.fromkeys(map(called, item.conditions.values())))
    rows = [
        (
            *(condition, called(n), number(n.end_mib), number(n.peak_mib)),
            *(" ".join(growth(n)), number(n.released_mib)),
        )
        for condition, n in item.conditions.items()
    ]
    many = f"{len(rows)} condition{'s' * (len(rows) > 1)}"
    return Markup(
        '<details{}><summary><b>{}</b> <span class="quiet">{}: {}</span></summary>'
        "<p>{}</p>{}</details>"
    ).format(
        Markup(" open") * is_open,
        name,
        many,
        verdicts,
        item.question,
        table_of(
            (
                *("condition", "verdict", "end, MiB", "peak, MiB"),
                *(f"growth, KiB a {item.unit}", "released, MiB"),
            ),
            rows,
        ),
    )


def table_of(
    heads: Iterable[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 2
) -> Markup:
    """Return a table; from that column on, numbers."""

    def cells(row: Iterable[str], kind: str) -> Markup:
        return Markup("").join(
            Markup("<{0}{1}>{2}</{0}>").format(
                kind, Markup(' class="n"') if at >= numbers_from else "", text
            )
            for at, text in enumerate(row)
        )

    body = Markup("").join(Markup("<tr>{}</tr>").format(cells(row, "td")) for row in rows)
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
        cells(heads, "th"), body
    )


def prediction_card(experiments: Sequence[Experiment], claims: Mapping[str, Hypothesis]) -> Card:
    """Return what was written down before any run."""
    parts, lines = [], []
    for name, each in claims.items():
        said = (
            (f"{name}.", each.claim),
            ("Supported when", f"{each.supported_when}."),
            ("Refuted when", f"{each.refuted_when}."),
        )
        shown = Markup("<br>").join(Markup("<b>{}</b> {}").format(*pair) for pair in said)
        parts.append(Markup("<p>{}</p>").format(shown))
        lines += [f"{key} {text}" for key, text in said]
    for item in experiments:
        levels = ", ".join(level.name for level in item.levels)
        factor = f"{item.factor}: {levels}" if item.factor else "one condition"
        predicted = [
            f" by {name}: {each.predictions[item.name]}."
            for name, each in claims.items()
            if item.name in each.predictions
        ]
        predicted += [f": {said}" for said in item.predictions.values()]
        parts.append(
            Markup('<p><b>{}</b> {}<br><span class="quiet">{}</span>{}</p>').format(
                item.name,
                item.question,
                factor,
                Markup("").join(Markup("<br>Predicted{}").format(text) for text in predicted),
            )
        )
        lines.append(f"{item.name}: {item.question} ({factor})")
        lines += [f"  predicted{text}" for text in predicted]
    return Card(Markup("").join(parts), lines)


def table_card(rows: Sequence[tuple[str, str]]) -> Card:
    """Return names, each with what is said of it."""
    shown = Markup("").join(
        Markup("<tr><th>{}</th><td>{}</td></tr>").format(name, as_code(text)) for name, text in rows
    )
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"{name:<{width}}  {text}" for name, text in rows]
    return Card(Markup("<table>{}</table>").format(shown), lines)


def finding_card(summary: Summary, names: Sequence[str]) -> Card:
    """Return what was found for hypotheses: effect and interval, then the evidence as a list."""
    parts, lines = [], []
    for name in names:
        each = summary.findings[name]
        word, evidence = finding_words.word(each), list(map(say, each.because))
        size = finding_words.effect(each)
        if each.explains_mib is not None:
            size += f" It explains {finding_words.explains(each)}."
        listed = Markup("").join(Markup("<li>{}</li>").format(as_code(text)) for text in evidence)
        parts.append(
            Markup("<p><b>{} {}.</b> {}<br>{}</p><ul>{}</ul>").format(
                name, word, each.claim, size, listed
            )
        )
        lines += [f"{name} {word}. {each.claim}", *(f"  {text}" for text in (size, *evidence))]
    return Card(Markup("").join(parts), lines)
