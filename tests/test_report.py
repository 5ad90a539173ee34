"""The report reads well whatever the study: many repeats, two factors, phases, nothing at all."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from listen2lab.report.factors import grid
from listen2lab.report.key_facts import headline
from listen2lab.report.phases import phase_rows, phase_table

from listen2lab.experiment import catalog
from listen2lab.facade import Study
from listen2lab.report.html import page
from listen2lab.report.plots import _thinned, plot_curves
from listen2lab.report.style import new_figure, share_styles, to_svg
from listen2lab.report.text.study import with_code
from listen2lab.report.write import write_report
from listen2lab.study.folder import StudyFolder
from listen2lab.study.plan import APART, Plan, schedule

MIB = 2**20
INPUTS = {
    "voice": "tiny", "voice_hash": "ab" * 32, "recognizer": "recognizer",
    "recognizer_hash": "cd" * 32, "paragraphs_hash": "ef" * 32, "texts": [],
}  # fmt: skip
FACTS = {
    "machine": {
        "system": "Linux", "kernel": "6.1.0", "cpu": "AMD EPYC", "cores": 2, "memory": 2**34,
        "swap": 0, "libc": "glibc 2.36", "page": 4096, "transparent_hugepages": "madvise",
    },
    "versions": {"listen2lab": "0.1.0", "sherpa-onnx": "2.0.1"}, "environment": {}, "git": None,
}  # fmt: skip


def line(phase, level, step=None, **more):
    """Return a line as the worker writes it."""
    values = {
        "phase": phase, "t": 1.0, "rss": level, "anonymous": level // 2, "peak": level,
        "private_dirty": level // 2, "in_use": level // 3, "kept": MIB, "mapped": MIB, "swap": 0,
        "components": {"audio_cache": 1000},
    }  # fmt: skip
    if step is not None:
        values |= {"step": step, "steps": 1, "size": 1.0 + step, "python_blocks": 100}
    return {**values, **more}


def study_of(path, plan, *, outcome="complete"):
    """Write a study of a plan, each run at a level of its own, and open it."""
    folder = StudyFolder(path)
    told = {"created": "2026-11-23T17:41:52+00:00", "command": "listen2lab run", "python": None}
    folder.create({**told, "plan": plan.to_json(), "inputs": INPUTS, **FACTS}, ["A text."])
    folder.release()
    for number, run in enumerate(schedule(plan)):
        there = folder.run(run.key)
        there.prepare({})
        level = (60 + number % 7) * MIB
        lines = [line(phase, level) for phase in ("start", "import", "setup")]
        lines += [line("step", level + k * 4096, k) for k in range(run.experiment.steps)]
        lines += [
            line(phase, level - MIB * k)
            for k, phase in enumerate(("end", *run.experiment.phases, "released"))
        ]
        there.steps_path.write_text("".join(json.dumps(each) + "\n" for each in lines))
        there.write_result(
            {"outcome": outcome, "because": "", "wall_s": 1.0, "peak_rss": level, "last_step": 5}
        )
    return Study(folder.path)


def short(name, steps=6):
    """Return a built-in experiment of few steps."""
    return replace(catalog.EXPERIMENTS[name], steps=steps, warmup=0)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Return a study of two factors with more repeats than lines can show, and of phases."""
    plan = Plan((short("session-options"), short("stop-release")), repeats=10, traced=False)
    return study_of(tmp_path_factory.mktemp("report") / "many", plan)


@pytest.fixture(scope="module")
def text(many):
    """Return the report's page."""
    return write_report(many).path.read_text()


def test_two_factors_read_as_such(text):
    """One factor across, the other down; each crossing with its level and peak."""
    crossed = grid(catalog.EXPERIMENTS["session-options"])
    assert (crossed.across, crossed.down) == ("cpu_mem_arena", "mem_pattern")
    assert crossed.cells[1, 0] == "arena"  # the pattern off, the arena on
    assert grid(catalog.EXPERIMENTS["cache-size"]) is None
    assert grid(replace(catalog.EXPERIMENTS["session-options"], factor="moon x sun")) is None
    (table,) = re.findall(r'<table class="grid">.*?</table>', text, re.DOTALL)
    assert table.count("<td><b>") == 4


def test_a_crossing_that_was_not_run_is_said():
    """One synthesis in flight has no session each."""
    crossed = grid(catalog.EXPERIMENTS["concurrency"])
    assert len(crossed.cells) == 5
    assert len(crossed.columns) * len(crossed.rows) == 6


def test_many_repeats_are_a_band(many, text):
    """Ten lines in a panel cannot be told apart: a median and a band can."""
    assert "the median of the repeats" in text
    figure = plot_curves(many, "session-options")
    panel = next(axes for axes in figure.axes if axes.get_visible())
    assert len(panel.lines) == 1
    assert len(panel.collections) == 1


def test_a_long_curve_is_thinned_and_keeps_its_spikes():
    """A panel has few pixels; the one high step must still be seen."""
    y = np.zeros(10_000)
    y[4321] = 9.0
    at, kept = _thinned(np.arange(10_000.0), y)
    assert len(at) <= 240
    assert kept.max() == 9.0
    assert at[kept.argmax()] == 4321.0
    assert (at[0], at[-1]) == (0.0, 9999.0)


def test_phases_are_a_table_and_a_picture(many, text):
    """What stopping, dropping and trimming give back is read off, phase by phase."""
    rows = phase_rows(phase_table(many, "stop-release", "app"))
    names = [row[0] for row in rows]
    wanted = ["stopped", "session-dropped", "trimmed", "created-again"]
    assert names == ["setup", "end", *wanted, "released"]
    resident = [row[1] for row in rows[1:]]
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
    assert 'aria-label="a &lt;b> &amp; c"' in shared[0]
    assert "var(--series-0)" in rules


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
    assert "| sherpa-onnx | 2.0.1 |" in issue
    assert re.search(r"[▁▂▃▄▅▆▇█]{6}  \d", issue)
    assert "| session-dropped |" in issue


def test_a_study_in_which_nothing_was_measured_is_said_to_be(tmp_path):
    """A report of crashes alone has no numbers, and invents none."""
    plan = Plan((short("baseline"),), repeats=2, traced=False)
    study = study_of(tmp_path / "study", plan, outcome="crashed")
    write_report(study)
    assert "No run was complete" in (tmp_path / "study" / "summary.md").read_text()
    assert "Nothing to report" in (tmp_path / "study" / "ISSUE.md").read_text()
    assert headline(study.summary()["experiments"]["baseline"]) == "No complete run."
    assert "2 of\n    2 runs did not end well" in page(study, study.summary())


def test_a_condition_is_taken_apart_once(tmp_path):
    """Where most references are the app's own condition, one picture of it is enough."""
    other = short("cache-size")
    apart = replace(other, name=f"cache-size{APART}machine-2")  # levels of machines stay apart
    plan = Plan((short("stop-release"), short("baseline"), other, apart), repeats=1, traced=False)
    study = study_of(tmp_path / "study", plan)
    text = page(study, study.summary())
    assert text.count('<div class="account">') == 3
    assert re.findall(r'taken apart under\s+<a href="#([^"]*)"', text) == ["baseline"]


def test_code_in_a_sentence_is_code_and_nothing_else_is():
    """A path that holds audio reads as code; what comes from elsewhere stays text."""
    told = with_code("`a.b[...]` holds <i>3</i> & `x`; one ` alone")
    assert told == (
        "<code>a.b[...]</code> holds &lt;i&gt;3&lt;/i&gt; &amp; <code>x</code>; one ` alone"
    )


def test_text_in_a_notebook_is_as_large_in_a_wide_picture(many):
    """A picture tells its size in a page's pixels, whatever the dots of its PNG."""
    for name in ("session-options", "stop-release"):
        figure = plot_curves(many, name)
        _, size = figure._repr_png_()
        assert (size["width"], size["height"]) == pytest.approx(
            96 * figure.get_size_inches(), abs=1
        )


def test_numbers_in_a_picture_s_text_stay_as_they_are():
    """Coordinates are rounded; ticks in quarters and a version in a title are not."""
    figure = new_figure(4, 2)
    axes = figure.subplots()
    axes.set_xticks([0, 0.25, 0.5, 0.75])
    axes.set_title("engine 1.13.8")
    svg = to_svg(figure, label="x")
    assert ">0.25<" in svg
    assert ">engine 1.13.8<" in svg
