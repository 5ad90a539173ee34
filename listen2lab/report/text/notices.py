"""What each notice says: damage, why a run ended, and what an account or a trace cannot tell."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from listen2lab.findings.hypotheses import SENTENCES
from listen2lab.report.text.format import fill

if TYPE_CHECKING:
    from listen2lab.notice import Notice

__all__ = ["TEMPLATES", "say"]

TEMPLATES: dict[str, str] = {
    # -- what of a study's files cannot be read
    "manifest-of-report": "{message}; the manifest that the report beside it carries is used",
    "fact-unknown": "the manifest's {field} cannot be read and is unknown",
    "run-damaged": "{run}: {file}{line} is damaged ({message}); the run is left out",
    "not-as-planned": (
        "{run}: spec.json says another {field} than the manifest plans; the run is left out"
    ),
    "complete-without-steps": (
        "{run}: result.json says that it was complete, but steps.jsonl holds none of its steps; "
        "the run is left out"
    ),
    "not-planned": "the manifest plans no {condition}, but {runs} runs of it lie in the study",
    # -- why a run was not complete
    "over-limit": "{footprint:size} of anonymous memory {step}, over the limit of {limit:size}",
    "no-sample": "no new sample for {seconds:g} s {step}",
    "signal": "ended by {name}",
    "ended-early": "it ended before its last step",
    "status": "ended the process with status {status}",
    "raised": "{type}",
    "not-ended": "it has not ended",
    # -- what was repaired or left out of a text
    "text-decoded": "{name}: decoded from {encoding}, by its {said_by}",
    "text-header-left-out": "the header between the --- lines at its top was left out",
    "text-comments-left-out": "HTML comments were left out: {comments}",
    "text-nesting-left-out": "what is nested over {levels} levels deep was left out",
    "text-documents-left-out": "documents outside the reading order were left out: {documents}",
    "text-silent-left-out": "paragraphs without a letter or digit were left out: {paragraphs}",
    "text-controls-left-out": "control characters were left out: {characters}",
    # -- what is told while a study runs
    "will-run": "{runs} runs of {given} with {python}{seconds}",
    "run-again": "{run}: it is run again",
    "run-killed": "{run}: it was killed from outside, and is run again",
    "run-lost": "{run}: lost with its worker on {machine}; it is run again",
    "run-given-up": "{run}: lost {times} times with its worker; it is not tried again",
    "runs-alone": (
        "{run} may need {expected:size} and {available:size} are free on {machine}: it runs alone"
    ),
    "worker-refused": "the worker {address} is left out: {message}",
    "several-machines": (
        "the runs were on {machines} machines, named with each run; a repeat stayed on one where "
        "it could; what conditions hold on different machines may differ"
    ),
    # -- what an account of memory cannot tell
    "no-samples": "There are no samples.",
    "no-mappings": (
        "These samples were read without looking at mappings (/proc/self/smaps could not be "
        "read). Python's objects, libraries' data and stacks cannot be told apart: what was "
        "anonymous before the models were loaded, and not malloc's, stands under Python's "
        "objects. The engine's arena is all that steps added."
    ),
    "no-anonymous": "Anonymous memory was not read: code cannot be told from the rest.",
    "no-malloc-counters": (
        "malloc's own counters were not there: what it keeps free stands as native, in use, or as "
        "the engine's."
    ),
    "no-sizes": (
        "The inputs' sizes are not known: how much of the engine's arena a step needed cannot be "
        "told, and all of it stands as held."
    ),
    "no-setup": "No sample was read before or after setup: models cannot be told apart.",
    # -- what a trace cannot tell
    "not-traced": (
        "{experiment}/{condition} has no traced run: who allocated is not known. `listen2lab run "
        "{experiment} --levels {condition}` traces it."
    ),
    "not-traced-workload": (
        "{experiment}/{condition} has no traced run: who allocated is not known. `listen2lab watch "
        "FILE --trace` traces it."
    ),
    "trace-damaged": "{run}: heap.json is damaged ({message}); it is left out.",
    "traced-elsewhere": "Traced as {run}, which is the same condition.",
    "capture-read-now": (
        "The traced run {run} did not reach its end; its capture was read just now."
    ),
    "capture-unreadable": "{run}: {message}",
    "objects-not-looked-at": "Python's objects could not be looked at in {phase}: {message}.",
    "no-module-holds": "No module holds {type}: a thread, a C library or a cycle does.",
    "capture-cut": (
        "The capture ends in the middle ({message}): the run was killed while it recorded. What "
        "was written before is told."
    ),
    "capture-ends-before": (
        "The capture ends before '{phase}', because memray could not write on (a full disk?) or "
        "the run was killed: later moments are not told."
    ),
    "nothing-allocated": "Nothing was allocated while the capture was recorded.",
    "no-native-traces": (
        "The capture has no native traces: allocations of libraries stand at the Python line that "
        "called them."
    ),
    "native-names-unknown": (
        "Native frames have no names here: the capture comes from another machine, or the "
        "libraries have no symbols. Python's lines are told."
    ),
    "recording-not-ended": (
        "The recording was not ended: the run was killed. Counts are of what was written."
    ),
    "arena-hides-operators": (
        "{hidden:size} of {heap:size} stand in the engine's arena, charged to whichever operator "
        "made it grow, not to the one that uses it. For the operators, look at a trace without "
        "the arena: `listen2lab run session-options`, condition 'neither'."
    ),
    # -- what a comparison, a rerun or a merge must say beside its numbers
    "other-machine": "The machines differ",
    "other-version": "The versions differ",
    "other-input": "The inputs differ",
    "other-setting": "The settings differ",
    "few-repeats": (
        "Fewer than {needed} complete runs of {conditions}: too few for intervals that mean much."
    ),
    "texts-not-read": "the study's own texts cannot be read ({message})",
    "no-numbers-before": (
        "the report's numbers cannot be read: the study can be run again, but there is nothing to "
        "compare it with"
    ),
    "other-interpreter": ("the runs had an interpreter of their own{path}; now they have this one"),
    "merged-experiment": "{experiment}: {runs} runs of {studies}{apart}",
    "traced-twice": (
        "{study}: the traced run {run} is left out: another study has one of the same condition"
    ),
    # -- what a study cannot tell
    "generated-voice": (
        "A real voice: this one is generated, with a Piper voice's shapes, and memory follows "
        "shapes."
    ),
    "not-a-phone": (
        "A phone: this is Linux with glibc. iOS allocates and counts otherwise, and its own "
        "frameworks, views and graphics are not here. Nor are Apple's matrix kernels: those of "
        "ONNX Runtime 1.24 to 1.26 are reported to leak with every call."
    ),
    "one-change-each": "Combinations of cures: each condition changes one thing only.",
}
"""Code to sentence; values in braces, see `listen2lab.report.text.format.fill`."""


_OPTIONAL = {
    "step": ("after step {step}", "before the first step"),
    "line": (", line {line},", ""),
    "apart": ("; apart from {first}, because of another {apart}", ""),
    "path": (" ({path})", ""),
    "seconds": (", roughly {seconds:.0f} s", ", and how long that takes is not known"),
}
"""Values that may be missing: what stands in their place, with and without them."""


def say(notice: Notice) -> str:
    """Return what a notice says.

    Examples
    --------
    >>> from listen2lab.notice import Notice
    >>> say(Notice("over-limit", {"limit": 2**30, "footprint": 2**30 + 2**20, "step": 11}))
    '1,025 MiB of anonymous memory after step 11, over the limit of 1,024 MiB'
    >>> say(Notice("unheard-of", {"runs": 3}))
    'unheard-of (runs 3)'
    """
    template = TEMPLATES.get(notice.code) or SENTENCES.get(notice.code)
    if template is not None:
        with suppress(LookupError, ValueError, TypeError):  # what was edited by hand is shown so
            return _said(template, notice)
    named = ", ".join(f"{name} {value}" for name, value in notice.values.items())
    return f"{notice.code} ({named})" if named else notice.code


def _said(template: str, notice: Notice) -> str:
    values = dict(notice.values)
    for name, (there, absent) in _OPTIONAL.items() if notice.code in TEMPLATES else ():
        if f"{{{name}}}" in template:
            value = notice.values.get(name)
            values[name] = absent if value is None else there.format(**values)
    said = fill(template, values)
    if without := notice.values.get("without"):
        named = ", ".join(map(str, without)) if isinstance(without, list) else str(without)
        said += f"; {named} {'are' if isinstance(without, list) and len(without) > 1 else 'is'} "
        said += "planned and not there: was a condition renamed?"
    return said
