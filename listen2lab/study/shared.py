"""A study as it may be shared: the same tables and numbers, everything private left out."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from listen2lab.facade import Study
from listen2lab.report.text.study import subject
from listen2lab.study import redaction as private
from listen2lab.study.plan import Plan, schedule
from listen2lab.study.public_names import Names

if TYPE_CHECKING:
    import pandas as pd

    from listen2lab.device.answer import Answer

__all__ = ["SharedStudy"]


class SharedStudy(Study):
    """A view of a study that whatever is written for others is written from.

    Names of experiments, conditions, components and machines are kept where they are plain, and
    numbered where not; see `listen2lab.study.redaction` for the rest.

    Parameters
    ----------
    study
        The study itself.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study.folder.path)
        self._study = study
        self._names = Names(study.manifest)
        self._original = {
            (self._names.of("experiment", item.name), self._names.of("condition", level.name)): (
                item.name,
                level.name,
            )
            for item in study.plan.experiments
            for level in item.levels
        }
        self.manifest = private.manifest(study.manifest, self._names)
        self.plan = Plan.from_json(self.manifest["plan"])
        study.samples  # noqa: B018 - reading it says what is damaged
        self.damage = [self._damaged(sentence) for sentence in study.damage]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """As `Study.runs`; ``because`` in the lab's own words only."""
        runs = self._renamed(self._study.runs)
        runs["because"] = [private.because(str(text), self._names) for text in runs["because"]]
        if "machine" in runs:
            runs["machine"] = [
                self._names.machine(label) if isinstance(label, str) else label
                for label in runs["machine"]
            ]
        return runs

    @cached_property
    def samples(self) -> pd.DataFrame:
        """As `Study.samples`."""
        samples = self._renamed(self._study.samples)
        return samples.rename(columns={name: self._column(name) for name in samples.columns})

    def summary(self, *, anew: bool = False) -> dict[str, Any]:
        """As `Study.summary`: the same numbers under the names of this view."""
        summary = self._study.summary(anew=anew)
        experiments = {
            self._names.of("experiment", name): self._item(name, item)
            for name, item in summary["experiments"].items()
        }
        return {
            **{name: private.sentences(value, self._names) for name, value in summary.items()},
            "subject": subject(self.manifest["inputs"]),
            "created": self.manifest["created"],
            "versions": self.manifest["versions"],
            "experiments": experiments,
        }

    def heap(self, experiment: str, condition: str) -> dict[str, Any] | None:
        """As `Study.heap`; files and functions are named where they are plain."""
        heap = self._study.heap(*self._original[experiment, condition])
        if heap is None:
            return None
        return {
            **heap,
            "at_peak": [
                {**place, "file": "", "function": self._function(str(place["function"]))}
                for place in heap["at_peak"]
            ],
        }

    def _renamed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a table with the names of experiments and conditions replaced."""
        told = frame.copy(deep=False)
        for column in ("experiment", "condition"):
            shared = {
                str(name): self._names.of(column, str(name)) for name in told[column].unique()
            }
            if any(name != other for name, other in shared.items()):
                told[column] = told[column].map(shared)
        return told

    def device(self) -> Answer | None:
        """As `Study.device`; files are numbered instead of named."""
        from listen2lab.device.redaction import redacted  # noqa: PLC0415 - scipy

        answer = self._study.device()
        return None if answer is None else redacted(answer, self._public_name)

    def _public_name(self, kind: str, name: str) -> str:
        if kind in {"experiment", "condition"}:
            return self._names.of(kind, name)
        is_plain = name.isascii() and name.isprintable() and not set(name) & set("/\\@~")
        return name if is_plain and not self._names.tells(name) else private.LEFT_OUT

    def _column(self, name: str) -> str:
        kind, dot, rest = name.partition(".")
        if not dot or kind == "account":  # whose parts the lab itself has named
            return name
        return f"{kind}.{self._names.of(kind, rest)}"

    def _item(self, name: str, item: dict[str, Any]) -> dict[str, Any]:
        """Return an experiment of a summary under the names of this view."""
        (planned,) = (
            each
            for each in self.plan.experiments
            if each.name == self._names.of("experiment", name)
        )
        conditions = {
            self._names.of("condition", condition): {
                **numbers,
                "components_mib": {
                    self._names.of("component", part): size
                    for part, size in numbers["components_mib"].items()
                },
            }
            for condition, numbers in item["conditions"].items()
        }
        contrasts = {
            self._names.of("condition", condition): contrast
            and {**contrast, "to": self._names.of("condition", contrast["to"])}
            for condition, contrast in item["contrasts"].items()
        }
        return {
            **item,
            "question": planned.question,
            "predictions": dict(planned.predictions),
            "conditions": conditions,
            "contrasts": contrasts,
        }

    def _function(self, function: str) -> str:
        """Return the name of a function of C, C++ or Python; one of another shape is left out."""
        is_name = function.isascii() and not set(function) & set("/\\@\"';")
        return function if is_name and not self._names.tells(function) else private.LEFT_OUT

    def _damaged(self, sentence: str) -> str:
        """Say which run is damaged; what stands in it may be anything."""
        for run in schedule(self._study.plan):
            if sentence.startswith(f"{run.key}:"):
                item = self._names.of("experiment", run.experiment.name)
                condition = self._names.of("condition", run.level.name)
                last = run.key.rsplit("/", 1)[-1]
                return f"{item}/{condition}/{last} is damaged, and left out"
        return f"something in the study is damaged{private.MESSAGE}"
