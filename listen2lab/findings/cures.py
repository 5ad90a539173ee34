"""Which of the conditions stay under what is acceptable, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from listen2lab.findings.effects import size
from listen2lab.units import MIB, mib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from listen2lab.findings.outcomes import Outcome

__all__ = ["KILL", "LIMITS", "in_words", "under"]

LIMITS = {"1 GB": 10**9, "500 MB": 5 * 10**8}
"""What is acceptable, and what would be ideal. GB and MB are powers of ten here: the stricter way
to read them (1 GB is 954 MiB)."""
KILL = 25 * 10**8
"""Where the phone kills the app: about 2.5 GB (2,384 MiB)."""

_TEXT_KNOBS = frozenset({"longest_sentence_s"})
"""Knobs that change what is read, not how."""
_LOADS = frozenset(
    {"in_flight", "sessions", "lookahead_count", "reading", "player", "voice_change_every"}
)
"""Knobs that add load: a condition with one of them is no cure."""


def under(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return which conditions stay under each limit, in peak and level, and in level alone."""
    app = [each for each in outcomes if not each.knobs and each.n_complete]
    found: dict[str, Any] = {"kill_mib": mib(KILL), "limits": {}, "sentences": []}
    for name, limit in LIMITS.items():
        cures = [each for each in outcomes if each.knobs and _is_cure(each.knobs)]
        whole = [each for each in cures if each.is_under(limit)]
        level = [each for each in cures if each.is_under(limit, peak=False) and each not in whole]
        already = bool(app) and all(each.is_under(limit) for each in app)
        found["limits"][name] = {
            "mib": mib(limit),
            "already": already,
            "peak_and_level": [str(each.where) for each in whole],
            "level_only": [str(each.where) for each in level],
        }
        if not already:
            found["sentences"].append(_under_sentence(name, limit, app, whole, level))
    done = [name for name, each in found["limits"].items() if each["already"]]
    if done:
        worst = max(each.peak_mib or 0.0 for each in app)
        found["sentences"].append(
            f"Under {' and '.join(done)} the app's own condition already is, with this voice and "
            f"these texts (peak {_mib(worst)}), so this study cannot say what would bring it "
            "there; a larger voice can (--voice medium)."
        )
    return found


def _is_cure(knobs: Mapping[str, Any]) -> bool:
    """Return whether a condition takes load away, by one change only."""
    both = {"longest_sentence_s", "split_sentences_s"} <= set(knobs)
    is_load = bool(_LOADS & set(knobs)) or knobs.get("alignment") == "forced"
    return not both and not is_load


def _under_sentence(
    name: str,
    limit: float,
    app: Sequence[Outcome],
    whole: Sequence[Outcome],
    level: Sequence[Outcome],
) -> str:
    title = f"Under {name} ({size(limit)})"
    if not app:
        return f"{title}: not known, the app's own condition has no complete run."
    how = [each for each in whole if not _TEXT_KNOBS & set(each.knobs)]
    texts = [each for each in whole if _TEXT_KNOBS & set(each.knobs)]
    if not (whole or level):
        return f"{title}: none of the conditions measured."
    none = "none of the changes to the app that were measured"
    said = [f"{title}, in peak and level: {_list(how) if how else none}."]
    if texts:
        said.append(f"With other texts: {_list(texts)}.")
    if level:
        kills = all((each.peak_mib or 0.0) * MIB >= KILL for each in level)
        still = ", which still kills" if kills else ""
        said.append(f"In the level at the end, but not in peak{still}: {_list(level)}.")
    return " ".join(said)


_MOST_NAMED = 3


def _list(outcomes: Sequence[Outcome]) -> str:
    """Return conditions in words, the lowest peak first, each with its highest peak and level."""
    ordered = sorted(outcomes, key=lambda each: each.peak_mib or each.level_mib or 0.0)
    named = ", ".join(
        f"{in_words(each.knobs)} (peak {_mib(each.peak_mib or 0.0)}, "
        f"level {_mib(each.level_mib or 0.0)})"
        for each in ordered[:_MOST_NAMED]
    )
    more = len(ordered) - _MOST_NAMED
    return f"{named}, and {more} more" if more > 0 else named


def in_words(knobs: Mapping[str, Any]) -> str:
    """Say how a condition differs from the app."""
    said = []
    for name, value in knobs.items():
        if name == "lookahead_count" and "in_flight" in knobs:
            continue  # only there so that several are wanted at once
        words = _WORDS.get((name, value)) or _WORDS.get((name,))
        said.append(f"{name} = {value}" if words is None else words.format(value=value))
    return ", ".join(said) or "as the app does"


_WORDS: dict[tuple[Any, ...], str] = {
    ("split_sentences_s", None): "no sentence split",
    ("split_sentences_s", 15.0): "long sentences split",
    ("split_sentences_s",): "sentences split at {value:g} s",
    ("longest_sentence_s",): "no sentence above {value} s",
    ("session_every", 1): "a new session every paragraph",
    ("session_every",): "a new session every {value} paragraphs",
    ("voice_change_every",): "another voice every {value} paragraphs",
    ("cpu_mem_arena",): "no arena",
    ("mem_pattern",): "no memory pattern",
    ("max_cache_size", None): "an unbounded cache",
    ("max_cache_size",): "a cache of {value}",
    ("alignment", "off"): "no alignment",
    ("alignment",): "alignment {value}",
    ("after_eviction",): "{value} after each eviction",
    ("in_flight",): "{value} in flight",
    ("sessions",): "a session each",
}


def _mib(value: float) -> str:
    return size(value * MIB)
