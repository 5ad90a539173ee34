"""``listen2lab doctor``: what is said of an environment is what is there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from listen2lab.experiment import doctor
from listen2lab.report.text.doctor import CHECKS, GAPS, SIGNS, said

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
OPTIONAL = PROJECT["project"]["optional-dependencies"]


def test_the_extras_that_are_named_are_those_of_the_project():
    """A hint that installs nothing would be worse than none."""
    for extra, name in doctor.EXTRAS.values():
        assert any(each.startswith(name) for each in OPTIONAL[extra])
    known = str(PROJECT["project"])
    assert [name for name in doctor.NEEDED.values() if name not in known] == []


@pytest.mark.slow
def test_what_ends_the_process_or_is_not_there_is_told_apart(tmp_path, monkeypatch):
    """Each module has its version, or why it does not load; none is left out behind a bad one."""
    (tmp_path / "dies.py").write_text("import os; os._exit(7)")
    (tmp_path / "raises.py").write_text("raise OSError('no such library')")
    monkeypatch.setattr(
        doctor, "child_environment", lambda: {"PYTHONPATH": str(tmp_path), "PATH": "/bin"}
    )
    names = ("dies", "raises", "not_there_at_all", "numpy")
    found = doctor._tried(dict.fromkeys(names, "numpy"))
    assert "status 7" in found["dies"][1]
    assert "no such library" in found["raises"][1]
    assert found["not_there_at_all"] == (None, "")
    assert found["numpy"][1] is None


@pytest.mark.slow
def test_here_everything_that_is_installed_works(monkeypatch, capsys):
    """Each check has a sentence; the exit status is 0, and 1 where a needed package is gone."""
    from typer.testing import CliRunner

    from listen2lab.cli import app

    answer = CliRunner().invoke(app, ["doctor", "--json"])
    checks = json.loads(answer.stdout)["checks"]
    assert answer.exit_code == 0, answer.stdout
    assert {"python", "package"} <= {each["code"] for each in checks}
    monkeypatch.setattr(doctor, "NEEDED", {"not_there_at_all": "sherpa-onnx"})
    gone = next(check for check in doctor.examine() if check.code == "package-broken")
    assert gone.state == "broken"
    assert "pip install" in said(gone)
    answer = CliRunner().invoke(app, ["doctor"])
    assert answer.exit_code == 1
    assert "BROKEN" in answer.stdout


def test_every_check_has_its_words():
    """A code without a sentence would be an error where help is needed most."""
    full = {"name": "x", "version": "1", "field": "peak", "extra": "dask", "free": 1, "memory": 2}
    full |= {"cores": 1, "needed": 3, "mode": "never", "what": "models", "path": "/"}
    for code in CHECKS:
        for why in GAPS:
            line = said(doctor.Check(code, {**full, "why": why}, "broken"))
            assert line.startswith(SIGNS["broken"])
