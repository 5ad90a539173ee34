"""How much memory is free here, and how much a run will need: never more at a time than fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from listen2lab.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from listen2lab.study.plan import Plan, Run
    from listen2lab.study.records import RunRecord

__all__ = ["FIRST_GUESS", "RESERVE", "Expectation", "available_memory", "first_guess", "fits"]

FIRST_GUESS = {"tiny": 1200 * MIB, "medium": 6500 * MIB, "high": 13000 * MIB}
"""Peak of a run that is expected before any of its condition has ended, in bytes.

Measured with the lab's own texts: the tiny voice peaks at 550 MiB, with a cache of one paragraph
at 1,040 MiB; the medium one at 2,950 MiB, and twice that is allowed for. The high one was not
measured: its decoder is twice as wide."""

RESERVE = 512 * MIB
"""Left alone for the system and whatever else its user does meanwhile."""

_HIGH_FROM = 80 * MIB  # Piper's medium voices are files of some 60 MiB, high ones of some 110 MiB
_MARGIN = 1.1  # the peaks of one condition's runs differ by a few per cent: texts in another order
_TRACED = 1.5  # memray's own memory, and reading its capture back; some 1.1 was seen


def available_memory(root: Path = Path("/")) -> int:
    """Return the bytes that can be taken here without swapping or being killed.

    What the system calls available (on Linux ``MemAvailable``), or what the limits of this
    process's control groups leave, whichever is less. File pages that the kernel would drop count
    as free in both.
    """
    return min([int(psutil.virtual_memory().available), *_rooms(root)])


def _rooms(root: Path) -> Iterator[int]:
    """Yield what each limit on this process leaves, of control groups v2 and v1."""
    try:
        lines = (root / "proc/self/cgroup").read_text("ascii", "replace").splitlines()
    except OSError:
        return  # not Linux
    for line in lines:
        _, controllers, group = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            names = ("memory.max", "memory.current", "inactive_file")
            mount = root / "sys/fs/cgroup"
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            mount = root / "sys/fs/cgroup/memory"
        else:
            continue
        # In a container the mount shows this group as its root, whatever the path says.
        folder = mount / group.strip("/")
        while True:
            room = _room(folder, *names)
            if room is not None:
                yield room
            if folder == mount or mount not in folder.parents:
                break
            folder = folder.parent


def _room(folder: Path, limit: str, usage: str, dropped: str) -> int | None:
    """Return what one group's limit leaves; None without one (v1 then shows a huge number)."""
    try:
        most = int((folder / limit).read_text("ascii"))
        used = int((folder / usage).read_text("ascii"))
        stat = (folder / "memory.stat").read_text("ascii").splitlines()
        pages = sum(int(line.split()[1]) for line in stat if line.startswith(f"{dropped} "))
    except (OSError, ValueError, IndexError):
        return None  # "max", or no such group here
    return max(0, most - used + pages)


def first_guess(voice: str | None) -> int | None:
    """Return the peak to expect of a voice that was never measured; None: unknown."""
    if voice is None or voice in FIRST_GUESS:
        return None if voice is None else FIRST_GUESS[voice]
    sizes = [path.stat().st_size for path in Path(voice).expanduser().glob("*.onnx")]
    return FIRST_GUESS["high" if max(sizes, default=0) >= _HIGH_FROM else "medium"]


class Expectation:
    """The peak that a run is expected to reach, by what ended before it.

    Parameters
    ----------
    plan
        Its memory limit is also the most that a run can take.
    guess
        See `first_guess`.
    """

    def __init__(self, plan: Plan, guess: int | None) -> None:
        self._limit = plan.memory_limit
        self._guess = guess
        self._peaks: dict[tuple[str, str, bool], int] = {}

    def learn(self, run: Run, result: RunRecord) -> None:
        """Take the peak of a run that has ended; one that broke off says nothing."""
        if result.outcome in ("complete", "killed"):
            key = (run.experiment.name, run.level.name, run.traced)
            self._peaks[key] = max(result.peak_rss or 0, self._peaks.get(key, 0))

    def of(self, run: Run) -> int | None:
        """Return the expected peak in bytes, or None: nothing is known, it must run alone.

        That of the same condition's runs, with a margin; before one has ended, the voice's first
        guess or the experiment's largest peak, whichever is more, for each synthesis in flight.
        """
        name, level = run.experiment.name, run.level.name
        own = self._peaks.get((name, level, run.traced))
        plain = self._peaks.get((name, level, False))
        if own is not None:
            expected = _MARGIN * own
        elif plain is not None:
            expected = _TRACED * plain
        elif self._guess is not None:
            of_experiment = (peak for key, peak in self._peaks.items() if key[0] == name)
            in_flight = int(run.experiment.settings(run.level).get("in_flight", 1))
            expected = max([self._guess * in_flight, *of_experiment])
        else:
            return self._limit
        return int(min(expected, self._limit or expected))


def fits(expected: int | None, beside: Iterable[tuple[int | None, int]], available: int) -> bool:
    """Tell whether a run may start beside others.

    All of them must be able to reach their peaks at once, with `RESERVE` left; of each run under
    way, `beside` has the expected peak and what it holds now. None: nothing is known of it.
    """
    if expected is None:
        return False
    still_to_come = 0
    for peak, held in beside:
        if peak is None:
            return False
        still_to_come += max(0, peak - held)
    return expected + still_to_come <= available - RESERVE
