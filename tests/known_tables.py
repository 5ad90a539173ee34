"""Tables of what a study measured, with known answers."""

from __future__ import annotations

import pandas as pd
from msgspec.structs import replace

from listen2lab.experiment.catalog import EXPERIMENTS
from listen2lab.findings import hypotheses
from listen2lab.findings.measured import Measured
from listen2lab.findings.records import ConditionNumbers, Quantity

MIB = 2**20
STEPS = 4
WOBBLE = (0.0, 1.5, -1.5, 0.7)  # MiB, from repeat to repeat

STOP = {"end": 2880, "stopped": 2880, "session-dropped": 140, "trimmed": 70, "created-again": 130}
"""MiB resident in each phase of stop-release, where the session holds nearly all."""


def find(*given, **options):
    """Return all findings on what a table gives."""
    return hypotheses.find(Measured(*given, **options))


def codes(finding):
    """Return the codes of a finding's evidence."""
    return [notice.code for notice in finding.because]


def told(finding, code):
    """Return the values of one piece of a finding's evidence."""
    (values,) = (notice.values for notice in finding.because if notice.code == code)
    return values


class Table:
    """Builds what a study measured, in MiB: conditions with an end, components and phases."""

    def __init__(self, *, repeats=3):
        self.repeats = repeats
        self.runs, self.samples, self.numbers = [], [], {}

    def add(
        self, experiment, condition, end, *, longest=100.0, components=None, phases=None,
        peak=None, lost=0, verdict="high-water", wobble=WOBBLE, setup=130.0, private=None,
        in_use=None, repeats=None, between=None, readings=False, facts=None,
    ):  # fmt: skip
        """Add the runs of a condition; `private` and `in_use` replace phases' other readings.

        With `readings` mappings were looked at: 35 MiB of files, 8 of Python, the rest malloc's, of
        which the engine's arena has all that came after setup. `facts` are the steps', a value
        each.
        """
        repeats = self.repeats if repeats is None else repeats
        for repeat in range(repeats + lost):
            keys = {"experiment": experiment, "condition": condition, "repeat": repeat,
                    "traced": False}  # fmt: skip
            outcome = "complete" if repeat < repeats else "killed"
            self.runs.append({**keys, "outcome": outcome})
            moved = wobble[repeat % len(wobble)]
            read = {"start": 12, "import": 43, "setup": setup, "end": end, **(phases or {}),
                    "released": 65}  # fmt: skip
            for phase, resident in read.items():
                rss = resident + (moved if phase not in {"start", "import", "setup"} else 0.0)
                own = (private or {}).get(phase, rss - 35)
                held = {f"component.{k}": v * MIB for k, v in (components or {}).items()}
                row = {"phase": phase, "rss": rss, "anonymous": rss - 35, "private_dirty": own,
                       "lazy_free": 0.0, "in_use": (in_use or {}).get(phase, rss + 300),
                       "peak": rss, "size": None}  # fmt: skip
                bytes_ = {k: None if v is None else v * MIB for k, v in row.items() if k != "phase"}
                if readings:
                    parts = {"file": 35, "data": 0, "stack": 0, "heap": 0, "mapped": rss - 43,
                             "other": 8, "python": 6, "python_free": 2, "instrument": 0,
                             "engine_mapped": max(0.0, rss - setup)}  # fmt: skip
                    held |= {f"account.{k}": v * MIB for k, v in parts.items()}
                self.samples.append({**keys, **row, **bytes_, "step": None, **held})
            for step in range(STEPS):
                rss = (end if between is None else between) + moved
                self.samples.append({
                    **keys, "phase": "step", "step": step, "steps": 1, "rss": rss * MIB,
                    "peak": ((peak or end + 30) + moved) * MIB,
                    "size": longest + (moved / 20 if longest else 0.0), **held,
                    **{f"fact.{k}": v[step] for k, v in (facts or {}).items()},
                })  # fmt: skip
        self.numbers.setdefault(experiment, {})[condition] = ConditionNumbers(
            verdict=verdict, quantities={"anonymous": Quantity(verdict)}, steps=STEPS,
            rate_kib_per_step=0.0, rate_interval_kib_per_step=(-1.0, 1.0), confidence="strong",
            end_mib=end, released_mib=65.0,
            runs={"complete": repeats, "killed": lost, "crashed": 0, "timed-out": 0},
        )  # fmt: skip
        return self

    def judged(self, experiment, condition, **changes):
        """Judge a condition otherwise."""
        own = self.numbers[experiment]
        own[condition] = replace(own[condition], **changes)
        return self

    def given(self, *, order=None):
        """Return what `Measured` takes, with the repeats renamed by `order`."""
        runs, samples = pd.DataFrame(self.runs), pd.DataFrame(self.samples)
        if order is not None:
            for frame in (runs, samples):
                frame["repeat"] = frame["repeat"].map(dict(enumerate(order)))
            samples = samples.iloc[::-1].iloc[::-1]
        planned = [
            item[[level.name for level in item.levels if level.name in self.numbers[name]]]
            for name, item in EXPERIMENTS.items()
            if name in self.numbers
        ]
        return planned, runs, samples, self.numbers

    def find(self, name, **options):
        """Return one finding."""
        return find(*self.given(**options))[name]


def spoken(*audio, stretches=None, made_s=10.0):
    """Return the facts of steps that read as many paragraphs, each with its audio."""
    return {
        "paragraph": list(range(len(audio))), "audio_crc": list(audio),
        "stretches": stretches or [1] * len(audio), "made_s": [made_s] * len(audio),
        "waited_s": [1.0] * len(audio),
    }  # fmt: skip


def cure_case(*, bounded=(190, 210), audio=(5, 6, 7, 8), cpu=0.9):
    """Return a table of cures: what was screened once, and what several processes verified."""
    table = Table()
    app = spoken(5, 6, 7, 8)
    cut = spoken(5, 6, 9, 8, stretches=[1, 1, 4, 1])
    other = spoken(1, 2, 3, 4)
    for name, end, peak, each, price, repeats in (
        ("app", 2880, 2900, app, 1.0, 3),
        ("bounded", *bounded, spoken(*audio), cpu, 3),
        ("bounded+neither", 150, 170, app, 1.2, 3),
        ("split-15", 600, 620, cut, 0.8, 3),
        ("split-8", 300, 420, cut, 0.85, 3),
        ("neither", 150, 900, app, 1.6, 1),
        ("each-use", 2850, 2900, other, 1.0, 1),
    ):
        table.add("cures", name, end, peak=peak, repeats=repeats,
                  facts={**each, "cpu": [price] * STEPS})  # fmt: skip
    for row in table.samples:
        row["cpu_s"] = row.pop("fact.cpu", None)
        row["t"] = {"import": 1.0, "setup": 1.5}.get(row["phase"])
    return table


def whole_case():
    """Return a table like the real one: the session holds what the longest sentence needed."""
    held = {"audio_cache": 0.3, "alignments": 0.01, "service_cache": 0.05, "player": 0.0}
    table = Table()
    for experiment, condition in (
        ("baseline", "app"), ("alignment", "on"), ("cache-size", "2"),
        ("session-recreation", "never"), ("force-clear", "nothing"), ("audio-retention", "drops"),
        ("utterance-length", "110s"), ("session-options", "arena+pattern"),
    ):  # fmt: skip
        table.add(experiment, condition, 2880, components=held)
    table.add("alignment", "off", 2846, setup=125)
    table.add("alignment", "loaded-but-unused", 2850)
    table.add("cache-size", "1", 3300, components=held)
    table.add("cache-size", "unbounded", 2890, components={**held, "audio_cache": 10.0})
    table.add("session-recreation", "every-10", 2300)
    table.add("session-recreation", "every-1", 240, peak=2900)
    table.add("force-clear", "clear", 2880)
    table.add("force-clear", "clear+trim", 2880)
    table.add("stop-release", "app", 2880, phases=STOP, components=held)
    table.add("audio-retention", "retains", 2894, components={**held, "player": 13.0})
    for seconds, end in ((5, 240), (15, 480), (40, 1000)):
        table.add("utterance-length", f"{seconds}s", end, longest=float(seconds))
    table.add("utterance-length", "110s-split", 470, longest=14.0)
    table.add("concurrency", "1", 2900)
    table.add("concurrency", "3-shared", 2905)
    table.add("concurrency", "3-each", 7000)
    table.add("alignment-cache", "0", 200, longest=5.0)
    table.add("alignment-cache", "unbounded", 202, longest=5.0, components={"service_cache": 1.6})
    return table
