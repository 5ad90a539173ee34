"""The rules about what holds memory while nobody asks for it: meter, session, baseline.

Each takes what was measured and the smallest effect worth acting on, in bytes, and gives a ruling.
`listen2lab.experiment.catalog.HYPOTHESES` says the same in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.findings.effects import (
    Ruling,
    average,
    decide,
    difference,
    doubt,
    mean_of,
    size,
    span,
)
from listen2lab.findings.measured import Where

if TYPE_CHECKING:
    from listen2lab.findings.effects import FindingName
    from listen2lab.findings.measured import Measured

__all__ = ["baseline_only", "meter_misleads", "session_holds"]

_STOPPED = Where("stop-release", "app")
_NEVER = Where("session-recreation", "never")
_EVERY_1 = Where("session-recreation", "every-1")
_BASELINE = Where("baseline", "app")

_SOME_UNTOUCHED = 1.1
"""How many times more must be freed than leaves memory, for that to be worth a word."""


def meter_misleads(m: Measured, worth: float) -> Ruling:
    """H0: what was freed stays in resident memory and leaves private dirty memory."""
    lack = m.lack(_STOPPED)
    if lack is not None:
        return Ruling("inconclusive", None, None, (lack, *_trimmed(m)), ())
    column = "private_dirty" if len(m.at(_STOPPED, "stopped", "private_dirty")) else "anonymous"
    resident = m.fall(_STOPPED, "stopped", "session-dropped")
    dirty = m.fall(_STOPPED, "stopped", "session-dropped", column)
    freed = m.fall(_STOPPED, "stopped", "session-dropped", "in_use")
    if len(resident) < 2 or len(resident) != len(dirty):
        told = "The runs of stop-release lack a reading of resident or private memory."
        return Ruling("inconclusive", None, None, (told,), (_STOPPED,))
    given = average(freed) if len(freed) else average(dirty)
    hidden = mean_of(dirty - resident)
    lazy = m.at(_STOPPED, "end", "lazy_free")
    explains = float(lazy.mean()) if len(lazy) else None
    fell = (
        f"When the session was dropped, {size(given)} were freed; private dirty memory fell by "
        f"{size(dirty.mean())}, resident memory by {size(resident.mean())}"
    )
    if given > _SOME_UNTOUCHED * dirty.mean():
        fell += " (the rest had never been touched)"
    kept = average(m.fall(_STOPPED, "session-dropped", "trimmed"))
    phone = (
        f"A trim then gave back another {size(kept)} that the allocator had kept.",
        *_trimmed(m),
        "On a phone, freed pages can stay in the resident size: read phys_footprint beside it.",
    )
    found = decide(hidden, worth)
    if given < worth:
        told = f"{fell}: too little was freed to see the two part."
        return Ruling("inconclusive", hidden, explains, (told, *phone), (_STOPPED,), _STOPPED)
    if found == "supported" and not (dirty.mean() > given / 2 > resident.mean()):
        told = f"{fell}: they part, but not by half of what was freed."
        return Ruling("inconclusive", hidden, explains, (told, *phone), (_STOPPED,), _STOPPED)
    ending = {
        "supported": f": the meter keeps showing {span(hidden)} that nobody holds.",
        "refuted": ": they moved together, so what the meter shows is held.",
        "inconclusive": f". {doubt(hidden, worth)}",
    }[found]
    return Ruling(found, hidden, explains, (fell + ending, *phone), (_STOPPED,), _STOPPED)


def _trimmed(m: Measured) -> tuple[str, ...]:
    """Say what the allocator keeps between steps, from the runs that trim and those that do not."""
    cleared, trimmed = (Where("force-clear", name) for name in ("clear", "clear+trim"))
    if m.lack(cleared, trimmed, needed=1) is not None:
        return ()
    kept = [m.given_by_trim(where) for where in (cleared, trimmed)]
    if not all(len(x) for x in kept):
        return ()
    return (
        (
            f"Between steps the allocator keeps {size(kept[0].mean())} that a trim gives back "
            f"({size(kept[1].mean())} where each eviction trims)."
        ),
    )


def session_holds(m: Measured, worth: float) -> Ruling:
    """H1: the engine's session holds memory until it goes."""
    lacks = m.lack(_NEVER, _EVERY_1), m.lack(_STOPPED)
    recreated = None if lacks[0] else difference(m.level(_NEVER), m.level(_EVERY_1))
    drop = m.fall(_STOPPED, "stopped", "trimmed")
    dropped = None if lacks[1] or len(drop) < 2 else mean_of(drop)
    main = recreated or dropped
    nature = _nature(m)
    if main is None:
        told = (lacks[0] or lacks[1] or "The runs of stop-release lack their phases.",)
        return Ruling("inconclusive", None, None, (*told, *_options(m), *nature), ())
    because, used = [], []
    found = decide(main, worth)
    if recreated is not None:
        used += [_NEVER, _EVERY_1]
        because.append(
            f"With a new session every paragraph the level is {size(m.level(_EVERY_1).mean())} "
            f"instead of {size(m.level(_NEVER).mean())}: lower by {span(recreated)}."
        )
        if found == "inconclusive":
            because.append(doubt(recreated, worth))
    if dropped is not None:
        used.append(_STOPPED)
        stop = average(m.fall(_STOPPED, "end", "stopped"))
        given = size(stop) if stop > 0 else "nothing"
        because.append(
            f"Stopping gives back {given}, dropping the session (with a trim) {span(dropped)}."
        )
        if found == "supported" and decide(dropped, worth) == "refuted":
            found = "inconclusive"
            because.append("The two contradict each other.")
    explains, of = None, _STOPPED
    kept = m.fall(_STOPPED, "stopped", "created-again")
    if len(kept):  # what the app's session holds beyond a new one
        explains = max(0.0, average(kept))
    elif recreated is not None:
        explains, of = max(0.0, recreated.value), _NEVER
    because += [*_accounted(m, of), *_between(m), *_options(m), *nature]
    return Ruling(found, main, explains, tuple(because), tuple(used), of)


def _accounted(m: Measured, where: Where) -> tuple[str, ...]:
    """Say what the engine holds in the end by the account, which knows nothing of any drop."""
    parts = m.parts(where)
    if not m.has_readings(where) or not {"engine arena", "models as loaded"} <= set(parts):
        return ()
    arena, models = (float(parts[name].mean()) for name in ("engine arena", "models as loaded"))
    return (
        (
            f"An independent reading, the account of memory at the end of {where}: "
            f"{size(arena)} are held by the engine for the longest sentence, and {size(models)} "
            "are models as loaded, the recognizer's among them."
        ),
    )


def _between(m: Measured) -> tuple[str, ...]:
    """Say how recreation at other intervals fares, which the last level does not show."""
    means = {
        name: m.between_steps(Where("session-recreation", name))
        for name in ("never", "every-10", "every-5", "every-1")
    }
    told = ", ".join(f"{size(x.mean())} ({name})" for name, x in means.items() if len(x))
    if sum(len(x) > 0 for x in means.values()) < 3:
        return ()
    peaks = m.peak(_NEVER), m.peak(_EVERY_1)
    peak = ""
    if all(len(x) for x in peaks):
        peak = f" The peak is {size(peaks[0].mean())} and {size(peaks[1].mean())} (never, every-1)."
    return (f"Between steps, on average: {told}.{peak}",)


def _options(m: Measured) -> tuple[str, ...]:
    both, neither = (Where("session-options", name) for name in ("arena+pattern", "neither"))
    if m.lack(both, neither) is not None:
        return ()
    change = difference(m.level(both), m.level(neither))
    return (
        (
            "Without the engine's arena and memory pattern the level is lower by "
            f"{span(change)}, and the peak {size(average(m.peak(neither)))} instead of "
            f"{size(average(m.peak(both)))}."
        ),
    )


def _nature(m: Measured) -> tuple[str, ...]:
    """Say whether what is held is a leak or a high-water mark, by the verdict on the app's own."""
    where = m.deciding()
    if where is None:
        return ("Leak or high-water mark: no series of the app's own condition decides it.",)
    verdict = str(m.verdict(where))
    words = {
        "high-water": "It is a high-water mark and no leak: the level follows the longest "
        "sentence so far, and stays",
        "leak": "The verdict on the series is leak, which a high-water mark alone would not give: "
        "see its reasons before calling it either",
    }
    default = f"It is no leak: the verdict on the series is {verdict}"
    return (f"{words.get(verdict, default)} ({where.experiment}).",)


def baseline_only(m: Measured, worth: float) -> Ruling:
    """H7: libraries and models explain the level."""
    where = next((w for w in (_BASELINE, *m.app()) if len(m.level(w)) >= 2), _BASELINE)
    lack = m.lack(where)
    if lack is not None:
        return Ruling("inconclusive", None, None, (lack,), ())
    above = m.fall(where, "end", "setup")
    if len(above) < 2:
        told = f"The runs of {where} lack the reading after their setup."
        return Ruling("inconclusive", None, None, (told,), (where,))
    effect = mean_of(above)
    loaded = average(m.at(where, "setup"))
    verdict = m.verdict(where)
    because = [
        (
            f"Interpreter, libraries and models as loaded are {size(loaded)}; the level in the "
            f"end is {size(m.level(where).mean())}, above it by {span(effect)}."
        )
    ]
    above_is = decide(effect, worth)
    if above_is == "supported":
        found: FindingName = "refuted"
        because.append(f"What is above them stays (the verdict on the series: {verdict}).")
    elif above_is == "inconclusive":
        found = "inconclusive"
        because.append(doubt(effect, worth))
    elif verdict == "inconclusive":
        found = "inconclusive"
        because.append("Whether it is flat is not known: the verdict on the series is open.")
    elif verdict == "leak":
        found = "refuted"
        because.append("But it grows: the verdict on the series is leak.")
    else:
        found = "supported"
        because.append(f"Nothing above them grows: the verdict on the series is {verdict}.")
    return Ruling(found, effect, loaded, tuple(because), (where,), where)
