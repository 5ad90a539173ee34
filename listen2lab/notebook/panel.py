"""The panel in JupyterLab: choose, run, look. What it does, plain calls do as well."""

from __future__ import annotations

import threading
from html import escape
from typing import TYPE_CHECKING, Any

from listen2lab import api
from listen2lab.errors import InputError, LabError, RunStoppedError
from listen2lab.experiment.catalog import EXPERIMENTS
from listen2lab.experiment.inputs import GENERATED_VOICES
from listen2lab.experiment.progress import Progress
from listen2lab.report.card import finding_card, prediction_card, table_card, tested
from listen2lab.report.style import to_png
from listen2lab.report.text.format import size
from listen2lab.report.text.study import conditions, ended, endings

if TYPE_CHECKING:
    from listen2lab.facade import Study
    from listen2lab.study.plan import Run
    from listen2lab.study.records import RunRecord, Sample

__all__ = ["Panel", "panel"]


def panel() -> Panel:
    """Show the panel: experiment, levels, voice and repeats; curve, verdicts and findings.

    Returns
    -------
    Panel
        The panel; its ``study`` is the last one that it made, or None.

    Raises
    ------
    InputError
        There are no widgets; the message names what to install and the call that does the same.
    """
    return Panel()


class Panel(Progress):
    """Runs an experiment in a thread of its own, so that the kernel stays free.

    While a run is under way nothing but stopping it is possible. What it made is `study`.
    """

    def __init__(self) -> None:
        try:
            import ipywidgets as w  # optional
        except ImportError as error:
            raise InputError(
                "the panel needs widgets: pip install 'listen2lab[panel]' and start JupyterLab "
                'again; without them lab.run("cache-size", levels=[1, 2], voice="tiny", '
                "repeats=3, quick=True).plot() does the same"
            ) from error
        self.study: Study | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = False
        wide = {"style": {"description_width": "80px"}, "layout": w.Layout(width="420px")}
        self.experiment = w.Dropdown(options=list(EXPERIMENTS), description="Experiment", **wide)
        self.levels = w.SelectMultiple(description="Levels", **wide)
        self.voice = w.Dropdown(options=GENERATED_VOICES, description="Voice", **wide)
        self.repeats = w.BoundedIntText(3, min=1, max=20, description="Repeats", **wide)
        self.quick = w.Checkbox(value=True, description="Quick: short paragraphs and few", **wide)
        self.run = w.Button(description="Run", button_style="primary", icon="play")
        self.stop = w.Button(description="Stop", icon="stop", disabled=True)
        self.progress = w.IntProgress(min=0, max=1, layout=w.Layout(width="420px"))
        self.status = w.HTML()
        self.question = w.HTML()
        self.result = w.VBox()
        self._picture, self._html = w.Image, w.HTML
        self._choices = (self.experiment, self.levels, self.voice, self.repeats, self.quick)
        self.experiment.observe(lambda _: self._offer_levels(), names="value")
        self.run.on_click(lambda _: self.start())
        self.stop.on_click(lambda _: self._ask_to_stop())
        self.box = w.VBox(
            [
                *self._choices, self.question, w.HBox([self.run, self.stop]), self.progress,
                self.status, self.result,
            ]
        )  # fmt: skip
        self._offer_levels()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.box._repr_mimebundle_(**kwargs)

    def _offer_levels(self) -> None:
        chosen = EXPERIMENTS[self.experiment.value]
        names = [level.name for level in chosen.levels]
        self.levels.options = names
        self.levels.rows = max(2, len(names))  # of one row a browser makes a menu
        self.levels.value = names
        self.question.value = prediction_card([chosen], {})._repr_html_()

    def start(self) -> None:
        """Run what is chosen, unless a run is under way."""
        if self._thread is not None and self._thread.is_alive():
            return
        if not self.levels.value:
            self._say("No level is chosen; choose at least one.")
            return
        self._is_stopped = False
        self._lock(is_locked=True)
        self._thread = threading.Thread(target=self._work, name="panel", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the run that is under way."""
        if self._thread is not None:
            self._thread.join()

    def _ask_to_stop(self) -> None:
        self._is_stopped = True
        self._say("stopping at the next step ...")

    def _lock(self, *, is_locked: bool) -> None:
        for widget in (*self._choices, self.run):
            widget.disabled = is_locked
        self.stop.disabled = not is_locked

    def _work(self) -> None:
        folder = api.new_folder()
        try:
            self.result.children = ()
            self._say("starting ...")
            self.study = api.run(
                self.experiment.value, levels=list(self.levels.value), voice=self.voice.value,
                repeats=self.repeats.value, quick=self.quick.value, trace="none", out=folder,
                progress=self,
            )  # fmt: skip
            self._say("judging ...")
            self._show(self.study)
        except RunStoppedError:
            self._say(f"Stopped; what was measured is kept. lab.resume({str(folder)!r}) goes on.")
        except LabError as error:
            self._say(str(error))
        except Exception as error:  # nobody else would hear of it
            self._say(f"{type(error).__name__}: {error}")
            raise
        finally:
            self._lock(is_locked=False)

    def _say(self, sentence: str) -> None:
        self.status.value = escape(sentence)

    def _show(self, study: Study) -> None:
        name = study.plan.experiments[0].name
        summary = study.summary()
        pictures = [
            self._picture(value=to_png(figure), format="png", layout={"max_width": "760px"})
            for figure in (study.plot(), study.plot_ends())
        ]
        cards = (
            table_card(conditions(name, summary.experiments[name])),
            finding_card(summary, tested(summary, list(summary.experiments))),
        )
        shown = [self._html(value=card._repr_html_()) for card in cards]
        self.result.children = (*pictures, *shown)
        self._say(" ".join([f"Done: {study!r}", *endings(study.runs)]))

    # What a study tells of its progress: see listen2lab.experiment.progress.Progress.

    def begin(self, total: int, done: int) -> None:
        """Set the bar's length."""
        self.progress.max, self.progress.value = total, done

    def sample(self, run: Run, sample: Sample) -> None:
        """Show where the run is; leave it where stopping was asked for."""
        if self._is_stopped:
            raise RunStoppedError("stopped in the panel")
        where = sample.phase if sample.step is None else f"step {sample.step:.0f}"
        rss = "" if sample.rss is None else f", {size(sample.rss)}"
        self._say(f"{run.key} {where}{rss}")

    def end(self, run: Run, result: RunRecord) -> None:
        """Count the run; say so if it did not end well."""
        self.progress.value += 1
        if result.outcome != "complete":
            self._say(f"{run.key}: {ended(result)}")
