"""The way down: screen combinations of cures, search further, verify the best, and price them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from listen2lab import api
from listen2lab.errors import known_keywords
from listen2lab.experiment import catalog, inputs, run_study
from listen2lab.facade import Study
from listen2lab.findings.conditions import numbers_of
from listen2lab.findings.cures import CURES, RANDOM, WORTH_MIB, cures_of, least, limit_of
from listen2lab.findings.hypotheses import HYPOTHESES, predictions
from listen2lab.findings.measured import Measured
from listen2lab.findings.outcomes import LIMITS
from listen2lab.report.text.command import as_call
from listen2lab.study.data import open_study
from listen2lab.study.plan import Experiment, Level, Plan, Run
from listen2lab.units import mib, parse_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from listen2lab.experiment.progress import Progress
    from listen2lab.findings.cure_records import Cure
    from listen2lab.study.folder import StudyFolder

__all__ = ["chosen", "combined", "cures", "limits_of"]

_ROUNDS = 2  # of the search: each adds one lever to the best so far
_MOST_CHOSEN = 5


@known_keywords
def cures(
    *,
    voice: str = "tiny",
    recognizer: str = "recognizer",
    texts: Sequence[Path | str] = (),
    under: str | None = None,
    repeats: int = 3,
    seed: int = 0,
    out: Path | str | None = None,
    jobs: int | None = None,
    quick: bool = False,
    from_shell: bool = False,
    progress: Progress | None = None,
) -> Study:
    """Find what brings the memory of a voice under a limit, and what it costs.

    Every condition of the experiment ``cures`` is run once, with durations and noise fixed; a
    search adds levers to the best of them; the app's own condition and the best for each limit are
    verified in `repeats` fresh processes, and run once more with the app's random durations.

    Parameters
    ----------
    voice, recognizer, texts, seed, jobs
        As in `listen2lab.run`.
    under
        A limit, such as ``"300MB"``, besides 1 GB and 500 MB.
    repeats
        Fresh processes of the app's own condition and of each that is chosen.
    out
        The folder, new or empty; None: a new one under ``studies/``.
    quick
        Few conditions, few and short paragraphs.
    from_shell
        Whether the manifest says that it was a command; else it was this call.
    progress
        Told of every sample and every end; None: a bar shows them.

    Returns
    -------
    Study
        With `Study.cures`; screened conditions have one run, verified ones all.

    Raises
    ------
    LabError
        Something given cannot be used, the voice cannot be bounded, or the folder cannot be
        written.

    Examples
    --------
    >>> import listen2lab as lab
    >>> lab.cures(voice="medium", under="300MB").cures()  # doctest: +SKIP
    """
    call = as_call(cures, locals())
    limits = limits_of(under)
    item = catalog.experiment(CURES)
    item = replace(item, predictions=predictions(CURES))
    if quick:
        item = catalog.quick_cures(item)
    plan = Plan(
        (item,),
        repeats=repeats,
        seed=seed,
        jobs=api.jobs_here(jobs),
        max_characters=70 if quick else None,
        longest_characters=430 if quick else None,
        only=_keys(item, [level.name for level in item.levels], [0]),
    )
    book = inputs.open_book(
        voice, recognizer=recognizer, texts_given=[Path(x) for x in api.several(texts)]
    )
    path = Path(out) if out is not None else api.new_folder()
    bar = progress or api.progress_bar()
    try:
        folder = run_study.start(
            plan, book, path, call=call, progress=bar, notify=api.tell,
            hypotheses={name: each.record() for name, each in HYPOTHESES.items()},
        )  # fmt: skip
        for _ in range(1 if quick else _ROUNDS):
            if not _searched(folder, bar):
                break
        _verified(folder, limits, bar)
    finally:
        bar.close()
    return Study(path)


def limits_of(under: str | None) -> dict[str, float]:
    """Return the limits in bytes by name: the one that is asked for, and the lab's own."""
    own = {} if under is None else {under: float(parse_bytes(under))}
    return {**own, **LIMITS}


def combined(cures: Sequence[Cure], best: Cure) -> list[Level]:
    """Return the best condition with one more lever each; combinations that were run are left out.

    Parameters
    ----------
    cures
        What was run.
    best
        One of them.
    """
    known = [each.knobs for each in cures]
    levels = []
    for name, knobs in catalog.LEVERS.items():
        together = {**best.knobs, **knobs}
        if together not in known:
            levels.append(Level(f"{best.condition}+{name}", together))
    return levels


def chosen(cures: Sequence[Cure], limits: Mapping[str, float]) -> list[int]:
    """Return the places of what is worth verifying: the app's own, and the best for each limit.

    Parameters
    ----------
    cures
        As they were screened, the app's own first.
    limits
        Name to bytes.
    """
    told = [limit_of(cures, name, mib(size), verified=False) for name, size in limits.items()]
    told.sort(key=lambda each: each.mib)
    wanted = [at for at, each in enumerate(cures) if each.condition == "bounded"]
    wanted += [each.same_audio for each in told if each.same_audio is not None]
    wanted.append(_lowest(cures, range(len(cures))))
    for limit in told:
        same_file = [at for at in limit.under if "voice_graph" not in cures[at].knobs]
        wanted += [at for at in (least(cures, same_file),) if at is not None]
    wanted += [each.cheapest for each in told if each.cheapest is not None]
    return [0, *[at for at in dict.fromkeys(wanted) if at][:_MOST_CHOSEN]]


def _lowest(cures: Sequence[Cure], places: Iterable[int]) -> int:
    return min(places, key=lambda at: cures[at].peak_mib or float("inf"))


def _screened(folder: StudyFolder) -> tuple[Cure, ...]:
    study = open_study(folder.path)
    numbers = numbers_of(study.runs, study.samples)
    measured = Measured(study.plan.experiments, study.runs, study.samples, numbers)
    found = cures_of(measured, LIMITS)
    return () if found is None else found.cures


def _searched(folder: StudyFolder, progress: Progress) -> bool:
    """Add each lever to the best so far, once; return whether one of them brought it down."""
    before = _screened(folder)
    if not before:
        return False
    best = before[_lowest(before, range(len(before)))]
    levels = combined(before, best)
    if not levels:
        return False
    plan = folder.manifest()[0].plan
    item, *_ = plan.experiments
    item = replace(item, levels=(*item.levels, *levels))
    more = _keys(item, [level.name for level in levels], [0])
    _go_on(folder, replace(plan, experiments=(item,), only=(*(plan.only or ()), *more)), progress)
    after = _screened(folder)
    lowest = after[_lowest(after, range(len(after)))]
    return (best.peak_mib or 0.0) - (lowest.peak_mib or 0.0) >= WORTH_MIB


def _verified(folder: StudyFolder, limits: Mapping[str, float], progress: Progress) -> None:
    """Run what is worth it in all repeats, and once with the app's own durations."""
    found = _screened(folder)
    if not found:
        return
    names = [found[at].condition for at in chosen(found, limits)]
    plan = folder.manifest()[0].plan
    item, *_ = plan.experiments
    random = Experiment(
        name=RANDOM,
        question="Do the chosen cures hold with the app's own, random durations?",
        factor=item.factor,
        levels=tuple(level for level in item.levels if level.name in names),
        steps=item.steps,
        warmup=item.warmup,
        traced=(),
    )
    traced = item.traced or ()
    only = (
        *(plan.only or ()),
        *_keys(item, names, range(1, plan.repeats)),
        *_keys(random, names, [0]),
        *(Run(item, level, 0, traced=True).key for level in item.levels if level.name in traced),
    )
    _go_on(folder, replace(plan, experiments=(item, random), only=only), progress)


def _keys(item: Experiment, names: Sequence[str], repeats: Iterable[int]) -> tuple[str, ...]:
    levels = [level for level in item.levels if level.name in names]
    return tuple(Run(item, level, k).key for k in repeats for level in levels)


def _go_on(folder: StudyFolder, plan: Plan, progress: Progress) -> None:
    """Let the study hold more, and run what it lacks."""
    manifest, _ = folder.manifest()
    folder.acquire()
    try:
        folder.write_manifest(replace(manifest, plan=plan))
    finally:
        folder.release()
    run_study.resume(folder.path, progress=progress, notify=api.tell)
