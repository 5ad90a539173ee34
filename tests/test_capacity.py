"""What fits beside what: limits of the system, expected peaks, and never more than that."""

from __future__ import annotations

import threading

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from listen2lab.experiment.capacity import (
    FIRST_GUESS,
    RESERVE,
    Expectation,
    available_memory,
    first_guess,
    fits,
)
from listen2lab.experiment.scheduler import MOST_LOSSES, Scheduler
from listen2lab.notice import Notice
from listen2lab.study.plan import Experiment, Level, Plan, Run
from listen2lab.study.records import RunRecord
from listen2lab.units import MIB

GIB = 1024 * MIB


def experiment(*levels, name="own"):
    """Return an experiment of levels named by themselves."""
    made = tuple(x if isinstance(x, Level) else Level(x) for x in levels)
    return Experiment(name, "?", "x", made, steps=1)


def plan(*experiments, **settings):
    """Return a plan of one repeat, not traced."""
    return Plan(experiments, **{"repeats": 1, "traced": "none", **settings})


class Somewhere:
    """A slot with as much memory as a test says."""

    def __init__(self, machine="machine-1", memory=100 * GIB):
        self.machine, self.memory, self.gone = machine, memory, False

    def is_there(self):
        """Tell whether the test has let it go."""
        return not self.gone

    def available(self):
        """Return what the test says."""
        return self.memory


def scheduler(made, *, guess=None, jobs=2, **settings):
    """Return the list of a plan's runs, and what it said."""
    said = []
    runs = [Run(e, level, r) for e in made.experiments for r in range(made.repeats)
            for level in e.levels]  # fmt: skip
    jobs_left = Scheduler(
        runs, jobs=jobs, expectation=Expectation(made, guess), notify=said.append, **settings
    )
    return jobs_left, said


def taken(jobs, slot):
    """Return the run that a slot gets at once, or None if it has to wait."""
    got = []
    thread = threading.Thread(target=lambda: got.append(jobs.take(slot)), daemon=True)
    thread.start()
    thread.join(0.1)
    if thread.is_alive():
        slot.gone = True
        with jobs._changed:
            jobs._changed.notify_all()
        thread.join(5)
        slot.gone = False
        assert got == [None]
    return got[0]


def done(jobs, run, peak, outcome="complete"):
    """Let a run end with a peak."""
    jobs.end(run, RunRecord(outcome=outcome, peak_rss=peak))


def control_group(root, lines, **files):
    """Write a system as a process in control groups sees it."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("\n".join(lines))
    for name, (folder, text) in files.items():
        path = root / "sys/fs/cgroup" / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / name.replace("__", ".")).write_text(text)


def test_a_container_s_limit_counts_and_its_file_pages_are_free(tmp_path):
    """Version 2: the limit less what is used, and what is used less the pages that can go."""
    group = "app/run"
    control_group(
        tmp_path, [f"0::/{group}"],
        memory__max=(group, "1000\n"), memory__current=(group, "700\n"),
        memory__stat=(group, "anon 100\ninactive_file 250\n"),
    )  # fmt: skip
    assert available_memory(tmp_path) == 1000 - 700 + 250


def test_a_limit_on_an_outer_group_counts(tmp_path):
    """Without a limit of its own, a process still has those of the groups around it."""
    control_group(
        tmp_path, ["0::/outer/inner"],
        memory__max=("outer", "500"), memory__current=("outer", "100"), memory__stat=("outer", ""),
    )  # fmt: skip
    inner = tmp_path / "sys/fs/cgroup/outer/inner"
    inner.mkdir()
    (inner / "memory.max").write_text("max")
    assert available_memory(tmp_path) == 400


def test_version_1_is_read_and_its_huge_number_is_no_limit(tmp_path):
    """In a container the path is the host's, and the mount shows the group as its root."""
    limit = tmp_path / "sys/fs/cgroup/memory/memory.limit_in_bytes"
    control_group(
        tmp_path, ["4:cpu,memory:/docker/0123", "3:cpuset:/", "0::/"],
        memory__limit_in_bytes=("memory", "800"), memory__usage_in_bytes=("memory", "900"),
        memory__stat=("memory", "total_inactive_file 20"),
    )  # fmt: skip
    assert available_memory(tmp_path) == 0
    limit.write_text("9223372036854771712")
    assert available_memory(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.2)


@given(st.text(max_size=200))
def test_whatever_the_control_groups_say_there_is_a_number(tmp_path_factory, text):
    """A line of another kernel is passed over."""
    root = tmp_path_factory.mktemp("root")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(text, "utf-8")
    assert available_memory(root) > 0


@given(
    st.integers(0, 10), st.lists(st.tuples(st.integers(0, 10), st.integers(0, 12)), max_size=4),
    st.integers(0, 40),
)  # fmt: skip
def test_what_fits_leaves_the_reserve_when_all_reach_their_peaks(peak, beside, free):
    """The rule itself, for any runs: what is free covers everything that is still to come."""
    others = [(p * GIB, held * GIB) for p, held in beside]
    to_come = peak * GIB + sum(max(0, p - held) for p, held in others)
    assert fits(peak * GIB, others, free * GIB) == (free * GIB - to_come >= RESERVE)
    assert not fits(None, others, free * GIB)
    assert not fits(0, [*others, (None, 0)], free * GIB)


def test_the_peak_to_expect_comes_from_what_ended_before():
    """First the voice's guess, for each synthesis in flight; then the condition's own peak."""
    both = experiment("one", Level("three", {"in_flight": 3}))
    one, three = (Run(both, level, 0) for level in both.levels)
    expected = Expectation(plan(both), FIRST_GUESS["tiny"])
    assert expected.of(one) == FIRST_GUESS["tiny"]
    assert expected.of(three) == 3 * FIRST_GUESS["tiny"]
    expected.learn(one, RunRecord(outcome="crashed", peak_rss=9 * GIB))
    assert expected.of(one) == FIRST_GUESS["tiny"]  # a run that broke off says nothing
    for peak in (500 * MIB, 400 * MIB):
        expected.learn(one, RunRecord(outcome="complete", peak_rss=peak))
    assert expected.of(one) == pytest.approx(550 * MIB, abs=1)
    assert expected.of(replace(one, traced=True)) == 750 * MIB
    expected.learn(three, RunRecord(outcome="complete", peak_rss=9 * GIB))
    other = Run(experiment("one", "else"), Level("else"), 0)
    assert expected.of(other) == 9 * GIB


def test_a_memory_limit_is_the_most_that_a_run_can_take():
    """It is killed there; of a workload of one's own it is all that is known."""
    limited = plan(experiment("a"), memory_limit=2 * GIB)
    run = Run(limited.experiments[0], Level("a"), 0)
    assert Expectation(limited, FIRST_GUESS["medium"]).of(run) == 2 * GIB
    assert Expectation(limited, None).of(run) == 2 * GIB
    assert Expectation(plan(experiment("a")), None).of(run) is None


def test_a_voice_in_a_folder_is_guessed_by_its_model_s_size(tmp_path):
    """A file as large as Piper's high voices is expected to need as much."""
    assert first_guess(None) is None
    (tmp_path / "voice.onnx").write_bytes(b"x")
    assert first_guess(str(tmp_path)) == FIRST_GUESS["medium"]
    with (tmp_path / "voice.onnx").open("wb") as file:
        file.truncate(110 * MIB)
    assert first_guess(str(tmp_path)) == FIRST_GUESS["high"]


def test_a_second_run_waits_until_it_fits():
    """Beside a run that may still take 1.2 GB, another starts only with room for both."""
    jobs, _ = scheduler(plan(experiment("a", "b")), guess=1200 * MIB)
    here = Somewhere(memory=2 * GIB)
    first = taken(jobs, here)
    assert first.level.name == "a"
    assert taken(jobs, here) is None
    jobs.held(first, 1000 * MIB)  # it has most of it by now, so that less is still to come
    assert taken(jobs, here).level.name == "b"


def test_what_has_ended_makes_room_for_more():
    """A first guess that was too careful lasts until the condition's first run has ended."""
    jobs, _ = scheduler(plan(experiment("a"), repeats=3), guess=6 * GIB)
    here = Somewhere(memory=8 * GIB)
    first = taken(jobs, here)
    assert taken(jobs, here) is None
    done(jobs, first, 200 * MIB)
    assert taken(jobs, here) is not None
    assert taken(jobs, here) is not None


def test_nothing_known_runs_alone_and_jobs_is_the_most():
    """A workload of one's own shows first what it takes."""
    jobs, said = scheduler(plan(experiment("a"), repeats=4), jobs=2)
    here = Somewhere()
    first = taken(jobs, here)
    assert taken(jobs, here) is None
    done(jobs, first, MIB)
    assert taken(jobs, here)
    assert taken(jobs, here)
    assert taken(jobs, here) is None
    assert not said


def test_a_run_that_never_fits_runs_alone_with_a_note():
    """Measuring is the point: it is said, and tried."""
    jobs, said = scheduler(plan(experiment("a", "b")), guess=FIRST_GUESS["medium"])
    here = Somewhere(memory=4 * GIB)
    assert taken(jobs, here)
    (notice,) = said
    expected = {"run": "own/a/00", "expected": 6500 * MIB, "available": 4 * GIB}
    assert notice == Notice("runs-alone", {**expected, "machine": "machine-1"})
    assert taken(jobs, here) is None


def test_a_block_stays_on_its_machine_until_that_is_gone():
    """Every condition of a repeat on one machine: a contrast is not one of machines."""
    jobs, _ = scheduler(plan(experiment("a", "b"), repeats=2), guess=MIB)
    one, two = Somewhere("machine-1"), Somewhere("machine-2")
    first = taken(jobs, one)
    assert taken(jobs, two).repeat == 1
    assert (first.repeat, taken(jobs, one).key) == (0, "own/b/00")
    done(jobs, first, MIB)
    assert taken(jobs, one) is None  # what is left belongs to the other machine
    jobs.keep_to({"machine-1"})
    assert taken(jobs, one).key == "own/b/01"


def test_a_lost_run_is_run_again_in_its_place_and_not_for_ever():
    """It comes before what was behind it; lost too often, it is named and the rest is kept."""
    jobs, said = scheduler(plan(experiment("a", "b")), guess=MIB, jobs=1)
    here = Somewhere()
    for _ in range(MOST_LOSSES):
        run = taken(jobs, here)
        assert run.level.name == "a"
        jobs.give_back(run)
    assert [notice.code for notice in said] == ["run-lost"] * (MOST_LOSSES - 1) + ["run-given-up"]
    assert said[-1].values["times"] == MOST_LOSSES
    done(jobs, taken(jobs, here), MIB)
    assert jobs.is_over()
    with pytest.raises(Exception, match=r"own/a/00.*every other run is kept.*--resume"):
        jobs.raise_error()
