"""The order of runs and texts: random, from the seed, and fair."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from listen2lab.errors import InputError, UnknownNameError
from listen2lab.experiment import catalog
from listen2lab.study.plan import Plan, paragraph_order, schedule
from listen2lab.units import parse_bytes

PLAN = Plan(experiments=tuple(catalog.EXPERIMENTS.values()), repeats=3, seed=7)


def test_every_block_holds_every_condition_once():
    """A drift of the machine meets all conditions alike."""
    runs = [run for run in schedule(PLAN) if not run.traced]
    for item in PLAN.experiments:
        for repeat in range(3):
            block = [r.level.name for r in runs if r.experiment is item and r.repeat == repeat]
            assert sorted(block) == sorted(level.name for level in item.levels)


def test_the_order_is_the_seed_s():
    """The same seed gives the same order, another one another."""
    keys = [run.key for run in schedule(PLAN)]
    assert keys == [run.key for run in schedule(PLAN)]
    other = Plan(experiments=PLAN.experiments, repeats=3, seed=8)
    assert keys != [run.key for run in schedule(other)]
    assert sorted(keys) == sorted(run.key for run in schedule(other))


def test_conditions_that_are_the_same_are_traced_once():
    """The app's own condition is in eight experiments; one trace tells of them all."""
    traced = [run for run in schedule(PLAN) if run.traced]
    conditions = [PLAN.condition(run.experiment, run.level) for run in traced]
    assert len(set(conditions)) == len(conditions)
    for item in PLAN.experiments:
        for level in item.levels:
            if level.name in item.traced_names:
                assert PLAN.condition(item, level) in conditions


def test_an_experiment_traces_the_levels_that_it_names():
    """Levels that somebody chose are all traced, and so are those of one that names none."""
    cache_size = catalog.experiment("cache-size")

    def traced(*experiments):
        return {run.key for run in schedule(Plan(experiments)) if run.traced}

    assert traced(cache_size) == {"cache-size/2/traced"}
    assert traced(cache_size[["1"]]) == {"cache-size/1/traced"}
    every = {f"cache-size/{level.name}/traced" for level in cache_size.levels}
    assert traced(replace(cache_size, traced=None)) == every
    assert {run.key for run in schedule(Plan((cache_size,), traced="all")) if run.traced} == every
    assert not [run for run in schedule(Plan((cache_size,), traced="none")) if run.traced]


def test_traced_runs_come_last_and_long_ones_first():
    """Who stops early has the numbers; who waits to the end waits for a short run."""
    runs = schedule(PLAN)
    plain = sum(not run.traced for run in runs)
    assert not any(run.traced for run in runs[:plain])
    steps = [run.experiment.steps for run in runs[plain:]]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[-1]


def test_a_quick_plan_keeps_what_its_texts_can_tell():
    """No two levels of one longest sentence, and audio enough for H2; what was asked for stays."""
    long, retention = (catalog.experiment(x) for x in ("utterance-length", "audio-retention"))
    quick = catalog.quick(Plan((long, retention)))
    assert "40s" not in {level.name for level in quick.experiments[0].levels}
    assert quick.experiments[1].steps > quick.experiments[0].steps
    (asked,) = catalog.quick(Plan((long[["40s"]],))).experiments
    assert [level.name for level in asked.levels] == ["40s"]


def test_a_plan_of_named_runs_keeps_each_of_them():
    """A study merged of two keeps two traces of one condition."""
    keys = ("baseline/app/traced", "cache-size/2/traced")
    plan = replace(PLAN, only=keys)
    assert [run.key for run in schedule(plan)] == list(keys)


def test_names_that_would_share_a_folder_are_refused_before_any_run():
    """Two of one name would write over each other."""
    baseline = catalog.experiment("baseline")
    with pytest.raises(InputError, match="have one name"):
        Plan((baseline, baseline))
    with pytest.raises(InputError, match="two of one name"):
        Plan((catalog.experiment("cache-size")[["1", "1"]],))
    with pytest.raises(InputError, match="cannot be a folder's name"):
        Plan((replace(baseline, name="a/b"),))
    with pytest.raises(InputError, match="no whole number"):
        Plan((baseline,), repeats="3")


def test_a_plan_survives_its_manifest():
    """What is read back from JSON schedules the same runs."""
    again = msgspec.json.decode(msgspec.json.encode(PLAN), type=Plan)
    assert [run.key for run in schedule(again)] == [run.key for run in schedule(PLAN)]
    assert again == PLAN


@given(
    lengths=st.lists(st.integers(1, 500), min_size=2, max_size=60, unique=True),
    steps=st.integers(2, 80),
    seed=st.text(max_size=8),
)
def test_the_longest_paragraph_comes_once_and_late(lengths, steps, seed):
    """It stands where a curve has a stretch before it, and is not the last thing read."""
    order = paragraph_order(lengths, steps, seed)
    longest = lengths.index(max(lengths))
    assert len(order) == steps
    assert order.count(longest) == 1
    assert order.index(longest) >= (10 if steps > 12 else steps // 2)
    assert order == paragraph_order(lengths, steps, seed)


def test_repeats_read_the_same_paragraphs_in_another_order():
    """Levels are comparable, and no order is lucky in every repeat."""
    lengths = list(range(10, 60))
    first, second = (paragraph_order(lengths, 32, f"x/{k}") for k in range(2))
    assert sorted(first) == sorted(second)
    assert first != second
    assert not all(a <= b for a, b in pairwise(first))


def test_long_paragraphs_are_left_out_but_the_longest_stays():
    """A quick study still has what sets the high-water mark."""
    lengths = [10, 300, 20, 1000, 30]
    order = paragraph_order(lengths, 8, "s", max_characters=100)
    assert set(order) == {0, 2, 3, 4}


def test_levels_are_chosen_by_name_or_value():
    """A notebook says 1, 2, None; a command line their names."""
    item = catalog.experiment("cache-size")
    assert [x.name for x in item[[1, None]].levels] == ["1", "unbounded"]
    assert [x.name for x in item[["2"]].levels] == ["2"]
    with pytest.raises(UnknownNameError, match="did you mean 'unbounded'"):
        item[["unbound"]]


def test_a_wrong_name_suggests_the_right_one():
    """A misspelt experiment or knob is an error, never a warning."""
    with pytest.raises(UnknownNameError, match="did you mean 'alignment'"):
        catalog.experiment("alignement")
    with pytest.raises(UnknownNameError, match="did you mean 'max_cache_size'"):
        catalog.experiment("baseline").with_knobs({"max_cachesize": 1})
    with pytest.raises(InputError, match="is what cache-size varies"):
        catalog.experiment("cache-size").with_knobs({"max_cache_size": 1})


@pytest.mark.parametrize(("repeats", "steps"), [(0, 3), (1, 0)])
def test_a_plan_of_nothing_is_refused(repeats, steps):
    """No runs or no steps would end in a report of nothing."""
    with pytest.raises(InputError):
        Plan(experiments=PLAN.experiments, repeats=repeats).with_lengths(steps, None)


def test_sizes_are_read_with_their_units():
    """GB is what a phone's documentation means, GiB what the kernel counts in."""
    assert parse_bytes("2.5GB") == 2_500_000_000
    assert parse_bytes("800 MiB") == 800 * 2**20
    for wrong in ("2.5", "many", "-1GB", "0MB", "5XB", "5ib"):
        with pytest.raises(InputError):
            parse_bytes(wrong)


def test_a_level_knows_how_it_differs_from_the_app():
    """By its settings, whatever is written down; short texts are not the app's."""
    cache, long = (catalog.EXPERIMENTS[name] for name in ("cache-size", "alignment-cache"))
    differing = {level.name: cache.differing(level) for level in cache.levels}
    assert differing["1"] == {"max_cache_size": 1}
    assert differing["2"] == {}
    assert [level.name for level in cache.levels if cache.is_app(level)] == ["2"]
    assert cache.reference.name == "2"
    assert long.is_shortened
    assert not any(long.is_app(level) for level in long.levels)
