"""What people guess: it is there, or the error says what is; a misspelt name has a nearest."""

from __future__ import annotations

import pytest
from small_studies import build_study

import listen2lab as lab
from listen2lab.errors import InputError, UnknownNameError


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Return a study of two experiments, one of them with two conditions."""
    held = {"cache-size/2": 40.0, "cache-size/1": 20.0, "baseline/app": 40.0}
    return lab.Study(build_study(tmp_path_factory.mktemp("guessed") / "s", held, repeats=1))


def test_a_study_is_opened_by_its_folder_or_report(study):
    """And where there is none, the error says so."""
    folder = study.folder.path
    for path in (folder, str(folder), folder / "report.html"):
        assert lab.open(path).folder.path == folder
    assert lab.open("reference").plan == lab.Study.reference().plan
    with pytest.raises(lab.LabError, match="none-such"):
        lab.open(folder / "none-such")


def test_an_experiment_is_taken_from_a_study_by_its_name(study):
    """Its conditions, a row each; the tab key knows the names."""
    assert study["cache-size"].equals(study.conditions("cache-size"))
    assert study._ipython_key_completions_() == ["cache-size", "baseline"]
    with pytest.raises(UnknownNameError, match="did you mean 'baseline'"):
        study["basline"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("verdicts", "conditions"), ("plot_heap", "plot_traces"), ("plot_trace", "trace"),
     ("heap", "trace"), ("flame", "flamegraph"), ("owners", "top"), ("attribute", "account_at"),
     ("condition", "'conditions'"), ("plots", "'plot'")],
)  # fmt: skip
def test_a_guessed_method_says_which_there_is(study, name, said):
    """By what it does, or by how it is spelt."""
    with pytest.raises(AttributeError, match=said):
        getattr(study, name)
    assert not hasattr(study, "_repr_svg_")


@pytest.mark.parametrize(
    ("call", "near"),
    [(lambda _: lab.run("baseline", repeat=3), "repeats"),
     (lambda _: lab.run("baseline", knob={"num_threads": 2}), "knobs"),
     (lambda _: lab.watch("x.py", step=3), "steps"),
     (lambda _: lab.cures(repeat=3), "repeats"),
     (lambda s: lab.compare(s, b_=s), "b"),
     (lambda s: s.plot(colum="rss"), "column"),
     (lambda s: s.plot(column="anonimous"), "anonymous"),
     (lambda s: s.plot("basline"), "baseline"),
     (lambda s: s.objects("baseline", "ap"), "app"),
     (lambda s: s.trace("baseline", "ap"), "app"),
     (lambda s: s.answer("cache_size"), "cache-size"),
     (lambda _: lab.run("basline"), "baseline"),
     (lambda _: lab.run("cache-size", levels=["unbound"]), "unbounded"),
     (lambda _: lab.run("baseline", knobs={"num_thread": 2}), "num_threads")],
)  # fmt: skip
def test_a_misspelt_name_has_a_nearest(study, call, near):
    """Keywords, experiments, conditions, levels, knobs and columns alike."""
    with pytest.raises(UnknownNameError, match=f"did you mean '{near}'"):
        call(study)


def test_an_answer_is_of_one_experiment(study):
    """Where there are several, one is named."""
    with pytest.raises(InputError, match="2 experiments"):
        study.answer()
    assert set(study.answer("cache-size")["conditions"]) == {"2", "1"}
    assert "conditions" not in study.answer("baseline")


def test_any_column_is_plotted(study):
    """Bytes in MiB, and other numbers as they are."""
    drawn = {
        column: study.plot("cache-size", column).axes[0]
        for column in ("rss", "anonymous", "python_blocks")
    }
    assert [axes.get_ylabel() for axes in drawn.values()] == [
        "resident, MiB", "anonymous, MiB", "python_blocks",
    ]  # fmt: skip
    tops = [float(axes.lines[0].get_ydata().max()) for axes in drawn.values()]
    assert tops == pytest.approx([70, 55, 100_000])


def test_an_unknown_way_to_trace_is_an_error(tmp_path):
    """Before anything is written that could not be read."""
    with pytest.raises(InputError, match="all, telling, none"):
        lab.run("baseline", trace="tellin", out=tmp_path / "s")
    assert not (tmp_path / "s").exists()
