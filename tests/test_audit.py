"""What a run says against its own evidence, and that every code of the closed list is emitted."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from listen2lab.findings.conditions import contrast, numbers_of
from listen2lab.report.text import verdicts
from listen2lab.verdict.audit import audit
from listen2lab.verdict.judge import judge
from listen2lab.verdict.reasons import Reason
from listen2lab.verdict.together import Cache, judge_run, judge_together

PIPELINE = Path(__file__).parent / "fixtures" / "series" / "pipeline"
N = 80
T = np.arange(N)


def _noise(scale=2e4, *, repeats=5, steps=N, seed=0):
    return 5e7 + scale * np.random.default_rng(seed).normal(size=(repeats, steps))


def _running_max(sizes):
    return np.maximum.accumulate(sizes, axis=1)


SIZES = np.random.default_rng(1).gamma(2.0, 40.0, (5, N)) + 10
TEETH = 1e6 * ((T + 3 * np.arange(5)[:, None]) % 12)


def _one_odd():
    y = _noise()
    y[2] += 5e4 * T
    return judge(y)


def _grey():
    """Growth that three of five repeats go on with, and two stop before the end."""
    grown = 3e4 * T * np.ones((5, 1))
    grown[:2, 56:] = grown[:2, 55:56]
    return judge(_noise() + grown)


def _uneven():
    """Judge a high-water mark whose inputs are not told: late on, some repeats stand still."""
    series = _benchmark("series")
    drawn = series.draw("follows_longest", series.TUNING + 12, steps=25, repeats=4)
    return judge(drawn.y)


def _walk():
    """Two short walks at random: any drift could be in them."""
    return judge(1e6 + np.cumsum(np.random.default_rng(8).normal(0, 2e5, (2, 15)), axis=1))


def _benchmark(name):
    path = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _shapes():
    seen = np.random.default_rng(3).integers(0, 30, (5, 150))
    distinct = np.array([[len(set(row[: i + 1])) for i in range(150)] for row in seen])
    return judge(_noise(1e5, steps=150) + 4e5 * distinct, shapes=seen)


CASES = {
    Reason.STEADY_GROWTH: lambda: judge(_noise() + 3e4 * T),
    Reason.GROWS_WITH_INPUT: lambda: judge(_noise() + 400 * np.cumsum(SIZES, axis=1), SIZES),
    Reason.GROWS_IN_LUMPS: lambda: judge(_noise() + 1e6 * ((T + np.arange(5)[:, None]) // 5)),
    Reason.UNDER_TEETH: lambda: judge(_noise() + TEETH + 1e5 * T),
    Reason.FLAT: lambda: judge(_noise()),
    Reason.FOLLOWS_LARGEST_INPUT: lambda: judge(_noise() + 1e5 * _running_max(SIZES), SIZES),
    Reason.RISES_IN_STEPS: lambda: judge(
        _noise()
        + 2e6 * (np.arange(5)[:, None] * 2 + 12 < T)
        + 9e5 * (np.arange(5)[:, None] * 3 + 30 < T)
        + 4e5 * (46 - np.arange(5)[:, None] < T)
    ),
    Reason.SETTLES: lambda: judge(_noise() + 2e6 * (1 - np.exp(-T / 9))),
    Reason.FALLS: lambda: judge(_noise() - 6e5 * (1 - np.exp(-T / 9))),
    Reason.CLEARED_AGAIN: lambda: judge(_noise() + TEETH),
    Reason.FOLLOWS_NEW_SHAPES: _shapes,
    Reason.NOT_WORTH_ACTING_ON: lambda: judge(_noise(200.0) + 100 * T),
    Reason.EVERY_INPUT_NEW: lambda: judge(_noise() + 3e4 * T, shapes=T),
    Reason.ONE_REPEAT: lambda: judge(_noise(repeats=1) + 3e4 * T),
    Reason.REPEATS_ALIKE: lambda: judge(np.repeat(_noise(repeats=1), 5, axis=0)),
    Reason.THINNED: lambda: judge(_noise(steps=1500)),
    Reason.FEW_STEPS: lambda: judge(_noise(repeats=3)),
    Reason.NEGATIVE_VALUES: lambda: judge(_noise() - 6e7),
    Reason.REPEAT_EMPTY: lambda: judge([*_noise().tolist(), [np.nan] * N]),
    Reason.SHORT_REPEAT: lambda: judge([*_noise().tolist(), [5e7] * 5]),
    Reason.KEPT_BY_ALLOCATOR: lambda: judge_together(
        anonymous=_noise() + 3e4 * T, in_use=_noise(1e3)
    ),
    Reason.LIVE_BYTES_UNKNOWN: lambda: judge(_noise(), audit=audit(live_unknown=True)),
    Reason.GROWS_OUTSIDE: lambda: judge_run(
        {"anonymous": _noise()}, outside={"children": _noise(1e3) + 3e4 * T}
    ),
    Reason.ASKS_AHEAD: lambda: judge_together(
        anonymous=_noise() + 3e4 * T, in_use=_noise(1e3) + 3e4 * 2.0 ** np.ceil(np.log2(T + 1))
    ),
    Reason.QUANTITIES_DISAGREE: lambda: judge_together(
        anonymous=_noise(), in_use=_noise(1e2) + 2e3 * T
    ),
    Reason.NOTHING_MEASURED: lambda: judge([]),
    Reason.TOO_FEW_STEPS: lambda: judge(_noise(steps=9)),
    Reason.MANY_MISSING: lambda: judge(
        np.where(np.random.default_rng(0).random((5, N)) < 0.4, np.nan, _noise())
    ),
    Reason.GREY_ZONE: _grey,
    Reason.GROWS_STEADILY: lambda: judge(_noise(repeats=1, steps=60)[0] + 4e4 * np.arange(60)),
    Reason.STILL_SLOWING: lambda: judge(_noise() + 4e6 * (1 - np.exp(-T / 60))),
    Reason.UNEVEN_GROWTH: _uneven,
    Reason.NOT_SETTLED: lambda: judge(_noise() + 3e6 * (T >= 72)),
    Reason.NOISE_FLOOR: _walk,
    Reason.REPEATS_DISAGREE: _one_odd,
    Reason.SWAPPED: lambda: judge(_noise(), audit=audit(swapped=[0, 0, 8192])),
    Reason.MEMORY_PRESSURE: lambda: judge(_noise(), audit=audit(pressure=True)),
    Reason.SORTED_INPUTS: lambda: judge(_noise(), audit=audit(sizes=np.sort(SIZES[0]))),
    Reason.CACHE_NEVER_FULL: lambda: judge_run(
        {"anonymous": _noise() + 3e4 * T}, caches=[Cache(3, 9, 3e4 * T * np.ones((5, 1)))]
    ),
}


@pytest.mark.parametrize("code", list(Reason), ids=str)
def test_every_code_is_emitted_by_something(code):
    """No code of the closed list is dead; those that withdraw leave no verdict."""
    found = CASES[code]()
    assert code in found.reasons
    if code.withdraws:
        assert found.verdict == "inconclusive"


# -- from the tables of a study ------------------------------------------------------------------


def _study(*, repeats=5, steps=60, run=None, **columns):
    """Return the tables of a study of one condition; a column may be a value or (step) -> value."""
    runs, samples = [], []
    base = {"rss": 60e6, "anonymous": 50e6, "in_use": 2e7, "peak": 9e7, "size": 3.0, "swap": 0.0}
    rng = np.random.default_rng(0)
    for repeat in range(repeats):
        key = {"experiment": "own", "condition": "this", "repeat": repeat, "traced": False}
        how = {"outcome": "complete", "wall_s": 30.0, "pressure_s": 0.001, **(run or {})}
        runs.append({**key, **how})
        for phase, k in (
            [(p, 0) for p in ("start", "import", "setup")]
            + [("step", k) for k in range(steps)]
            + [("end", 0), ("released", 0)]
        ):
            own = {name: value(k) if callable(value) else value for name, value in columns.items()}
            line = {**base, **own, "phase": phase, "step": k, "steps": 1}
            line["anonymous"] += 4096 * rng.integers(0, 5)
            samples.append({**key, **line})
    return pd.DataFrame(runs), pd.DataFrame(samples)


def _judged(**columns):
    return numbers_of(*_study(**columns))["own"]["this"]


def test_a_good_run_keeps_its_verdict():
    """Nothing is said against a run that did its work, with a service cache that is not full."""
    found = _judged(
        **{
            "fact.made_s": 2.0,
            "fact.service_entries": lambda k: k + 1,
            "fact.service_capacity": 100,
            "component.service_cache": lambda k: 900.0 * k,
        }
    )
    assert found.verdict == "baseline"
    assert found.reasons == ("flat",)


@pytest.mark.parametrize(
    "work", [{"fact.made_s": 0.0}, {"fact.work_done": 0}, {"fact.failed": True}]
)
def test_steps_that_did_nothing_have_no_verdict(work):
    """A run whose steps made no sound, or all failed, is no baseline."""
    found = _judged(**work)
    assert found.verdict == "inconclusive"
    assert found.reasons[0] == "nothing-measured"


@pytest.mark.parametrize(("stalled", "withdrawn"), [(0.2, False), (4.0, True), (None, False)])
def test_memory_pressure_withdraws_from_a_share_of_the_time_on(stalled, withdrawn):
    """4 of 30 s spent waiting for memory are too much; an unknown number says nothing."""
    found = _judged(run={"pressure_s": stalled})
    assert ("memory-pressure" in found.reasons) == withdrawn
    assert found.verdict == ("inconclusive" if withdrawn else "baseline")


def _filling(capacity=100, *, each=20e3, of=20e3):
    return _judged(
        anonymous=lambda k: 50e6 + of * k,
        in_use=lambda k: 2e7 + of * k,
        **{
            "fact.made_s": 2.0,
            "fact.service_entries": lambda k: k + 1,
            "fact.service_capacity": capacity,
            "component.service_cache": lambda k: each * k + 1,
        },
    )


def test_a_cache_that_still_fills_makes_a_leak_inconclusive():
    """Its bytes are the growth, and it had room left at the end."""
    found = _filling()
    assert found.verdict == "inconclusive"
    assert found.reasons[0] == "cache-never-full"


def test_a_cache_that_still_fills_hides_no_leak_beside_it():
    """A leak of four times what the cache takes stays one; so does one without any limit."""
    assert _filling(each=4e3).verdict == "leak"
    assert _filling(-1).verdict == "leak"


# -- series of the real pipeline -----------------------------------------------------------------


def _recorded(name):
    data = json.loads((PIPELINE / f"{name}.json").read_text(encoding="utf-8"))
    columns = {
        key: np.array(data[key]["since"]) * data[key]["unit"]
        + np.array(data[key]["first"])[:, None]
        for key in data
        if isinstance(data[key], dict)
    }
    return data, columns


def _summary_of(columns):
    """Judge recorded steps the way a study's are."""
    repeats, steps = columns["anonymous"].shape
    runs, samples = _study(repeats=repeats, steps=steps)
    samples["size"] = np.nan
    at = samples["phase"] == "step"
    for name, values in columns.items():
        samples.loc[at, name] = values.ravel()
    return numbers_of(runs, samples)["own"]["this"]


@pytest.mark.parametrize("path", sorted(PIPELINE.glob("*.json")), ids=lambda p: p.stem)
def test_recorded_series_of_the_pipeline_are_judged_rightly(path):
    """The known cases, as the pipeline and the worker gave them (see record_pipeline.py)."""
    data, columns = _recorded(path.stem)
    found = _summary_of(columns)
    assert found.verdict in data["right"], found.reasons


def test_the_medium_voice_follows_its_longest_sentence():
    """The step up of 2.6 GiB is a high-water mark, by the inputs."""
    _, columns = _recorded("medium_baseline")
    found = _summary_of(columns)
    assert "follows-largest-input" in found.reasons
    assert columns["size"].max() > 100


def test_one_kib_a_step_is_measured_to_a_twentieth():
    """500 steps of microseconds: the rate that was planted, in bytes with malloc's own 16."""
    _, columns = _recorded("microsecond")
    assert _summary_of(columns).rate_kib_per_step == pytest.approx(1040 / 1024, rel=0.05)


# -- small leaks, and two conditions -------------------------------------------------------------


def test_live_objects_confirm_a_small_growth():
    """A lost object a step, 216 bytes: pages alone are not worth acting on, both agree."""
    pages = 4096 * np.floor((5e7 + 216 * np.arange(400) + np.zeros((5, 1))) / 4096)
    blocks = 12e4 + np.floor(2.3 * np.arange(400)) + np.zeros((5, 1))
    alone = judge(pages)
    assert Reason.NOT_WORTH_ACTING_ON in alone.reasons
    assert judge_together(anonymous=pages, python_blocks=blocks).verdict == "leak"
    still = judge_together(anonymous=pages, python_blocks=12e4 + np.zeros((5, 400)))
    assert still.verdict == "baseline"


def _two(first, second):
    """Return the samples of two conditions, by anonymous memory over the steps."""
    parts = []
    for name, grown in (("this", first), ("against", second)):
        _, samples = _study(anonymous=lambda k, grown=grown: 50e6 + grown * k)
        parts.append(samples.assign(condition=name))
    return pd.concat(parts)


def test_a_contrast_of_a_study_names_both_conditions():
    """What a fixed version of a package shows: the leak is gone."""
    found = contrast(_two(2e4, 0.0), "own", "this", "against", ("leak", "baseline"))
    assert (found.verdict, found.about) == ("removed", "rate")
    assert (found.to, found.why, found.quantity) == ("this", "leak-gone", "anonymous")
    assert found.rate_of_first == pytest.approx(2e4, rel=0.05)
    assert verdicts.contrast("against", found).startswith("this leaks 19.")
    same = contrast(_two(0.0, 0.0), "own", "this", "against", ("baseline", "baseline"))
    assert (same.verdict, same.about) == ("unchanged", "level")
    assert same.why == "level"


def test_no_contrast_claims_a_leak_that_the_verdicts_deny():
    """A verdict weighs more quantities: a cure was called a leak under a verdict of none."""
    found = contrast(_two(0.0, 2e4), "own", "this", "against", ("high-water", "inconclusive"))
    assert found.about == "level"
    assert found.why == "level"


def test_what_grows_inside_and_outside_is_named_twice():
    """A process that leaks loses nothing of what grows beside it: both are named."""
    found = judge_run(
        {"anonymous": _noise() + 3e4 * T}, outside={"shm_files": _noise(1e3) + 3e4 * T}
    )
    assert found.verdict == "leak"
    assert found.grew[-1] == "shm_files"
    assert len(found.grew) == 2
    assert found.reasons[0] is Reason.STEADY_GROWTH
    assert found.reasons[-1] is Reason.GROWS_OUTSIDE
    assert found.verdicts["shm_files"].verdict == "leak"


@pytest.mark.parametrize("every", [1, 5])
def test_what_is_worth_acting_on_is_told_by_the_step(every):
    """A small drift stays one however seldom it is looked at; rates are per step."""
    steps = np.arange(0, 2500, every)
    rng = np.random.default_rng(5)

    def drift(rate, noise):
        return 3e7 + rate * steps + rng.normal(0, noise, (5, len(steps)))

    found = judge_run(
        {"anonymous": drift(0, 2e4), "in_use": drift(210, 1e2)},
        outside={"descriptors": 9 + (0.01 * steps).round() * np.ones((5, 1))},
        every=every,
    )
    assert found.verdict in ("baseline", "plateau")
    assert found.verdicts["in_use"].verdict == "baseline"
    assert found.verdicts["in_use"].rate == pytest.approx(210, rel=0.05)
    leaks = judge_run({"anonymous": drift(600, 2e4)}, every=every)
    assert leaks.verdict == "leak"
    assert leaks.verdicts["anonymous"].rate == pytest.approx(600, rel=0.1)


def test_conditions_of_which_one_was_not_read_are_compared_by_pages():
    """Live bytes of one side alone compare nothing, and raise nothing."""
    leaky = _study(anonymous=lambda k: 50e6 + 200 * k, in_use=lambda k: 2e7 + 3000 * k)[1]
    blind = _study(in_use=None)[1].assign(condition="other")
    found = contrast(pd.concat([leaky, blind]), "own", "this", "other", ["leak", "baseline"])
    assert found is not None
    assert found.quantity in (None, "anonymous")
