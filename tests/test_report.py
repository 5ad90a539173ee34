"""The report reads well whatever the study: many repeats, two factors, phases, nothing at all."""

from __future__ import annotations

import re

import numpy as np
import pytest
from msgspec.structs import replace
from small_studies import build_study

from listen2lab.experiment.catalog import EXPERIMENTS, public_names
from listen2lab.findings.records import ConditionContrast, ConditionNumbers, ExperimentSummary
from listen2lab.findings.summary import summary_of
from listen2lab.report.html import page
from listen2lab.report.plots import plot_curves, thinned
from listen2lab.report.style import INK, new_figure, share_styles, styled, to_svg
from listen2lab.report.tables import grid, phase_rows, phase_table
from listen2lab.report.text.key_facts import key_facts
from listen2lab.report.text.study import growth, headline
from listen2lab.report.text.surprises import surprises
from listen2lab.report.write import write_report
from listen2lab.study.plan import APART, Plan
from listen2lab.study.records import RunRecord
from listen2lab.units import MIB


def study_of(path, plan, *, outcome="complete"):
    """Write a study of a plan, each run at a size of its own, and open it."""
    names = [f"{item.name}/{x.name}" for item in plan.experiments for x in item.levels]
    results = {}
    if outcome != "complete":
        keys = [f"{name}/{k:02d}" for name in names for k in range(plan.repeats)]
        results = dict.fromkeys(keys, RunRecord(outcome=outcome, last_step=5))

    def change(run, sample):
        phases = ["end", *run.experiment.phases, "released"]
        if sample.phase not in phases:
            return replace(sample, size=None if sample.step is None else 1.0 + sample.step)
        # Each phase gives back a MiB more.
        return replace(sample, rss=60 * MIB - MIB * phases.index(sample.phase))

    shapes = {
        name: lambda repeat, step, k=k: 60 + k % 7 + repeat % 3 + step / 256
        for k, name in enumerate(names)
    }
    return build_study(path, shapes, plan=plan, change=change, results=results)


def short(name, steps=6):
    """Return a built-in experiment of few steps."""
    return replace(EXPERIMENTS[name], steps=steps, warmup=0)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Return a study of two factors with more repeats than lines can show, and of phases."""
    plan = Plan((short("session-options"), short("stop-release")), repeats=10, traced="none")
    return study_of(tmp_path_factory.mktemp("report") / "many", plan)


@pytest.fixture(scope="module")
def text(many):
    """Return the report's page."""
    return write_report(many, summary_of(many), public_names()).read_text()


def test_two_factors_read_as_such(text):
    """One factor across, the other down; each crossing with its level and peak."""
    crossed = grid(EXPERIMENTS["session-options"])
    assert (crossed.across, crossed.down) == ("cpu_mem_arena", "mem_pattern")
    assert crossed.cells[1, 0] == "arena"  # the pattern off, the arena on
    assert grid(EXPERIMENTS["cache-size"]) is None
    assert grid(replace(EXPERIMENTS["session-options"], factor="moon x sun")) is None
    (table,) = re.findall(r'<table class="grid">.*?</table>', text, re.DOTALL)
    assert table.count("<td><b>") == 4


def test_a_crossing_that_was_not_run_is_said():
    """One synthesis in flight has no session each."""
    crossed = grid(EXPERIMENTS["concurrency"])
    assert len(crossed.cells) == 5
    assert len(crossed.columns) * len(crossed.rows) == 6


def test_many_repeats_are_a_band(many, text):
    """Ten lines in a panel cannot be told apart: a median and a band can."""
    assert "the median of the repeats" in text
    figure = plot_curves(many, "session-options")
    panel = next(axes for axes in figure.axes if axes.get_visible())
    assert len(panel.lines) == 1
    assert len(panel.collections) == 1


def test_a_long_curve_isthinned_and_keeps_its_spikes():
    """A panel has few pixels; the one high step must still be seen."""
    y = np.zeros(10_000)
    y[4321] = 9.0
    at, kept = thinned(np.arange(10_000.0), y)
    assert len(at) <= 240
    assert kept.max() == 9.0
    assert at[kept.argmax()] == 4321.0
    assert (at[0], at[-1]) == (0.0, 9999.0)


def test_phases_are_a_table_and_a_picture(many, text):
    """What stopping, dropping and trimming give back is read off, phase by phase."""
    rows = phase_rows(phase_table(many, "stop-release", "app"))
    names = [row.phase for row in rows]
    wanted = ["stopped", "session-dropped", "trimmed", "created-again"]
    assert names == ["setup", "end", *wanted, "released"]
    resident = [row.resident for row in rows[1:]]
    assert np.diff(resident) == pytest.approx([-1.0] * 5)
    assert all(f'<th scope="row">{name}</th>' in text for name in names)
    assert "Memory after each phase of stop-release" in text
    assert phase_table(many, "session-options", "arena") is None


def test_sections_fold_and_are_found(text):
    """Without a script: native folding, a table of contents, every target there."""
    assert text.count('<section class="experiment">') == 2
    for name in ("session-options", "stop-release", "reading", "provenance", "top"):
        assert f'href="#{name}"' in text
        assert f'id="{name}"' in text
    assert text.count("<div><dt>") == 4  # the most important things


def test_pictures_share_their_styles(many):
    """A style is written once for a page, and a picture loses nothing by it."""
    svgs = [to_svg(plot_curves(many, "stop-release"), label="a <b> & c") for _ in range(2)]
    shared, rules = share_styles(svgs)
    assert shared[0] == shared[1]
    assert "style=" not in shared[0]
    assert len(shared[0]) < len(svgs[0])
    used = set(re.findall(r'class="(m\d+)"', shared[0]))
    assert used == set(re.findall(r"\.(m\d+)\{", rules))
    assert 'aria-label="a &lt;b&gt; &amp; c"' in shared[0]
    assert "var(--series-0)" in rules


def test_a_name_in_a_picture_becomes_no_style_rule():
    """Whatever a title reads, only what stands within a tag is shared as a rule."""
    figure = new_figure(3, 2)
    with styled():
        figure.subplots().set_title('x style="}*{background:url(//e)}" <a style="b">')
    (svg,), rules = share_styles([to_svg(figure, label="y")])
    assert "url(//e)" in svg
    assert "url(//e)" not in rules
    assert ".m" in rules


def test_markdown_is_short_and_whole(many, text):
    """What goes into an issue: the answer, a row a condition, caveats first, how to rerun."""
    assert text
    folder = many.folder.path
    summary, issue = ((folder / name).read_text() for name in ("summary.md", "ISSUE.md"))
    assert len(summary) < 8000
    assert summary.count("\n| session-options / ") == 4
    assert summary.index("### Caveats") < summary.index("### To run it again")
    headings = re.findall(r"^#+ (.*)$", issue, re.MULTILINE)
    assert headings[1] == "Caveats first"
    assert headings[2:] == [
        "What happens", "Versions", "Minimal settings", "To reproduce", "The curve",
        "What was ruled out", "What is asked",
    ]  # fmt: skip
    assert "| sherpa-onnx | 1.12.0 |" in issue
    assert re.search(r"[▁▂▃▄▅▆▇█]{6}  \d", issue)
    assert "| session-dropped |" in issue


def test_a_study_in_which_nothing_was_measured_is_said_to_be(tmp_path):
    """A report of crashes alone has no numbers, and invents none."""
    plan = Plan((short("baseline"),), repeats=2, traced="none")
    study = study_of(tmp_path / "study", plan, outcome="crashed")
    summary = summary_of(study)
    write_report(study, summary, public_names())
    assert "No run was complete" in (tmp_path / "study" / "summary.md").read_text()
    assert "Nothing to report" in (tmp_path / "study" / "ISSUE.md").read_text()
    assert headline(summary.experiments["baseline"]) == "No complete run."
    assert "2 of\n    2 runs did not end well" in page(study, summary_of(study))


def test_a_condition_is_taken_apart_once(tmp_path):
    """Where most references are the app's own condition, one picture of it is enough."""
    other = short("cache-size")
    apart = replace(other, name=f"cache-size{APART}machine-2")  # levels of machines stay apart
    plan = Plan((short("stop-release"), short("baseline"), other, apart), repeats=1, traced="none")
    study = study_of(tmp_path / "study", plan)
    text = page(study, summary_of(study))
    assert text.count('<div class="account"') == 3
    assert re.findall(r'taken apart under\s+<a href="#([^"]*)"', text) == ["baseline"]


def test_text_in_a_notebook_is_as_large_in_a_wide_picture(many):
    """A picture is as wide in the page as it is in inches, and drawn once."""
    for name in ("session-options", "stop-release"):
        figure = plot_curves(many, name)
        width = 96 * figure.get_size_inches()[0]
        assert f"max-width: {width:.0f}px" in figure._repr_html_()
        assert not hasattr(figure, "_repr_png_")


def test_numbers_in_a_picture_s_text_stay_as_they_are():
    """Coordinates are rounded; ticks in quarters and a version in a title are not."""
    figure = new_figure(4, 2)
    axes = figure.subplots()
    axes.set_xticks([0, 0.25, 0.5, 0.75])
    axes.set_title("engine 1.13.8")
    svg = to_svg(figure, label="x")
    assert ">0.25<" in svg
    assert ">engine 1.13.8<" in svg


def test_a_picture_takes_the_colours_of_the_notebook_s_theme(many):
    """Ink is the page's own text colour; the rules of a drawing touch nothing else of a page."""
    html = plot_curves(many, "session-options")._repr_html_()
    assert "--ink: currentColor" in html
    assert 'data-jp-theme-light="false"' in html
    assert "var(--ink)" in html
    assert INK not in html
    assert ">*{" not in html


def numbers(verdict="high-water", **more):
    """Return a condition's numbers."""
    return ConditionNumbers(verdict=verdict, runs={"complete": 3}, **more)


def beside(verdict, low, high, to="2"):
    """Return a difference at the end."""
    return ConditionContrast(
        to=to, about="level", verdict=verdict, why="level",
        end_difference_mib=(low + high) / 2, end_interval_mib=(low, high),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"upper_kib_per_step": 374.2, "rate_kib_per_step": 526.0}, ("none", "above 374")),
        ({"upper_kib_per_step": -3.0}, ("none", "above 0")),
        ({"verdict": "leak", "rate_kib_per_step": 16.0, "rate_interval_kib_per_step": (15, 17)},
         ("16.0", "[15.0, 17.0]")),
    ],
)  # fmt: skip
def test_growth_is_none_where_the_verdict_denies_it(given, shown):
    """A rate beside "no leak" reads as one."""
    assert growth(numbers(**given)) == shown


def test_what_surprises_is_explained_where_it_stands():
    """A smaller cache that holds more; an interval of hundreds of MiB; a peak that stays."""
    item = ExperimentSummary(
        question="?", factor="max_cache_size", unit="paragraph",
        conditions={
            "2": numbers(end_each_mib=(2800.0, 2900.0), peak_mib=2900.0),
            "1": numbers(end_each_mib=(3300.0, 3400.0), peak_mib=3400.0),
            "wide": numbers(end_each_mib=(2800.0, 4900.0)),
            "new": numbers(peak_mib=2890.0),
            "usual": numbers(),
        },
        contrasts={
            "1": beside("worse", 400, 500), "wide": beside("inconclusive", -2000, 3000),
            "new": beside("reduced", -2700, -2600), "usual": beside("unchanged", -4, 5),
        },
    )  # fmt: skip
    said = surprises("cache-size", item)
    assert set(said) == {"1", "wide", "new"}
    assert "thrown away and made again" in said["1"]
    assert "between 2,800 and 4,900 MiB" in said["wide"]
    assert "noise_scale_w=0" in said["wide"]
    assert "2,890.0 MiB" in said["new"]
    assert "noise_scale" not in surprises("x", replace(item, unit="step"))["wide"]
    assert headline(item).endswith("furthest apart: new, 2,650.0 MiB below 2.")


def test_the_first_screen_is_the_picture_and_the_lowest_peak(tmp_path):
    """What ends lower than the app but peaks higher is no cure; one condition has no lowest."""
    study = study_of(tmp_path / "study", Plan((short("baseline"),), repeats=1, traced="none"))
    summary = summary_of(study)
    text = page(study, summary)
    assert text.index('<figure class="first">') < text.index('<section id="answers">')
    assert [fact.label for fact in key_facts(study, summary)][2:] == ["What holds most of it"]
    first = {"app": numbers(end_mib=2800.0, peak_mib=2850.0)}
    others = {
        "never": numbers(end_mib=160.0, peak_mib=2890.0),
        "split": numbers(end_mib=580.0, peak_mib=600.0),
    }
    baseline = replace(summary.experiments["baseline"], conditions=first)
    other = replace(baseline, conditions=others)
    made = replace(summary, experiments={"baseline": baseline, "x": other}, answers=None)
    assert key_facts(study, made)[-1].value == "600.0 MiB"
    del others["split"]
    assert key_facts(study, made)[-1].value == "No lower one"
