"""The opening of a report: the five answers, the findings, and the picture."""

from __future__ import annotations

import json
import re

import pytest
from known_tables import Table, find, whole_case
from listen2lab.findings.cures import in_words
from listen2lab.findings.decide import app_series
from listen2lab.findings.ranking import Part, Ranking, rank

import listen2lab as lab
from listen2lab.experiment.catalog import EXPERIMENTS, HYPOTHESES
from listen2lab.findings.answers import _consumes, answers
from listen2lab.findings.measured import Where
from listen2lab.findings.outcomes import outcomes
from listen2lab.report import answers as opening
from listen2lab.report.card import finding_card
from listen2lab.report.style import to_svg

MANIFEST = {"inputs": {"voice": "medium"}, "machine": {"system": "Linux"}}


def told(table):
    """Return what a summary would hold of a table."""
    given = table.given()
    findings, worst = find(*given), outcomes(*given)
    return {
        "findings": {name: each.to_dict() for name, each in findings.items()},
        "answers": {
            **answers(findings, rank(*given), worst, app_series(*given), MANIFEST),
            "outcomes": [
                {
                    "experiment": each.where.experiment,
                    "condition": each.where.condition,
                    "knobs": each.knobs,
                    "level_mib": each.level_mib,
                    "peak_mib": each.peak_mib,
                }
                for each in worst
            ],
        },
    }


def said(summary, question):
    """Return an answer as one text."""
    return " ".join(summary["answers"][question]["sentences"])


@pytest.fixture(scope="module")
def whole():
    """Return the summary of a table like the real one."""
    return told(whole_case())


def test_the_five_answers(whole):
    """What, whether it leaks, why, what helps, and what is not known."""
    assert list(opening.QUESTIONS) == ["consumes", "leak", "cause", "under", "untested"]
    assert "2,750 MiB (95 %) are held by the engine" in said(whole, "consumes")
    assert "MiB are models as loaded. 0.0 MiB are unaccounted." in said(whole, "consumes")
    assert "until the session goes: 2,750 MiB of 2,880 MiB (H1)" in said(whole, "cause")
    assert "high-water mark, not a leak" in said(whole, "leak")
    assert "do not add up" in said(whole, "cause")
    assert "much smaller: alignment and its model (H3), 34.0 MiB" in said(whole, "cause")
    assert "holds nothing as the app is set: retained audio (H2), several" in said(whole, "cause")
    assert "this one is generated" in said(whole, "untested")
    assert "Not tested" not in said(whole, "untested")
    json.dumps(whole)


def test_what_brings_it_under(whole):
    """Cures in peak and level apart from those in level alone, and from other texts."""
    limits = whole["answers"]["under"]["limits"]
    assert limits["1 GB"]["peak_and_level"] == [
        "utterance-length / 5s", "utterance-length / 15s", "utterance-length / 110s-split",
    ]  # fmt: skip
    assert "session-recreation / every-1" in limits["1 GB"]["level_only"]
    assert not limits["500 MB"]["already"]
    assert limits["500 MB"]["peak_and_level"] == ["utterance-length / 5s"]
    first, second = whole["answers"]["under"]["sentences"]
    assert first.startswith(
        "Under 1 GB (954 MiB), in peak and level: long sentences split (peak 502 MiB"
    )
    assert "With other texts: no sentence above 5 s" in first
    assert (
        "In the level at the end, but not in peak, which still kills: a new session every paragraph"
        in first
    )
    assert "in peak and level: none of the changes" in second


def test_a_small_study_cannot_say_what_would_help():
    """Where the app is under the limits anyway, that is the answer."""
    summary = told(Table().add("baseline", "app", 150))
    (sentence,) = summary["answers"]["under"]["sentences"]
    assert "already is" in sentence
    assert "--voice medium" in sentence


def test_without_the_app_s_own_condition_nothing_is_claimed():
    """A study of other conditions has no level of the app's."""
    summary = told(Table().add("cache-size", "1", 150))
    for question in ("consumes", "leak"):
        assert said(summary, question).startswith("Not known")
    assert "Not tested by this study: a misleading meter (H0)" in said(summary, "untested")
    assert opening.build(summary)["picture"] is None


def test_series_that_disagree_about_a_leak_decide_nothing():
    """A leak in some series of the same condition, and none in others."""
    table = Table().add("baseline", "app", 2880)
    table.add("cache-size", "2", 2880, verdict="leak").add("alignment", "on", 2880, verdict="leak")
    summary = told(table)
    assert summary["answers"]["leak"]["verdict"] == "inconclusive"
    assert "disagree about a leak" in said(summary, "leak")


def test_findings_are_told_apart_without_colour(whole):
    """Sign and word, each its own."""
    built = opening.build(whole)
    signs = {each["finding"]: each["sign"] for each in built["findings"]}
    assert len(set(signs.values())) == len(signs)
    shown = opening.findings_table(whole)
    for name, each in whole["findings"].items():
        assert re.search(rf"^{name} +{re.escape(opening.SIGNS[each['finding']])} "
                         rf"{each['finding']}", shown, re.MULTILINE)  # fmt: skip


def test_a_share_names_its_whole_wherever_it_is_shown(whole):
    """Table, page and card; a summary that was stored before has the part alone."""
    (shown,) = (each for each in opening.build(whole)["findings"] if each["name"] == "H1")
    assert shown["explains"] == "2,750 of 2,880 MiB"
    assert shown["explains"] in opening.findings_table(whole)
    assert "explains 2,750.0 MiB of the 2,880.0 MiB" in repr(finding_card(whole, ["H1"]))
    older = {**whole, "findings": {name: dict(each) for name, each in whole["findings"].items()}}
    for each in older["findings"].values():
        del each["of_mib"]
    assert "2,750 MiB" in opening.findings_table(older)
    assert "2,750.0 MiB of the level" in repr(finding_card(older, ["H1"]))


def test_the_frame(whole):
    """A row a hypothesis, numbers as numbers."""
    frame = opening.findings_frame(whole)
    assert list(frame["hypothesis"]) == list(HYPOTHESES)
    by_name = frame.set_index("hypothesis")
    assert by_name.loc["H6", "effect_mib"] == pytest.approx(2640, abs=0.1)
    assert by_name.loc["H6", "of_mib"] == pytest.approx(2880, abs=0.1)
    nothing = opening.findings_frame(told(Table().add("force-clear", "gc", 100)))
    assert nothing["effect_mib"].isna().all()
    assert nothing["low_mib"].dtype == float


def test_the_picture_names_conditions_and_limits(whole):
    """Deciding conditions in words, and each limit within reach."""
    svg = opening.build(whole)["picture"]
    for words in ("as the app does", "long sentences split", "500 MB", "1 GB", "2.5 GB: killed"):
        assert words in svg
    small = told(Table().add("baseline", "app", 150).add("session-recreation", "every-1", 80))
    svg = to_svg(opening.plot_outcomes(small["answers"]["outcomes"]), label="x")
    assert "500 MB" in svg
    assert "killed" not in svg


@pytest.mark.parametrize("item", EXPERIMENTS.values(), ids=lambda item: item.name)
def test_every_condition_has_words(item):
    """No condition that the picture or the answers can name is shown as a bare knob."""
    shown = {"player", "reading", "service_cache_size"}  # of conditions that are never named
    for level in item.levels:
        if not shown & set(level.knobs):
            assert "=" not in in_words(level.knobs)


def test_a_study_of_a_workload_has_no_opening(tmp_path):
    """Hypotheses are about the reading pipeline."""
    file = tmp_path / "mine.py"
    file.write_text("def setup(): pass\ndef step(i): pass\n")
    study = lab.watch(file, steps=10, repeats=1, study=tmp_path / "study")
    summary = study.summary()
    assert (summary["findings"], summary["answers"]) == ({}, None)
    assert opening.findings_table(summary) == ""
    assert 'id="answers"' not in study.report().read_text("utf-8")


def test_a_real_study_opens_with_its_answers(tmp_path):
    """The engine's session holds what it used, in a quick study with the tiny voice."""
    study = lab.run(
        "stop-release", quick=True, steps=12, repeats=2, trace=False, study=tmp_path / "study"
    )
    page = study.report().read_text("utf-8")
    summary = json.loads((tmp_path / "study" / "summary.json").read_text("utf-8"))
    found = summary["findings"]
    assert found["H0"]["finding"] == "refuted"
    assert found["H1"]["finding"] == "supported"
    assert found["H1"]["effect_mib"] > 40
    assert found["H1"]["experiments"] == ["stop-release"]
    assert found["H6"]["finding"] == "inconclusive"
    table = opening.findings_table(summary)
    assert "H6  – not tested" in table
    assert "H0  ✗ refuted" in table
    parts = summary["answers"]["consumes"]["parts"]
    level = summary["answers"]["consumes"]["level_mib"]
    assert parts[0]["part"] == "held by the engine for the longest sentence"
    assert abs(parts[-1]["mib"]) < 0.01 * level
    assert sum(part["mib"] for part in parts) == pytest.approx(level, abs=0.01)
    assert "account of memory at the end of stop-release / app" in found["H1"]["because"]
    assert 0 < found["H1"]["explains_mib"] < found["H1"]["of_mib"] == pytest.approx(level, abs=0.1)
    assert page.index('id="answers"') < page.index('id="stop-release"')
    assert str(tmp_path) not in page


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (3.0, "3.0 MiB are unaccounted."),
        (-0.5, "The parts add up to it within 0.5 MiB."),
        (-50.0, "The parts come to 50.0 MiB more than it"),
    ],
)
def test_what_is_left_over_keeps_its_sign(rest, words):
    """More found than is resident is not said to be unaccounted."""
    parts = (Part("x", 700.0, ""), Part("y", 300.0 - rest, ""), Part("unaccounted", rest, ""))
    ranking = Ranking(Where("baseline", "app"), 1000.0, 900.0, parts)
    assert words in _consumes(ranking)["sentences"][0]
