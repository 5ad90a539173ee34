"""What each notice says: damage, why a run ended, and what an account or a trace cannot tell."""

from __future__ import annotations

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
    "no-sample": "no new sample for {seconds:number} s {step}",
    "signal": "ended by {name}",
    "ended-early": "it ended before its last step",
    "status": "ended the process with status {status}",
    "raised": "{type}",
    "not-ended": "it has not ended",
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
    # -- what a study cannot tell
    "generated-voice": (
        "A real voice: this one is generated, with a Piper voice's shapes, and memory follows "
        "shapes."
    ),
    "not-a-phone": (
        "A phone: this is Linux with glibc. iOS allocates and counts otherwise, and its own "
        "frameworks, views and graphics are not here."
    ),
    "one-change-each": "Combinations of cures: each condition changes one thing only.",
}
"""Code to sentence; values in braces, see `listen2lab.report.text.format.fill`."""


def say(notice: Notice) -> str:
    """Return what a notice says.

    Parameters
    ----------
    notice
        Of any code of the package: see `TEMPLATES`, and for the evidence of hypotheses
        `listen2lab.findings.hypotheses.SENTENCES`.

    Examples
    --------
    >>> from listen2lab.notice import Notice
    >>> say(Notice("over-limit", {"limit": 2**30, "footprint": 2**30 + 2**20, "step": 11}))
    '1,025 MiB of anonymous memory after step 11, over the limit of 1,024 MiB'
    >>> say(Notice("unheard-of", {"runs": 3}))
    'unheard-of (runs 3)'
    """
    values = {
        name: value if value is not None else "unknown" for name, value in notice.values.items()
    }
    template = TEMPLATES.get(notice.code) or SENTENCES.get(notice.code)
    if template is None:  # of a newer version, in a file
        named = ", ".join(f"{name} {value}" for name, value in values.items())
        return f"{notice.code} ({named})" if named else notice.code
    if "{step}" in template:
        step = notice.values.get("step")
        values["step"] = "before the first step" if step is None else f"after step {step}"
    if "{line}" in template:
        values["line"] = f", line {values['line']}," if "line" in values else ""
    said = fill(template, values)
    if without := notice.values.get("without"):
        named = ", ".join(map(str, without)) if isinstance(without, list) else without
        said += f"; {named} {'are' if isinstance(without, list) and len(without) > 1 else 'is'} "
        said += "planned and not there: was a condition renamed?"
    return said
