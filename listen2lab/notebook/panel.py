"""The panel in JupyterLab: choose, run, look. What it does, plain calls do as well."""

from __future__ import annotations

import json
import os
import threading
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from listen2lab import api, facade
from listen2lab.cure_search import cures
from listen2lab.errors import InputError, LabError, RunStoppedError, need
from listen2lab.experiment.catalog import EXPERIMENTS, quick
from listen2lab.experiment.inputs import GENERATED_VOICES
from listen2lab.notebook.live import Live
from listen2lab.pipeline.knobs import knobs_from
from listen2lab.report.card import finding_card, prediction_card, table_card, tested
from listen2lab.report.style import to_inline
from listen2lab.report.text.live import estimate
from listen2lab.report.text.study import conditions, endings
from listen2lab.study.plan import Plan, schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from listen2lab.facade import Study

__all__ = ["Panel", "panel"]

_TASKS = ("experiment", "cures", "watch", "stored study")
# Measured on 2 cores: seconds a paragraph by voice, those of a quick study, and those that a fresh
# process takes to begin.
_PARAGRAPH_S = {"tiny": 0.1}
_OTHER_PARAGRAPH_S, _QUICK, _BEGIN_S, _TRACED = 1.5, 0.6, 2.5, 1.3
_CURES_S = {"tiny": 150.0}
_OTHER_CURES_S = 720.0
_ROWS = {
    "experiment": ("experiment", "levels", "knobs", "voice", "repeats", "trace", "quick", "limit"),
    "cures": ("voice", "repeats", "under", "quick"),
    "watch": ("file", "steps", "repeats", "trace", "limit"),
    "stored study": ("stored",),
}
"""What is asked for each task, in this order."""


def panel() -> Panel:
    """Show the panel: experiment, cures, a file of one's own, or a stored study; then run or open.

    Returns
    -------
    Panel
        The panel; its ``study`` is the last one that it made or opened, or None.

    Raises
    ------
    InputError
        There are no widgets; the message names what to install and the call that does the same.

    Examples
    --------
    >>> import listen2lab as lab
    >>> lab.panel().experiment.value
    'baseline'
    """
    return Panel()


class Panel:
    """Runs in a thread of its own, so that the kernel stays free.

    While a run is under way nothing but stopping it is possible. What it made is `study`.
    """

    def __init__(self) -> None:
        need(
            "the panel",
            "ipywidgets",
            instead='call lab.run("cache-size", levels=[1, 2], voice="tiny", repeats=3, '
            "quick=True).plot(), which does the same",
        )
        import ipywidgets as w

        self.study: Study | None = None
        self._thread: threading.Thread | None = None
        self._html = w.HTML

        def wide() -> dict[str, Any]:  # each its own: what is hidden is one widget
            return {"style": {"description_width": "90px"}, "layout": w.Layout(width="460px")}

        self.task = w.ToggleButtons(options=_TASKS, style={"button_width": "auto"})
        self.experiment = w.Dropdown(options=list(EXPERIMENTS), description="Experiment", **wide())
        self.levels = w.SelectMultiple(description="Levels", **wide())
        self.knobs = w.Text(
            description="Knobs", placeholder="noise_scale=0, num_threads=2", **wide()
        )
        self.voice = w.Dropdown(options=GENERATED_VOICES, description="Voice", **wide())
        self.repeats = w.BoundedIntText(3, min=1, max=20, description="Repeats", **wide())
        self.trace = w.Dropdown(options=("none", "telling", "all"), description="Trace", **wide())
        self.quick = w.Checkbox(value=True, description="Quick: short paragraphs and few", **wide())
        self.limit = w.Text(description="Memory limit", placeholder="2.5GB; empty: none", **wide())
        self.under = w.Text(description="Under", placeholder="300MB; empty: 1 GB, 500 MB", **wide())
        self.file = w.Text(description="Your file", placeholder="my_workload.py", **wide())
        self.steps = w.BoundedIntText(200, min=15, max=10**6, description="Steps", **wide())
        self.stored = w.Dropdown(description="Study", **wide())
        self.run = w.Button(description="Run", button_style="primary", icon="play")
        self.stop = w.Button(description="Stop", icon="stop", disabled=True)
        self.estimate, self.question = w.HTML(), w.HTML()
        self.live, self.status, self.result = w.HTML(), w.HTML(), w.VBox()
        rows = dict.fromkeys(name for names in _ROWS.values() for name in names)
        self._choices = {name: getattr(self, name) for name in rows}
        self.experiment.observe(lambda _: self._offer_levels(), names="value")
        self.task.observe(lambda _: self._offer_choices(), names="value")
        for name in ("task", "experiment", "levels", "voice", "repeats", "trace", "quick"):
            getattr(self, name).observe(lambda _: self._estimate(), names="value")
        self.run.on_click(lambda _: self.start())
        self.stop.on_click(lambda _: self._ask_to_stop())
        self.box = w.VBox(
            [
                self.task, *self._choices.values(), self.question, self.estimate,
                w.HBox([self.run, self.stop]), self.live, self.status, self.result,
            ]
        )  # fmt: skip
        self._following = Live(self._draw)
        self._offer_levels()
        self._offer_choices()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.box._repr_mimebundle_(**kwargs)

    def _offer_levels(self) -> None:
        chosen = EXPERIMENTS[self.experiment.value]
        names = [level.name for level in chosen.levels]
        self.levels.options = names
        self.levels.rows = max(2, len(names))  # of one row a browser makes a menu
        self.levels.value = names
        self.question.value = prediction_card([chosen], {})._repr_html_()

    def _offer_choices(self) -> None:
        """Show what the task asks for, and nothing else."""
        task = self.task.value
        for name, widget in self._choices.items():
            widget.layout.display = None if name in _ROWS[task] else "none"
        self.question.layout.display = None if task == "experiment" else "none"
        self.run.description = "Open" if task == "stored study" else "Run"
        self.stored.options = _stored()

    def _estimate(self) -> None:
        """Say how many runs there are to be, and how long they will take."""
        task, voice = self.task.value, self.voice.value
        said = ""
        if task == "experiment" and self.levels.value:
            item = EXPERIMENTS[self.experiment.value][self.levels.value]
            plan = Plan((item,), repeats=self.repeats.value, traced=self.trace.value)
            paragraph = _PARAGRAPH_S.get(voice, _OTHER_PARAGRAPH_S)
            if self.quick.value:
                plan, paragraph = quick(plan), paragraph * _QUICK
            runs = schedule(plan)
            steps = [run.experiment.steps + run.experiment.warmup for run in runs]
            slower = [_TRACED if run.traced else 1.0 for run in runs]
            took = sum(n * s * paragraph + _BEGIN_S for n, s in zip(steps, slower, strict=True))
            took /= api.jobs_here(None)
            said = estimate(len(runs), took, sum(run.traced for run in runs))
        elif task == "cures":
            slow = 1.0 if not self.quick.value else 0.5
            said = estimate(30, slow * _CURES_S.get(voice, _OTHER_CURES_S), 0)
        self.estimate.value = escape(said)

    def start(self) -> None:
        """Run what is chosen, or open it, unless a run is under way."""
        if self._thread is not None and self._thread.is_alive():
            return
        if self.task.value == "experiment" and not self.levels.value:
            self._say("No level is chosen; choose at least one.")
            return
        self._following = Live(self._draw)
        self._lock(is_locked=True)
        self._thread = threading.Thread(target=self._work, name="panel", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the run that is under way."""
        if self._thread is not None:
            self._thread.join()

    def _ask_to_stop(self) -> None:
        self._following.is_stopped = True
        self._say("stopping at the next step ...")

    def _lock(self, *, is_locked: bool) -> None:
        for widget in (self.task, *self._choices.values(), self.run):
            widget.disabled = is_locked
        self.stop.disabled = not is_locked

    def _draw(self, html: str) -> None:
        self.live.value = html

    def _work(self) -> None:
        folder = api.new_folder()
        make: Callable[[Path], Study] = {
            "experiment": self._experiment,
            "cures": self._cures,
            "watch": self._watch,
            "stored study": lambda _: facade.open(self.stored.value or "reference"),
        }[self.task.value]
        try:
            self.result.children, self.live.value = (), ""
            self._say("starting ...")
            self.study = make(folder)
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

    def _experiment(self, folder: Path) -> Study:
        return api.run(
            self.experiment.value, levels=list(self.levels.value), voice=self.voice.value,
            repeats=self.repeats.value, quick=self.quick.value, trace=self.trace.value,
            knobs=_knobs(self.knobs.value), memory_limit=self.limit.value.strip() or None,
            out=folder, progress=self._following,
        )  # fmt: skip

    def _cures(self, folder: Path) -> Study:
        return cures(
            voice=self.voice.value, repeats=self.repeats.value, quick=self.quick.value,
            under=self.under.value.strip() or None, out=folder, progress=self._following,
        )  # fmt: skip

    def _watch(self, folder: Path) -> Study:
        if not self.file.value.strip():
            raise InputError("no file is named; name the Python file with step(i) in it")
        return api.watch(
            self.file.value.strip(), steps=self.steps.value, repeats=self.repeats.value,
            trace=self.trace.value != "none", memory_limit=self.limit.value.strip() or None,
            out=folder, progress=self._following,
        )  # fmt: skip

    def _say(self, sentence: str) -> None:
        self.status.value = escape(sentence)

    def _show(self, study: Study) -> None:
        name = study.plan.experiments[0].name
        summary = study.summary()
        shown = [study._repr_html_()]
        pictures = {
            "Memory over the steps": study.plot(),
            "Peak and end": study.plot_ends(),
            "Cures": study.plot_cures(),
        }
        shown += [to_inline(each, label=label) for label, each in pictures.items() if each]
        cards = [table_card(conditions(name, summary.experiments[name]))]
        if found := tested(summary, list(summary.experiments)):
            cards.append(finding_card(summary, found))
        shown += [card._repr_html_() for card in cards]
        self.result.children = tuple(self._html(value=each) for each in shown)
        page = study.folder.report_path
        if self.task.value != "stored study":
            self._say("writing the report ...")
            page = study.report()
        told = [f"Done: {study.folder.path}.", *endings(study.runs)]
        link = ""
        if page.is_file():
            href = os.path.relpath(page).replace(os.sep, "/")
            link = f' <a href="{escape(href)}" target="_blank">The report</a>: {escape(str(page))}'
        self.status.value = escape(" ".join(told)) + link


def _stored() -> list[str]:
    """Return the studies that lie here, the newest first, and the reference study."""
    folders = [each.parent for each in Path("studies").glob("*/manifest.json")]
    return [*(str(each) for each in sorted(folders, reverse=True)), "reference"]


def _knobs(text: str) -> dict[str, Any]:
    """Read ``name=value, name=value``; a value that is no JSON is a word."""
    values: dict[str, Any] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"a knob is given as name=value, not {pair!r}")
        try:
            values[name.strip()] = json.loads({"none": "null"}.get(value.strip().lower(), value))
        except ValueError:
            values[name.strip()] = value.strip()
    knobs_from(values)
    return values
