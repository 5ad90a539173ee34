"""The next measurement that would decide, with the commands to take it on a Mac."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.device.lab_match import largest_snapshot
from listen2lab.report.text.device import counted

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
_DUMPSYS = (
    "adb shell dumpsys meminfo PACKAGE > early.txt    # after some five paragraphs",
    "adb shell dumpsys meminfo PACKAGE > late.txt     # at the end",
    "listen2lab device early.txt late.txt",
)
_SAMPLER = (
    "echo time,pss_kb > phone.csv",
    (
        "while sleep 5; do echo $(date +%s),$(adb shell dumpsys meminfo PACKAGE | "
        "awk '$1 == \"TOTAL\" {print $2; exit}'); done >> phone.csv    # Ctrl-C ends it"
    ),
    "listen2lab device phone.csv",
)
_MANY = 60
_NO_MEMORY = "The log holds no memory after a paragraph, so nothing is known of growth"
FIRM = 50
"""Paragraphs below which no verdict is firm (see `listen2lab.verdict.judge`)."""


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
    if any(s.tool == "dumpsys" for s in evidence.snapshots_of_app()):
        return _android(answer)
    log = answer["log"]
    verdict = None if log is None else log["verdict"]
    out = _of_growth(answer, verdict)
    if log is not None and answer["difference"] is None:
        out.append(_one(_why_footprints(verdict), _FOOTPRINTS))
    elif not evidence.snapshots_of_app():
        out.append(_one("No report says what kind of memory it is: take one.", _FOOTPRINTS))
    out += _by_owner(evidence)
    out += _in_the_lab(log, experiments)
    return out


def _of_growth(answer: dict[str, Any], verdict: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return what would make the verdict firm."""
    again = (
        _LOG[0],
        f"{_LOG[1].replace('phone.log', 'first.log')}    # then second.log, and third.log",
        "listen2lab device first.log second.log third.log",
    )
    if answer["log"] is None:
        if answer["series"]:
            why = (
                "A series over time says nothing of paragraphs, nor whether memory follows the "
                "longest one: save the app's log of the same run."
            )
            return [_one(why, _LOG)]
        return [_one("There is no log, so nothing is known of growth: save one.", _LOG)]
    steps = 0 if verdict is None else verdict["steps"]
    play = f"play {_MANY} in one go, three times, each in a freshly started app"
    if steps < FIRM:
        unit = "paragraph" if verdict is None else verdict["unit"]
        few = f"{counted(steps, unit)} {'is' if steps == 1 else 'are'} too few for a firm verdict"
        why = f"{few if steps else _NO_MEMORY}: {play}, and give all the logs together."
        return [_one(why, again)]
    if verdict is not None and verdict["verdict"] == "inconclusive":
        why = (
            f"{steps} paragraphs left it open (the reasons stand with the verdict): {play}, the "
            "longest paragraph among the first ten, and give all the logs together."
        )
        return [_one(why, again)]
    return []


def _android(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the same for a phone that Apple's tools do not reach."""
    out = []
    if answer["difference"] is None:
        why = (
            "One report says nothing of growth: take one early and one late, in one run of the app."
        )
        out.append(_one(why, _DUMPSYS))
    if not answer["series"]:
        why = "A sample every five seconds shows the curve between the reports."
        out.append(_one(why, _SAMPLER))
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
    why = f"Most of it lies in {largest}: see which regions, and what they map."
    return [_one(why, ("vmmap late.memgraph > regions.txt", "listen2lab device regions.txt"))]


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
