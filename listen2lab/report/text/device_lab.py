"""The phone beside the lab, in words."""

from __future__ import annotations

from typing import Any

from listen2lab.report.text.device import number

__all__ = ["beside", "ceiling_lines", "together"]

_CANNOT = (
    "The lab's pipeline has no user interface, no graphics and none of the phone's frameworks."
)
_TOGETHER = {
    "held": "So the memory is held: it is counted, and not only freed pages that the system has "
    "not yet taken back.",
    "more": "That is more than the log shows: compressed pages leave resident size and are "
    "counted, or the reports are of another run.",
    "freed": "So most of the logged rise is not counted: freed pages that the system has not taken "
    "back, or clean ones of files.",
    "partly": "So a part of the logged rise is held, and a part is not counted.",
    "no rise": "The log shows no rise to explain.",
}


def beside(found: dict[str, Any]) -> list[str]:
    """Say which conditions of the lab the phone's curve resembles."""
    if found["phone"] is None:
        return ["The phone's log has too few paragraphs for a shape; nothing was compared."]
    nearest = found["nearest_shape"]
    if nearest is None:
        return ["The study has no complete run with enough steps; nothing was compared."]
    if not found["alike"]:
        return [_unlike(found, nearest)]
    names = ", ".join(found["nearest"][:4])
    more = len(found["nearest"]) - 4
    names += f" and {more} more" if more > 0 else ""
    told_apart = "" if len(found["nearest"]) == 1 else ", which cannot be told apart by their shape"
    distance = min(
        c["distance"]
        for c in found["conditions"]
        if f"{c['experiment']}/{c['condition']}" in found["nearest"]
    )
    return [
        (
            f"In shape, the phone's curve resembles {names}{told_apart} (distance {distance:.2f}; "
            "0 is the same, alike is up to 0.35). Levels were not compared, and a like shape is no "
            "proof of a like cause: it says which of the lab's experiments to repeat on the phone."
        )
    ]


def _unlike(found: dict[str, Any], nearest: dict[str, Any]) -> str:
    """Say that no condition is alike, and whether that is its shape or its verdict."""
    name, distance = f"{nearest['experiment']}/{nearest['condition']}", nearest["distance"]
    near = f"the nearest is {name} (distance {distance:.2f}; alike is up to 0.35)"
    none = "The phone's curve has the shape of none of the lab's conditions"
    if distance > 0.35:
        return f"{none}; {near}."
    return (
        f"The phone's curve is like none of the lab's conditions. By its shape, {near}; but the "
        f"phone's verdict is {found['verdict']}, and that condition's is {nearest['verdict']}."
    )


def ceiling_lines(found: dict[str, Any] | None) -> list[str]:
    """Say how much the lab can explain, and what to look at next."""
    if found is None:
        return []
    whole = f"{number(found['of_mib'])} MiB ({found['what']})"
    most, lab = number(found["at_most_mib"]), found["lab_mib"]
    if not found["by_category"]:
        bound = (
            "How much of it the lab can explain is not known"
            if lab is None or lab >= found["of_mib"]
            else f"The lab can explain at most {most} of it, because no run of this study held more"
        )
        return [
            (
                f"The log shows up to {whole} and says nothing of categories. "
                f"{bound}. {_CANNOT} How much those hold, a footprint report says."
            )
        ]
    within = "" if lab is None else f", and no run of this study held more than {number(lab)}"
    lines = [
        (
            f"The lab can explain at most {most} of {whole}: {number(found['like_mib'])} lie in "
            f"owners that its pipeline has too{within}. {_CANNOT}"
        )
    ]
    if found["beyond"]:
        lines.append("What the pipeline does not have; look at these next:")
        for row in found["beyond"][:4]:
            names = ", ".join(f"{c['name']} {number(c['mib'])}" for c in row["categories"])
            lines.append(
                f"  {row['owner']}: {number(row['mib'])} MiB" + (f" ({names})" if names else "")
            )
    return lines


def together(found: dict[str, Any] | None) -> list[str]:
    """Say whether the footprint grew as the log did."""
    if found is None:
        return []
    logged, counted = found["logged_mib"], found["counted_mib"]
    return [
        (
            f"In the log, memory changed by {logged:+,.1f} MiB; from the first report to the last, "
            f"what the kill limit counts changed by {counted:+,.1f} MiB. {_TOGETHER[found['says']]}"
        )
    ]
