"""A condition's trace as people hold it: who allocated, when, and what was never freed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from listen2lab.account.owners import by_moment, fingerprints, growth, holders
from listen2lab.account.traces import PEAK, trace_of
from listen2lab.errors import StudyError
from listen2lab.report.text.notices import say
from listen2lab.units import MIB

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from listen2lab.report.card import Card
    from listen2lab.study.data import StudyData

__all__ = ["By", "HeapTrace"]

By: TypeAlias = Literal["owner", "function", "library", "line"]
"""What the rows of a table are."""


class HeapTrace:
    """What memray saw of one condition, reduced to tables when it was recorded.

    A traced run says *who* allocated. How much memory there is, plain runs say: a profiler takes
    memory itself.

    Parameters
    ----------
    study
        The study that holds it.
    experiment, condition
        Which. Conditions that do the same share one traced run; `notes` says so.

    Raises
    ------
    StudyError
        The condition was not traced, or its trace is damaged; the message says what traces it.

    Attributes
    ----------
    record
        The tables; see `listen2lab.study.trace_records.Trace`.
    moments : list of str
        What `at` may be: ``peak``, ``setup``, ``step 3`` (or 3), ``step 3 peak``, ``end``, ...
    notes : list of str
        What this trace cannot tell, and whose it is.

    Examples
    --------
    >>> import listen2lab as lab
    >>> trace = lab.Study.reference().trace("baseline", "app")
    >>> trace.top(n=1).index[0]
    'ONNX Runtime: arena'
    """

    def __init__(self, study: StudyData, experiment: str, condition: str) -> None:
        record, notices = trace_of(study, experiment, condition)
        self.notes = [say(each) for each in notices]
        if record is None or not record.moments:
            raise StudyError(" ".join(self.notes))
        self.experiment, self.condition, self.record = experiment, condition, record
        self.moments = [moment.name for moment in record.moments]
        self._study = study

    def plot(self) -> Figure:
        """Plot live bytes over the steps, stacked by owner, under resident memory."""
        from listen2lab.report.trace_plots import Traced, plot_traces  # matplotlib

        traced = Traced(self.experiment, self.condition, self.record)
        return plot_traces(self._study, [traced])

    def top(self, by: By = "owner", at: str | int = PEAK, n: int = 10) -> pd.DataFrame:
        """Return who held most at a moment.

        Parameters
        ----------
        by
            What a row is.
        at
            A moment: ``"peak"``, ``"end"``, a step, or one of `moments`.
        n
            Rows; what is left out stands in a last row, so that they add up to the heap.

        Returns
        -------
        DataFrame
            By name: ``mib``, ``blocks`` and ``share`` of the heap, the largest first.
        """
        return _shown(holders(self.record, _moment(at), by), by, n)

    def grown(
        self,
        from_step: int | str | None = None,
        to_step: int | str | None = None,
        by: By = "owner",
        n: int = 10,
    ) -> pd.DataFrame:
        """Return whose live bytes grew between two steps: the question after "it leaks".

        Parameters
        ----------
        from_step, to_step
            Steps, or other moments; None: the last half of the steps.
        by, n
            As in `top`.

        Returns
        -------
        DataFrame
            By name: ``mib`` and ``blocks`` more than before, and ``share`` of all growth.
        """
        half = self.record.last_half()
        if half is None:
            raise StudyError(f"{self!r} reached no two steps: nothing can have grown between them")
        since, until = (
            _moment(at if given is None else given)
            for at, given in zip(half, (from_step, to_step), strict=True)
        )
        return _shown(growth(self.record, since, until, by).drop(columns="stack"), by, n)

    def not_freed(self, n: int = 10) -> pd.DataFrame:
        """Return what was still live after the teardown, when the recording ended.

        Returns
        -------
        DataFrame
            By ``fingerprint`` (the same in other studies and versions): ``owner``, ``mib``,
            ``blocks``, how many of them came with each step (``per_step``, those first), and
            ``frames`` from the innermost; empty where a recording was cut.
        """
        table = fingerprints(self.record).head(n).set_index("fingerprint")
        table.insert(1, "mib", table.pop("bytes") / MIB)
        return table[["owner", "mib", "blocks", "per_step", "frames"]]

    def by_moment(self, by: By = "owner") -> pd.DataFrame:
        """Return live MiB by moment (rows) and name (columns): what `plot` draws."""
        return by_moment(self.record, by) / MIB

    def tree(self, at: str | int = PEAK) -> Card:
        """Show the calls that led to what was live, from Python inwards, the largest first."""
        from listen2lab.report.trace_tree import tree_card

        return tree_card(self.record, _moment(at))

    def flamegraph(self, at: str | int = PEAK) -> Any:
        """Show memray's flame graph of a moment, here and offline.

        It is made of the stacks that were kept with the study; ``listen2lab attribute --flame``
        makes one of all, where the capture is there.
        """
        from listen2lab.account.flamegraph import page_of  # memray
        from listen2lab.report.trace_tree import framed

        return framed(page_of(self.record, _moment(at)))

    def compare(self, other: HeapTrace, by: By = "owner", at: str | int = PEAK) -> pd.DataFrame:
        """Return who holds how much here and in another trace.

        Returns
        -------
        DataFrame
            By name: ``this_mib``, ``other_mib`` and ``difference_mib`` (other less this), the
            largest difference first.
        """
        this, that = (
            holders(each.record, _moment(at), by).set_index(by)["bytes"] / MIB
            for each in (self, other)
        )
        table = this.to_frame("this_mib").join(that.rename("other_mib"), how="outer").fillna(0.0)
        table["difference_mib"] = table["other_mib"] - table["this_mib"]
        return table.sort_values("difference_mib", key=abs, ascending=False, kind="stable")

    def __repr__(self) -> str:
        where, peak = f"{self.experiment}/{self.condition}", self.record.peak / MIB
        return f"<HeapTrace {where}: peak {peak:,.0f} MiB>"

    def _repr_html_(self) -> str:
        from listen2lab.report.trace_tree import trace_card

        return trace_card(repr(self)[1:-1], self.top(n=5), self.notes)._repr_html_()


def _moment(at: str | int) -> str:
    return f"step {at}" if isinstance(at, int) else at


def _shown(table: pd.DataFrame, by: str, n: int) -> pd.DataFrame:
    """Return the first rows in MiB, and what the others come to."""
    table = table.set_index(by)
    table.insert(0, "mib", table.pop("bytes") / MIB)
    kept, rest = table.head(n).copy(), table.iloc[n:]
    if len(rest):
        kept.loc[f"({len(rest)} more)"] = rest.sum()
    return kept.astype({"blocks": int})
