"""Evidence from a phone in words: verdicts, caveats, and what was understood of each file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.format import DASH, fill, rate, size
from listen2lab.report.text.verdicts import REASONS, confidence
from listen2lab.units import KIB, MIB

if TYPE_CHECKING:
    from listen2lab.device.formats.tally import Source
    from listen2lab.device.judging import Judged
    from listen2lab.device.log_summary import SessionFacts
    from listen2lab.notice import Notice

__all__ = [
    "CAVEATS", "KINDS", "READABLE", "amount", "cell", "counted", "note_text", "nothing_read",
    "problem_text", "sentence_of", "session_began", "session_name", "signed", "source_line",
    "subject", "verdict",
]  # fmt: skip

KINDS = {
    "app-log": "the app's log",
    "vmmap": "vmmap",
    "footprint": "footprint",
    "footprint-json": "footprint, as JSON",
    "heap": "heap",
    "leaks": "leaks",
    "dumpsys": "dumpsys meminfo",
    "linux-proc": "smaps, status, pmap or showmap",
    "malloc-history": "malloc_history",
    "jetsam": "a JetsamEvent report",
    "metrickit": "a MetricKit payload",
    "csv": "a table of time and memory",
    "jsonl": "JSON lines of time and memory",
    "blanks": "a table of memory, with blanks between columns",
    "memory-lines": "lines that name a memory",
}
READABLE = (
    "the app's log; what vmmap, footprint (as text or JSON), heap, leaks, malloc_history, dumpsys "
    "meminfo, showmap, smaps, status, pmap, ps, top, pidstat, docker stats, psrecord or mprof "
    "printed; JetsamEvent and MetricKit files; a table, JSON lines or log lines of time and memory"
)
CAVEATS = {
    "resident-size": "This is resident size. Freed pages may stay in it, and compressed or swapped "
    "ones leave it: what the system counts (iOS the footprint, Linux anonymous and swapped memory) "
    "decides.",
    "compressed": "A report shows more than a tenth of the footprint compressed or swapped: "
    "resident size says too little, so no verdict on it stands.",
    "restarted": "The log holds several processes (the app was restarted, or two ran at once): the "
    "series is split there, and each part counts as a process of its own.",
    "few-breakdowns": "Fewer than 15 memory breakdowns: what the app cannot account for is not "
    "judged by itself, but through the memory logged with each paragraph.",
    "overlapping-syntheses": "Several syntheses ran at once, so memory after one of them holds the "
    "others' working memory too.",
    "no-audio-lengths": "The log does not say how long the paragraphs are, so a level that follows "
    "the longest one is known by its shape only.",
    "lines-lost": "More than one in fifty of the app's lines is damaged; paragraphs may be "
    "missing.",
    "time-backwards": "Times go backwards somewhere; the order of the lines was used.",
    "uneven-times": "The samples do not stand evenly in time; they were put on an even grid first.",
}
_NOTES = {
    "no-row": "{text!r} is no row of a {tool} table",
    "no-size": "{text!r} holds no size",
    "no-count": "{text!r} holds no count",
    "no-time": "{text!r} is no time",
    "no-memory": "{text!r} is no memory",
    "no-json": "is no JSON object",
    "json-damaged": "here it stops being JSON; nothing of it was read",
    "cells": "has {cells} cells where the header has {header}",
    "time-goes-back": "the time goes back by {seconds:seconds}",
    "unit-guessed": "no unit stands in {column!r}; it was taken as {unit}",
    "processes-left-out": "{many:count} more processes were left out: the largest are shown",
    "line-too-long": "longer than {most:size}; it was not read",
    "ends-early": "the stream ends early ({error}); what came before is kept",
    "nul-bytes": "holds NUL bytes; they were left out",
    "cut-or-damaged": "begins like a line of the app ({words}) and is cut or damaged",
    "number-negative": "a {field} of {text} is negative",
    "number-absurd": "a {field} of {text} is absurd or no number",
}
_PROBLEMS = {
    "no-file": "{file} cannot be read ({error}); it was left out; name a file that there is",
    "directory": "{file} is a directory; it was left out; name files",
    "empty": "{file} is empty; there is nothing to read in it",
    "cannot-unpack": "{file} cannot be unpacked ({error}); it was left out; pack it again",
    "same-run": "{file} and {other} hold the same run of the app; it was counted once; give each "
    "run's log once, the longest",
}
_NOT_TEXT = {
    "binary": "binary, not text; give the text that a tool printed",
    "property-list": "a binary property list, probably a .memgraph, which holds the answer: "
    "footprint FILE > late.txt, vmmap -summary FILE > regions.txt, heap -s FILE > heap.txt; give "
    "what they print",
    "gzip-twice": "compressed twice; unpack it once",
    "picture": "a picture: it may show the answer, and cannot be read; save what the tool printed "
    "(COMMAND > late.txt), or in Xcode File > Export Memory Graph, and footprint late.memgraph > "
    "late.txt",
    "heap-dump": "a heap dump of Java: it holds who refers to what, and no growth; open it in "
    "Android Studio, and give adb shell dumpsys meminfo PACKAGE > late.txt, early and late",
    "zip": "a zip archive; unpack it first",
    "database": "a database; export it as CSV",
    "executable": "an executable",
}
_LOOKS = {
    "not-allowed": "the tool was not allowed to look at the process; use sudo, or a build that can "
    "be debugged",
    "no-process": "the tool found no such process, or was not allowed to; use sudo",
    "not-running": "the app was not running",
    "instruments": "it is an export of Instruments, which may hold the answer and is not read: "
    "footprint late.memgraph > late.txt, of a memory graph, has it",
    "gfxinfo": "it is dumpsys gfxinfo, which is about frames and cannot hold the answer: adb shell "
    "dumpsys meminfo PACKAGE > late.txt",
    "metrickit": "it is a payload of MetricKit without a peak of memory, which cannot hold the "
    "answer: footprint late.memgraph > late.txt, of a memory graph",
    "whole-machine": "it is the whole machine's memory, which cannot hold the answer: of one "
    "process, while sleep 5; do ps -o pid,rss,comm -p PID; done > samples.txt",
    "table-without-names": "it looks like a table: put a line above it that names its columns and "
    "their units, as in time,rss_kb (with commas) or time rss_kb (with blanks)",
}
_BEGAN = {
    "process": "process {pid}",
    "counts-again": "line {line:count}: the alignment cache counts from the beginning again",
    "reads-again": "line {line:count}: reading begins again at paragraph {paragraph}, with memory "
    "back near the first level",
}
_TIMES = ("", "once", "twice", "three times", "four times")
_CODECS = {"mac_roman": "Mac Roman", "latin-1": "Latin-1", "cp1252": "Windows-1252"}
_SHAPES = {
    "high-water": "A high-water mark: memory follows the longest paragraph so far, and stays.",
    "steps": "It rises in steps and is flat between: like a high-water mark, if the steps came at "
    "larger inputs.",
    "plateau": "A plateau: memory rose, then settled (or fell).",
    "baseline": "A baseline: memory is flat.",
    "sawtooth": "A sawtooth: memory is cleared again and again, to the same level.",
}


def amount(value: float) -> str:
    """Return bytes; small ones in KiB and bytes, because a leaked block may be small."""
    if 0 < abs(value) < KIB:
        return f"{value:,.0f} bytes"
    return f"{value / KIB:,.1f} KiB" if 0 < abs(value) < MIB else size(value)


def cell(value: float | None) -> str:
    """Return bytes for a table; a dash where there are none."""
    return DASH if value is None else amount(value)


def signed(value: float | None) -> str:
    """Return a change in bytes, with its sign; a dash where there is none."""
    return DASH if value is None else f"{'+' if value > 0 else ''}{amount(value)}"


def counted(many: int, what: str) -> str:
    """Return a count with its noun, in the plural where it is one."""
    return f"{many:,} {what}" if many == 1 else f"{many:,} {what}s"


def sentence_of(code: str) -> str:
    """Return the sentence of a reason or a caveat."""
    return CAVEATS.get(code) or REASONS.get(code, code)


def subject(judged: Judged) -> str:
    """Say what a log's verdict is about."""
    if judged.unit == "paragraph":
        return "Resident size, as the app logs it"
    return "Memory, as the app logs it in its breakdowns only"


def verdict(judged: Judged) -> str:
    """Say a verdict in a sentence or two."""
    unit, sure = judged.unit, confidence(judged.confidence, judged.reasons)
    if judged.verdict == "leak" and judged.interval is not None:
        low, high = judged.interval
        return (
            f"Leak: {rate(judged.rate)} a {unit} (95 % between {rate(low)} and {rate(high)}); "
            f"confidence: {sure}."
        )
    if judged.verdict == "inconclusive":
        codes = judged.reasons if judged.taken_back is None else judged.caveats
        if "grows-steadily" in codes[:1]:
            between = judged.interval or (judged.rate, judged.rate)
            return (
                f"Grows by {rate(judged.rate)} a {unit} (95 % between {rate(between[0])} and "
                f"{rate(between[1])}). {sentence_of(codes[0])}"
            )
        return f"Inconclusive. {sentence_of(codes[0])}" if codes else "Inconclusive."
    known = "follows-largest-input" in judged.reasons
    shape = (
        _SHAPES["high-water" if known else "steps"]
        if judged.verdict == "high-water"
        else (_SHAPES[judged.verdict])
    )
    if judged.upper is not None:
        shape += f" No growth above {rate(max(judged.upper, 0))} a {unit} is hidden."
    return f"{shape} Confidence: {sure}."


def session_name(session: SessionFacts) -> str:
    """Return the file and, where it has several sessions, which one."""
    if session.number == 0:
        return session.source
    is_process = session.began is not None and session.began.code == "process"
    which = session_began(session) if is_process else f"restart {session.number}"
    return f"{session.source}, {which}"


def session_began(session: SessionFacts) -> str:
    """Say how it is known that this is another process than the one before."""
    began = session.began
    return "" if began is None else fill(_BEGAN[began.code], began.values)


def source_line(source: Source) -> str:
    """Return what was understood of a file, in one line."""
    kinds = ", ".join(KINDS[kind] for kind in source.kinds)
    return (
        f"{source.name}: {kinds}; {counted(source.lines, 'line')}: {source.recognised:,} "
        f"recognised, {source.ignored:,} ignored, {source.malformed:,} malformed; "
        f"{source.encoding}"
    )


def note_text(note: Notice) -> str:
    """Return what is worth telling of a line of a file, or of the file."""
    line = note.values["line"]
    where = f"line {line:,}: " if isinstance(line, int) and line else ""
    if note.code == "emoji-misread":
        return where + _misread(note)
    return where + fill(_NOTES[note.code], {k: v for k, v in note.values.items() if k != "line"})


def _misread(note: Notice) -> str:
    codecs, times = note.values["codecs"], note.values["times"]
    assert isinstance(codecs, list)
    assert isinstance(times, list)
    ways = [
        "lost in another encoding"
        if codec == "lost"
        else f"UTF-8 that was read as {_CODECS.get(str(codec), codec)} {_TIMES[int(often)]}"
        for codec, often in zip(codecs, times, strict=True)
    ]
    partly = "partly " if note.values["partly"] else ""
    return f"the emoji are {partly}{'; '.join(ways)}; the lines were understood"


def problem_text(problem: Notice) -> str:
    """Return why a file could not be used, or was not counted."""
    values, file = problem.values, problem.values["file"]
    if problem.code == "not-text":
        what = str(values["what"])
        return f"{file} is {_NOT_TEXT.get(what) or f'compressed as {what}; unpack it first'}"
    if problem.code == "nothing-understood":
        looks = _LOOKS.get(str(values["looks"]))
        why = f"; {looks}" if looks else ""
        if values["malformed"]:
            first = values["first_line"]
            why = f", {values['malformed']:,} of them malformed (the first: line {first:,})"
        lines = counted(int(str(values["lines"])), "line")
        return f"nothing was understood in {file}: {lines}{why}; it was left out"
    if problem.code == "directory" and values["trace"]:
        return (
            f"{file} is a document of Instruments: it may hold the answer, and is not read; it was "
            "left out; give footprint late.memgraph > late.txt, of a memory graph"
        )
    return fill(_PROBLEMS[problem.code], values)


def nothing_read(problems: tuple[Notice, ...]) -> str:
    """Say why nothing was understood at all, and what can be read."""
    why = "; ".join(problem_text(problem) for problem in problems)
    unknown = any(problem.code == "nothing-understood" for problem in problems)
    return f"{why}; what can be read: {READABLE}" if unknown else why
