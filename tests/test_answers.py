"""The five answers of a study, in records, and how a report opens with them."""

from __future__ import annotations

import msgspec
import pytest
from known_tables import Table, find, whole_case

import listen2lab as lab
from listen2lab.account.at_end import UNACCOUNTED
from listen2lab.experiment.catalog import EXPERIMENTS
from listen2lab.findings.answers import answers
from listen2lab.findings.hypotheses import HYPOTHESES
from listen2lab.findings.measured import Measured
from listen2lab.findings.records import Answers, MemoryPart, Summary
from listen2lab.findings.summary import summary_of
from listen2lab.report import terminal
from listen2lab.report.plots import plot_outcomes
from listen2lab.report.style import to_svg
from listen2lab.report.tables import findings_frame
from listen2lab.report.text import answers as words
from listen2lab.report.text.findings import SIGNS, explains
from listen2lab.report.text.knobs import in_words
from listen2lab.study.data import open_study
from listen2lab.study.plan import Plan
from listen2lab.study.records import InputsRecord, MachineFacts, Manifest, Setup


def summarized(table):
    """Return the part of a summary that hypotheses have, of a table."""
    given = table.given()
    measured = Measured(*given)
    manifest = Manifest(
        plan=Plan(tuple(given[0])),
        inputs=InputsRecord(voice="medium"),
        setup=Setup(machine=MachineFacts(system="Linux")),
    )
    findings = find(*given)
    return Summary(
        format=2,
        created="today",
        inputs=manifest.inputs,
        findings=findings,
        answers=answers(measured, findings, manifest),
    )


def named(found, places):
    """Return the conditions that stand at places among the outcomes."""
    return [f"{x.experiment} / {x.condition}" for x in (found.outcomes[k] for k in places)]


@pytest.fixture(scope="module")
def whole():
    """Return the summary of a table like the real one."""
    return summarized(whole_case())


def test_the_five_answers(whole):
    """What, whether it leaks, why, what helps, and what is not known."""
    found = whole.answers
    first, second, *_, rest = found.consumes.parts
    assert (first.part, first.share) == ("engine arena", pytest.approx(0.95, abs=0.01))
    assert (second.part, rest.part) == ("models as loaded", UNACCOUNTED)
    assert (found.leak.verdict, found.leak.experiment) == ("high-water", "baseline")
    assert found.cause.main == ("H1", "H6")
    assert found.cause.small == ("H3",)
    assert found.cause.only_if_provoked == ("H2", "H5")
    assert not found.cause.most_is_open
    assert found.untested.not_tested == ("H8",)
    notes = [note.code for note in found.untested.notes]
    assert notes == ["generated-voice", "not-a-phone", "one-change-each"]
    assert msgspec.json.decode(msgspec.json.encode(found), type=Answers) == found


def test_what_brings_it_under(whole):
    """Cures at the peak and in the end apart from those in the end alone."""
    found = whole.answers
    gigabyte, half = found.under.limits
    assert [gigabyte.name, half.name] == ["1 GB", "500 MB"]
    assert named(found, gigabyte.peak_and_end) == [
        "utterance-length / 5s", "utterance-length / 15s", "utterance-length / 110s-split",
    ]  # fmt: skip
    assert "session-recreation / every-1" in named(found, gigabyte.end_only)
    assert not half.already
    assert named(found, half.peak_and_end) == ["utterance-length / 5s"]


def test_a_small_study_cannot_say_what_would_help():
    """Where the app is under the limits anyway, that is the answer."""
    found = summarized(Table().add("baseline", "app", 150)).answers
    assert all(limit.already for limit in found.under.limits)


def test_without_the_app_s_own_condition_nothing_is_claimed():
    """A study of other conditions has no memory of the app's."""
    summary = summarized(Table().add("cache-size", "1", 150))
    found = summary.answers
    assert found.consumes.where is None
    assert found.consumes.end_mib is None
    assert found.leak.verdict is None
    assert found.untested.not_tested == tuple(HYPOTHESES)
    assert plot_outcomes(found.outcomes) is None
    assert all(words.answers(summary).values())


def test_series_that_disagree_about_a_leak_decide_nothing():
    """A leak in some series of the same condition, and none in others."""
    table = Table().add("baseline", "app", 2880)
    table.add("cache-size", "2", 2880, verdict="leak").add("alignment", "on", 2880, verdict="leak")
    leak = summarized(table).answers.leak
    assert (leak.verdict, leak.disagree) == ("inconclusive", True)
    assert leak.verdicts == {"baseline": "high-water", "alignment": "leak", "cache-size": "leak"}


def test_every_answer_has_words(whole):
    """The causes that are one memory seen from two sides are said in one sentence."""
    said = words.answers(whole)
    assert list(said) == list(words.QUESTIONS) == [*Answers.__struct_fields__][:5]
    together, *_ = said["cause"]
    assert "(H1)" in together
    assert "(H6)" in together
    assert len(said["under"]) == 3
    small = summarized(Table().add("baseline", "app", 150))
    assert len(words.answers(small)["under"]) == 1


@pytest.mark.parametrize("rest", [3.0, -0.5, -50.0])
def test_what_is_left_over_keeps_its_sign(whole, rest):
    """More found than is resident is not said to be unaccounted."""
    parts = (
        MemoryPart(part="x", mib=700.0, share=0.7, how="account"),
        MemoryPart(part="y", mib=300.0 - rest, share=0.3, how="account"),
        MemoryPart(part=UNACCOUNTED, mib=rest, share=rest / 1000, how="rest"),
    )
    consumes = msgspec.structs.replace(whole.answers.consumes, end_mib=1000.0, parts=parts)
    changed = msgspec.structs.replace(whole.answers, consumes=consumes)
    (said,) = words.answers(msgspec.structs.replace(whole, answers=changed))["consumes"]
    assert (UNACCOUNTED in said) is (rest >= 0)
    assert "-" not in said


def test_findings_are_told_apart_without_colour(whole):
    """Sign and word, each its own."""
    assert len(set(SIGNS.values())) == len(SIGNS)
    shown = terminal.findings(whole)
    for name, each in whole.findings.items():
        line = next(line for line in shown.splitlines() if line.startswith(name))
        assert f"{SIGNS[each.finding]} {each.finding.replace('-', ' ')}" in line


def test_a_share_names_its_whole(whole):
    """What is explained stands beside what it is a part of."""
    assert explains(whole.findings["H1"]) == "2,750 of 2,880 MiB"
    assert explains(whole.findings["H1"]) in terminal.findings(whole)


def test_the_frame(whole):
    """A row a hypothesis, numbers as numbers."""
    frame = findings_frame(whole)
    assert list(frame["hypothesis"]) == list(HYPOTHESES)
    by_name = frame.set_index("hypothesis")
    assert by_name.loc["H6", "effect_mib"] == pytest.approx(2640, abs=0.1)
    assert by_name.loc["H6", "of_mib"] == pytest.approx(2880, abs=0.1)
    nothing = findings_frame(summarized(Table().add("force-clear", "gc", 100)))
    assert nothing["effect_mib"].isna().all()
    assert nothing["low_mib"].dtype == float


def test_the_picture_names_conditions_and_limits(whole):
    """Deciding conditions in words, and each limit within reach."""
    svg = to_svg(plot_outcomes(whole.answers.outcomes), label="x")
    for text in ("as the app does", "long sentences split", "500 MB", "1 GB", "2.5 GB: killed"):
        assert text in svg
    small = summarized(Table().add("baseline", "app", 150).add("session-recreation", "every-1", 80))
    svg = to_svg(plot_outcomes(small.answers.outcomes), label="x")
    assert "500 MB" in svg
    assert "killed" not in svg


@pytest.mark.parametrize("item", EXPERIMENTS.values(), ids=lambda item: item.name)
def test_every_condition_has_words(item):
    """No condition that the picture or the answers can name is shown as a bare knob."""
    shown = {"player", "reading", "service_cache_size"}  # of conditions that are never named
    for level in item.levels:
        if not shown & set(level.knobs):
            assert "=" not in in_words(level.knobs)


def test_a_study_of_a_workload_has_no_answers(tmp_path):
    """Hypotheses are about the reading pipeline."""
    file = tmp_path / "mine.py"
    file.write_text("def setup(): pass\ndef step(i): pass\n")
    study = lab.watch(file, steps=10, repeats=1, out=tmp_path / "study")
    summary = study.summary()
    assert (summary.findings, summary.answers) == ({}, None)
    assert terminal.findings(summary) == ""
    assert 'id="answers"' not in study.report().read_text("utf-8")


@pytest.mark.engine
@pytest.mark.slow
def test_a_real_study_opens_with_its_answers(tmp_path):
    """The engine's session holds what it used, in a quick study with the tiny voice."""
    study = lab.run(
        "stop-release", quick=True, steps=12, repeats=2, trace="none", out=tmp_path / "study"
    )
    page = study.report().read_text("utf-8")
    summary = summary_of(open_study(tmp_path / "study"))
    assert summary.made_from.listen2lab == lab.__version__
    found = summary.findings
    assert found["H0"].finding == "refuted"
    assert found["H1"].finding == "supported"
    assert found["H1"].effect_mib > 40
    assert found["H1"].experiments == ("stop-release",)
    assert found["H6"].finding == "not-tested"
    consumes = summary.answers.consumes
    assert consumes.parts[0].part == "engine arena"
    assert abs(consumes.parts[-1].mib) < 0.01 * consumes.end_mib
    assert sum(part.mib for part in consumes.parts) == pytest.approx(consumes.end_mib, abs=0.01)
    assert "account-agrees" in {note.code for note in found["H1"].because}
    assert 0 < found["H1"].explains_mib < found["H1"].of_mib
    assert found["H1"].of_mib == pytest.approx(consumes.end_mib, abs=0.1)
    assert page.index('id="answers"') < page.index('id="stop-release"')
    assert str(tmp_path) not in page
