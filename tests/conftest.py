"""Fixtures that several test files share."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from listen2lab.study.folder import StudyFolder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from listen2lab.study.folder import RunFolder

QUIET = "def setup(): pass\ndef step(i): pass\n"


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., RunFolder]:
    """Return a function that prepares a run of a workload file's text."""
    study = StudyFolder(tmp_path / "study")
    study.create({}, ["a paragraph"])
    study.release()

    def prepare(code: str = QUIET, *, key: str = "own/file/00", **spec: object) -> RunFolder:
        file = tmp_path / "workload.py"
        file.write_text(textwrap.dedent(code))
        run = study.run(key)
        run.prepare(
            {
                "workload": {"kind": "file", "path": str(file)},
                "warmup": 1,
                "steps": 4,
                "sample_every": 1,
                "traced": False,
                **spec,
            }
        )
        return run

    return prepare
