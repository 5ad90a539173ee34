"""What bounding a voice brings and costs: each promised bound, original and bounded in one run.

``make bench-bound`` bounds the medium voice and prints one line a bound: what was asked, what was
measured, kept or missed. The exit status is 1 when one is missed. Megabytes are 10⁶ bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from listen2lab.experiment.inputs import models_root
from listen2lab.models.bound import bound
from listen2lab.models.bounding.comparison import Speaker, compare
from listen2lab.models.check import check_voice
from listen2lab.models.generate import VOICES, ensure
from listen2lab.models.onnx_file import read_model
from listen2lab.models.voices import read_tokens

MB = 10**6
LENGTHS_S = (1, 2, 3, 4, 6, 8, 10, 13, 17, 21, 25, 30, 37, 45, 55, 66, 80, 95, 110, 120)
LETTERS = "abcdefghijklmnopqrstuvwxyz "

ENGINE = """
import hashlib, json, os, sys
import numpy as np, sherpa_onnx
model, tokens, text = sys.argv[1:]
vits = sherpa_onnx.OfflineTtsVitsModelConfig(
    model=model, tokens=tokens, noise_scale=0, noise_scale_w=0)
options = sherpa_onnx.OfflineTtsModelConfig(vits=vits, num_threads=1)
tts = sherpa_onnx.OfflineTts(sherpa_onnx.OfflineTtsConfig(model=options, max_num_sentences=1))
audio = np.asarray(tts.generate(text).samples, np.float32)
end = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
(peak,) = [int(x.split()[1]) * 1024 for x in open("/proc/self/status") if x.startswith("VmHWM")]
print(json.dumps([audio.size, hashlib.sha256(audio.tobytes()).hexdigest(), end, peak]))
"""

_missed: list[str] = []


def main() -> int:
    """Measure the bounds that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parts = {"graph": graph, "engine": engine, "cost": cost, "bits": bits}
    parser.add_argument("--only", choices=parts, action="append", help="a part; may be repeated")
    parser.add_argument("--voice", default="medium", help="tiny, medium, high, or a folder")
    parser.add_argument("--window", type=int, help="frames of a step; measured unless given")
    parser.add_argument("--rounds", type=int, default=3, help="of which the least CPU counts")
    given = parser.parse_args()
    voice = ensure(given.voice, models_root()) if given.voice in VOICES else Path(given.voice)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bounded"
        report = bound(voice, out, window=given.window, lengths_s=(5,))
        done = report.rewriting
        print(f"{given.voice}: windows of {done.window} frames, margin {done.margin}, "
              f"{done.attentions} layers of attention; tried {report.windows}\n")  # fmt: skip
        files = check_voice(voice, needs_route=False)
        ids = read_tokens(files.tokens, single_characters=True)
        model = Path(files.model)
        speaker = Speaker(model, tuple(sorted(set(ids.values()))), files.sample_rate,
                          files.n_speakers)  # fmt: skip
        for name in given.only or parts:
            parts[name](speaker, Path(report.model), Path(files.tokens), given.rounds)
    print(f"\nmissed: {', '.join(_missed)}" if _missed else "\nevery bound is kept")
    return 1 if _missed else 0


def graph(speaker: Speaker, bounded: Path, _tokens: Path, _rounds: int) -> None:
    """Measure the graph alone, by plain ONNX Runtime."""
    for seconds, most in ((25, None), (110, 450)):
        (count,) = speaker.tokens_for([seconds])
        was, now = (speaker.run(model, count, None, 0)[0] for model in (speaker.model, bounded))
        _memory(f"graph alone, {seconds} s", was, now, most)


def engine(speaker: Speaker, bounded: Path, tokens: Path, _rounds: int) -> None:
    """Measure memory and samples through sherpa-onnx, if the voice takes text."""
    if read_model(speaker.model).metadata.get("frontend") != "characters":
        print("through sherpa-onnx: left out, this voice takes phonemes")
        return
    known = [letter for letter in LETTERS if letter in read_tokens(tokens, single_characters=True)]
    trial = _spoken(speaker.model, tokens, known, 100)
    for seconds, most in ((25, 230), (110, 500)):
        count = round(100 * seconds * speaker.sample_rate / trial[0])
        was, now = (_spoken(model, tokens, known, count) for model in (speaker.model, bounded))
        length = was[0] / speaker.sample_rate
        for part, before, after in (("end", was[2], now[2]), ("peak", was[3], now[3])):
            _line(f"sherpa-onnx, {length:.1f} s: {part}", f"{before / MB:,.0f} ->",
                  after / MB, most, "MB")  # fmt: skip
        _line(f"sherpa-onnx, {length:.1f} s: other samples", "", float(was[:2] != now[:2]), 0, "")


def cost(speaker: Speaker, bounded: Path, _tokens: Path, rounds: int) -> None:
    """Measure CPU seconds, bounded to original: the least of rounds in which they take turns."""
    is_large = speaker.model.stat().st_size > 90 * MB
    for seconds, most in ((25, 1.10 if is_large else 1.05), (110, 1.10 if is_large else 1.0)):
        (count,) = speaker.tokens_for([seconds])
        times = [
            [speaker.run(model, count, None, 0)[0].cpu_s for model in (speaker.model, bounded)]
            for _ in range(rounds)
        ]
        was, now = (min(each) for each in zip(*times, strict=True))
        ratios = ", ".join(f"{after / before:.2f}" for before, after in times)
        _line(f"CPU, {seconds} s ({ratios})", f"{was:.2f} s -> {now:.2f} s:", now / was, most, "x")


def bits(speaker: Speaker, bounded: Path, _tokens: Path, _rounds: int) -> None:
    """Compare samples at many lengths: the same bits."""
    with tempfile.TemporaryDirectory() as folder:
        checks = compare(speaker, bounded, LENGTHS_S, Path(folder))
    lengths = np.array([check.seconds for check in checks])
    others = sum(check.difference > 0 for check in checks)
    what = f"{len(checks)} lengths, {lengths.min():.1f} to {lengths.max():.1f} s: not identical"
    _line(what, "", others, 0, "")


def _memory(what: str, was: object, now: object, most: float | None) -> None:
    for part in ("end", "peak"):
        before, after = (getattr(each, part) / MB for each in (was, now))
        _line(f"{what}: {part}", f"{before:,.0f} ->", after, most, "MB")


def _spoken(model: Path, tokens: Path, letters: list[str], count: int) -> list[float]:
    choice = random.Random(count)
    text = "".join(choice.choice(letters) for _ in range(count))
    done = subprocess.run(
        [sys.executable, "-c", ENGINE, str(model), str(tokens), text],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def _line(what: str, before: str, value: float, most: float | None, unit: str) -> None:
    digits = 2 if unit == "x" else 0
    kept = "" if most is None else f"bound {most:g}  {'kept' if value <= most else 'MISSED'}"
    print(f"{what:<58}{before:>22} {value:,.{digits}f} {unit:<4}{kept}", flush=True)
    if most is not None and value > most:
        _missed.append(what)


if __name__ == "__main__":
    sys.exit(main())
