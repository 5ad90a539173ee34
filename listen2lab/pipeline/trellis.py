"""CTC forced alignment: the best path through a trellis of frames and labels, as the app has it.

Viterbi's recursion over CTC's states (Graves et al., 2006: labels with blanks between, before and
after them), in log probabilities. The whole trellis is kept for the way back: frames x
(2 x labels + 1) float32 cells, which is why long paragraphs are expensive.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Span", "best_path", "can_align", "spans", "trellis"]


class Span(NamedTuple):
    """The frames of one label: from `start` up to, and not with, `end`."""

    start: int
    end: int


def can_align(n_frames: int, labels: Any) -> bool:
    """Tell whether so many frames can hold the labels.

    Each label takes a frame, and two equal ones in a row a blank between them.
    """
    n_repeats = int((labels[1:] == labels[:-1]).sum())
    return bool(n_frames >= max(1, len(labels) + n_repeats))


def trellis(log_probs: Any, labels: Any, blank: int) -> Any:
    """Fill the trellis: the log probability of the best path that ends in each state at each frame.

    From log probabilities (frames, classes) to float32 (frames, 2 x labels + 1). Even states are
    blanks, state 2k + 1 is label k.
    """
    import numpy as np  # only where alignment is forced

    states = _states(labels, blank)
    n_frames = len(log_probs)
    cells = np.full((n_frames, len(states)), -np.inf, dtype=np.float32)
    cells[0, :2] = log_probs[0, states[:2]]
    # From label to next label without the blank between, unless they are equal.
    may_skip = np.full(len(states), -np.inf, dtype=np.float32)
    may_skip[3::2][states[3::2] != states[1:-2:2]] = 0.0
    best = np.empty(len(states), dtype=np.float32)
    for frame in range(1, n_frames):
        before = cells[frame - 1]
        best[:] = before
        np.maximum(best[1:], before[:-1], out=best[1:])
        np.maximum(best[2:], before[:-2] + may_skip[2:], out=best[2:])
        np.add(best, log_probs[frame, states], out=cells[frame])
    return cells


def best_path(cells: Any, labels: Any) -> list[int]:
    """Walk back through a trellis: the state at each frame. The labels fit, see `can_align`."""
    n_frames, n_states = cells.shape
    state = n_states - 1
    if n_states > 1 and cells[-1, state - 1] > cells[-1, state]:
        state -= 1
    path = [state]
    for frame in range(n_frames - 2, -1, -1):
        row = cells[frame]
        came_from = state
        if state >= 1 and row[state - 1] > row[came_from]:
            came_from = state - 1
        is_skip_allowed = state % 2 and state >= 3 and labels[state // 2] != labels[state // 2 - 1]
        if is_skip_allowed and row[state - 2] > row[came_from]:
            came_from = state - 2
        state = came_from
        path.append(state)
    return path[::-1]


def spans(path: list[int], n_labels: int) -> list[Span]:
    """Return the frames of each label on a path."""
    first = [-1] * n_labels
    end = [0] * n_labels
    for frame, state in enumerate(path):
        if state % 2:
            label = state // 2
            if first[label] < 0:
                first[label] = frame
            end[label] = frame + 1
    return [Span(*each) for each in zip(first, end, strict=True)]


def _states(labels: Any, blank: int) -> Any:
    import numpy as np

    states = np.full(2 * len(labels) + 1, blank, dtype=np.int64)
    states[1::2] = labels
    return states
