"""What people hold of a trace: tables that add up, pictures, and what is said without one."""

from __future__ import annotations

import pytest
from small_studies import build_study

import listen2lab as lab
from listen2lab.errors import StudyError, UnknownNameError
from listen2lab.units import MIB


@pytest.fixture(scope="module")
def study():
    """Return the reference study."""
    return lab.Study.reference()


@pytest.fixture(scope="module")
def trace(study):
    """Return the app's own trace."""
    return study.trace("baseline", "app")


def test_tables_add_up_to_the_heap(trace):
    """However few rows are shown, at any moment, by anything."""
    size = {moment.name: moment.bytes / MIB for moment in trace.record.moments}
    for by in ("owner", "function", "library", "line"):
        for at, name in (("peak", "peak"), (3, "step 3"), ("end", "end")):
            for n in (1, 3, 100):
                table = trace.top(by, at, n)
                assert table.index.name == by
                assert table["mib"].sum() == pytest.approx(size[name], rel=1e-6)
                assert table["share"].sum() == pytest.approx(1, rel=1e-6)
                assert len(table) <= n + 1


def test_growth_is_what_came_between_two_steps(trace):
    """The longest sentence made the arena grow; and the sum is the heap's own growth."""
    size = {moment.name: moment.bytes / MIB for moment in trace.record.moments}
    sizes = trace._study.samples.query("experiment == 'baseline' and traced")
    longest = int(sizes.loc[sizes["size"].idxmax(), "step"])
    table = trace.grown(longest - 1, longest)
    assert table.index[0] == "ONNX Runtime: arena"
    between = size[f"step {longest}"] - size[f"step {longest - 1}"]
    assert table["mib"].sum() == pytest.approx(between, rel=1e-6)


def test_two_traces_side_by_side(study, trace):
    """With the arena off, operators hold what the arena held."""
    other = study.trace("session-options", "neither")
    table = trace.compare(other)
    assert table.loc["ONNX Runtime: arena", "difference_mib"] < -1000
    assert table.loc["ONNX Runtime: operator Conv", "other_mib"] > 100
    whole = sum(each.top(n=1000)["mib"].sum() for each in (trace, other))
    assert table[["this_mib", "other_mib"]].to_numpy().sum() == pytest.approx(whole)


def test_the_tree_holds_the_operator_that_made_the_arena_grow(trace):
    """Calls from the outside in, each with what it led to."""
    shown = repr(trace.tree())
    assert "Conv<float>::Compute" in shown
    assert "<unknown>" not in shown
    assert "<details" in trace.tree()._repr_html_()


def test_memray_s_flame_graph_needs_no_capture_and_no_network(trace):
    """The page is memray's own, of the stacks that were kept."""
    pytest.importorskip("memray")
    page = trace.flamegraph("end").page
    assert "BFCArena" in page
    assert 'src="http' not in page
    assert trace.flamegraph("end")._repr_html_().startswith('<iframe sandbox="allow-scripts"')


def test_pictures(study, trace):
    """One panel a condition that was traced."""
    assert len(study.plot_traces("session-options").axes) >= 2
    assert len(trace.plot().axes) == 1
    assert study.plot_account("baseline", "app").axes
    assert trace._repr_html_()


def test_a_moment_in_words_is_a_table_that_adds_up(study):
    """The account of one step is what was resident."""
    table = study.account_at(5)
    rows = study.account().query("experiment == 'baseline' and condition == 'app' and step == 5")
    assert table["mib"].sum() == pytest.approx(rows["rss"].iloc[0] / MIB)
    assert set(study.account()["traced"]) == {False}


def test_what_is_misspelt_or_not_there_is_said(study, trace):
    """Names are checked everywhere; who was not traced is an error with a next step."""
    for wrong in (
        lambda: study.trace("baselin", "app"),
        lambda: study.trace("baseline", "ap"),
        lambda: study.plot_traces("baselin"),
        lambda: study.plot_account("baseline", "ap"),
        lambda: study.account_at(10_000),
        lambda: trace.top(at="pek"),
        lambda: trace.top(at=-1),
        lambda: trace.top(by="owners"),
    ):
        with pytest.raises(UnknownNameError):
            wrong()


def test_who_was_not_traced_has_an_error_that_says_what_traces_it(tmp_path):
    """A study without traced runs."""
    own = build_study(tmp_path / "study", {"cache-size/2": 60.0}, repeats=1, steps=12)
    untraced = lab.Study(own)
    for ask in (
        lambda: untraced.trace("cache-size", "2"),
        lambda: untraced.plot_traces("cache-size"),
    ):
        with pytest.raises(StudyError, match="traces it"):
            ask()


def test_a_trace_that_knows_no_libraries_tells_them_by_functions(trace):
    """Python's package that called them is not whose memory it is."""
    assert not trace.record.libraries
    assert trace.top(by="library", n=1).index[0] == "ONNX Runtime"
