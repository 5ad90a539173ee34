"""Knobs: what they take, and whether the engine at hand would know the options they set."""

from __future__ import annotations

import pytest

from listen2lab.errors import InputError, UnknownNameError
from listen2lab.pipeline.knobs import Knobs, knobs_from
from listen2lab.pipeline.planted import FAULTS
from listen2lab.pipeline.session_options import ignored_options, session_options
from listen2lab.report.text.knobs import FAULT_MEANINGS, KNOB_MEANINGS


def test_every_knob_has_its_meaning():
    """In the order in which they are listed."""
    assert tuple(KNOB_MEANINGS) == Knobs._fields
    assert tuple(FAULT_MEANINGS) == tuple(FAULTS)
    assert knobs_from({}) == Knobs()


@pytest.mark.parametrize(
    "values",
    [
        {"max_cache_size": "2"},
        {"max_cache_size": True},
        {"max_cache_size": -1},
        {"in_flight": 0},
        {"session_every": 0},
        {"split_sentences_s": 0},
        {"recreate_after_s": float("nan")},
        {"recreate_after_s": float("inf")},
        {"cpu_mem_arena": 1},
        {"alignment": "on"},
        {"recognizer_loaded": "late"},
        {"recognizer_loaded": "each-use", "alignment": "loaded"},
        {"session_config": "session.disable_prepacking"},
        {"session_config": {"": "1"}},
        {"session_config": {"a=b": "1"}},
        {"session_config": {"a": "1\nEnableMemPattern=0"}},
        {"session_config": {1: "1"}},
    ],
)
def test_values_that_a_knob_does_not_take(values):
    """Named in the error, whatever they are."""
    with pytest.raises(InputError, match=next(iter(values))):
        knobs_from(values)


def test_an_unknown_knob_has_a_near_one():
    """A misspelt name is no knob that is silently left out."""
    with pytest.raises(UnknownNameError, match="max_cache_size"):
        knobs_from({"max_cash_size": 1})


def test_entries_of_the_session_configuration():
    """Equal ones are equal in any order, can be compared as conditions are, and are all written."""
    one = knobs_from({"session_config": {"b": 1, "a": "x"}, "mem_pattern": False})
    other = knobs_from({"session_config": {"a": "x", "b": True}, "mem_pattern": False})
    assert one == other
    assert hash(one) == hash(other)
    assert session_options(one) == {
        "EnableMemPattern": "0",
        "SessionConfig.a": "x",
        "SessionConfig.b": "1",
    }
    assert knobs_from(one._asdict()) == one


ENGINE = b"junk\0EnableCpuMemArena\0EnableMemPattern\0SessionConfig.\0"
RUNTIME = b"\0" * (1 << 20) + b"\0session.disable_prepacking\0" + b"x" * 9


@pytest.mark.parametrize(
    ("engine", "knobs", "codes"),
    [
        (ENGINE, {}, {}),
        (ENGINE, {"cpu_mem_arena": False, "mem_pattern": False}, {}),
        (b"old", {"cpu_mem_arena": False}, {"EnableCpuMemArena": "engine-ignores-options"}),
        (ENGINE, {"session_config": {"session.disable_prepacking": "1"}}, {}),
        (
            ENGINE,
            {"session_config": {"session.disable_prepack": 1}},
            {"SessionConfig.session.disable_prepack": "runtime-ignores-option"},
        ),
        (None, {"mem_pattern": False}, {"EnableMemPattern": "option-unchecked"}),
    ],
)
def test_options_that_would_be_ignored(tmp_path, engine, knobs, codes):
    """What the libraries do not know is said, also where a name lies across two pieces."""
    libraries = []
    if engine is not None:
        for name, content in (("_sherpa_onnx.so", engine), ("libonnxruntime.so", RUNTIME)):
            (tmp_path / name).write_bytes(content)
            libraries.append(str(tmp_path / name))
    found = ignored_options(session_options(knobs_from(knobs)), libraries)
    assert found == codes


@pytest.mark.parametrize("n", [(1 << 20) - 5, (1 << 20) - 27])
def test_a_name_across_two_pieces_of_a_library(tmp_path, n):
    """Is found."""
    path = tmp_path / "libonnxruntime.so.1"
    path.write_bytes(b"x" * n + b"session.disable_prepacking\0")
    (tmp_path / "_sherpa.so").write_bytes(ENGINE)
    options = ["SessionConfig.session.disable_prepacking"]
    assert ignored_options(options, [str(path), str(tmp_path / "_sherpa.so")]) == {}
