"""The next measurement that would decide, with the commands to take it on a Mac."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.device.beside import largest_snapshot

if TYPE_CHECKING:
    from listen2lab.device.evidence import Evidence

__all__ = ["proposals"]

_GRAPH = (
    "# Xcode, app running on the phone: Debug > Debug Workflow > View Memory Graph Hierarchy, then",
    "# File > Export Memory Graph... as early.memgraph; once more at the end as late.memgraph",
)
_STACKS = (
    "# Xcode: Product > Scheme > Edit Scheme > Run > Diagnostics: switch on",
    "# Malloc Stack Logging (Live Allocations Only); export late.memgraph again",
)
_FOOTPRINTS = (
    *_GRAPH,
    "footprint early.memgraph > early.txt",
    "footprint late.memgraph > late.txt",
    "listen2lab device phone.log early.txt late.txt",
)
_LOG = (
    "xcrun devicectl list devices",
    (
        "xcrun devicectl device process launch --console --terminate-existing --device DEVICE-NAME "
        "BUNDLE-ID | tee phone.log"
    ),
    "listen2lab device phone.log",
)
_MANY = 60


def proposals(
    answer: dict[str, Any], evidence: Evidence, experiments: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Return what to measure next, what decides most first.

    Parameters
    ----------
    answer
        What was found so far: ``log``, ``snapshots``, ``beside`` as in
        `listen2lab.device.answer.answer`.
    evidence
        What was read.
    experiments
        Names of the lab's experiments that there are.

    Returns
    -------
    list of dict
        ``why`` in a sentence, and ``commands``.
    """
    out: list[dict[str, Any]] = []
    log = answer.get("log")
    verdict = None if log is None else log["verdict"]
    by_category = [s for s in evidence.snapshots if s.categories]
    if log is None:
        out.append(_one("There is no log, so nothing is known of growth: save one.", _LOG))
    elif verdict is None or verdict["steps"] < 50 or verdict["verdict"] == "inconclusive":
        steps = 0 if verdict is None else verdict["steps"]
        why = (
            f"{steps} paragraphs are too few for a firm verdict: play {_MANY} in one go, three "
            "times, each in a freshly started app, and give all the logs together."
        )
        out.append(_one(why, (*_LOG[:2], "listen2lab device first.log second.log third.log")))
    if log is not None and answer["difference"] is None:
        out.append(_one(_why_footprints(verdict), _FOOTPRINTS))
    elif not by_category:
        out.append(_one("No report says what kind of memory it is: take one.", _FOOTPRINTS))
    out += _by_owner(evidence)
    out += _in_the_lab(log, experiments)
    return out


def _one(why: str, commands: tuple[str, ...]) -> dict[str, Any]:
    return {"why": why, "commands": list(commands)}


def _why_footprints(verdict: dict[str, Any] | None) -> str:
    if verdict is not None and verdict["verdict"] == "leak":
        return (
            "Resident size grows. Whether it is a leak, only the footprint tells: if it grows by "
            "as much from an early to a late snapshot, the memory is held; if not, these are freed "
            "pages that the system has not taken back."
        )
    return (
        "The app logs resident size. A footprint early and one late say how much of it the kill "
        "limit counts, and of what kind it is."
    )


def _by_owner(evidence: Evidence) -> list[dict[str, Any]]:
    """Return what to look at in the owner that holds most."""
    snapshot = largest_snapshot(evidence)
    owners = {} if snapshot is None else snapshot.by_owner()
    if not owners:
        return []
    largest = max(owners, key=lambda o: owners[o]["counted"] or 0)
    if largest.startswith("heap"):
        who = "malloc_history late.memgraph -allBySize | head -200"
        if evidence.heaps:
            why = (
                f"Most of it lies in {largest}, and its blocks are counted: see who allocated them."
            )
            return [_one(why, (*_STACKS, who))]
        why = f"Most of it lies in {largest}: see which blocks are live, and who allocated them."
        reports = (
            "heap -s late.memgraph > heap.txt",
            "leaks late.memgraph > leaks.txt",
            "vmmap -summary late.memgraph > zones.txt",
            "listen2lab device heap.txt leaks.txt zones.txt",
        )
        return [_one(why, (*_STACKS, who, *reports))]
    if largest == "graphics and UI":
        why = "Most of it is graphics and UI, which speech synthesis has none of: see whose it is."
        return [_one(why, ("vmmap late.memgraph | grep -E 'IOSurface|CG |Core|graphics'",))]
    if largest == "VM allocate":
        why = "Most of it was asked of the system directly, not of malloc: see who asked."
        return [_one(why, ("malloc_history late.memgraph -callTree -invert | head -200",))]
    return []


def _in_the_lab(log: dict[str, Any] | None, experiments: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the lab's experiments that the phone's log points to."""
    if log is None:
        return []
    out = []
    names: list[str]
    longest, overlaps = log["questions"]["longest"], log["questions"]["overlaps"]
    if overlaps["most_at_once"] > 1 and "concurrency" in experiments:
        why = "Several syntheses ran at once on the phone: the lab measures what that costs."
        out.append(_one(why, ("listen2lab run concurrency --voice medium",)))
    share = None if longest is None else longest["share_at_records"]
    if share is not None and share > 0.5:
        names = [n for n in ("utterance-length", "session-options", "baseline") if n in experiments]
        why = "Memory rose mostly at the longest paragraphs: the lab varies just that."
        out += [_one(why, (f"listen2lab run {names[0]} --voice medium",))] if names else []
    elif log["verdict"] is not None and log["verdict"]["verdict"] == "leak":
        names = [n for n in ("session-recreation", "alignment", "cache-size") if n in experiments]
        why = "Growth with each paragraph: the lab switches its possible causes off one by one."
        if names:
            out.append(_one(why, (f"listen2lab run {' '.join(names)} --voice medium",)))
    return out
