"""MetricKit payloads of iOS: a day's peak, and how often the system killed the app for memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from listen2lab.device.formats.numbers import MOST_BYTES, read_number
from listen2lab.device.formats.reading import Format, Header, clean, loaded
from listen2lab.device.formats.schema import Snapshot, make_snapshot
from listen2lab.notice import Notice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listen2lab.device.formats.lines import Content
    from listen2lab.device.formats.tally import Tally

__all__ = ["FORMAT", "read_metrickit"]

_UNITS = {"b": 1, "bytes": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3}
"""Foundation's units of information are decimal."""
_SIZE = re.compile(r"([\d.,'\u00a0\u202f ]*\d)\s*([A-Za-z]+)$")
_EXITS = ("cumulativeMemoryResourceLimitExitCount", "cumulativeMemoryPressureExitCount")
_MOST_DEEP = 3


def read_metrickit(content: Content, tally: Tally) -> list[Snapshot]:
    """Read payloads, one a file, in an array, or one a line: one snapshot a day."""
    lines = [line for _, line in content.texts()]
    whole = loaded("\n".join(lines))
    data = [whole] if whole is not None else [loaded(line) for line in lines]
    found = [
        snapshot
        for payload in _payloads(data)
        if (snapshot := _snapshot(payload, tally.name)) is not None
    ]
    if found:
        tally.many_recognised += tally.lines
    elif all(each is None for each in data):
        tally.bad(1, "json-damaged")
    return found


FORMAT = Format("metrickit", read_metrickit, marks=(b'"memoryMetrics"',))


def _payloads(data: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the payloads in what may hold several."""
    if isinstance(data, dict) and isinstance(data.get("memoryMetrics"), dict):
        yield data
    elif depth < _MOST_DEEP and isinstance(data, (dict, list)):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _payloads(each, depth + 1)


def _snapshot(payload: dict[str, Any], source: str) -> Snapshot | None:
    memory, about = payload["memoryMetrics"], payload.get("metaData")
    peak = _bytes(memory.get("peakMemoryUsage"))
    if peak is None:
        return None
    name = about.get("bundleIdentifier") if isinstance(about, dict) else None
    head = Header(clean(str(name)[:80]) if name else "", 0, 1)
    head.platform = "iOS"
    head.when = clean(str(payload.get("timeStampEnd", ""))[:40])
    suspended = memory.get("averageSuspendedMemory")
    kept = _bytes(suspended.get("averageValue")) if isinstance(suspended, dict) else None
    notes = [Notice("a-days-peak", {"size": peak})]
    notes += [Notice("suspended", {"size": kept})] if kept is not None else []
    exits = payload.get("applicationExitMetrics")
    for side in ("foregroundExitData", "backgroundExitData"):
        of_side = exits.get(side) if isinstance(exits, dict) else None
        many = [of_side.get(name) for name in _EXITS] if isinstance(of_side, dict) else []
        if any(isinstance(each, int) and 0 < each < MOST_BYTES for each in many):
            limit, pressure = (each if isinstance(each, int) else 0 for each in many)
            where = side.removesuffix("ExitData")
            notes.append(
                Notice("killed-in-a-day", {"in": where, "limit": limit, "pressure": pressure})
            )
    return make_snapshot("MetricKit", head, None, peak, None, (), source, notes=notes)


def _bytes(text: Any) -> int | None:
    """Return a measurement's bytes."""
    found = _SIZE.match(str(text).strip()[:40])
    if found is None:
        return None
    value, unit = read_number(found[1].replace(" ", "")), _UNITS.get(found[2].lower())
    if value is None or unit is None or not 0 <= value * unit <= MOST_BYTES:
        return None
    return round(value * unit)
