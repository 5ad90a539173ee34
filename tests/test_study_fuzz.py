"""Whatever the files of a study hold, opening and reporting it ends in an answer or in a sentence.

Some inputs by default. For twenty thousand (some hours)::

    STUDY_FUZZ=20000 python -m pytest tests/test_study_fuzz.py -p no:cacheprovider

An input is a good study, or its report, and a few wounds: numbers that say where, how and with what
it is damaged, so that a failing one is shrunk to few wounds. Each sixteenth one is also reported.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from small_studies import build_study, page

import listen2lab as lab
from listen2lab.account.attribute import attribute
from listen2lab.comparison.comparison import compare
from listen2lab.comparison.merge import merge
from listen2lab.comparison.rerun import rerun
from listen2lab.errors import LabError
from listen2lab.experiment import run_study
from listen2lab.experiment.catalog import EXPERIMENTS, public_names
from listen2lab.findings.summary import summary_of
from listen2lab.notice import Notice
from listen2lab.report import terminal
from listen2lab.report.text.study import damage
from listen2lab.report.write import write_report
from listen2lab.study.data import open_study
from listen2lab.study.plan import Plan
from listen2lab.study.records import RunRecord
from listen2lab.study.trace_records import (
    Buffer,
    Curve,
    Moment,
    Objects,
    Stack,
    Survivor,
    Trace,
    TypeGrowth,
)
from listen2lab.units import MIB

pytestmark = pytest.mark.slow  # runs of their own processes


EXAMPLES = int(os.environ.get("STUDY_FUZZ", "15"))
fuzzed = settings(
    max_examples=EXAMPLES, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip

ODD = (
    None, True, 0, -1, 7, 2**31, 2**63, 2**64, 10**30, -(10**30), 1e300, -1e300, 0.5, 1e-320, "",
    "x", "../../../etc", "\x1b[31m", "\x00", "</script><b>", "$x^2$", "9" * 60, "é\u202e", "{x}",
    "a" * 3000, [], [None], [[1, 2]], ["x", 1], {}, {"x": None}, {"": {"x": []}},
    {"code": "raised"},
    {"code": "over-limit", "values": {"limit": "x", "footprint": None}},
    {"code": "{0.x}"},
    "complete", "killed", "missing", "step", "released", "traced",
)  # fmt: skip
RAW = (b"1e999", b"NaN", b"-Infinity", b'"\\ud800"', b"\xff", b"[" * 3000, b'{"a":' * 3000, b"",
       b"9" * 5000, b"{}", b"[]", b"null", b"\n", b'"', b"\\", b",", b"\x00", b"0.1.2")  # fmt: skip
number = st.integers(0, 2**20)
wounds = st.lists(st.tuples(number, number, number), min_size=1, max_size=5)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Return a study with something of everything, and its report."""
    item = replace(
        EXPERIMENTS["stop-release"], steps=12, warmup=1, traced=None,
        levels=EXPERIMENTS["stop-release"].levels[:1],
    )  # fmt: skip
    trace = Trace(
        allocations=10, peak=60 * MIB, curve=Curve((1.0, 2.0), (1, 60 * MIB), (1, 60 * MIB)),
        frames=(("f", "x.py", 3), ("g", "y.py", 4)), stacks=(Stack((0, 1), (0,)),),
        moments=(Moment("peak", MIB, ((0, MIB, 1),)),), notes=(Notice("recording-not-ended"),),
    )  # fmt: skip
    ended = RunRecord(
        outcome="killed", last_step=5, peak_rss=MIB, message="no",
        why=Notice("over-limit", {"limit": MIB, "footprint": 2 * MIB, "step": 5}),
    )  # fmt: skip

    def change(_run, sample):
        return replace(
            sample, components={"cache": float(MIB)}, facts={"words": 3}, size=2.0, size_sum=2.0,
            account_heap=5.0 * MIB, account_python=float(MIB), account_walked=True,
        )  # fmt: skip

    study = build_study(
        tmp_path_factory.mktemp("good") / "study",
        {"stop-release/app": lambda _repeat, step: 60.0 + step, item.levels[0].name: 60.0},
        plan=Plan((item,), repeats=3),
        results={f"stop-release/{item.levels[0].name}/02": ended},
        traces={f"stop-release/{item.levels[0].name}/traced": trace},
        paragraphs=["One.", "Two and three."],
        change=change,
    )
    folder = study.folder.path
    objects = Objects(
        growth={"end": (TypeGrowth("list", 3, 9),)},
        buffers=(Buffer(type="bytes", bytes=MIB, path="a.b", holder="a"),),
        survivors=(Survivor(type="X", objects=2, chain="a.x", picture="kept-0.svg"),),
    )
    traced = next(folder.glob("runs/*/*/traced"))
    (traced / "objects.json").write_bytes(msgspec.json.encode(objects))
    summary = summary_of(study)
    study.folder.write("summary.json", summary)
    page(folder / "report.html", study.manifest, summary, paragraphs=["One."])
    return folder


def places(value, at=()):
    """Return where values stand in JSON."""
    yield at
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*at, key))


def edited(value, where, how, what):
    """Return JSON with one value replaced, left out, or doubled."""
    chosen = list(places(value))
    *above, last = chosen[where % len(chosen)] or (None,)
    if last is None:
        return ODD[what % len(ODD)]
    holder = value
    for key in above:
        holder = holder[key]
    if how % 4 == 0:
        del holder[last]
    elif how % 4 == 1 and isinstance(holder, dict):
        holder[str(ODD[what % len(ODD)])] = holder.pop(last)
    else:
        holder[last] = ODD[what % len(ODD)]
    return value


def wounded(content, where, how, what):
    """Return a file's content with one wound, in its values or in its bytes."""
    if how % 3:
        with contextlib.suppress(ValueError, RecursionError):
            lines = content.splitlines() if b"\n{" in content else [content]
            k = where % len(lines)
            lines[k] = json.dumps(edited(json.loads(lines[k]), where, how // 3, what)).encode()
            return b"\n".join(lines) + b"\n"
    at = where % (len(content) + 1)
    if how % 5 == 0:
        return content[:at]
    return content[:at] + RAW[what % len(RAW)] + content[at + how % 7 :]


def names(folder):
    """Return the files that are wounded."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.json*") if p.is_file())


def looked_at(folder, *, is_reported):
    """Do with a study what people do with one from somebody else."""
    study = open_study(folder)
    summary = summary_of(study, anew=is_reported)
    damage(study)
    terminal.overview(study, summary)
    repr(lab.Study(study))
    if not is_reported:
        return
    for public in (public_names(), None):
        write_report(study, summary, public)
    lab.Study(folder)._repr_html_()
    for doing in (
        study.folder.paragraphs,
        lambda: run_study.resume(folder),
        lambda: rerun(study, out=folder / "again"),
        lambda: compare(study, study),
        lambda: merge(study, folder, out=folder / "merged"),
        lambda: attribute(study),
        lambda: attribute(study, by="line"),
    ):
        with contextlib.suppress(LabError):
            doing()


@fuzzed
@given(wounds, number)
def test_a_wounded_study_ends_in_an_answer_or_in_a_sentence(good, tmp_path_factory, given_, which):
    """No traceback; nothing is run."""
    folder = tmp_path_factory.getbasetemp() / "wounded"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(good, folder)
    if which % 2:
        (folder / "report.html").unlink()
    every = names(folder)
    for where, how, what in given_:
        path = folder / every[(which + where) % len(every)]
        path.write_bytes(wounded(path.read_bytes(), where, how, what))
    with contextlib.suppress(LabError):
        looked_at(folder, is_reported=which % 16 == 0)


@fuzzed
@given(wounds)
def test_a_wounded_report_ends_in_a_sentence(good, tmp_path_factory, given_):
    """Its plan and numbers are read, or not; nothing that it names is run."""
    path = tmp_path_factory.getbasetemp() / "wounded.html"
    content = (good / "report.html").read_bytes()
    head, _, rest = content.partition(b'listen2lab-study">')
    carried, _, tail = rest.partition(b"</script>")
    for where, how, what in given_:
        carried = wounded(carried, where, how, what)
    path.write_bytes(head + b'listen2lab-study">' + carried + b"</script>" + tail)
    with pytest.raises(LabError):
        rerun(path, out=path.with_suffix(".again"))
