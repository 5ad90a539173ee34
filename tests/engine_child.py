"""Run code with the real engine in a process of its own: a bad model file ends the process."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

from listen2lab.models.check import check_recognizer, check_voice
from listen2lab.models.generate import ensure

ROOT = Path(__file__).resolve().parent.parent
VOICES = ROOT / "data" / "voices"

_BEFORE = """
import json, sys
from listen2lab.errors import *
from listen2lab.models.voices import RecognizerFiles, VoiceFiles
from listen2lab.pipeline.knobs import Knobs

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def settled():
    import ctypes, gc
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident()

given = json.loads(sys.argv[1])
"""


def voice(name="tiny"):
    """Return a generated model's folder, building it where it is missing."""
    return str(ensure(name, VOICES))


def checked_recognizer():
    """Return the files of the generated recognizer, as a spec holds them."""
    return check_recognizer(voice("recognizer"))._asdict()


def run_child(code, **given):
    """Run code that leaves its answer in ``answer``; it finds what it is given in ``given``."""
    given.setdefault("voice", check_voice(voice())._asdict())
    script = _BEFORE + textwrap.dedent(code) + "\nprint(json.dumps(answer))\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.splitlines()[-1])
