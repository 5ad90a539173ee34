"""Every error this package raises on purpose.

::

    LabError                    something to act on; the command line prints it and exits 2
    ├── InputError              what was given cannot be used: a text, a knob, a name, a file
    │   ├── TextError           a text or book
    │   ├── VoiceError          a voice or recognizer folder, found bad *before* the engine sees it
    │   ├── MissingExtraError   what an extra of the package brings, and is not installed
    │   ├── UnknownNameError    a name that does not exist; suggests the nearest
    │   └── WorkloadError       a workload file that cannot be loaded or breaks its protocol
    ├── StudyError              a study folder: locked, read-only, full, damaged, of another version
    │   ├── DamagedError        a run's samples cannot be read from some line on
    │   ├── RefusedFileError    a file of a study that is a link, no plain file, or too large
    │   └── NewerStudyError     written by a newer version
    ├── RunStoppedError         a run was stopped with its study, on request
    ├── EngineError             the speech engine did not do what was asked (0 samples, ...)
    ├── FetchError              a download or an archive that was refused
    └── ProbeError              this system does not let a quantity be measured

Each message says what happened, what was done about it, and what to do next.
"""

from __future__ import annotations

import functools
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

__all__ = [
    "EXTRAS", "DamagedError", "EngineError", "FetchError", "InputError", "LabError",
    "MissingExtraError", "NewerStudyError", "ProbeError", "RefusedFileError", "RunStoppedError",
    "StudyError", "TextError", "UnknownNameError", "VoiceError", "WorkloadError", "explained",
    "known_keywords", "need", "no_attribute",
]  # fmt: skip


class LabError(Exception):
    """Something went wrong that the user can act on.

    Examples
    --------
    >>> import listen2lab as lab
    >>> try:
    ...     lab.open("none-such")
    ... except lab.LabError as error:
    ...     print(type(error).__name__)
    StudyError
    """

    def _render_traceback_(self) -> list[str]:
        """Show the sentence and the user's own line in a notebook, not forty lines of ours."""
        import traceback  # only when something is wrong: a worker stays light

        own = [
            each
            for each in traceback.extract_tb(self.__traceback__)
            if each.line and not each.filename.startswith((_PACKAGE, *_MACHINERY))
        ]
        line = [f"line {own[-1].lineno}: {own[-1].line}"] if own else []
        return [*line, f"{type(self).__name__}: {self}"]


_PACKAGE = __file__.rpartition("/")[0]
_MACHINERY = (sys.prefix, sys.base_prefix)


class InputError(LabError):
    """What was given cannot be used."""


class TextError(InputError):
    """A text or book cannot be read, or a paragraph cannot be spoken."""


class VoiceError(InputError):
    """A voice or recognizer folder would make the engine fail or end the process."""


class WorkloadError(InputError):
    """A workload file cannot be loaded, or does not keep the protocol."""


EXTRAS = {
    **dict.fromkeys(("sherpa_onnx", "onnxruntime", "onnx", "kaldi_native_fbank"), "lab"),
    **dict.fromkeys(("requests", "jupyterlab", "nbclient", "nbformat", "nbconvert"), "lab"),
    "distributed": "dask",
    "ipywidgets": "panel",
    "piper": "piper",
}
"""Modules that ``pip install listen2lab`` does not bring, each with the extra that does."""


class MissingExtraError(InputError):
    """What an extra brings is not installed.

    Parameters
    ----------
    what
        What needs it.
    module
        One of `EXTRAS`.
    instead
        What does without.
    """

    def __init__(self, what: str, module: str, instead: str = "") -> None:
        super().__init__(
            f"{what} needs {module}, which is not installed; nothing was run; "
            f"pip install 'listen2lab[{EXTRAS[module]}]'{instead and f', or {instead}'}"
        )


def need(what: str, *modules: str, instead: str = "") -> None:
    """Refuse what needs modules of an extra, where one of them is not installed."""
    from importlib.util import find_spec  # a worker stays light

    for module in modules:
        if find_spec(module) is None:
            raise MissingExtraError(what, module, instead)


def explained(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Return what an import that failed lacks, where an extra brings it."""
    module = (error.name or "").partition(".")[0]
    return MissingExtraError("this", module) if module in EXTRAS else None


class UnknownNameError(InputError):
    """A name that does not exist.

    Parameters
    ----------
    kind
        What was looked for, in the singular: ``"experiment"``, ``"knob"``.
    name
        What was given.
    known
        The names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        hint = _nearest(name, names) or f"there are: {', '.join(names)}"
        super().__init__(f"no {kind} is named {name!r}; {hint}")


class StudyError(LabError):
    """A study folder cannot be written, read or continued."""


class DamagedError(StudyError):
    """A run's samples cannot be read.

    Parameters
    ----------
    line
        From 1.
    message
        What is wrong in it.
    """

    def __init__(self, line: int, message: str) -> None:
        super().__init__(
            f"line {line} of steps.jsonl is damaged ({message}); the run is left out; delete its "
            "folder and use --resume to run it again"
        )
        self.line, self.message = line, message


class RefusedFileError(StudyError):
    """A file of a study is a link, no plain file, or larger than anything a study holds."""


class NewerStudyError(StudyError):
    """A study of a newer version: not even a report beside it may stand in for its manifest."""


class RunStoppedError(LabError):
    """A run was stopped with its study, on request; it has no result and runs again on resume."""


class EngineError(LabError):
    """The speech engine did not do what it was asked."""


class FetchError(LabError):
    """A download failed, or what came was refused."""


class ProbeError(LabError):
    """The system does not let a quantity be measured."""


_GUESSED = {
    "attribute": "account_at(step=12), or trace(experiment, condition).top(at=12)",
    "flame": "trace(experiment, condition).flamegraph()",
    "heap": "trace(experiment, condition)",
    "load": "lab.open(folder)",
    "owners": "trace(experiment, condition).top()",
    "plot_heap": "plot_traces(experiment), or trace(experiment, condition).plot()",
    "plot_trace": "plot_traces(experiment), or trace(experiment, condition).plot()",
    "verdicts": "conditions(experiment), or listen2lab.notebook.verdicts(study, experiment)",
}
"""Names that people have guessed, and what does it: nearer than a name that is spelt alike."""


def no_attribute(owner: str, name: str, known: Iterable[str]) -> AttributeError:
    """Return the error for a name that an owner lacks; it suggests the nearest."""
    hint = f"use {_GUESSED[name]}" if name in _GUESSED else _nearest(name, known)
    return AttributeError(f"{owner} has no attribute {name!r}; {hint}".rstrip("; "))


def known_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Let a misspelt keyword be an UnknownNameError, which suggests the nearest.

    Examples
    --------
    >>> known_keywords(lambda repeats: repeats)(repeat=3)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    UnknownNameError: no argument of <lambda> is named 'repeat'; did you mean 'repeats'?
    """

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        import inspect  # only where a keyword may be wrong: a worker stays light

        known = inspect.signature(function).parameters
        for name in kwargs:
            if name not in known:
                raise UnknownNameError(f"argument of {function.__name__}", name, known)
        return function(*args, **kwargs)

    return checked


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return a question for the nearest name, or nothing."""
    import difflib  # only when something is wrong: a worker stays light

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else ""
