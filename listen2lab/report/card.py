"""A study on a card: what a notebook shows of it in one look, in a light or a dark theme."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from listen2lab.report.text.study import number, subject, with_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from listen2lab.experiment.catalog import Hypothesis
    from listen2lab.facade import Study
    from listen2lab.study.plan import Experiment

__all__ = [
    "Card",
    "finding_card",
    "prediction_card",
    "study_card",
    "study_line",
    "table_card",
    "tested",
]

# JupyterLab's own variables carry its theme; elsewhere what is inherited will do.
_STYLE = """<style>
.l2l {color: var(--jp-ui-font-color1, inherit); font-size: 13px; line-height: 1.45;
  border: 1px solid var(--jp-border-color1, #8886); border-radius: 4px; padding: 10px 14px;
  max-width: 62em}
.l2l p {margin: 0 0 6px}
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

    def __init__(self, html: str, lines: Sequence[str]) -> None:
        self._html = html
        self._lines = lines

    def __repr__(self) -> str:
        return "\n".join(self._lines)

    def _repr_html_(self) -> str:
        return f'{_STYLE}<div class="l2l">{self._html}</div>'


def study_line(study: Study) -> str:
    """Return a study in a line: subject, experiments, runs, folder."""
    names = [item.name for item in study.plan.experiments]
    shown = ", ".join(names) if len(names) < 4 else f"{len(names)} experiments"
    return f"<Study {study.folder.path}: {_subject(study)}, {shown}, {_runs(study)}>"


def study_card(study: Study) -> str:
    """Return a study's card: subject, conditions with verdict, level and peak, findings.

    Parameters
    ----------
    study
        Any study, complete or not.

    Returns
    -------
    str
        HTML; the study's path is not in it, but for a link to the report where there is one.
    """
    summary = study.summary()
    experiments = summary["experiments"]
    day = escape(study.manifest["created"][:10])
    parts = [f"<p><b>Study of {escape(_subject(study))}</b>, {day}, {_runs(study)}</p>"]
    parts += [_experiment(name, item, len(experiments) == 1) for name, item in experiments.items()]
    found = tested(summary)
    if found:
        told = ", ".join(f"{name} {summary['findings'][name]['finding']}" for name in found)
        parts.append(f"<p>Findings: {escape(told)}</p>")
    page = study.folder.report_path
    if page.is_file():
        parts.append(f'<p><a href="{escape(_from_here(page), quote=True)}">The report</a></p>')
    else:
        parts.append('<p class="quiet"><code>study.report()</code> writes the report.</p>')
    return Card("".join(parts), ())._repr_html_()


def tested(summary: dict[str, Any]) -> list[str]:
    """Return the hypotheses about which an experiment of the study predicts something."""
    asked = {name for item in summary["experiments"].values() for name in item["predictions"]}
    return [name for name in summary["findings"] if name in asked]


def _subject(study: Study) -> str:
    return subject(study.manifest["inputs"])


def _runs(study: Study) -> str:
    complete = int((study.runs["outcome"] == "complete").sum())
    return f"{complete} of {len(study.runs)} runs complete"


def _from_here(path: Path) -> str:
    """Return a path as a notebook beside it may link to it."""
    import os.path  # noqa: PLC0415 - pathlib gives no path that leads upwards before Python 3.12

    return os.path.relpath(path).replace(os.sep, "/")


def _experiment(name: str, item: dict[str, Any], is_open: bool) -> str:  # noqa: FBT001 - one caller
    conditions = item["conditions"]
    verdicts = ", ".join(dict.fromkeys(numbers["verdict"] for numbers in conditions.values()))
    rows = [
        (
            escape(condition),
            escape(numbers["verdict"]),
            *(f"{number(numbers[key])}" for key in ("level_mib", "peak_mib", "released_mib")),
        )
        for condition, numbers in conditions.items()
    ]
    table = _table(("condition", "verdict", "level, MiB", "peak, MiB", "released, MiB"), rows)
    many = f"{len(conditions)} condition{'s' * (len(conditions) > 1)}"
    return (
        f"<details{' open' * is_open}><summary><b>{escape(name)}</b> "
        f'<span class="quiet">{many}: {escape(verdicts)}</span></summary>'
        f"<p>{escape(item['question'])}</p>{table}</details>"
    )


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of escaped cells; from the third column on, numbers."""
    kind = ["", "", *[' class="n"'] * 8]
    head = "".join(f"<th{kind[k]}>{text}</th>" for k, text in enumerate(heads))
    body = "".join(
        f"<tr>{''.join(f'<td{kind[k]}>{cell}</td>' for k, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def prediction_card(experiments: Sequence[Experiment], claims: dict[str, Hypothesis]) -> Card:
    """Return what was written down before any run.

    Parameters
    ----------
    experiments
        Their questions, levels and predictions are told.
    claims
        Hypotheses whose claim and rule are told, by name.
    """
    parts, lines = [], []
    for name, each in claims.items():
        said = (
            (f"{name}.", each.claim),
            ("Supported when", f"{each.supported_when}."),
            ("Refuted when", f"{each.refuted_when}."),
        )
        parts.append("<p>" + "<br>".join(f"<b>{k}</b> {escape(v)}" for k, v in said) + "</p>")
        lines += [f"{k} {v}" for k, v in said]
    for item in experiments:
        levels = ", ".join(level.name for level in item.levels)
        factor = f"{item.factor}: {levels}" if item.factor else "one condition"
        told = [f"{name}: {item.predictions[name]}." for name in claims if name in item.predictions]
        parts.append(
            f"<p><b>{escape(item.name)}</b> {escape(item.question)}<br>"
            f'<span class="quiet">{escape(factor)}</span>'
            + "".join(f"<br>Predicted by {escape(text)}" for text in told)
            + "</p>"
        )
        lines += [
            f"{item.name}: {item.question} ({factor})",
            *(f"  predicted by {t}" for t in told),
        ]
    return Card("".join(parts), lines)


def table_card(rows: Sequence[tuple[str, str]]) -> Card:
    """Return names, each with what is said of it."""
    said = (f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"{name:<{width}}  {text}" for name, text in rows]
    return Card(f"<table>{''.join(said)}</table>", lines)


def finding_card(summary: dict[str, Any], names: Sequence[str]) -> Card:
    """Return what was found for hypotheses, with effect, interval and reason.

    Parameters
    ----------
    summary
        A study's, with its findings.
    names
        Of the hypotheses.
    """
    parts, lines = [], []
    for name in names:
        each = summary["findings"][name]
        effect, interval = each["effect_mib"], each["interval_mib"]
        size = "" if effect is None else f" Effect: {number(effect)} MiB"
        if size and interval is not None:
            size += f" (95 % between {number(interval[0])} and {number(interval[1])})"
        size += "." if size else ""
        if each["explains_mib"] is not None:
            of = each.get("of_mib")  # not in a summary that an older listen2lab has stored
            level = "the level" if of is None else f"the {number(of)} MiB of the level"
            size += f" It explains {number(each['explains_mib'])} MiB of {level}."
        because = each["because"]
        parts.append(
            f"<p><b>{name} {escape(each['finding'])}.</b> {escape(each['claim'])}<br>"
            f"{with_code(because)}{escape(size)}</p>"
        )
        lines.append(f"{name} {each['finding']}. {each['claim']}\n  {because}{size}")
    return Card("".join(parts), lines)
