"""The package as people get it: a wheel of this checkout, alone in an environment."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OFFLINE = re.compile(r"NewConnectionError|NameResolutionError|ConnectTimeout|Max retries exceeded")
MOST = 350e6
"""Bytes that the package and all that it needs may take, without anything that an extra brings."""


def pip(*arguments):
    """Run pip; without a package index there is nothing to test."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and OFFLINE.search(done.stdout + done.stderr):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_wheel_alone_watches_and_names_the_extra_that_runs_the_pipeline(tmp_path):
    """Without engine, models and notebooks: a verdict, a report, and what to install for more."""
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("listen2lab-*.whl")
    home = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    pip("--python", python, "install", "--quiet", "--no-compile", wheel)
    packages = next(home.glob("lib/python*/site-packages"))
    assert sum(path.stat().st_blocks * 512 for path in packages.rglob("*")) < MOST
    there = {path.name for path in packages.iterdir()}
    assert {"memray", "pandas", "listen2lab"} <= there
    assert not there & {"onnx", "onnxruntime", "sherpa_onnx", "jupyterlab", "scipy"}

    (tmp_path / "own.py").write_text(
        "kept = []\ndef step(i): kept.append(bytes(bytearray(50_000)))\n"
    )

    def lab(*arguments):
        return subprocess.run(
            [home / "bin" / "listen2lab", *arguments],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip

    done = lab("watch", "own.py", "--steps", "30", "--repeats", "3", "--out", "study", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "leak"
    assert (tmp_path / "study" / "report.html").exists()
    done = lab("run", "baseline", "--quick", "--out", "other")
    assert done.returncode == 2
    assert "pip install 'listen2lab[lab]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "other").exists()
