"""Read a process's memory: resident, anonymous, peak, and what the allocator holds.

What each quantity is, and how it misleads, stands in ``docs/quantities.md``. On Linux this reads
/proc and asks glibc through ctypes; elsewhere psutil gives the fewer quantities it has. A quantity
that a system does not give is absent from the sample, and `Meter.gaps` says why: nothing is
guessed.
"""

from __future__ import annotations

import os

from listen2lab.errors import ProbeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Meter", "outside"]

# The lines of smaps_rollup that are kept, and the words used for them everywhere.
_ROLLUP = {
    b"Rss": "rss",
    b"Anonymous": "anonymous",
    b"Private_Dirty": "private_dirty",
    b"LazyFree": "lazy_free",
    b"Swap": "swap",
}
# The lines of status; VmHWM is the peak since the last reset.
_STATUS = {
    b"VmRSS": "rss",
    b"RssAnon": "anonymous",
    b"RssShmem": "shared",
    b"VmHWM": "peak",
    b"VmSwap": "swap",
}
_RESET_PEAK = b"5"  # what Documentation/filesystems/proc names for clear_refs


class Meter:
    """Reads this process's memory, with whatever this system gives.

    `gaps` has the quantities that cannot be read here, each with the reason's code: ``no-proc``
    (psutil's unique set size stands in for anonymous memory), ``no-smaps-rollup`` (a counter of
    status does), ``smaps-rollup-failed``, ``no-mallinfo2`` (glibc 2.33 or newer has it),
    ``peak-not-reset``.
    """

    def __init__(self, proc: str = "/proc/self") -> None:
        self.gaps: dict[str, str] = {}
        self._rollup = _open(f"{proc}/smaps_rollup")
        self._status = _open(f"{proc}/status")
        self._clear_refs = f"{proc}/clear_refs"
        self._psutil: Callable[[], dict[str, int]] | None = None
        if self._status < 0:
            self._psutil = _psutil_reader()
            self.gaps["anonymous"] = "no-proc"
        elif self._rollup < 0:
            self.gaps["private_dirty"] = self.gaps["lazy_free"] = "no-smaps-rollup"
        self._counters_exact = self._psutil is None and self._follow_every_page()
        self._mallinfo, self._trim = _glibc()
        if self._mallinfo is None:
            self.gaps["in_use"] = "no-mallinfo2"
        self.reset_peak()

    def read(self, *, walk: bool = True) -> dict[str, int]:
        """Read one sample, in bytes (``minor_faults``: a count since the process began).

        ``shared`` is what processes share and no file on a disk backs, ``peak`` counts since
        `reset_peak`; ``in_use``, ``kept`` and ``mapped`` are malloc's live bytes, its free ones,
        and the part of the live ones in mappings of their own. With `walk` smaps_rollup is read as
        well, for which the kernel walks every page: 10 ms for 500 MB. Without it ``private_dirty``
        and ``lazy_free`` are absent, and ``rss`` and ``anonymous`` come from counters where those
        follow every page, as newer kernels' do.
        """
        sample: dict[str, int] = {}
        if self._psutil is not None:
            sample.update(self._psutil())
        else:
            sample.update(_kib_lines(os.pread(self._status, 4096, 0), _STATUS))
            if self._rollup >= 0 and (walk or not self._counters_exact):
                try:
                    rollup = os.pread(self._rollup, 4096, 0)
                except OSError:
                    self.gaps.setdefault("private_dirty", "smaps-rollup-failed")
                else:
                    sample.update(_kib_lines(rollup, _ROLLUP))
        if "peak" in self.gaps:
            sample.pop("peak", None)
        if self._mallinfo is not None:
            sample.update(self._mallinfo())
        import resource  # not on every system

        sample["minor_faults"] = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        return sample

    def _follow_every_page(self) -> bool:
        """Return whether the counter of anonymous pages moves with each page that is touched.

        Many kernels add pages up in batches of 32 or 64 before they show; from some 6.16 on the
        sum is exact.
        """
        import mmap  # only here

        page, pages = mmap.PAGESIZE, 16
        seen = []
        with mmap.mmap(-1, pages * page, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
            for k in range(pages):
                block[k * page] = 1
                counters = _kib_lines(os.pread(self._status, 4096, 0), _STATUS)
                seen.append(counters.get("anonymous", 0))
        return all(seen[k + 1] - seen[k] >= page for k in range(pages - 1))

    def in_use(self) -> int:
        """Return malloc's live bytes now; 0 where they cannot be read."""
        return 0 if self._mallinfo is None else self._mallinfo()["in_use"]

    def resident(self) -> int:
        """Return the resident bytes now, as the app logs them: a counter, no walk of the pages."""
        if self._psutil is not None:
            return self._psutil()["rss"]
        return _kib_lines(os.pread(self._status, 4096, 0), _STATUS)["rss"]

    def reset_peak(self) -> None:
        """Make ``peak`` count from now; where that is not allowed, ``peak`` becomes a gap."""
        if "peak" in self.gaps:
            return
        try:
            fd = os.open(self._clear_refs, os.O_WRONLY)
            try:
                os.write(fd, _RESET_PEAK)
            finally:
                os.close(fd)
        except OSError:  # a peak of the whole life would pass for a step's
            self.gaps["peak"] = "peak-not-reset"

    def trim(self) -> bool:
        """Give the allocator's free pages back to the system; False where that cannot be asked."""
        if self._trim is None:
            return False
        self._trim()
        return True


def outside(pid: int) -> dict[str, int]:
    """Read another process's counters, without walking its page tables; nothing when it is gone.

    The counters of status cost microseconds and hold no lock, so that a parent may poll them;
    smaps_rollup of a large process would stop the process while it is read.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            return _kib_lines(file.read(), _STATUS)
    except OSError:
        if os.path.exists("/proc/self/status"):
            return {}
    import psutil  # only where there is no /proc

    try:
        return {"rss": int(psutil.Process(pid).memory_info().rss)}
    except psutil.Error:
        return {}


def _open(path: str) -> int:
    fd = -1
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.pread(fd, 1, 0)  # some sandboxes let it be opened and not read
    except OSError:
        if fd >= 0:
            os.close(fd)
        return -1
    return fd


def _kib_lines(text: bytes, wanted: dict[bytes, str]) -> dict[str, int]:
    lines = (line.partition(b":") for line in text.split(b"\n"))
    return {
        wanted[name]: int(rest.split()[0]) * 1024
        for name, colon, rest in lines
        if colon and name in wanted
    }


def _glibc() -> tuple[Callable[[], dict[str, int]] | None, Callable[[], object] | None]:
    """Return readers for mallinfo2 and malloc_trim, or None for what the C library lacks."""
    import ctypes  # kept out of processes that only read others

    library = ctypes.CDLL(None)
    trim = getattr(library, "malloc_trim", None)
    mallinfo2 = getattr(library, "mallinfo2", None)
    release = None if trim is None else lambda: trim(ctypes.c_size_t(0))
    if mallinfo2 is None:
        return None, release

    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"

    class MallInfo2(ctypes.Structure):
        _fields_ = tuple((name, ctypes.c_size_t) for name in names.split())

    mallinfo2.restype = MallInfo2

    def read() -> dict[str, int]:
        info = mallinfo2()
        in_use = info.uordblks + info.hblkhd
        return {"in_use": in_use, "kept": info.fordblks, "mapped": info.hblkhd}

    return read, release


def _psutil_reader() -> Callable[[], dict[str, int]]:
    try:
        import psutil  # only where there is no /proc
    except ImportError as error:
        raise ProbeError(
            "this system has no /proc, and psutil is not installed in the worker's environment; "
            "install psutil there"
        ) from error
    process = psutil.Process()

    def read() -> dict[str, int]:
        info = process.memory_full_info()
        return {"rss": int(info.rss), "anonymous": int(info.uss)}

    return read
