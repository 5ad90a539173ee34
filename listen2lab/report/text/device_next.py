"""What to measure next, in words, with the commands for a Mac or a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.device import counted

if TYPE_CHECKING:
    from listen2lab.notice import Notice

__all__ = ["LAB_EXPERIMENTS", "next_step"]

_GRAPH = (
    "# Xcode, app running on the phone: Debug > Debug Workflow > View Memory Graph Hierarchy, then",
    "# File > Export Memory Graph... as early.memgraph; once more at the end as late.memgraph",
)
_STACKS = (
    "# Xcode: Product > Scheme > Edit Scheme > Run > Diagnostics: switch on",
    "# Malloc Stack Logging (Live Allocations Only); export late.memgraph again",
    "malloc_history late.memgraph -allBySize | head -200",
)
_MAC_STACKS = "# start the app with MallocStackLogging=1 in its environment"
_FOOTPRINTS = (
    *_GRAPH,
    "footprint early.memgraph > early.txt",
    "footprint late.memgraph > late.txt",
    "listen2lab device phone.log early.txt late.txt",
)
_DEVICES = "xcrun devicectl list devices"
_LAUNCH = (
    "xcrun devicectl device process launch --console --terminate-existing --device DEVICE-NAME "
    "BUNDLE-ID | tee "
)
_LOG = (_DEVICES, f"{_LAUNCH}phone.log", "listen2lab device phone.log")
_AGAIN = (
    _DEVICES,
    f"{_LAUNCH}first.log    # then second.log, and third.log",
    "listen2lab device first.log second.log third.log",
)
LAB_EXPERIMENTS = {
    "lab-concurrency": ("concurrency",),
    "lab-lengths": ("utterance-length",),
    "lab-causes": ("session-recreation", "alignment", "cache-size"),
}
"""Which of the lab's experiments a step asks for."""
_PLAY = "play 60 in one go, three times, each in a freshly started app"

_WHY = {
    "android-two-reports": "One report says nothing of growth: take one early and one late, in one "
    "run of the app.",
    "android-samples": "A sample every five seconds shows the curve between the reports.",
    "longer-series": "{many} so far: sample three runs of the same work in fresh processes, 100 or "
    "more each, a file each, and give them together.",
    "kind-of-memory": "A series says how much, and not of which kind: take a report early and one "
    "late in the same run.",
    "classes-grew": "What grew is known by its class: see who allocated it.",
    "linux-who": "Which mappings grew is known: see who allocated what is in them.",
    "android-one-process": "This is the whole device: one process's report has what kind of memory "
    "it is.",
    "linux-two-reports": "One moment says nothing of growth: take it early and late in one run.",
    "early-and-late": "One moment says nothing of growth: take the same report early and late in "
    "one run, or sample it.",
    "android-heap-dump": "See who refers to what piles up: take a heap dump, and open it in "
    "Android Studio.",
    "freed-and-kept": "Most of it was freed, and malloc keeps it: see whether a next round of the "
    "same work needs less than that again. If it does not grow, it is a high-water mark.",
    "look-at-gpu": "Most of it is GPU buffers, a user interface's or a model's (weights and "
    "tensors of Metal): see whose they are.",
    "whole-report": "What holds most of it stands in no row of the report: take it again, whole.",
    "log-at-all": "There is no log, so nothing is known of growth: save one.",
    "log-without-memory": "The log holds no memory after a paragraph, so nothing is known of "
    f"growth: {_PLAY}, and give all the logs together.",
    "more-steps": f"{{many}} too few for a firm verdict: {_PLAY}, and give all the logs together.",
    "longest-first": f"{{many}} left it open (the reasons stand with the verdict): {_PLAY}, the "
    "longest paragraph among the first ten, and give all the logs together.",
    "footprints-of-a-leak": "Resident size grows. Whether it is a leak, only the footprint tells: "
    "if it grows by as much from an early to a late snapshot, the memory is held; if not, these "
    "are freed pages that the system has not taken back.",
    "footprints": "The app logs resident size. A footprint early and one late say how much of it "
    "the kill limit counts, and of what kind it is.",
    "who-allocated": "Most of it lies in {owner}, and its blocks are counted: see who allocated "
    "them.",
    "which-blocks": "Most of it lies in {owner}: see which blocks are live, and who allocated "
    "them.",
    "look-at-graphics": "Most of it is graphics and UI, which speech synthesis has none of: see "
    "whose it is.",
    "look-at-vm-allocate": "Most of it was asked of the system directly, not of malloc: see who "
    "asked.",
    "which-regions": "Most of it lies in {owner}: see which regions, and what they map.",
    "lab-concurrency": "Several syntheses ran at once on the phone: the lab measures what that "
    "costs.",
    "lab-lengths": "Memory rose mostly at the longest paragraphs: the lab varies just that.",
    "lab-causes": "Growth with each paragraph: the lab switches its possible causes off one by "
    "one.",
}
_SAMPLER = (
    "while sleep 5; do echo $(date +%s),$(adb shell dumpsys meminfo PACKAGE | "
    "awk '$1 == \"TOTAL\" {print $2; exit}'); done >> phone.csv    # Ctrl-C ends it"
)
_COMMANDS: dict[str, tuple[str, ...]] = {
    "android-two-reports": (
        "adb shell dumpsys meminfo PACKAGE > early.txt    # after some five paragraphs",
        "adb shell dumpsys meminfo PACKAGE > late.txt     # at the end",
        "listen2lab device early.txt late.txt",
    ),
    "android-samples": ("echo time,pss_kb > phone.csv", _SAMPLER, "listen2lab device phone.csv"),
    "android-one-process": (
        "adb shell dumpsys meminfo PACKAGE > early.txt",
        "listen2lab device early.txt",
    ),
    "android-heap-dump": (
        "adb shell am dumpheap PACKAGE /data/local/tmp/late.hprof",
        "adb pull /data/local/tmp/late.hprof",
    ),
    "linux-two-reports": (
        "cat /proc/PID/smaps > early.txt    # after some rounds; then late.txt, at the end",
        "listen2lab device early.txt late.txt",
    ),
    "early-and-late": (
        "footprint APP > early.txt    # after some rounds; then late.txt, at the end",
        "footprint --sample 5 APP     # or every five seconds",
        "listen2lab device early.txt late.txt",
    ),
    "freed-and-kept": ("footprint APP > later.txt", "listen2lab device early.txt later.txt"),
    "look-at-gpu": ("footprint APP | grep -E 'IOAccelerator|Metal|graphics'",),
    "whole-report": ("vmmap -summary APP > late.txt", "listen2lab device late.txt"),
    "longer-series": ("listen2lab device first.csv second.csv third.csv",),
    "kind-of-memory": (
        "footprint APP > early.txt                        # macOS, Simulator; then late.txt",
        "adb shell dumpsys meminfo PACKAGE > early.txt    # Android",
        "cat /proc/PID/smaps > early.txt                  # Linux",
        "listen2lab device early.txt late.txt",
    ),
    "classes-grew": _STACKS,
    "linux-who": (
        "heaptrack --pid PID                 # C and C++; for Python: memray attach PID",
        "listen2lab watch --trace FILE.py    # a workload in Python, step by step",
    ),
    "log-at-all": _LOG,
    **dict.fromkeys(("log-without-memory", "more-steps", "longest-first"), _AGAIN),
    **dict.fromkeys(("footprints", "footprints-of-a-leak"), _FOOTPRINTS),
    "who-allocated": _STACKS,
    "which-blocks": (
        *_STACKS,
        "heap -s late.memgraph > heap.txt",
        "leaks late.memgraph > leaks.txt",
        "vmmap -summary late.memgraph > zones.txt",
        "listen2lab device heap.txt leaks.txt zones.txt",
    ),
    "look-at-graphics": ("vmmap late.memgraph | grep -E 'IOSurface|CG |Core|graphics'",),
    "look-at-vm-allocate": ("malloc_history late.memgraph -callTree -invert | head -200",),
    "which-regions": ("vmmap late.memgraph > regions.txt", "listen2lab device regions.txt"),
    **{
        code: (f"listen2lab run {' '.join(names)} --voice medium",)
        for code, names in LAB_EXPERIMENTS.items()
    },
}


def next_step(step: Notice) -> tuple[str, tuple[str, ...]]:
    """Return why something should be measured next, and the commands that do it."""
    many = ""
    if "steps" in step.values:
        steps = int(str(step.values["steps"]))
        many = counted(steps, str(step.values["unit"]))
        if step.code == "more-steps":
            many += " is" if steps == 1 else " are"
    why = _WHY[step.code].format(many=many, owner=step.values.get("owner"))
    commands = _COMMANDS[step.code]
    if step.values.get("in") == "process":
        commands = tuple(
            command.replace("late.memgraph", "APP")
            for command in commands
            if command not in _STACKS[:2]
        )
        if step.code in {"which-blocks", "who-allocated", "classes-grew"}:
            commands = (_MAC_STACKS, *commands)
    return why, commands
