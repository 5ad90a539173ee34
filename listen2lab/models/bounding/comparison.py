"""Two graphs of one voice, compared as files: the same samples, and what each one costs.

Every synthesis has a fresh process, without noise, so that the graphs can be compared: random
operators draw differently in another graph.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from listen2lab.errors import EngineError, VoiceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Cost", "LengthCheck", "Speaker", "compare", "window_costs"]

_TIMEOUT_S = 3600.0
_PROBE_TOKENS = 101
_WINDOW_SECONDS = 25.0
_WINDOW_ROUNDS = 2


class Cost(msgspec.Struct, frozen=True):
    """What one synthesis by plain ONNX Runtime took, in a process of its own."""

    loaded: int
    """Resident bytes, as the next two."""
    end: int
    peak: int
    load_s: float
    """User and system time, as the next one."""
    cpu_s: float


class LengthCheck(msgspec.Struct, frozen=True):
    """One sentence through the graph as it was and the graph as it is now."""

    tokens: int
    samples: int
    seconds: float
    speaker: int | None
    """None for a voice of one speaker."""
    difference: float
    """The largest of two samples; infinite where the lengths differ."""
    before: Cost
    after: Cost


class Speaker(NamedTuple):
    """What is needed to make a voice's graph speak for so many seconds."""

    model: Path
    """As it was."""
    token_ids: tuple[int, ...]
    sample_rate: int
    speakers: int

    def run(self, model: Path, tokens: int, samples_to: Path | None, turn: int) -> tuple[Cost, int]:
        """Speak in a child; return its cost and the number of samples."""
        spec = {
            "model": str(model),
            "tokens": self._sentence(tokens),
            "speaker": self.speaker(turn),
            "samples_to": None if samples_to is None else str(samples_to),
        }
        command = [sys.executable, "-m", "listen2lab.models.bounding.graph_run", json.dumps(spec)]
        # the child finds this very package, however this process came by it
        paths = [str(Path(__file__).resolve().parents[3])]
        paths += filter(None, [os.environ.get("PYTHONPATH")])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True,
                timeout=_TIMEOUT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                f"{model.name} did not speak {tokens} tokens within {_TIMEOUT_S:.0f} s and was "
                "stopped; nothing was written; try again on a machine with less to do"
            ) from error
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            which = "as it was" if model == self.model else "bounded"
            raise VoiceError(
                f"the voice's graph ({which}) does not run in ONNX Runtime: {last[-300:]}; nothing "
                "was written; check the voice with: listen2lab voice check"
            )
        found = json.loads(done.stdout)
        samples = found.pop("samples")
        return Cost(**found), samples

    def speaker(self, turn: int) -> int | None:
        """Return the first speaker in even turns, the last in odd ones, none if there is one."""
        if self.speakers < 2:
            return None
        return (self.speakers - 1) * (turn % 2)

    def tokens_for(self, seconds: Iterable[float]) -> list[int]:
        """Return how many tokens last about as long, from one short sentence."""
        _, samples = self.run(self.model, _PROBE_TOKENS, None, 0)
        each = samples / self.sample_rate / _PROBE_TOKENS
        return [max(3, round(length / each)) for length in seconds]

    def _sentence(self, tokens: int) -> list[int]:
        """Return symbols with blanks between them, the same for the same number."""
        choice = random.Random(tokens)
        return [0 if k % 2 == 0 else choice.choice(self.token_ids) for k in range(tokens)]


def compare(
    speaker: Speaker, bounded: Path, lengths_s: Sequence[float], scratch: Path
) -> list[LengthCheck]:
    """Speak sentences of these lengths by both graphs, and compare all samples.

    Parameters
    ----------
    speaker
        The voice.
    bounded
        Its other graph.
    lengths_s
        About how long, in seconds.
    scratch
        A folder for the samples.
    """
    checks = []
    for turn, tokens in enumerate(speaker.tokens_for(lengths_s)):
        files = [scratch / "before.npy", scratch / "after.npy"]
        before, samples = speaker.run(speaker.model, tokens, files[0], turn)
        after, _ = speaker.run(bounded, tokens, files[1], turn)
        was, now = (np.load(file) for file in files)
        for file in files:
            file.unlink()
        difference = float("inf")
        if was.shape == now.shape:
            # nan where there was none is a difference, too
            difference = float(np.nan_to_num(np.abs(was - now), nan=np.inf).max(initial=0.0))
        checks.append(
            LengthCheck(
                tokens=tokens,
                samples=samples,
                seconds=samples / speaker.sample_rate,
                speaker=speaker.speaker(turn),
                difference=difference,
                before=before,
                after=after,
            )
        )
    return checks


def window_costs(speaker: Speaker, candidates: dict[int, Path]) -> dict[int, float]:
    """Return the CPU time of each window relative to the graph as it was, at 25 s.

    Each is the least of some rounds, in which the graphs take turns: whatever else the machine
    does slows all of them alike.

    Parameters
    ----------
    speaker
        The voice.
    candidates
        Graphs by their windows.
    """
    (tokens,) = speaker.tokens_for([_WINDOW_SECONDS])
    graphs = {0: speaker.model, **candidates}
    times: dict[int, list[float]] = {window: [] for window in graphs}
    for turn in range(_WINDOW_ROUNDS):
        for window, model in graphs.items():
            times[window].append(speaker.run(model, tokens, None, 2 * turn)[0].cpu_s)
    least = {window: min(each) for window, each in times.items()}
    return {window: least[window] / least[0] for window in candidates}
