"""The examples in docstrings run, what `lab` offers has one each, and the tab key finds names."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import listen2lab as lab

PACKAGE = Path(lab.__file__).parent
SLOW = {"api", "facade", "heap_trace"}
"""They start processes, or read the whole reference study."""
DATA = {"EXPERIMENTS", "HYPOTHESES", "KNOB_MEANINGS", "__version__"}


def with_examples():
    """Return the modules that have examples."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text("utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            name = ".".join(parts).removesuffix(".__init__")
            marks = [pytest.mark.slow] if name.removeprefix("listen2lab.") in SLOW else []
            found.append(pytest.param(name, marks=marks, id=name))
    return found


def examples(module):
    """Return the examples of a module: its own, and those of what it defines."""
    given = {**vars(module), "__name__": "__main__"}  # where a function is somebody's own
    found = doctest.DocTestFinder(recurse=False).find(module, globs=given)
    for name, each in vars(module).items():
        is_own = getattr(each, "__module__", None) == module.__name__
        if is_own and (inspect.isroutine(each) or inspect.isclass(each)):
            finder = doctest.DocTestFinder()
            found += finder.find(inspect.unwrap(each), name, module=False, globs=given)
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", with_examples())
def test_examples_run(name, tmp_path, monkeypatch, capsys):
    """As they stand, in an empty folder."""
    runner = doctest.DocTestRunner()
    for test in examples(importlib.import_module(name)):
        folder = tmp_path / test.name
        folder.mkdir()
        monkeypatch.chdir(folder)
        runner.run(test)
    assert not runner.failures, capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(set(lab.__all__) - DATA))
def test_what_is_offered_has_an_example_and_is_in_help(name):
    """help(lab.run) shows how it is called."""
    each = getattr(lab, name)
    text = inspect.getdoc(type(each) if name == "experiments" else each)
    assert ">>> " in text
    assert text.splitlines()[0].endswith(".")


def test_help_lists_what_there_is():
    """Of the package: calls and classes; of `vary`: each knob as a keyword."""
    text = pydoc.render_doc(lab, renderer=pydoc.plaintext)
    assert all(f"{name}(" in text for name in ("run", "vary", "watch", "compare", "class Study"))
    assert all(f"{knob}:" in pydoc.render_doc(lab.vary) for knob in lab.Knobs._fields)


COMPLETED = {
    "lab.va": "vary", "lab.experiments.cache_": "cache_size", "lab.vary(num_": "num_threads=",
    "lab.run(repe": "repeats=", 'asked["unb': "unbounded",
    'lab.KNOB_MEANINGS["split_': "split_sentences_s", 'lab.EXPERIMENTS["cache': "cache-size",
    'study["base': "baseline", "study.contr": "contrasts",
}  # fmt: skip


@pytest.mark.slow
def test_the_tab_key_completes_names(tmp_path):
    """As IPython does it: experiments, levels, knobs, keywords, and what a study holds."""
    code = f"""
import listen2lab as lab
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
asked = lab.experiments.cache_size
shell.user_ns.update(lab=lab, study=lab.Study.reference(), asked=asked)
with provisionalcompleter():
    for text, wanted in {COMPLETED!r}.items():
        found = [each.text for each in shell.Completer.completions(text, len(text))]
        assert wanted in found, (text, found)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PATH": "", "HOME": str(tmp_path)}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
