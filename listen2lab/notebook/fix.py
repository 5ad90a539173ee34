"""What the notebook of the fix calls: cures, the law, both voices on one axis and to listen to."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from listen2lab import facade
from listen2lab.experiment.inputs import open_book
from listen2lab.notebook.cards import said
from listen2lab.pipeline.knobs import Knobs
from listen2lab.report.card import Card, table_card, table_of
from listen2lab.report.cure_plots import plot_both
from listen2lab.report.text import cures as words
from listen2lab.report.text.escape import as_code
from listen2lab.report.text.law import law as law_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from listen2lab.facade import Study

__all__ = ["both", "fix", "law", "law_in_words", "listen", "open_cures", "pareto"]

_SHOWN = ("cures", "utterance-length")
_NO_CURES = (
    "This study holds no cures: set run_now to True, which runs them here, or name a study that "
    "`listen2lab cures` wrote."
)


def open_cures(study: str, *, run_now: bool, voice: str, repeats: int) -> Study:
    """Open a stored study, with cures or without, or find the cures now.

    Parameters
    ----------
    study
        ``reference``, or a study's folder.
    run_now
        Find cures: quickly with the tiny voice, else as `listen2lab.cures` does.
    voice, repeats
        See `listen2lab.cures`.
    """
    if run_now:
        from listen2lab.cure_search import cures

        return cures(voice=voice, repeats=repeats, quick=voice == "tiny")
    data = facade.open(study).data
    there = {item.name for item in data.plan.experiments}
    return facade.Study(data, shown=[name for name in _SHOWN if name in there])


def pareto(study: Study) -> Figure | Card:
    """Show each cure's peak against its CPU."""
    return study.plot_cures() or said(_NO_CURES)


def fix(study: Study) -> Card:
    """Show what is under each limit, and the plan."""
    answers = study.summary().answers
    if answers is None or answers.cures is None:
        return said(_NO_CURES)
    sentences = [*words.limits(answers.cures), words.measured(answers.cures)]
    steps = [(str(at), *map(as_code, step)) for at, step in enumerate(words.plan(answers.cures), 1)]
    parts = [Markup("<p>{}</p>").format(sentence) for sentence in sentences]
    table = table_of(words.PLAN_HEADS, steps, numbers_from=len(words.PLAN_HEADS))
    return Card(Markup("").join([*parts, table]), [*sentences, *words.plan_lines(answers.cures)])


def law(study: Study) -> Figure | Card:
    """Show the law of the longest sentence, where the study has run enough lengths."""
    return study.plot_law() or said(
        "This study holds no law: `listen2lab run utterance-length` finds it."
    )


def law_in_words(study: Study) -> Card:
    """Say which sentences stay under each limit."""
    words = law_words(study.summary().laws)
    return table_card([("the law", each) for each in words]) if words else said("No law was found.")


def both(study: Study) -> Figure | Card:
    """Show the app with the exported and with the bounded voice on one axis."""
    return plot_both(study.data) or said(_NO_CURES)


def listen(text: str, *, voice: str, run_now: bool) -> Any:
    """Speak a text with the exported and with the bounded voice, noise 0, and compare the samples.

    Parameters
    ----------
    text
        A sentence.
    voice
        A generated voice's name, or a folder.
    run_now
        Whether the engine may run here; else what to set is said.

    Returns
    -------
    object
        Something that a notebook shows: two players, and what their samples differ by.
    """
    if not run_now:
        return said("Set run_now to True to hear both voices: they are made by the engine.")
    display: Any = importlib.import_module("IPython.display")  # a notebook has it; it has no types

    from listen2lab.experiment.bounded import bounded_voice
    from listen2lab.experiment.inputs import models_root
    from listen2lab.pipeline.synthesis import Synthesizer

    book = open_book(voice, paragraphs=[text])
    bounded = bounded_voice(Path(book.voice_files.folder), book.voice_hash, models_root())
    knobs = Knobs(noise_scale=0.0, noise_scale_w=0.0)
    wavs = []
    with tempfile.TemporaryDirectory() as scratch:
        for files in (book.voice_files, bounded):
            synthesizer = Synthesizer(files, knobs, scratch)
            synthesizer.load()
            wavs.append(synthesizer.synthesize(text).wav)
            synthesizer.cleanup()
    is_same = wavs[0] == wavs[1]
    result = "Every sample is the same." if is_same else "The samples are not the same."
    players = [
        Markup("<p>{}</p>{}").format(name, Markup(display.Audio(data=wav)._repr_html_()))  # noqa: S704
        for name, wav in zip(("as exported", "bounded"), wavs, strict=True)
    ]
    return display.HTML(f"{Markup().join(players)}<p>{escape(result)}</p>")
