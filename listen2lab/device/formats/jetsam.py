"""JetsamEvent reports of iOS (.ips): what every process held when the system killed one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.device.formats.numbers import MOST_BYTES
from listen2lab.device.formats.reading import Format, Header, clean, loaded
from listen2lab.device.formats.schema import Snapshot, make_snapshot
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.tally import Tally

__all__ = ["FORMAT", "read_jetsam"]


def read_jetsam(content: Content, tally: Tally) -> list[Snapshot]:
    """Read a report: one snapshot a process, those that were killed first, then the largest."""
    lines = [line for _, line in content.texts()]
    whole = "\n".join(lines)
    body = _object(whole) or _object("\n".join(lines[1:]))  # a header line stands before it
    if body is None:
        tally.bad(1, "json-damaged")
        return []
    status, processes = body.get("memoryStatus"), body.get("processes")
    page = status.get("pageSize") if isinstance(status, dict) else None
    if not isinstance(page, int) or not isinstance(processes, list):
        return []
    found = [_snapshot(each, page, tally.name) for each in processes if isinstance(each, dict)]
    known = [snapshot for snapshot in found if snapshot is not None]
    if known:
        tally.many_recognised += tally.lines
    return sorted(known, key=lambda s: (not s.notes, -(s.counted or 0)))


def _object(text: str) -> dict[str, Any] | None:
    found = loaded(text)
    return found if isinstance(found, dict) and "processes" in found else None


def _snapshot(process: dict[str, Any], page: int, source: str) -> Snapshot | None:
    pages, most, pid = (process.get(name) for name in ("rpages", "lifetimeMax", "pid"))
    if not isinstance(pages, int) or not 0 <= pages * page <= MOST_BYTES:
        return None
    head = Header(clean(str(process.get("name", ""))), pid if isinstance(pid, int) else 0, 1)
    head.platform = "iOS"
    peak = most * page if isinstance(most, int) and 0 <= most * page <= MOST_BYTES else None
    reason = process.get("reason")
    notes = [Notice("killed", {"reason": clean(str(reason)[:60])})] if reason else []
    return make_snapshot("jetsam", head, pages * page, peak, None, (), source, notes=notes)


FORMAT = Format("jetsam", read_jetsam, marks=(b'"largestProcess"', b'"rpages"'))
