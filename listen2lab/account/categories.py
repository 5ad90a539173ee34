"""What made up resident memory after each step: samples in, a table of categories out.

The rule by which nothing is counted twice, in this order:

1. Every resident page belongs to one mapping, and every mapping to one kind, as the worker's probe
   parts them; what malloc and Python's arenas hand out is told from what they keep free.
2. What is handed out is then given to those who say they hold it: first the instrument and the
   workload's own components (audio is taken out of malloc's bytes, alignments out of Python's
   arenas), then the engine, by what building its session added and by its arena's blocks. Nobody
   can take more than is there.
3. What nobody took stays under the kind's own name (``python``, ``native_in_use``).
4. ``unaccounted`` is resident memory less all of that, so every row adds up. It is negative when
   more was found than is resident: the two were not read in the same instant.

What malloc reserved and nobody touched is not resident: ``untouched`` stands beside the sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from listen2lab.study.data import StudyData

    Floats = NDArray[np.float64]

__all__ = [
    "CATEGORIES", "UNACCOUNTED", "Certainty", "account", "cannot_tell", "categories",
    "is_from_outside", "libraries",
    "one_run",
]  # fmt: skip

UNACCOUNTED = "unaccounted"
"""What is left: resident memory less all that was found."""


Certainty: TypeAlias = Literal["exact", "derived", "estimated"]
"""``exact``: read from a counter or from the pages; ``derived``: a difference of exact numbers,
right under a stated rule."""

CATEGORIES: dict[str, Certainty] = {
    "files": "exact",
    "library_data": "exact",
    "stacks": "exact",
    "python": "exact",
    "python_kept": "derived",
    "native_in_use": "exact",
    "native_kept": "derived",
    "engine_weights": "derived",
    "engine_arena_in_use": "estimated",
    "engine_arena_idle": "estimated",
    "audio_cache": "exact",
    "player": "exact",
    "alignments": "exact",
    "service_cache": "exact",
    "trellis": "exact",
    "instrument": "derived",
    UNACCOUNTED: "derived",
}
"""The categories that add up to resident memory, in the order in which they are shown, and how sure
each is; ``docs/account.md`` says how each is measured."""

_KEYS = ["experiment", "condition", "repeat", "traced"]
_FROM_PYTHON = ("alignments", "service_cache")
_HELD = ("audio_cache", "player", "alignments", "service_cache", "trellis")


def account(samples: pd.DataFrame, *, between_phases: bool = False) -> pd.DataFrame:
    """Take apart resident memory, sample by sample.

    Parameters
    ----------
    samples
        `listen2lab.study.data.StudyData.samples`, or a part of it. Columns that are not there are
        done without: see `cannot_tell`.
    between_phases
        Also the samples between phases (``start``, ``import``, ``setup``, ``end``, ...).

    Returns
    -------
    DataFrame
        One row a step (warm-up included): the run's keys, ``phase``, ``step``, ``size`` and
        ``longest`` (of this step and of all so far), ``rss``, ``peak``; `CATEGORIES` and, for a
        workload of one's own, one for each of its components, in bytes: they add up to ``rss``;
        and ``untouched``. ``walked`` tells whether mappings were looked at
        after this step, or carried on by counters since the last walk. No row for a program that
        was only seen from outside.
    """
    if is_from_outside(samples):
        samples = samples.iloc[:0]
    samples = samples[samples["rss"].notna()]
    keys = [name for name in _KEYS if name in samples]
    runs = [*samples.groupby(keys, sort=False).indices.values()] if keys else []
    places = runs or [np.arange(len(samples))]
    arrays = _arrays(samples)
    found = [_one_run({name: values[run] for name, values in arrays.items()}) for run in places]
    columns = {name: np.concatenate([run[name] for run in found]) for name in found[0]}
    told = samples[[name for name in (*_KEYS, "phase", "step") if name in samples]]
    told = told.iloc[np.concatenate(places)].reset_index(drop=True)
    table = pd.concat([told, pd.DataFrame(columns)], axis=1)
    parts = categories(table)
    table[parts] = table[parts].fillna(0)
    if not between_phases:
        table = table[table["phase"].isin(["warmup", "step"])]
    return table.reset_index(drop=True)


def is_from_outside(samples: pd.DataFrame) -> bool:
    """Tell whether a program was followed, which says nothing of what its memory is made of."""
    is_inside = {"start", "import", "setup"} & set(samples["phase"])
    return not (is_inside or _tells(samples, "in_use") or "account.heap" in samples)


def categories(table: pd.DataFrame) -> list[str]:
    """Return the columns of an account that add up to resident memory, in their order."""
    own = [str(name) for name in table if name not in CATEGORIES and name not in _NO_PARTS]
    names = [*CATEGORIES]
    return [*names[:-1], *own, names[-1]]


_NO_PARTS = (*_KEYS, *("phase", "step", "size", "longest", "rss", "peak", "untouched", "walked"))


def _arrays(samples: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return columns as arrays, numbers as such: what is asked run by run takes no frame each."""
    return {
        str(name): column.to_numpy()
        if name in {"phase", "account.files"}
        else pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
        for name, column in samples.items()
        if name not in _KEYS
    }


def _one_run(run: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the account of one run, all of its samples, by `_arrays`."""
    kinds = _kinds(run)
    held = _held(run)
    is_step = (run["phase"] == "warmup") | (run["phase"] == "step")
    sizes = _column(run, "size", np.nan)
    native, python = kinds["native"].copy(), kinds["python"].copy()
    own = np.minimum(_column(run, "account.instrument", 0.0), python)
    python -= own
    for name, wanted in held.items():
        first, second = (python, native) if name in _FROM_PYTHON else (native, python)
        taken = np.minimum(wanted, first)
        rest = np.minimum(wanted - taken, second)
        first -= taken
        second -= rest
        held[name] = taken + rest
    weights, arena = _engine(run, native)
    needed = _needed(sizes, arena)
    of_steps = np.where(is_step, sizes, np.nan)
    return {
        "size": sizes,
        "longest": np.fmax.accumulate(of_steps) + 0.0 * of_steps,  # nothing where there is no size
        "rss": run["rss"],
        "peak": _column(run, "peak", np.nan),
        "files": kinds["files"],
        "library_data": kinds["library_data"],
        "stacks": kinds["stacks"],
        "python": python,
        "python_kept": kinds["python_kept"],
        "native_in_use": native - weights - arena,
        "native_kept": kinds["native_kept"],
        "engine_weights": weights,
        "engine_arena_in_use": needed,
        "engine_arena_idle": arena - needed,
        **held,
        "instrument": own,
        UNACCOUNTED: kinds[UNACCOUNTED],
        "untouched": kinds["untouched"],
        "walked": _column(run, "account.walked", 0.0).astype(bool),
    }


def _column(run: Mapping[str, NDArray[Any]], name: str, otherwise: float) -> Floats:
    """Return a column of `_arrays`; where it or a value is missing, something else."""
    if name not in run:
        return np.full(len(run["phase"]), otherwise)
    return np.where(np.isnan(run[name]), otherwise, run[name])


def _tells(samples: pd.DataFrame, name: str) -> bool:
    return name in samples and bool(samples[name].notna().any())


def _kinds(run: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    """Return resident memory by kind, as `listen2lab.probes.readings.split`, or by counters."""
    if np.isnan(_column(run, "account.heap", np.nan)).all():
        return _kinds_by_counters(run)
    in_use, kept, mapped = (_column(run, name, 0.0) for name in ("in_use", "kept", "mapped"))
    read = {name: _column(run, f"account.{name}", 0.0) for name in _READINGS}
    heap, blocks, other = read["heap"], read["mapped"], read["other"]
    native_kept = np.minimum(np.maximum(0.0, heap - (in_use - mapped)), kept)
    python = np.minimum(read["python"], other)
    kinds = {
        "files": read["file"],
        "library_data": read["data"],
        "stacks": read["stack"],
        "python": python,
        "python_kept": np.minimum(other - python, read["python_free"]),
        "native": heap - native_kept + blocks,
        "native_kept": native_kept,
    }
    kinds[UNACCOUNTED] = run["rss"] - np.sum([*kinds.values()], axis=0)
    kinds["untouched"] = np.maximum(0.0, in_use + kept - heap - blocks)
    return kinds


_READINGS = ("file", "data", "stack", "heap", "mapped", "other", "python", "python_free")


def _kinds_by_counters(run: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    """Part what samples without readings can tell: files, malloc's bytes, and the rest.

    What is anonymous before the models are loaded and not malloc's belongs to the interpreter and
    the libraries, and hardly moves afterwards. Where malloc does not tell, all that came later is
    taken for native memory in use.
    """
    rss = run["rss"]
    anonymous = np.minimum(_column(run, "anonymous", 0.0), rss)
    in_use, kept = _column(run, "in_use", 0.0), _column(run, "kept", 0.0)
    early = run["phase"] == "import"
    if not early.any():
        early = np.arange(len(rss)) == 0
    first = (anonymous - in_use - kept)[early]
    python = np.minimum(max(0.0, float(first[0])) if len(first) else 0.0, anonymous)
    native_kept = np.minimum(kept, anonymous - python)
    rest = anonymous - python - native_kept
    is_told = not np.isnan(_column(run, "in_use", np.nan)).all()
    native = np.minimum(in_use, rest) if is_told else rest
    zero = np.zeros(len(rss))
    return {
        "files": rss - anonymous,
        "library_data": zero,
        "stacks": zero,
        "python": python,
        "python_kept": zero,
        "native": native,
        "native_kept": native_kept,
        UNACCOUNTED: anonymous - python - native_kept - native,
        "untouched": np.maximum(in_use + kept - native - native_kept, 0.0),
    }


def _held(run: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    """Return the bytes that the workload's components say they hold."""
    names = [name.removeprefix("component.") for name in run if name.startswith("component.")]
    taken = {*CATEGORIES, *_NO_PARTS} - {*_HELD}
    return {
        (f"component_{name}" if name in taken else name): np.maximum(
            _column(run, f"component.{name}", 0.0), 0.0
        )
        for name in dict.fromkeys([*_HELD, *names])
    }


def _engine(run: Mapping[str, NDArray[Any]], native: Floats) -> tuple[Floats, Floats]:
    """Return what the engine's models and its arena hold of malloc's live bytes.

    ``native`` are those that are live and resident, less the workload's components.
    """
    phase = run["phase"]
    nothing = np.zeros(len(phase))
    at_import, at_setup = (np.flatnonzero(phase == name) for name in ("import", "setup"))
    if not len(at_import) or not len(at_setup) or not _has_engine(run):
        return nothing, nothing
    setup = at_setup[0]
    # The workload is there from setup on, and before its teardown.
    is_loaded = ~np.isin(phase.astype(str), ["start", "import", "released"])
    grown = np.where(is_loaded, np.maximum(native - native[at_import[0]], 0.0), 0.0)
    weights = np.minimum(grown, grown[setup])
    if "account.engine_mapped" not in run:  # all that steps added is taken for the arena's
        return weights, grown - weights
    mapped = _column(run, "account.engine_mapped", 0.0)
    blocks = np.maximum(mapped - mapped[setup], 0.0)
    heap = _column(run, "account.engine_heap", np.nan)
    if not np.isnan(heap).all():
        # Blocks in the heap are counted between phases. The arena only grows while its session
        # lives, so that of what the heap gained since setup at most the final count is the arena's.
        live = _column(run, "in_use", 0.0) - _column(run, "mapped", 0.0)
        blocks += np.minimum(np.maximum(live - live[setup], 0.0), np.nanmax(heap))
    return weights, np.minimum(blocks, grown - weights)


def _has_engine(run: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether ONNX Runtime was loaded, by mapped files or by the caches that there are."""
    if "account.engine_mapped" not in run:
        return "component.audio_cache" in run
    return bool((_column(run, "account.engine_mapped", 0.0) > 0).any()) or any(
        "onnxruntime" in name or "sherpa" in name
        for files in run.get("account.files", ())
        if isinstance(files, dict)
        for name in files
    )


def _needed(sizes: Floats, arena: Floats) -> Floats:
    """Estimate how much of the arena each step's own longest input needs.

    A step whose input is longer than all before makes the arena as large as that input needs. In
    between, need grows with the input's length.
    """
    longest, lengths, needs = 0.0, [0.0], [0.0]
    for size, held in zip(sizes, arena, strict=True):
        if size > longest and held > 0:
            longest = float(size)
            lengths.append(longest)
            needs.append(max(float(held), needs[-1]))
    need = np.interp(np.nan_to_num(sizes), lengths, needs)
    return np.minimum(need, arena)


def cannot_tell(samples: pd.DataFrame) -> list[Notice]:
    """Return what an account of these samples cannot tell; none where every category was measured.

    ``no-samples``, ``no-mappings`` (/proc/self/smaps could not be read), ``no-anonymous``,
    ``no-malloc-counters``, ``no-sizes``, ``no-setup``.
    """
    if samples.empty:
        return [Notice("no-samples")]
    phases = set(samples["phase"])
    lacks = {
        "no-mappings": "account.heap" not in samples,
        "no-anonymous": not _tells(samples, "anonymous"),
        "no-malloc-counters": not _tells(samples, "in_use"),
        "no-sizes": not _tells(samples, "size") and _may_have_engine(samples),
        "no-setup": not {"import", "setup"} <= phases,
    }
    return [Notice(code) for code, is_lacking in lacks.items() if is_lacking]


def _may_have_engine(samples: pd.DataFrame) -> bool:
    mapped = _tells(samples, "account.engine_mapped") and samples["account.engine_mapped"].any()
    return bool(mapped) or not _tells(samples, "account.heap")


def libraries(samples: pd.DataFrame) -> pd.DataFrame:
    """Return resident bytes of mapped files between phases; empty where mappings were not read.

    By the run's keys and ``phase``: ``file`` and ``bytes``, the largest first in each phase.
    """
    keys = [name for name in (*_KEYS, "phase") if name in samples]
    rows = [
        {**{key: sample[key] for key in keys}, "file": name, "bytes": size}
        for sample in samples.to_dict("records")
        if isinstance(files := sample.get("account.files"), dict)
        for name, size in files.items()
    ]
    return pd.DataFrame(rows, columns=[*keys, "file", "bytes"])


def one_run(study: StudyData, experiment: str, condition: str) -> pd.DataFrame:
    """Return the samples of the run that stands for its condition."""
    samples, runs = study.samples_of(experiment, condition), study.runs
    samples = samples[~samples["traced"].astype(bool)]
    mine = (runs["experiment"] == experiment) & (runs["condition"] == condition)
    complete = set(runs.loc[mine & (runs["outcome"] == "complete"), "repeat"])
    repeats = [each for each in dict.fromkeys(samples["repeat"]) if each in complete]
    repeats = repeats or list(dict.fromkeys(samples["repeat"]))
    return samples[samples["repeat"] == repeats[0]] if repeats else samples
