"""An experiment of one's own: knobs varied, asked, predicted, run, contrasted, and run again."""

from __future__ import annotations

import html
import inspect
import shlex
import subprocess
import sys

import pytest
from msgspec.structs import replace
from small_studies import READING, build_study

import listen2lab as lab
from listen2lab.cli.run import _values
from listen2lab.errors import InputError, UnknownNameError
from listen2lab.findings.hypotheses import public_names
from listen2lab.findings.summary import summary_of
from listen2lab.report import terminal
from listen2lab.report.text.command import as_call, rendered
from listen2lab.report.text.contrasts import contrasts
from listen2lab.study.plan import Plan
from listen2lab.study.records import Call, Manifest
from listen2lab.study.redact import Redaction


def test_each_value_is_a_condition_and_the_app_is_the_reference():
    """All else is the experiment's that it is made of."""
    base = lab.experiments.utterance_length
    found = lab.vary("split_sentences_s", [8, None, 15.0], of=base)
    assert [level.name for level in found.levels] == ["8", "none", "15"]
    assert found.reference.name == "none"
    kept = ("knobs", "steps", "max_characters", "unit")
    assert all(getattr(found, name) == getattr(base, name) for name in kept)
    assert found.of == found.name.partition("-in-")[2] == "utterance-length"


def test_several_knobs_are_crossed():
    """Each combination once; the factor is a grid's, as of the lab's own experiments."""
    found = lab.vary(num_threads=range(1, 3), player=["drops", "retains"])
    assert found.factors == ("num_threads", "player")
    assert [level.name for level in found.levels] == [
        "1+drops", "1+retains", "2+drops", "2+retains",
    ]  # fmt: skip
    own = lab.Experiment("mine", "Why?", None, (lab.Level("only"),), steps=4)
    assert lab.vary(cpu_mem_arena=[True, False], of=own).steps == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [({"num_thread": [1]}, "did you mean 'num_threads'"),
     ({"questoin": "x"}, "did you mean 'question'"),
     ({"num_threads": 2}, "several values"), ({"player": "drops"}, "several values"),
     ({"num_threads": []}, "several values"), ({}, "needs a knob"),
     ({"num_threads": [1, "two"]}, "takes int, not 'two'"),
     ({"num_threads": [1, 2], "of": "basline"}, "did you mean 'baseline'")],
)  # fmt: skip
def test_what_cannot_be_varied_says_why(given, said):
    """Names, values and the experiment that it is made of."""
    with pytest.raises(InputError, match=said):
        lab.vary(**given)


@pytest.mark.parametrize("values", [[1, 2], (1, 2), range(1, 3), "1,2"])
def test_several_values_of_a_knob_lead_to_vary(values):
    """A study has one value of a knob in every condition."""
    with pytest.raises(InputError, match=r"lab\.vary\('num_threads'"):
        lab.run("baseline", knobs={"num_threads": values})


@pytest.mark.parametrize(
    ("text", "values"),
    [("1,2,none", [1, 2, None]), ("drops,retains", ["drops", "retains"]), ("none", [None]),
     ("true, false", [True, False]), ('{"a": "1"},{"a": "2", "b": "3"}',
                                      [{"a": "1"}, {"a": "2", "b": "3"}])],
)  # fmt: skip
def test_values_are_read_from_a_command_line(text, values):
    """JSON where it is some, with commas of its own; else words."""
    assert _values(text) == values


CONFIG = [{}, {"session.disable_prepacking": "1"}]


@pytest.mark.parametrize(
    "asked",
    [lab.vary("num_threads", [1, 2, 4]),
     lab.vary(num_threads=[1, 2], player=["drops", "retains"], of="cache-size"),
     lab.vary("split_sentences_s", [None, 8.0], question="Is it's \"length\"?", prediction="Yes."),
     lab.vary(session_config=CONFIG, cpu_mem_arena=[True, False]),
     lab.vary("num_threads", [1, 2], of=replace(lab.experiments.baseline, steps=5)),
     lab.Experiment("mine", "Why?", "x", (lab.Level("a"), lab.Level("b", {"num_threads": 2})))],
    ids=lambda asked: asked.name,
)  # fmt: skip
def test_the_line_to_run_it_again_makes_the_same_experiments(asked):
    """Python by evaluating it, together with one of the lab's own and other arguments."""
    settings = {**inspect.unwrap(lab.run).__kwdefaults__, "repeats": 2, "from_shell": False}
    call = as_call(lab.run, {"experiments": [asked, "baseline"], **settings})
    plan = Plan((asked, lab.experiments.baseline))
    line = rendered(call, plan)
    assert line.endswith("repeats=2)")
    again, other = eval(f"dict(experiments={line[8:]}", {"lab": lab, "dict": dict})["experiments"]  # noqa: S307 - our own words
    assert (again, other) == (asked, "baseline")


def test_a_question_of_ones_own_is_shared_unless_it_tells_of_somebody():
    """Plain words stay; a path is no question that everyone may read."""
    shared = {}
    for question in ("Do two threads hold more?", "Does /home/mallory/x.onnx hold more?"):
        asked = lab.vary("num_threads", [1, 2], question=question, prediction="No.")
        manifest = Manifest(plan=Plan((asked,)), call=Call("run", {"experiments": [asked.name]}))
        (item,) = Redaction(manifest, public_names()).record(manifest).plan.experiments
        assert (item.name, item.predictions) == ("vary-num_threads", {"own": "No."})
        shared[question] = item.question
    plain, telling = shared.items()
    assert plain[0] == plain[1]
    assert "mallory" not in telling[1]


@pytest.mark.slow
@pytest.mark.engine
def test_the_command_that_is_printed_plans_the_same_again(tmp_path):
    """From the command line: two knobs over an experiment, run, and run by its own words."""
    given = "cache-size --vary num_threads=1,2 --vary player=retains --repeats 1 --quick"
    words = f"run {given} --steps 1 --warmup 0 --trace none"
    plans = []
    for k in range(2):
        command = [sys.executable, "-m", "listen2lab", *shlex.split(words), "--out", f"{k}"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        study = lab.Study(tmp_path / f"{k}")
        plans.append(study.plan)
        words = rendered(study.manifest.call, study.plan).removeprefix("listen2lab ")
    assert [item.of for item in plans[0].experiments] == ["cache-size"]
    assert plans[0] == plans[1]
    assert (study.runs["outcome"] == "complete").all()


def test_an_unknown_knob_of_a_level_is_an_error():
    """Also in an experiment that is made by hand."""
    with pytest.raises(UnknownNameError, match="num_threads"):
        lab.Experiment("mine", "Why?", None, (lab.Level("a", {"num_thread": 2}),))


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Return a study of three threads' worth: one holds 30 MiB more, of one it is not known."""
    held = {
        "1": 100.0,
        "2": lambda repeat, _: 130.0 + repeat,
        "4": lambda k, _: 100.0 + 60 * (k == 2),
    }
    item = lab.vary(
        "num_threads", [1, 2, 4], question="Do threads hold it?", prediction="Each does."
    )
    study = build_study(
        tmp_path_factory.mktemp("asked") / "s",
        {f"{item.name}/{level}": shape for level, shape in held.items()},
        plan=Plan((item,), repeats=3, traced="none"),
        manifest={
            "inputs": READING,
            "call": Call("run", {"experiments": [item.name]}, shell=False),
        },
    )  # fmt: skip
    return lab.Study(study)


def test_where_no_hypothesis_is_tested_each_condition_is_contrasted(asked):
    """End and peak less the reference's, with an interval; what would decide the undecided."""
    assert asked.summary().findings == {}
    (found,) = contrasts(asked.data, asked.summary())
    two, four = asked.summary().experiments["vary-num_threads"].contrasts.values()
    assert (two.to, two.verdict, two.peak) == ("1", "worse", "worse")
    for difference, (low, high) in (
        (two.end_difference_mib, two.end_interval_mib),
        (two.peak_difference_mib, two.peak_interval_mib),
    ):
        assert difference == pytest.approx(31, abs=0.1)
        assert 28 < low < 31 < high < 34
    assert (four.verdict, four.peak) == ("inconclusive", "inconclusive")
    assert [row[0] for row in found.rows] == ["2", "4"]
    assert "noise_scale_w" in found.note


def test_question_prediction_and_contrast_are_on_every_page(asked):
    """Page, terminal, card and summary.md, as it is shared; and the line to run it again."""
    page = asked.report()
    shared = [page.read_text(), (page.parent / "summary.md").read_text().replace("\\", "")]
    shown = [*shared, terminal.overview(asked.data, asked.summary()), asked._repr_html_()]
    for text in shown:
        assert all(part in text for part in ("Do threads hold it?", "Each does.", "+31.0 [+28.5"))
    line = "lab.run(lab.vary(num_threads=[1, 2, 4], question='Do threads hold it?', prediction="
    assert all(line in html.unescape(text) for text in shared)


def test_the_labs_own_experiments_have_findings_instead(tmp_path):
    """A contrast stands where none of the lab's hypotheses tells."""
    study = build_study(tmp_path / "s", {"cache-size/2": 40.0, "cache-size/1": 20.0}, repeats=1)
    summary = summary_of(study)
    assert summary.findings
    assert contrasts(study, summary) == []
