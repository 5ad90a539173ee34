"""Findings on tables whose answer is known: each rule's three outcomes, and what is missing."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd
import pytest
from known_tables import STEPS, STOP, Table, codes, find, told, whole_case
from scipy import stats

from listen2lab.account.at_end import GROUPS, UNACCOUNTED, end_parts
from listen2lab.account.categories import CATEGORIES
from listen2lab.experiment.catalog import EXPERIMENTS as PLANNED
from listen2lab.findings.answers import answers
from listen2lab.findings.effects import DOUBTS, LOWERS, Effect, decide, difference
from listen2lab.findings.hypotheses import EXPERIMENTS, HYPOTHESES, SENTENCES, predictions
from listen2lab.findings.measured import LACKS, Measured
from listen2lab.findings.outcomes import is_under, outcomes
from listen2lab.findings.records import Finding, Quantity, Where
from listen2lab.notice import Notice
from listen2lab.report.text.notices import say
from listen2lab.study.plan import Plan
from listen2lab.study.records import Manifest
from listen2lab.verdict.intervals import student, welch

MIB = 2**20


def answered(*given):
    """Return the five answers to what a table gives."""
    measured = Measured(*given)
    manifest = Manifest(plan=Plan(tuple(measured.experiments.values())))
    return answers(measured, find(*given), manifest)


def test_the_whole_case():
    """Each hypothesis as the real study has it, with what it explains."""
    found = find(*whole_case().given())
    assert {name: each.finding for name, each in found.items()} == {
        "H0": "refuted", "H1": "supported", "H2": "supported", "H3": "supported",
        "H4": "refuted", "H5": "supported", "H6": "supported", "H7": "refuted",
        "H8": "not-tested",
    }  # fmt: skip
    del found["H8"]
    explained = {name: each.explains_mib for name, each in found.items()}
    assert explained == pytest.approx(
        {"H0": 0, "H1": 2750, "H2": 0, "H3": 34, "H4": 0.31, "H5": 0, "H6": 2640, "H7": 130},
        abs=0.5,
    )
    levels = {name: each.of_mib for name, each in found.items()}
    assert levels == pytest.approx(dict.fromkeys(explained, 2880), abs=0.5)
    for each in found.values():
        low, high = each.interval_mib
        assert low <= each.effect_mib <= high
        assert each.runs
        assert each.worth_mib == 10
        assert msgspec.json.decode(msgspec.json.encode(each), type=Finding) == each


def test_the_order_of_repeats_does_not_matter():
    """Which process came first says nothing."""
    table = whole_case()
    assert find(*table.given()) == find(*table.given(order=[2, 0, 1]))


def test_nothing_is_explained_beyond_what_the_app_holds():
    """No claim accounts for more than the level that it is a part of."""
    found = find(*whole_case().given())
    assert all((each.explains_mib or 0) < each.of_mib for each in found.values() if each.runs)


def test_without_the_app_s_own_condition_there_is_no_level_to_explain():
    """H5 explains nothing of an unknown level."""
    found = Table().add("cache-size", "1", 100).find("H5")
    assert (found.explains_mib, found.of_mib) == (0.0, None)


@pytest.mark.parametrize("readings", [True, False])
def test_the_parts_add_up(readings):
    """A baseline alone tells all parts of memory at the end, also without mappings."""
    held = {"audio_cache": 5}
    table = Table().add(
        "baseline", "app", 2880, components=held, readings=readings, in_use={"import": 3}
    )
    consumes = answered(*table.given()).consumes
    assert consumes.where == ("baseline", "app")
    assert sum(part.mib for part in consumes.parts) == pytest.approx(consumes.end_mib, abs=0.01)
    engine = consumes.parts[0]
    assert engine.part == "engine arena"
    assert engine.mib == pytest.approx(2750 - (0 if readings else 5), abs=5.1)
    assert engine.how == ("account" if readings else "counters")
    assert [note.code for note in consumes.notes] == ([] if readings else ["no-mappings"])
    assert consumes.parts[-1].part == UNACCOUNTED
    assert abs(consumes.parts[-1].mib) < 0.1
    known = [part.mib for part in consumes.parts[:-1]]
    assert known == sorted(known, reverse=True)
    loaded = sum(part.mib for part in consumes.parts if part.is_loaded)
    assert loaded == pytest.approx(130, abs=5.1)


def test_where_malloc_does_not_tell_the_phases_do():
    """As on macOS: what steps added is the engine's, and nothing of weight is unaccounted."""
    table = Table().add("baseline", "app", 2880, components={"audio_cache": 5})
    planned, runs, samples, numbers = table.given()
    samples = samples.assign(in_use=np.nan, peak=np.nan, private_dirty=np.nan)
    consumes = answered(planned, runs, samples, numbers).consumes
    assert consumes.parts[0].part == "engine arena"
    assert consumes.parts[0].mib == pytest.approx(2750, abs=0.1)
    assert abs(consumes.parts[-1].mib) < 0.1
    assert "no-malloc-counters" in {note.code for note in consumes.notes}


def test_each_category_is_in_one_group():
    """Groups neither overlap nor leave anything out."""
    grouped = [category for group in GROUPS.values() for category in group]
    assert sorted([*grouped, UNACCOUNTED]) == sorted(CATEGORIES)


def test_the_parts_of_a_workload_s_level_have_its_own_names():
    """What a workload names stands under that name; what cannot be read gives no parts."""
    samples = Table().add("a", "b", 200, components={"my_cache": 7}, readings=True).given()[2]
    parts = end_parts(samples)
    assert (parts["my_cache"] == 7 * MIB).all()
    levels = samples.loc[samples["phase"] == "end", "rss"].to_numpy()
    assert parts.sum(axis=1).to_numpy() == pytest.approx(levels)
    assert end_parts(samples.assign(anonymous=np.nan)).empty
    assert end_parts(samples[samples["phase"] != "end"]).empty


def test_a_study_of_nothing_that_was_asked_decides_nothing():
    """Without its experiments a hypothesis is not tested, and what would decide it is said."""
    found = find(*Table().add("force-clear", "gc", 100).given())
    assert set(found) == set(HYPOTHESES)
    for name, each in found.items():
        assert each.finding == "not-tested"
        assert each.effect_mib is None
        assert each.runs == ()
        lacking = {n.values["experiment"] for n in each.because if n.code == "experiment-not-run"}
        assert HYPOTHESES[name].tested_by[0] in lacking


@pytest.mark.parametrize(
    ("value", "interval", "agree", "finding"),
    [
        (50, (40, 60), True, "supported"),
        (50, (40, 60), False, "inconclusive"),
        (50, (-5, 105), True, "inconclusive"),
        (50, None, True, "inconclusive"),
        (5, (1, 9), True, "refuted"),
        (9, (1, 17), True, "inconclusive"),
        (0, (-9, 9), False, "refuted"),
        (-400, (-500, -300), True, "refuted"),
        (-400, (-900, 5), True, "inconclusive"),
    ],
)
def test_the_decision(value, interval, agree, finding):
    """Direction, interval, agreement and worth, all four."""
    assert decide(Effect(value, interval, agree), worth=10) == finding


def test_repeats_agree_when_none_lies_on_the_other_side():
    """One process of A among those of B is a disagreement."""
    assert difference([10.0, 11.0, 12.0], [1.0, 2.0, 3.0]).agree
    assert not difference([10.0, 11.0, 1.5], [1.0, 2.0, 3.0]).agree


def test_the_interval_is_welch_s():
    """Agrees with scipy where processes differ, and is never narrower than a page allows."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(9e8, 1e6, 4), rng.normal(8e8, 5e6, 3)
    known = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert welch(a, b) == pytest.approx((known.low, known.high))
    low, high = welch([4096.0] * 3, [0.0] * 3)
    assert low < 4096 < high
    assert welch([1.0], [2.0, 3.0]) is None
    assert student([5.0]) is None


@pytest.mark.parametrize(
    "phase", ["import", "setup", "step", "end", "stopped", "trimmed", "created-again", "released"]
)
def test_runs_that_lack_a_phase_decide_what_they_can(phase):
    """A study edited by hand, or of another system, is no reason to fail."""
    planned, runs, samples, numbers = whole_case().given()
    given = planned, runs, samples[samples["phase"] != phase], numbers
    assert set(find(*given)) == set(HYPOTHESES)
    answered(*given)


@pytest.mark.parametrize(
    "columns",
    [
        ["peak", "in_use", "private_dirty", "lazy_free"],
        ["size"],
        ["component.player", "component.audio_cache", "component.alignments"],
        ["anonymous"],
    ],
)
def test_quantities_that_a_system_does_not_tell(columns):
    """On macOS there is no peak and no view into malloc; the rest is decided all the same."""
    planned, runs, samples, numbers = whole_case().given()
    given = planned, runs, samples.assign(**dict.fromkeys(columns, np.nan)), numbers
    found = find(*given)
    assert found["H1"].finding == "supported"
    said = [say(notice) for each in found.values() for notice in each.because]
    assert not any("nan" in sentence for sentence in said)
    answered(*given)


# H0


def _stopped(**options):
    return Table().add("stop-release", "app", 2880, phases=STOP, **options)


def test_h0_meter_and_footprint_part():
    """Private memory falls and resident memory stays: the meter misleads."""
    stay = {**STOP, "session-dropped": 2700, "trimmed": 2700, "created-again": 2700}
    private = {"stopped": 2845, "session-dropped": 105}
    table = Table().add("stop-release", "app", 2880, phases=stay, private=private,
                        in_use={"stopped": 3100, "session-dropped": 200})  # fmt: skip
    found = table.find("H0")
    assert found.finding == "supported"
    assert found.effect_mib == pytest.approx(2740 - 180, abs=0.1)


def test_h0_they_part_by_less_than_half():
    """Ten per cent that stays is no misleading meter."""
    private = {"stopped": 2845, "session-dropped": 5}
    assert _stopped(private=private).find("H0").finding == "inconclusive"


def test_h0_too_little_was_freed():
    """Where nothing goes, nothing can be seen to stay."""
    found = Table().add("stop-release", "app", 100, phases=dict.fromkeys(STOP, 100)).find("H0")
    assert found.finding == "inconclusive"
    assert "too-little-freed" in codes(found)


def test_h0_without_a_second_meter_uses_anonymous_memory():
    """A system without private dirty memory has the unique set."""
    planned, runs, samples, numbers = _stopped().given()
    samples = samples.assign(private_dirty=np.nan, in_use=np.nan, lazy_free=np.nan)
    found = find(planned, runs, samples, numbers)["H0"]
    assert found.finding == "refuted"
    assert found.explains_mib is None


# H1


def _recreated(never, every, **options):
    table = Table(**options)
    return table.add("session-recreation", "never", never).add(
        "session-recreation", "every-1", every
    )


def test_h1_by_recreation_alone():
    """A lower level with a new session each time, and none."""
    found = _recreated(2880, 240).find("H1")
    assert (found.finding, found.experiments) == ("supported", ("session-recreation",))
    assert found.effect_mib == pytest.approx(2640, abs=0.1)
    assert _recreated(500, 499).find("H1").finding == "refuted"
    assert _recreated(500, 700).find("H1").finding == "refuted"


def test_h1_by_stopping_alone():
    """What dropping the session gives back, less what a new one takes."""
    found = _stopped().find("H1")
    assert (found.finding, found.experiments) == ("supported", ("stop-release",))
    assert found.explains_mib == pytest.approx(2750, abs=0.1)
    assert found.runs == tuple(f"stop-release/app/0{k}" for k in range(3))


def test_h1_has_an_independent_reading_where_memory_was_taken_apart():
    """What engine and models hold by the account stands beside what dropping gives back."""
    found = _stopped(readings=True).find("H1")
    assert found.of_mib == pytest.approx(2880, abs=0.5)
    account = told(found, "account-agrees")
    assert (account["experiment"], account["condition"]) == ("stop-release", "app")
    assert account["arena"] == pytest.approx(2750 * MIB, abs=0.1 * MIB)
    assert account["models"] == pytest.approx(87 * MIB, abs=0.1 * MIB)
    assert "account-agrees" not in codes(_stopped().find("H1"))


def test_h1_contradicted():
    """Recreation helps, dropping does not: something else differs."""
    table = _recreated(2880, 240)
    table.add("stop-release", "app", 2880, phases=dict.fromkeys(STOP, 2880))
    found = table.find("H1")
    assert found.finding == "inconclusive"
    assert "contradict" in codes(found)


def test_h1_says_leak_or_high_water():
    """The baseline's verdict is part of the finding."""
    for verdict in ("high-water", "leak"):
        table = _recreated(2880, 240).add("baseline", "app", 2880, verdict=verdict)
        table.judged("session-recreation", "never", verdict="inconclusive")
        assert f"nature-{verdict}" in codes(table.find("H1"))


def test_one_repeat_is_none():
    """No interval comes from one process, and that is said."""
    found = _recreated(2880, 240, repeats=1).find("H1")
    assert found.finding == "not-tested"
    assert codes(found)[0] == "one-run-complete-of-all"
    assert found.effect_mib is None


def test_killed_runs_are_said():
    """A condition that was killed at the limit decides nothing by its level."""
    table = Table().add("session-recreation", "every-1", 240)
    table.add("session-recreation", "never", 0, repeats=0, lost=3)
    found = table.find("H1")
    assert found.finding == "not-tested"
    assert told(found, "no-run-complete")["lost"] == ["3 killed"]


def test_disagreeing_repeats_are_inconclusive():
    """Processes that scatter by more than the effect do not decide."""
    wild = (0.0, 900.0, -900.0)
    table = Table().add("session-recreation", "never", 2000, wobble=wild)
    table.add("session-recreation", "every-1", 1700, wobble=wild)
    found = table.find("H1")
    assert found.finding == "inconclusive"
    assert "interval-too-wide" in codes(found)


# H2


def _retained(drops, retains, audio):
    table = Table().add("audio-retention", "drops", drops)
    return table.add("audio-retention", "retains", retains, components={"player": audio})


def test_h2():
    """The audio's weight, no difference, another weight, and too few paragraphs to matter."""
    found = _retained(2880, 2900, 20).find("H2")
    assert (found.finding, found.explains_mib) == ("supported", 0.0)
    fill = told(found, "audio-a-paragraph")
    assert fill["paragraphs"] == pytest.approx(2260 / (20 / STEPS))
    assert fill["unaccounted"] == 2260 * MIB
    assert _retained(2880, 2880, 20).find("H2").finding == "refuted"
    assert _retained(2880, 2980, 20).find("H2").finding == "inconclusive"
    nearly = _retained(2880, 2889, 9).find("H2")  # an interval on both sides of what is worth it
    assert nearly.finding == "inconclusive"
    assert told(nearly, "is-the-audio-but-little")["steps"] == 10
    few = _retained(2880, 2885, 5).find("H2")
    assert few.finding == "inconclusive"
    assert told(few, "is-the-audio-but-little")["steps"] == 20


def test_h2_tells_the_path_to_the_audio():
    """From the traced run of the player that retains; without one, that it is not known."""
    scheduled = "workload._player.node.scheduled"
    held = pd.DataFrame(
        [
            ("workload._queue._audio[...].wav", 2, 9 * MIB, "workload._queue._audio[7].wav"),
            (f"{scheduled}[...]", 5, 4 * MIB, f"{scheduled}[3]"),
        ],
        columns=["holder", "buffers", "bytes", "example"],
    )
    given = _retained(2880, 2900, 20).given()
    where = Where("audio-retention", "retains")
    path = told(find(*given, held={where: held})["H2"], "path-of-player")
    assert (path["holder"], path["path"]) == (f"{scheduled}[...]", f"{scheduled}[3]")
    assert (path["buffers"], path["of"], path["bytes"]) == (5, 7, 4 * MIB)
    assert "no-trace-of-path" in codes(find(*given)["H2"])
    others = held.assign(holder=["workload._queue._audio[...]", "workload.my_player_like[...]"])
    assert "path-not-player" in codes(find(*given, held={where: others})["H2"])


# H3


def _aligned(on, off, *, unbounded=200, none=200):
    table = Table().add("alignment", "on", on).add("alignment", "off", off)
    table.add("alignment-cache", "0", none, longest=5.0)
    return table.add("alignment-cache", "unbounded", unbounded, longest=5.0)


def test_h3_is_two_findings():
    """Accumulation and a resident model are told apart; neither is neither."""
    model = _aligned(2900, 2850).find("H3")
    assert (model.finding, model.effect_mib) == ("supported", pytest.approx(50, abs=0.1))
    assert told(model, "resident-model")["finding"] == "supported"
    grown = _aligned(2850, 2850, unbounded=260).find("H3")
    assert (grown.finding, grown.effect_mib) == ("supported", pytest.approx(60, abs=0.1))
    assert _aligned(2850, 2850).find("H3").finding == "refuted"


def test_h3_half_of_it_is_not_enough_to_refute():
    """Without the model's half, only accumulation is known."""
    table = Table().add("alignment-cache", "0", 200).add("alignment-cache", "unbounded", 200)
    found = table.find("H3")
    assert found.finding == "inconclusive"
    assert told(found, "experiment-not-run")["experiment"] == "alignment"


def test_h3_growth_from_rates_where_the_long_reading_was_not_run():
    """The rates of on and off bound what accumulates."""
    table = Table().add("alignment", "on", 2850).add("alignment", "off", 2850)
    assert table.find("H3").finding == "refuted"
    table.judged("alignment", "on", rate_interval_kib_per_step=(-9000.0, 9000.0))
    assert table.find("H3").finding == "inconclusive"


# H4


def _cached(one, two, unbounded, *, held):
    table = Table().add("cache-size", "1", one)
    table.add("cache-size", "2", two, components={"audio_cache": held})
    return table.add("cache-size", "unbounded", unbounded, components={"audio_cache": 5 * held})


def test_h4():
    """Small caches, large caches, and a smaller cache that would help although little is held."""
    assert _cached(2880, 2880, 2882, held=0.5).find("H4").finding == "refuted"
    large = _cached(2850, 2880, 3000, held=30).find("H4")
    assert (large.finding, large.explains_mib) == ("supported", 30)
    assert _cached(2850, 2880, 2880, held=0.5).find("H4").finding == "inconclusive"


def test_h4_a_higher_level_with_a_smaller_cache_is_no_evidence():
    """With one entry the paragraph is made twice, and that is said."""
    found = _cached(3300, 2880, 2882, held=0.5).find("H4")
    assert found.finding == "refuted"
    assert "cache-of-one-is-higher" in codes(found)


# H5


def _flying(one, shared, each):
    table = Table().add("concurrency", "1", one).add("concurrency", "3-shared", shared)
    return table.add("concurrency", "3-each", each)


def test_h5():
    """Either way of flying together counts; the app's lock lets one."""
    found = _flying(300, 301, 900).find("H5")
    assert (found.finding, found.effect_mib) == ("supported", pytest.approx(600, abs=0.1))
    assert found.explains_mib == 0
    assert _flying(300, 301, 299).find("H5").finding == "refuted"
    table = _flying(300, 301, 299)
    table.add("concurrency", "3-each", 300, wobble=(0, 80, -80))
    assert table.find("H5").finding == "inconclusive"


# H6


def _spoken(levels, split=None):
    table = Table()
    for seconds, level in zip((5, 15, 40, 110), levels, strict=True):
        table.add("utterance-length", f"{seconds}s", level, longest=float(seconds))
    if split is not None:
        table.add("utterance-length", "110s-split", split, longest=15.0)
    return table


def test_h6():
    """It rises all the way and splitting lowers it, or not."""
    found = _spoken((240, 480, 1000, 2880), split=470).find("H6")
    assert found.finding == "supported"
    assert found.explains_mib == pytest.approx(2640, abs=0.1)
    assert len(told(found, "by-second")["slope"]) == 3
    length = told(found, "length-of-unaccounted")["seconds"]
    assert length == pytest.approx(92, abs=0.5)  # at 2,390 MiB
    assert _spoken((240, 480, 1000, 2880)).find("H6").finding == "supported"
    assert _spoken((500, 501, 499, 500)).find("H6").finding == "refuted"
    assert _spoken((240, 3000, 1000, 2880), split=470).find("H6").finding == "inconclusive"
    assert _spoken((240, 480, 1000, 2880), split=2880).find("H6").finding == "inconclusive"


def test_h6_a_baseline_points_to_it_and_does_not_decide():
    """The step up at the longest sentence is said."""
    found = Table().add("baseline", "app", 2880).find("H6")
    assert found.finding == "not-tested"
    assert codes(found) == ["experiment-not-run", "baseline-steps-up"]


# H7


@pytest.mark.parametrize(
    ("level", "verdict", "finding"),
    [
        (2880, "high-water", "refuted"),
        (131, "baseline", "supported"),
        (131, "leak", "refuted"),
        (131, "inconclusive", "inconclusive"),
    ],
)
def test_h7(level, verdict, finding):
    """Above what is loaded, or growing: it is not only the baseline."""
    found = Table().add("baseline", "app", level, verdict=verdict).find("H7")
    assert (found.finding, found.explains_mib) == (finding, 130)


# What is common to them


def test_levels_are_compared_at_the_same_longest_sentence():
    """What a longer draw of the durations adds does not hide a small difference."""
    drawn = (0.0, 50.0, -50.0)  # with 1/20 of it in seconds: 20 MiB a second
    table = Table()
    for experiment, condition in (("baseline", "app"), ("alignment", "on"), ("cache-size", "2")):
        table.add(experiment, condition, 2880, wobble=drawn)
    table.add("alignment", "off", 2846, wobble=drawn[::-1])
    table.add("alignment-cache", "0", 200).add("alignment-cache", "unbounded", 200)
    found = table.find("H3")
    assert found.finding == "supported"
    assert found.effect_mib == pytest.approx(34, abs=0.1)
    low, high = found.interval_mib
    assert high - low < 1


def test_live_objects_alone_are_no_leak_of_the_level():
    """A few Python objects a paragraph do not make 2.8 GiB; they are said beside it."""
    table = Table().add("baseline", "app", 2880, verdict="leak")
    quantities = {"anonymous": Quantity("high-water", 0.0), "python_blocks": Quantity("leak", 80.0)}
    table.judged("baseline", "app", quantities=quantities)
    leak = answered(*table.given()).leak
    assert leak.verdict == "high-water"
    assert leak.also_grows == Notice("live-objects", {"python_blocks": 80.0})


def test_a_condition_counts_only_if_its_worst_repeat_stays_under():
    """Highest repeat, peak and level; a killed run is over any limit."""
    table = Table().add("session-recreation", "every-1", 240, peak=900, wobble=(0, 60, 0))
    table.add("session-recreation", "every-5", 240, peak=300, lost=1)
    calm, killed = outcomes(Measured(*table.given()))[::-1]
    assert (calm.condition, killed.condition) == ("every-1", "every-5")
    assert calm.knobs == {"session_every": 1}
    assert not is_under(calm, 950 * MIB)
    assert is_under(calm, 961 * MIB)
    assert is_under(calm, 301 * MIB, peak=False)
    assert not is_under(killed, 10**12)


# The hypotheses themselves


def test_every_code_has_one_sentence():
    """No two hypotheses use one code, and each sentence can be filled as it is declared."""
    given = [DOUBTS, LACKS, *(each.sentences for each in HYPOTHESES.values())]
    assert sum(map(len, given)) == len(SENTENCES)
    every = whole_case()
    said = [say(n) for each in find(*every.given()).values() for n in each.because]
    assert len(said) > 20
    assert not any("{" in sentence for sentence in said)
    for way in LOWERS:
        assert f"cleared-{way}" in SENTENCES


def test_hypotheses_and_experiments_name_each_other():
    """What tests a hypothesis exists, and each experiment has a prediction."""
    assert set(PLANNED) == EXPERIMENTS
    for name, each in HYPOTHESES.items():
        assert each.name == name
        assert each.record().claim == each.claim
    assert all(predictions(name) for name in PLANNED)
