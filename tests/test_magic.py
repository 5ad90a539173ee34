"""The cell magic: a cell's body, stepped in fresh processes as a notebook would run it."""

from __future__ import annotations

import asyncio

import pytest

from listen2lab.errors import InputError
from listen2lab.facade import Study
from listen2lab.notebook.magic import step_of


def test_a_cell_is_stepped_as_a_notebook_runs_it():
    """What it assigns stays, functions see it, and the step's number is i."""
    names = {"__name__": "__main__"}
    exec("kept = []\ndef count(): return len(kept)", names)  # noqa: S102 - as a notebook's cell
    step = step_of("total = i\nfor k in range(2):\n    kept.append(k)\nseen = count()", names)
    step(0)
    step(3)
    assert (names["total"], names["seen"], names["k"], names["kept"]) == (3, 4, 1, [0, 1, 0, 1])
    step_of("for i in range(5): pass", names)(9)
    assert names["i"] == 4


def test_a_cell_may_await_and_define_what_awaits():
    """Only what awaits by itself is a coroutine."""
    names = {"asyncio": asyncio}
    asyncio.run(step_of("await asyncio.sleep(0)\ndone = True", names)(0))
    assert names["done"]
    assert step_of("async def later():\n    await asyncio.sleep(0)", names)(0) is None


@pytest.mark.parametrize(
    ("cell", "words"), [("", "empty"), ("!ls", "line 1"), ("if:", "no Python")]
)
def test_what_cannot_be_stepped_is_refused(cell, words):
    """Nothing, a shell command, and no Python."""
    with pytest.raises(InputError, match=words):
        step_of(cell, {})


@pytest.mark.slow  # runs of their own processes
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # IPython's own, not ours to fix
def test_the_magic_shows_curve_and_verdict(tmp_path, monkeypatch, capsys):
    """A notebook's leak is found there, and nothing of it happens in the notebook itself."""
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell()
    shell.run_cell("%load_ext listen2lab")
    shell.run_cell("kept = []\ndef load():\n    global size\n    size = 100_000")
    cell = "%%leak --steps 30 --repeats 3 --setup load\nkept.append(bytes(bytearray(size)))"
    study = shell.run_cell(cell).result
    assert isinstance(study, Study)
    ((_, found),) = study.summary().conditions()
    assert found.verdict == "leak"
    assert found.rate_kib_per_step == pytest.approx(100_000 / 1024, rel=0.1)
    assert shell.user_ns["kept"] == []
    capsys.readouterr()
    shell.run_cell("%%leak --setup laod\npass")
    assert "did you mean 'load'" in capsys.readouterr().err
