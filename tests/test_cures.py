"""Cures: what stays under a limit and at which price, on known tables; and the command."""

from __future__ import annotations

import json

import msgspec
import pytest
from known_tables import Table, codes, cure_case, find, told
from typer.testing import CliRunner

import listen2lab as lab
from listen2lab.cli import app
from listen2lab.cure_search import chosen, combined
from listen2lab.errors import InputError
from listen2lab.experiment.catalog import IN_ALL, public_names
from listen2lab.findings.answers import answers
from listen2lab.findings.cures import cures_of, limit_of
from listen2lab.findings.measured import Measured
from listen2lab.findings.outcomes import LIMITS
from listen2lab.findings.records import Summary, Where
from listen2lab.report.cure_plots import plot_cures
from listen2lab.report.style import to_svg
from listen2lab.report.text import cures as words
from listen2lab.report.text.issue import asked_of_engine, lowers
from listen2lab.study.plan import Plan
from listen2lab.study.records import InputsRecord, Manifest
from listen2lab.units import MIB


def found_in(table):
    """Return the cures of a table, and their names to places."""
    found = cures_of(Measured(*table.given()), LIMITS)
    return found, {each.condition: at for at, each in enumerate(found.cures)}


def test_prices_and_audio():
    """Each beside the app of the same repeats."""
    found, at = found_in(cure_case())
    app, bounded = found.cures[0], found.cures[at["bounded"]]
    assert (app.condition, app.cpu_ratio, app.audio) == ("app", 1.0, "identical")
    assert bounded.cpu_ratio == pytest.approx(0.9)
    assert bounded.cpu_per_s == pytest.approx(0.09)
    assert (bounded.load_s, bounded.first_sound_s) == (0.5, 1.5)
    assert bounded.peak_mib == pytest.approx(211.5)  # the highest of the repeats
    assert {each.condition: each.audio for each in found.cures} == {
        "app": "identical", "bounded": "identical", "bounded+neither": "identical",
        "split-15": "cuts", "split-8": "cuts", "neither": "identical", "each-use": "other",
    }  # fmt: skip


def test_what_is_under_a_limit():
    """In its peak, verified: one run is a screening."""
    found, at = found_in(cure_case())
    gigabyte, half = found.limits
    assert {found.cures[k].condition for k in gigabyte.under} == {
        "bounded", "bounded+neither", "split-15", "split-8",
    }  # fmt: skip
    assert {found.cures[k].condition for k in half.under} == {
        "bounded", "bounded+neither", "split-8",
    }  # fmt: skip
    assert gigabyte.cheapest == at["split-15"]
    assert half.cheapest == at["split-8"]
    assert gigabyte.same_audio == half.same_audio == at["bounded"]
    nothing = limit_of(found.cures, "100 MB", 95.0)
    assert (nothing.under, nothing.cheapest, nothing.already) == ((), None, False)
    assert limit_of(found.cures, "4 GB", 4e9 / MIB).already


def test_the_plan_and_the_front():
    """First what sounds the same, then what goes further, then what keeps the file."""
    found, _ = found_in(cure_case())
    steps = [(step.kind, found.cures[step.at].condition) for step in found.plan]
    assert steps == [("do", "bounded"), ("further", "bounded+neither"), ("instead", "split-8")]
    assert [found.cures[k].condition for k in found.front] == [
        "split-15", "split-8", "bounded", "bounded+neither",
    ]  # fmt: skip


def test_without_the_app_there_is_no_price():
    """And a study without the experiment has no cures."""
    assert cures_of(Measured(*Table().add("baseline", "app", 2880).given()), LIMITS) is None
    alone = Table().add("cures", "bounded", 200)
    assert cures_of(Measured(*alone.given()), LIMITS) is None
    assert find(*alone.given())["H8"].finding == "not-tested"


@pytest.mark.parametrize(
    ("changes", "finding", "code"),
    [
        ({}, "supported", "audio-identical"),
        ({"bounded": (190, 1600)}, "inconclusive", "not-below-half"),
        ({"bounded": (2880, 2900)}, "refuted", "audio-identical"),
        ({"audio": (5, 6, 7, 9)}, "inconclusive", "audio-differs"),
    ],
)
def test_the_graphs_memory(changes, finding, code):
    """H8 rests on the peak, the end, and the samples."""
    found = find(*cure_case(**changes).given())["H8"]
    assert found.finding == finding
    assert code in codes(found)
    if not changes:
        assert told(found, "bounded-graph")["peak"] == pytest.approx(210 * MIB)
        assert found.explains_mib == pytest.approx(2690)
        assert found.of_mib == pytest.approx(2880)


def test_what_is_verified():
    """The app, the bounded voice, the best for each limit, the lowest: there a search goes on."""
    found, at = found_in(cure_case())
    places = chosen(found.cures, LIMITS)
    assert places[0] == 0
    assert {found.cures[k].condition for k in places} == {
        "app", "bounded", "bounded+neither", "split-8", "split-15",
    }  # fmt: skip
    more = combined(found.cures, found.cures[at["bounded+neither"]])
    assert [level.name for level in more] == [
        "bounded+neither+split-8", "bounded+neither+each-use",
        "bounded+neither+recreate-after-long",
    ]  # fmt: skip
    assert more[0].knobs == {
        "voice_graph": "bounded", "cpu_mem_arena": False, "mem_pattern": False,
        "split_sentences_s": 8.0,
    }  # fmt: skip
    assert {level.name for level in more} <= public_names().names
    assert combined(found.cures, found.cures[at["bounded"]])[0].name == "bounded+split-8"


def test_cures_are_an_experiment_of_their_own():
    """Everything else explains the memory: ``all`` leaves them out."""
    assert "cures" not in IN_ALL
    assert "cures" in lab.EXPERIMENTS


def test_a_limit_that_is_none(tmp_path):
    """Said before anything is run."""
    with pytest.raises(InputError, match="much"):
        lab.cures(under="much", out=tmp_path / "study")
    assert not (tmp_path / "study").exists()


@pytest.mark.slow
@pytest.mark.engine
def test_the_command_on_tiny(tmp_path):
    """Screens, searches, verifies and answers; the bounded voice says the same."""
    folder = tmp_path / "study"
    result = CliRunner().invoke(
        app, ["cures", "--quick", "--repeats", "2", "--under", "130MB", "--out", str(folder)]
    )
    assert result.exit_code == 0, result.output
    assert "Under 130MB" in result.output
    study = lab.Study(folder)
    found = study.cures()
    verified = found[found["complete"] == 2]
    assert {"app", "bounded"} <= set(verified.index)
    assert found.loc["bounded", "audio"] == found.loc["app", "audio"] == "identical"
    assert found.loc["bounded", "peak_mib"] < 0.8 * found.loc["app", "peak_mib"]
    assert found.loc["split-15", "audio"] == "cuts"
    assert verified["random_peak_mib"].notna().all()
    assert any(name.count("+") == 2 for name in found.index)  # what the search added
    assert study.plot_cures() is not None
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["call"] == {
        "name": "cures", "arguments": {"under": "130MB", "repeats": 2, "quick": True}, "shell": True
    }  # fmt: skip
    assert (folder / "report.html").is_file()


def test_an_issue_for_the_engine_asks_for_the_graph():
    """What lowers it, with every cure's price; and the bounded graph where it sounds the same."""
    table = cure_case()
    plan = Plan(tuple(table.given()[0]), traced="none")
    answers_of = answers(Measured(*table.given()), {}, Manifest(plan=plan))
    summary = Summary(format=2, created="today", inputs=InputsRecord(), answers=answers_of)
    assert len(lowers(summary)) == 7
    assert len(asked_of_engine(summary)) == 3
    nothing = Summary(format=2, created="today", inputs=InputsRecord())
    assert lowers(nothing) == []
    assert len(asked_of_engine(nothing)) == 2


def test_what_memory_is_told_of():
    """The app with its durations fixed, where it was not run otherwise."""
    table = cure_case()
    assert Measured(*table.given()).reference() == Where("cures", "app")
    table.add("baseline", "app", 2880)
    assert Measured(*table.given()).reference() == Where("baseline", "app")


def test_words_and_pictures_of_cures():
    """Each has its own; a limit that nothing reaches is said."""
    found, _ = found_in(cure_case())
    assert len(words.limits(found)) == len(found.limits)
    same = msgspec.structs.replace(found, limits=(found.limits[0], found.limits[0]))
    assert len(words.limits(same)) == 1
    assert len(words.plan(found)) == len(words.plan_lines(found)) == len(found.plan)
    assert {len(step) + 1 for step in words.plan(found)} == {len(words.PLAN_HEADS)}
    assert {len(row) for row in words.rows(found)} == {len(words.HEADS)}
    assert words.rows(found)[0][0] == "app"
    assert words.how({"voice_graph": "bounded"}) != words.how({"cpu_mem_arena": False})
    nothing = limit_of(found.cures, "100 MB", 95.0)
    assert words.limit(found, nothing)
    assert to_svg(plot_cures(found), label="cures")
