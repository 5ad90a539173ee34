"""Python's side of a traced run: what grew, what holds the largest buffers, what was in cycles."""

from __future__ import annotations

import gc
from collections import deque
from typing import NamedTuple

import pytest

from listen2lab.experiment.runner import execute
from listen2lab.probes.objects import buffers, cycles, growth, survivors

pytestmark = pytest.mark.slow  # runs of their own processes


class Pair(NamedTuple):
    """A named tuple that holds audio."""

    name: str
    wav: bytes


class Slotted:
    """An instance without a dictionary."""

    __slots__ = ("kept", "never_set")

    def __init__(self, kept):
        self.kept = kept


class Plain:
    """An instance with a dictionary."""

    def __init__(self, **values):
        self.__dict__.update(values)


def audio():
    """Return a buffer that nobody else has."""
    return bytes(bytearray(50_000))


@pytest.mark.parametrize(
    ("holder", "path"),
    [
        (lambda: Plain(queue={7: Pair("a", audio())}), "root.queue[7].wav"),
        (lambda: Plain(node=Slotted([None, audio()])), "root.node.kept[1]"),
        (lambda: Plain(scheduled=deque([audio()])), "root.scheduled[0]"),
        (lambda: Plain(call=Plain(x=audio()).__init__), "root.call.<bound>.x"),
    ],
)
def test_the_path_to_a_buffer_is_as_one_would_write_it(holder, path):
    """Attributes, slots, keys, indices and fields are named."""
    (found,) = buffers({"root": holder()})
    assert found["path"] == path
    assert found["bytes"] == pytest.approx(50_000, rel=0.01)


def test_a_closure_is_followed():
    """What a function holds in its closure is found."""
    wav = audio()
    (found,) = buffers({"root": Plain(done=lambda: wav)})
    assert found["path"].startswith("root.done.<bound>")


def test_a_buffer_held_twice_is_there_once_and_views_are_not_counted():
    """The shortest path wins; a view owns no memory."""
    numpy = pytest.importorskip("numpy")
    wav, array = audio(), numpy.ones(10_000)
    found = buffers({"root": Plain(a=wav, deep=[[wav]], array=array, view=array[5:])})
    assert [each["path"] for each in found] == ["root.array", "root.a"]


def test_like_buffers_have_one_holder():
    """Numbers and keys are left out of the holder, so that a report can group."""
    found = buffers({"root": Plain(scheduled=[audio() for _ in range(3)])})
    assert {each["holder"] for each in found} == {"root.scheduled[...]"}


def test_garbage_in_cycles_is_named_and_freed():
    """A cycle that only the collector frees is told by type, and gone afterwards."""
    gc.collect()
    for _ in range(4):
        loop = Slotted(None)
        loop.kept = loop
    del loop
    found = {each["type"]: each["objects"] for each in cycles()}
    assert found["test_objects.Slotted"] == 4
    assert "test_objects.Slotted" not in {each["type"] for each in cycles()}
    assert not gc.garbage


def test_growth_names_the_largest_change_first():
    """Types that went away count too; what did not move is left out."""
    rows = growth({"a": 5, "b": 9, "c": 1}, {"a": 7, "b": 2, "c": 1})
    assert [(row["type"], row["objects"]) for row in rows] == [("b", -7), ("a", 2)]


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Return a function that tells of an object which a workload's module still holds."""
    import sys
    from types import ModuleType

    module = ModuleType("listen2lab_workload")
    kind = type("Kept", (), {"__module__": "listen2lab_workload"})
    module.registry = [kind()]
    monkeypatch.setitem(sys.modules, "listen2lab_workload", module)
    monkeypatch.setenv("PATH", str(tmp_path))  # no graphviz but what a test puts there

    def look():
        (found,) = [each for each in survivors(str(tmp_path)) if each["type"].endswith("Kept")]
        return found

    return look


def graphviz(folder, script):
    """Put a program named as graphviz's into a folder."""
    (folder / "dot").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "dot").chmod(0o755)


def test_what_should_have_gone_is_named_with_the_module_that_holds_it(kept):
    """An object of the workload's own class that lives on has a chain, with no graphviz too."""
    found = kept()
    assert found["chain"].startswith("listen2lab_workload -> dict -> list")
    assert found["picture"] is None


def test_where_graphviz_is_what_refers_to_it_is_drawn(kept, tmp_path, capfd):
    """The graph goes to graphviz and its answer into the run's folder; nothing is printed."""
    graphviz(tmp_path, 'echo "<svg> $*"; /bin/cat')
    found = kept()
    picture = (tmp_path / found["picture"]).read_text()
    assert picture.startswith("<svg> -Tsvg\ndigraph")
    assert "Kept" in picture
    assert "registry" in picture
    assert capfd.readouterr() == ("", "")


def test_a_graphviz_that_fails_costs_the_picture_only(kept, tmp_path):
    """The chain in words is there all the same."""
    graphviz(tmp_path, "exit 1")
    found = kept()
    assert found["picture"] is None
    assert found["chain"].startswith("listen2lab_workload")


def test_a_traced_run_tells_of_its_objects(prepared):
    """Growth between phases, the path to what is held, and cycles, in a run of its own."""
    run = prepared(
        """
        class Leak: pass
        held, constant, late = [], Leak(), []
        def setup(): late.append(Leak())
        def step(i):
            held.append(bytes(bytearray(100_000)))
            loop = Leak(); loop.self = loop
        """,
        traced=True,
    )
    assert execute(run).outcome == "complete"
    found = run.objects()
    assert found.buffers[0].path.startswith("workload['held'][")
    assert len(found.buffers) == 5
    assert "setup -> end" in found.growth
    assert "workload.Leak" in {each["type"] for each in found.cycles}
    (left,) = found.survivors  # not the module's constant
    assert (left.type, left.objects) == ("workload.Leak", 1)
    assert left.chain.startswith("workload -> dict -> list")
    assert found.notes == ()
