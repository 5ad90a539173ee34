"""The notebooks, as someone who opens one runs it; and running one with other parameters."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from small_studies import build_study

import listen2lab as lab
from listen2lab import notebook
from listen2lab.errors import InputError, UnknownNameError
from listen2lab.experiment.catalog import IN_ALL
from listen2lab.findings.conditions import numbers_of
from listen2lab.findings.hypotheses import HYPOTHESES
from listen2lab.findings.records import MadeFrom, Summary
from listen2lab.notebook import parameter_cell as _cells
from listen2lab.notebook.execution import opened_by
from listen2lab.notebook.pages import write_notebooks

pytestmark = pytest.mark.slow  # runs of their own processes


ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
QUESTIONS = [path for path in NOTEBOOKS if path.stem < "11"]  # one template; then one's own code
CELL = 'study: str = "reference"  # a folder\nrun_now: bool = False\nrepeats: int = 3\n'


def code_of(path):
    """Return the sources of a notebook's code cells."""
    cells = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def shown_by(source, names):
    """Run a cell as IPython does, and return what its last line shows."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)  # noqa: S102 - our own cells
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307 - as above


def looked_at(shown):
    """Return what a notebook makes of something that a cell shows."""
    return shown._repr_html_() if hasattr(shown, "_repr_html_") else repr(shown)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Jupyter's own, not ours to fix
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_the_reference_study(path, tmp_path, monkeypatch):
    """No cell raises, and every code cell but the parameters shows something."""
    monkeypatch.chdir(tmp_path)
    names = {}
    cells = code_of(path)
    shown_by(cells[0], names)
    for source in cells[1:]:
        assert looked_at(shown_by(source, names)), source
    assert path not in QUESTIONS or not any(tmp_path.iterdir())  # nothing ran


@pytest.mark.parametrize("path", QUESTIONS, ids=lambda path: path.stem)
def test_what_is_your_turn_runs_and_shows_the_same_pictures(path, tmp_path, monkeypatch):
    """Each at its smallest, the first one with its traces; all land in the folder of studies."""
    monkeypatch.chdir(tmp_path)
    is_traced = path == QUESTIONS[0]
    smallest = functools.partial(
        notebook.turn, steps=4 if is_traced else 1, repeats=1, trace="all" if is_traced else "none"
    )
    monkeypatch.setattr(notebook, "turn", smallest)
    names = {"lab": lab, "nb": notebook, "your_turn": True}
    (cell,) = [
        source for source in code_of(path) if "your_turn)" in source or "=your_turn," in source
    ]
    shown = shown_by(cell, names)
    study, curves, traces, account = shown.parts.values()
    assert (study.runs["outcome"] == "complete").all()
    assert len(study.plan.experiments[0].levels) == 2
    assert study.folder.path.parent.resolve() == tmp_path / "studies"
    assert all(map(looked_at, shown.parts.values()))
    assert isinstance(traces, Figure) == is_traced
    assert isinstance(curves, Figure)
    assert isinstance(account, Figure)


def test_the_reference_study_was_judged_by_this_code():
    """Two of its experiments, judged anew, get the verdicts and sizes that are stored."""
    study = lab.Study.reference()
    stored = study.folder.read("summary.json", Summary)
    assert stored is not None
    made_from = MadeFrom(listen2lab=lab.__version__, digest=study.folder.digest())
    assert stored.made_from == made_from, "write it anew: listen2lab report data/reference/study"
    names = ("cache-size", "session-recreation")
    runs, samples = (t[t["experiment"].isin(names)] for t in (study.runs, study.samples))
    for name, conditions in numbers_of(runs, samples).items():
        for condition, numbers in conditions.items():
            before = stored.experiments[name].conditions[condition]
            assert numbers.verdict == before.verdict
            assert numbers.end_mib == pytest.approx(before.end_mib)


def test_the_readme_tells_what_the_reference_study_found():
    """Each row of its table is the stored finding, rounded."""
    found = lab.Study.reference().summary().findings
    rows = re.findall(
        r"^\| (H\d) .*?\| \**(supported|refuted|inconclusive)\b.*\| ([^|]+) \|$",
        (ROOT / "README.md").read_text(), re.MULTILINE,
    )  # fmt: skip
    assert [name for name, _, _ in rows] == [name for name, each in found.items() if each.runs]
    for name, finding, shown in rows:
        each = found[name]
        low, high = each.interval_mib
        wanted = f"{each.effect_mib:,.0f} [{low:,.0f}, {high:,.0f}]"
        assert finding == each.finding
        assert shown == ("0" if name == "H0" else wanted)


@pytest.mark.parametrize("path", QUESTIONS, ids=lambda path: path.stem)
def test_the_notebooks_follow_one_template(path):
    """The same typed parameters, and the same headings in the same order."""
    found = notebook.parameters(path)
    assert {name: each.annotation for name, each in found.items() if name != "files"} == {
        "study": "str", "run_now": "bool", "your_turn": "bool", "voice": "str", "repeats": "int",
    }  # fmt: skip
    assert found["study"].value == "reference"
    assert found["run_now"].value is found["your_turn"].value is False
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert "**Question.**" in cells[0].source
    assert re.findall(r"^## (.+)", text, re.MULTILINE) == [
        "Parameters", "Prediction", "Run or load", "Look", "Finding", "Your turn", "What next",
        "Provenance",
    ]  # fmt: skip
    assert re.search("^### Who allocated it", text, re.MULTILINE)
    assert re.search("^### What it is made of", text, re.MULTILINE)
    assert "**See in the reference" in text
    assert code_of(path)[-1] == "nb.provenance(opened)"
    links = re.findall(r"\]\(([\w./]+)\)", text)
    assert all((path.parent / link).exists() for link in links)


def test_a_hypothesis_of_ones_own_is_run_from_its_notebook(tmp_path, monkeypatch):
    """Asked, predicted, run at its smallest, and contrasted with its interval."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lab, "run", functools.partial(lab.run, steps=1, warmup=0))
    names = {}
    for k, source in enumerate(code_of(ROOT / "notebooks" / "12_your_hypothesis.ipynb")):
        assert shown_by(source, names) is not None or k == 0
        if k == 0:
            names |= {"run_now": True, "repeats": 2}
    study, asked = names["opened"], names["mine"]
    (planned,) = study.plan.experiments
    assert (planned.question, planned.predictions) == (asked.question, asked.predictions)
    assert study.contrasts().loc[asked.name].index.tolist() == ["2", "4"]
    assert study.contrasts()[["peak_low_mib", "end_high_mib"]].notna().all(axis=None)


def test_every_hypothesis_and_experiment_has_its_notebook():
    """Nothing of the catalog is left without a question."""
    everything = "".join(
        "".join(code_of(path)) for path in QUESTIONS if not path.stem.startswith("08")
    )
    for name in (*lab.EXPERIMENTS, *HYPOTHESES):
        assert f'"{name}"' in everything


values = {"study": st.text(), "run_now": st.booleans(), "repeats": st.integers()}


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({}, optional=values))
def test_other_values_are_read_back_as_they_were_given(given_values):
    """Whatever the text of a value, the cell stays Python and the rest stays as it was."""
    before = {name: each.value for name, each in _cells.parameters_of(CELL).items()}
    again = _cells.parameters_of(_cells.replaced(CELL, given_values))
    assert {name: each.value for name, each in again.items()} == {**before, **given_values}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["str", "bool", "int", "float", "int | None", "list[str]"]), st.text())
def test_a_text_from_the_command_line_never_raises(annotation, text):
    """What cannot be read as the type stays text, and the check of the type speaks then."""
    parameter = _cells.Parameter("x", annotation, None, (1, 0, 1, 0))
    value = _cells.from_text(parameter, text)
    assert parameter.fits(value) or value == text


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [("3", "int", 3), ("3", "str", "3"), ("true", "bool", True), ("True", "bool", True),
     ("null", "int | None", None), ('["a"]', "list[str]", ["a"]), ("2", "float", 2)],
)  # fmt: skip
def test_a_text_becomes_what_its_parameter_is(text, annotation, value):
    """A number for an int, the same digits for a str."""
    parameter = _cells.Parameter("x", annotation, None, (1, 0, 1, 0))
    assert _cells.from_text(parameter, text) == value


@pytest.mark.parametrize(
    ("given_values", "said"),
    [({"repeat": 2}, "did you mean 'repeats'"),
     ({"repeats": "2"}, "'repeats' must be int, not '2'"),
     ({"repeats": True}, "'repeats' must be int, not True"),
     ({"run_now": 1}, "'run_now' must be bool, not 1"),
     ({"study": None}, "'study' must be str, not None")],
)  # fmt: skip
def test_a_wrong_parameter_is_a_clear_error(given_values, said):
    """Neither a misspelt name nor another type goes through."""
    with pytest.raises(InputError, match=said):
        _cells.replaced(CELL, given_values)


@pytest.mark.parametrize(
    ("cell", "said"),
    [("a: int = 'x'", "must be int"), ("a: int", "has no value"), ("a: int = b", "plain value"),
     ("a: complex = 1", "no type for a parameter"), ("a: int = ", "no Python")],
)  # fmt: skip
def test_a_cell_that_cannot_be_checked_is_refused(cell, said):
    """A parameter must have a type that is known, and a value of it."""
    with pytest.raises(InputError, match=said):
        _cells.parameters_of(cell)


def made(folder, *cells):
    """Write a notebook of code cells and return its path."""
    new = nbformat.v4.new_notebook()
    new.cells = [nbformat.v4.new_code_cell(source) for source in cells]
    new.cells.append(nbformat.v4.new_markdown_cell("[next](01_is_it_a_leak.ipynb) $x$"))
    path = folder / "asked.ipynb"
    nbformat.write(new, path)
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Jupyter's own, not ours to fix
def test_a_notebook_is_run_with_other_values_and_shared_without_paths(tmp_path, monkeypatch):
    """The page shows what the values gave, needs no network, and does not say where things lie."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "private" / "my-study"
    path = made(tmp_path, CELL, "import os\n(study, os.path.relpath(study), 2 * repeats)")
    page = tmp_path / "shared" / "asked.html"
    done = notebook.execute(path, {"study": folder, "repeats": 21}, page)
    shown = done.cells[1].outputs[0]["data"]["text/plain"]
    assert ast.literal_eval(shown) == (str(folder), "private/my-study", 42)
    html = page.read_text()
    assert "my-study" in html
    assert "private" not in re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)
    assert not re.search(r"(src|href)=.https?:", html)
    assert 'href="01_is_it_a_leak.html"' in html
    assert code_of(path)[0] == CELL  # the notebook itself is not changed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Jupyter's own, not ours to fix
def test_what_runs_is_shown_below_its_cell_in_one_place(tmp_path, monkeypatch):
    """In the end all runs are counted and each has its curve; it was redrawn, not added to."""
    monkeypatch.chdir(tmp_path)
    turn = 'nb.turn(lab.vary("num_threads", [1]), run=True, steps=2, repeats=1, trace="none");'
    path = made(tmp_path, CELL, f"import listen2lab as lab, listen2lab.notebook as nb\n{turn}")
    done = notebook.execute(path)
    (shown,) = done.cells[1].outputs
    assert "1 of 1 " in shown["data"]["text/html"]
    assert shown["data"]["text/html"].count("<polyline") == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Jupyter's own, not ours to fix
def test_a_failing_cell_is_an_error_and_what_came_before_is_kept(tmp_path):
    """The error names the notebook and the cause; the outputs so far are in the file."""
    path = made(tmp_path, CELL, "6 * 7", "1 / 0")
    out = tmp_path / "out.ipynb"
    with pytest.raises(lab.LabError, match=r"asked\.ipynb: a cell failed: ZeroDivisionError"):
        notebook.execute(path, out=out)
    assert "42" in out.read_text()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Jupyter's own, not ours to fix
def test_a_kernel_that_dies_is_an_error_and_what_came_before_is_kept(tmp_path):
    """A run that takes all memory ends the kernel, and no cell can say so."""
    path = made(tmp_path, CELL, "6 * 7", "import os\nos._exit(1)")
    out = tmp_path / "out.ipynb"
    with pytest.raises(lab.LabError, match=r"asked\.ipynb: a cell failed: DeadKernelError"):
        notebook.execute(path, {}, out)
    assert "42" in out.read_text()


def test_what_is_no_notebook_is_an_error(tmp_path):
    """A missing, a damaged and an empty file, and a file that a notebook cannot become."""
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{")
    for path in (tmp_path / "none.ipynb", broken, made(tmp_path)):
        with pytest.raises(InputError, match=r"notebook|code cell"):
            notebook.execute(path)
    with pytest.raises(InputError, match="neither"):
        notebook.execute(made(tmp_path, CELL), out=tmp_path / "x.pdf")
    with pytest.raises(InputError, match="name=value"):
        notebook.given(made(tmp_path, CELL), ["repeats"])
    assert notebook.given(made(tmp_path, CELL), ["repeats=5", "x=1"]) == {"repeats": 5, "x": "1"}


def test_a_prediction_is_shown_before_any_run():
    """Claim, rule, levels and prediction; an unknown name suggests the nearest."""
    card = notebook.prediction("H4", "cache-size")
    assert "Refuted when" in repr(card)
    assert "max_cache_size: 1, 2, unbounded" in repr(card)
    assert "predicted by H4" in repr(card)
    with pytest.raises(UnknownNameError, match="'cache-size'"):
        notebook.prediction("cache-sizes")


def test_a_study_runs_the_notebooks_that_it_can_answer(tmp_path):
    """Of the others it is said what is missing, and no kernel is started for them."""
    several = 'nb.open_or_run(\n    ["cache-size", "force-clear"],\n    study=study)'
    path = made(tmp_path, CELL, several, 'open_or_run("baseline", study=study)')
    assert opened_by(path) == ["cache-size", "force-clear", "baseline"]
    assert opened_by(made(tmp_path, CELL, "open_or_run([], study=study)")) == list(IN_ALL)
    path = made(tmp_path, CELL, several)
    study = build_study(tmp_path / "study", {"cache-size/2": 60})
    assert write_notebooks(study, None, notebooks=[path]) == [
        "asked: the study holds no force-clear"
    ]
    assert write_notebooks(study, None, notebooks=[made(tmp_path, "repeats: int = 3")]) == []
    assert not (study.folder.path / "notebooks").exists()


def test_an_error_of_ours_is_its_sentence_and_the_user_s_line():
    """Not forty lines of our source; errors of others are shown as they are."""
    with pytest.raises(lab.LabError) as caught:
        lab.open("nowhere")
    line, sentence = caught.value._render_traceback_()
    assert line.endswith('lab.open("nowhere")')
    assert sentence.startswith("StudyError: nowhere is no study")
