"""Fixtures that several test files share."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from small_studies import plan_of

from listen2lab.study.folder import StudyFolder
from listen2lab.study.records import Manifest, Spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from listen2lab.study.folder import RunFolder

QUIET = "def setup(): pass\ndef step(i): pass\n"


@pytest.fixture(autouse=True, scope="session")
def _own_config(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the mark of studies that tests begin out of the user's own config folder."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., RunFolder]:
    """Return a function that prepares a run of a workload file's text."""
    study = StudyFolder(tmp_path / "study")
    study.create(Manifest(plan=plan_of({"file": 0})), ["a paragraph"])
    study.release()

    def prepare(code: str = QUIET, *, key: str = "own/file/00", **spec: object) -> RunFolder:
        file = tmp_path / "workload.py"
        file.write_text(textwrap.dedent(code))
        run = study.run(key)
        workload = {"kind": "file", "path": str(file)}
        run.prepare(replace(Spec(workload=workload, warmup=1, steps=4), **spec))
        return run

    return prepare
