"""What an experiment is, and in which order its conditions run."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import msgspec
from msgspec.structs import replace

from listen2lab.errors import InputError, UnknownNameError
from listen2lab.pipeline.knobs import MEASURED_WITH, Knobs, knobs_from
from listen2lab.privacy import (
    ConditionName,
    ExperimentName,
    Fact,
    Private,
    Public,
    RunKey,
    Sentence,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "APART", "Experiment", "KnobValue", "Level", "Plan", "Run", "paragraph_order", "schedule",
]  # fmt: skip

TRACED = "traced"
"""The name that stands in a run's key where a plain run has its repeat number."""

APART = "@"
"""Stands in the name of a merged study's experiment before what sets it apart from the first
study: another machine, voice or setting. Findings leave such experiments out."""

MOST = {
    "repeats": 100_000,
    "jobs": 1_000,
    "max_samples": 20_000,
    "steps": 10_000_000,
    "warmup": 10_000_000,
    "runs": 100_000,
    "step_timeout": 10_000_000,
    "name": 200,
}
"""The most of each that a plan may ask for, names in bytes: far above what was ever measured, and
small enough that a plan from somebody else can be listed at once."""

LONG_AFTER = 10
"""The longest paragraph comes at a random place after the tenth step, so that a curve has a
stretch before it to compare with."""

Traces: TypeAlias = Literal["all", "telling", "none"]
"""Which conditions are traced: all, those that `Experiment.traced` names, or none."""

KnobValue: TypeAlias = "bool | int | float | Public | dict[Public, Public] | None"
"""What a knob may be set to: names that the lab gives, and numbers."""


class Level(msgspec.Struct, frozen=True):
    """One value of an experiment's factor: a condition once the rest of the knobs is filled in.

    Parameters
    ----------
    name
        Its name, also of its folder in a study.
    knobs
        Knob to value, those that differ from the experiment's.
    python
        Another interpreter for its runs, where environments are what is compared.

    Examples
    --------
    >>> import listen2lab as lab
    >>> lab.Level("one", {"max_cache_size": 1}).knobs
    {'max_cache_size': 1}
    """

    name: ConditionName
    knobs: dict[Public, KnobValue] = {}
    python: Private | None = None


class Experiment(msgspec.Struct, frozen=True):
    """A question, a factor with its levels, and what each hypothesis predicts.

    Parameters
    ----------
    name, question
        Its name on the command line, and the question that it answers.
    factor
        The knob that varies, in words; None for an experiment of one condition.
    levels
        The values of the factor, the app's own among them.
    predictions
        Hypothesis to what it says must be seen. Written down before any run.
    knobs
        Knobs that differ from the app's in every condition.
    steps, warmup
        Measured steps, and unmeasured ones before them.
    unit
        What a step is, in one word.
    phases
        What is done after the steps, in this order, each with a reading after it; see
        `listen2lab.pipeline.listen2.Listen2.enter`.
    max_characters, longest_characters
        As in `Plan`; of both limits, the shorter one holds.
    traced
        Levels that are worth a traced run, because it tells something that no other's does; None:
        all, and so it is where levels were chosen.
    of
        The lab's experiment whose texts and settings `listen2lab.vary` took, where it made this.

    Examples
    --------
    >>> import listen2lab as lab
    >>> own = lab.Experiment(
    ...     name="quieter",
    ...     question="Does it hold less with no cache and no lookahead?",
    ...     factor="what is kept",
    ...     levels=(
    ...         lab.Level("app"),
    ...         lab.Level("less", {"max_cache_size": 1, "lookahead_count": 0}),
    ...     ),
    ... )
    >>> own.reference.name
    'app'
    >>> [level.name for level in lab.experiments.cache_size["1", "unbounded"].levels]
    ['1', 'unbounded']
    """

    name: ExperimentName
    question: Sentence
    factor: Fact | None
    levels: tuple[Level, ...]
    predictions: dict[Public, Sentence] = {}
    knobs: dict[Public, KnobValue] = {}
    steps: int = 30
    warmup: int = 2
    unit: Fact = "paragraph"
    phases: tuple[Fact, ...] = ()
    max_characters: int | None = None
    longest_characters: int | None = None
    traced: tuple[ConditionName, ...] | None = None
    of: ExperimentName | None = None

    def __post_init__(self) -> None:
        for level in self.levels:
            knobs_from(self.settings(level))

    def wrong(self) -> Iterator[str]:
        """Yield why it cannot be carried out: its counts, and names that are no folders'."""
        if self.steps < 1 or self.warmup < 0:
            yield (
                f"{self.name}: {self.steps} steps after {self.warmup} of warm-up; there must "
                "be at least one step, and the warm-up cannot be negative"
            )
        for name in (self.name, *(level.name for level in self.levels)):
            if name in {"", ".", ".."} or set(name) & set("/\\\0"):
                yield f"{name!r} cannot be a folder's name"
            if len(name.encode("utf-8", "replace")) > MOST["name"]:
                yield f"{name[:40]!r}… is too long for a folder's name"
        if not self.levels or len({level.name for level in self.levels}) < len(self.levels):
            yield f"the conditions of {self.name} are none, or two of one name"

    @property
    def traced_names(self) -> Sequence[str]:
        """The levels that are worth a traced run."""
        return [x.name for x in self.levels] if self.traced is None else self.traced

    @property
    def reference(self) -> Level:
        """The level that is the app's own, or the first: what the others are compared with."""
        own = [x for x in self.levels if not self.changes(x)]
        return own[0] if own else self.levels[0]

    @property
    def is_shortened(self) -> bool:
        """Whether it leaves out the study's longest sentence, which memory follows."""
        return self.longest_characters is not None

    def differing(self, level: Level) -> dict[str, Any]:
        """Return the knobs in which a level really differs from the app, with their values."""
        app = Knobs()._asdict()
        return {k: v for k, v in self.complete_settings(level).items() if v != app[k]}

    def changes(self, level: Level) -> dict[str, Any]:
        """Return what a level changes in the app: `differing` but for how it is measured."""
        return {k: v for k, v in self.differing(level).items() if k not in MEASURED_WITH}

    def is_app(self, level: Level) -> bool:
        """Return whether a level is the app's own condition, on the study's own texts."""
        return not self.is_shortened and not self.differing(level)

    def settings(self, level: Level) -> dict[str, Any]:
        """Return the knobs of a level, those that differ from the app's."""
        return {**self.knobs, **level.knobs}

    def complete_settings(self, level: Level) -> dict[str, KnobValue]:
        """Return every knob with its value at a level."""
        return knobs_from(self.settings(level))._asdict()

    @property
    def factors(self) -> tuple[str, ...]:
        """The knobs that vary, where the factor is one knob or several crossed; else none."""
        names = tuple((self.factor or "").split(" x "))
        return names if set(names) <= set(Knobs._fields) else ()

    def __getitem__(self, wanted: Any) -> Experiment:
        """Return this experiment with some of its levels, by name or by the knob's value."""
        known = {level.name: level for level in self.levels}
        chosen = []
        is_one = isinstance(wanted, str) or not hasattr(wanted, "__iter__")
        for item in [wanted] if is_one else wanted:
            by_value = (x for x in self.levels if list(x.knobs.values()) == [item])
            level = next(by_value, known.get(str(item)))
            if level is None:
                raise UnknownNameError(f"level of {self.name}", str(item), known)
            chosen.append(level)
        return replace(self, levels=tuple(chosen), traced=None)

    def _ipython_key_completions_(self) -> list[str]:
        return [level.name for level in self.levels]

    def with_knobs(self, knobs: Mapping[str, Any]) -> Experiment:
        """Return this experiment with knobs set in every condition, but for what it varies."""
        for name in knobs:
            if any(name in level.knobs for level in self.levels):
                raise InputError(
                    f"{name!r} is what {self.name} varies; choose among its levels instead"
                )
        return replace(self, knobs={**self.knobs, **knobs})


class Plan(msgspec.Struct, frozen=True):
    """Everything that decides what a study measures; with the inputs it can be rerun from it.

    Parameters
    ----------
    experiments, repeats
        What is run, and how many plain runs each condition has.
    seed
        Decides the order of conditions and of texts.
    traced
        Whether the conditions that an experiment names also have one traced run; conditions that
        are the same have one together.
    max_characters, longest_characters
        The longest paragraph that is read is the longest of at most ``longest_characters``; all
        others have at most ``max_characters``. None: no limit.
    memory_limit
        Bytes of anonymous memory at which a run is killed; None: never.
    step_timeout
        Seconds without a new sample after which a run counts as hung.
    jobs
        Runs at a time.
    max_samples
        Runs with more steps than this are sampled every few steps.
    only
        Keys of the runs there are to be, where that is not every repeat of every condition (a
        study merged of several); None: all.
    """

    experiments: tuple[Experiment, ...]
    repeats: int = 3
    seed: int = 0
    traced: Traces = "telling"
    max_characters: int | None = None
    longest_characters: int | None = None
    memory_limit: int | None = None
    step_timeout: float = 600.0
    jobs: int = 1
    max_samples: int = 1000
    only: tuple[RunKey, ...] | None = None

    def __post_init__(self) -> None:
        for wrong in self._wrong():
            raise InputError(wrong)

    def _wrong(self) -> Iterator[str]:
        """Yield why it cannot be carried out."""
        counts = {"repeats": self.repeats, "jobs": self.jobs, "max_samples": self.max_samples}
        for item in self.experiments:
            counts |= {f"steps of {item.name}": item.steps, f"warmup of {item.name}": item.warmup}
        for name, count in counts.items():
            if type(count) is not int:
                yield f"{name} is {count!r}, no whole number"
        yield from self._too_much(counts)
        if self.repeats < 1:
            yield f"repeats is {self.repeats}; a condition needs at least one run"
        if self.jobs < 1:
            yield f"jobs is {self.jobs}; at least one run must be under way"
        if not self.experiments:
            yield "it has no experiment"
        if self.traced not in get_args(Traces):
            yield f"traced is {self.traced!r}; it is one of {', '.join(get_args(Traces))}"
        names = [item.name for item in self.experiments]
        if len(set(names)) < len(names):
            yield f"two of its experiments have one name: {', '.join(names)}"
        for item in self.experiments:
            yield from item.wrong()

    def _too_much(self, counts: Mapping[str, int]) -> Iterator[str]:
        """Yield what nobody could carry out: a slip, or meant to fill memory."""
        for name, count in counts.items():
            most = MOST[name.partition(" ")[0]]
            if count > most:
                yield f"{name} is {count:,}; at most {most:,} can be carried out"
        runs = sum(len(item.levels) for item in self.experiments) * (self.repeats + 1)
        if max(runs, len(self.only or ())) > MOST["runs"]:
            yield f"it plans {runs:,} runs; at most {MOST['runs']:,} can be carried out"
        if abs(self.seed) >= 2**63:
            yield "its seed has more than 63 bits"
        if not 0 < self.step_timeout <= MOST["step_timeout"]:
            yield f"step_timeout is {self.step_timeout} s; above 0, at most {MOST['step_timeout']}"
        for name in ("memory_limit", "max_characters", "longest_characters"):
            every = [getattr(x, name, None) for x in (self, *self.experiments)]
            if any(x is not None and not 0 < x < 2**63 for x in every):
                yield f"{name} is less than 1, or of more than 63 bits"

    def sample_every(self, experiment: Experiment) -> int:
        """Return after how many steps a sample is read."""
        return max(1, -(-experiment.steps // self.max_samples))

    def with_lengths(self, steps: int | None, warmup: int | None) -> Plan:
        """Return the plan with another number of steps, of warm-up steps, or both."""
        lengths = {"steps": steps, "warmup": warmup}
        given: dict[str, Any] = {name: n for name, n in lengths.items() if n is not None}
        experiments = tuple(replace(item, **given) for item in self.experiments)
        return replace(self, experiments=experiments)

    def longest_texts(self, experiment: Experiment) -> tuple[int | None, int | None]:
        """Return ``max_characters`` and ``longest_characters`` of an experiment's runs."""
        return (
            _least(self.max_characters, experiment.max_characters),
            _least(self.longest_characters, experiment.longest_characters),
        )

    def condition(self, experiment: Experiment, level: Level) -> tuple[Any, ...]:
        """Return all that decides what a run does; conditions of which it is equal are the same."""
        return (
            knobs_from(experiment.settings(level)),
            level.python,
            experiment.steps,
            experiment.warmup,
            experiment.phases,
            self.longest_texts(experiment),
        )


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


class Run(msgspec.Struct, frozen=True):
    """One condition in one fresh process."""

    experiment: Experiment
    level: Level
    repeat: int
    traced: bool = False

    @property
    def key(self) -> str:
        """``experiment/condition/repeat``: the run's name, and its folder in a study."""
        last = TRACED if self.traced else f"{self.repeat:02d}"
        return f"{self.experiment.name}/{self.level.name}/{last}"


def schedule(plan: Plan) -> list[Run]:
    """Order the runs of a plan: always the same for the same plan.

    Experiment by experiment; in each block every condition once, in a random order drawn from the
    seed, so that a drift of the machine meets all conditions alike. The traced runs come last, one
    for all conditions that are the same, those of many steps first: a long one in the end would
    keep one core waiting.
    """
    plain: list[Run] = []
    traced: dict[Any, Run] = {}
    for experiment in plan.experiments:
        for repeat in range(plan.repeats):
            levels = list(experiment.levels)
            random.Random(f"{plan.seed}/{experiment.name}/{repeat}").shuffle(levels)
            plain += [Run(experiment, level, repeat) for level in levels]
        for level in experiment.levels if plan.traced != "none" else ():
            run = Run(experiment, level, 0, traced=True)
            if plan.only is not None:
                traced[run.key] = run
            elif plan.traced == "all" or level.name in experiment.traced_names:
                traced.setdefault(plan.condition(experiment, level), run)
    runs = [*plain, *sorted(traced.values(), key=lambda run: -run.experiment.steps)]
    if plan.only is None:
        return runs
    only = set(plan.only)
    return [run for run in runs if run.key in only]


def paragraph_order(
    lengths: Sequence[int],
    steps: int,
    seed: str,
    *,
    max_characters: int | None = None,
    longest_characters: int | None = None,
) -> list[int]:
    """Choose the paragraphs of a run and shuffle them: ``steps`` indices into the book.

    Every run of an experiment reads the same paragraphs; the order is drawn anew for each repeat
    and shared by the conditions of a block, so that neither a sorted text nor one lucky order can
    look like growth, and conditions are compared on equal input.

    The limits are those of `Plan`; a book without any paragraph that short is read as if there were
    none. The longest paragraph stands at a random place after the first ten; with twelve steps or
    fewer, in the second half. A book that is too short is read again from its start.
    """
    short = [k for k, n in enumerate(lengths) if n <= (longest_characters or n)]
    longest = max(short or range(len(lengths)), key=lengths.__getitem__)
    fitting = [
        k
        for k, length in enumerate(lengths)
        if k != longest and length <= min(max_characters or length, lengths[longest])
    ] or [longest]
    chosen = [fitting[k % len(fitting)] for k in range(steps - 1)]
    draw = random.Random(seed)
    draw.shuffle(chosen)
    after = LONG_AFTER if steps > LONG_AFTER + 2 else steps // 2
    place = draw.randint(after, max(after, steps - 2))
    chosen.insert(place, longest)
    return chosen
