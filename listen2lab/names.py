"""Names as attributes, for those who find them with the tab key."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from listen2lab.experiment.catalog import EXPERIMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from listen2lab.study.plan import Experiment

__all__ = ["experiments", "no_attribute"]


def no_attribute(owner: str, name: str, known: Iterable[str]) -> AttributeError:
    """Return the error for a name that an owner lacks; it suggests the nearest."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return AttributeError(f"{owner} has no attribute {name!r}{hint}")


class _Experiments:
    """The built-in experiments: ``lab.experiments.cache_size`` is what ``"cache-size"`` names."""

    def __dir__(self) -> list[str]:
        return [name.replace("-", "_") for name in EXPERIMENTS]

    def __getattr__(self, name: str) -> Experiment:
        known: dict[str, Any] = {key.replace("-", "_"): each for key, each in EXPERIMENTS.items()}
        if name not in known:
            raise no_attribute("lab.experiments", name, known)
        found: Experiment = known[name]
        return found

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {each.question}" for name, each in EXPERIMENTS.items())


experiments = _Experiments()
"""Experiments by attribute, to be given to `listen2lab.run`."""
