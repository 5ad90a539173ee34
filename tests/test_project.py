"""What holds the project together: names, dependencies, rules of the house."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import listen2lab
from listen2lab.cli import app

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULES = [m.name for m in pkgutil.walk_packages(listen2lab.__path__, "listen2lab.")]


def named(requirement):
    """Return a requirement as (name, range), however it is spaced."""
    match = re.match(r"([\w-]+)\s*(.*)", requirement)
    assert match
    return match[1], match[2]


def test_every_module_belongs_to_the_package():
    """A folder without __init__.py escapes the checks here, an ignored one wheel and ruff."""
    home = Path(listen2lab.__file__).parent
    files = [path for path in home.rglob("*.py") if path != home / "__init__.py"]
    parts = [path.relative_to(home.parent).with_suffix("").parts for path in files]
    assert {".".join(each).removesuffix(".__init__") for each in parts} == set(MODULES)
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", *map(str, files)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert ignored.stdout == ""


def test_environment_and_pyproject_name_the_same_things():
    """Conda users get what pip users get, with the same ranges."""
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    by_pip = next(item["pip"] for item in listed if isinstance(item, dict))
    conda = {named(item) for item in listed if isinstance(item, str)}
    everything = conda | {named(item) for item in by_pip if not item.startswith("-e")}
    everything -= {("pip", ""), ("python", PROJECT["requires-python"])}
    extras = PROJECT["optional-dependencies"]
    wanted = PROJECT["dependencies"] + extras["lab"] + extras["dev"]
    assert everything == {named(item.split(";")[0].strip()) for item in wanted}
    assert "-e .[lab]" in by_pip


def test_the_readme_names_the_commands_there_are():
    """Every make target and command that the README shows exists."""
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = set(re.findall(r"^    make ([a-z-]+)|`make ([a-z-]+)", readme, re.MULTILINE))
    shown = {first or second for first, second in shown}
    assert {"lab", "test"} <= shown <= targets
    done = subprocess.run(
        [sys.executable, "-m", "listen2lab", "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    there = set(re.findall(r"^  ([a-z]+)  ", done.stdout, re.MULTILINE))
    shown = set(re.findall(r"^ *listen2lab ([a-z]+)", readme, re.MULTILINE))
    assert {"run", "watch"} <= shown <= there
    assert PROJECT["requires-python"].removeprefix(">=") in readme


@pytest.mark.parametrize("name", ["listen2lab", *MODULES])
def test_all_names_what_a_module_offers(name):
    """``__all__`` is sorted and true, and holds every public function and class of its own."""
    if name.endswith("__main__"):
        return
    module = importlib.import_module(name)
    offered = getattr(module, "__all__", None)
    if module.__file__.endswith("__init__.py"):
        offered = offered or []
    assert offered is not None, f"{name} has no __all__"
    for item in offered:
        assert hasattr(module, item), f"{name} offers {item} and does not have it"
    if name.startswith("listen2lab.cli."):
        return  # commands are offered by their names on the command line
    own = {
        item
        for item, thing in vars(module).items()
        if not item.startswith("_")
        and (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == name
    }
    assert own <= set(offered)


def test_only_the_report_imports_matplotlib_and_the_worker_nothing_of_weight():
    """Data flows one way: the rules of the house, read off the imports."""
    heavy = {"pandas", "scipy", "matplotlib", "typer", "tqdm", "jinja2", "rich"}
    for path in (ROOT / "listen2lab").rglob("*.py"):
        room = path.relative_to(ROOT / "listen2lab").parts[0]
        for node in ast.parse(path.read_text()).body:  # what is imported with the module
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                if top == "matplotlib":
                    assert room == "report", f"{path}: {name}"
                if room in ("pipeline", "probes") or path.name in ("worker.py", "workload.py"):
                    assert top not in heavy, f"{path}: {name}"
                    assert not name.startswith(("listen2lab.experiment", "listen2lab.report"))


def test_importing_the_package_loads_nothing_of_weight():
    """A worker imports the package: names are loaded when they are used."""
    code = "import sys, listen2lab; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"numpy", "pandas", "matplotlib", "typer", "scipy"}
    for name in listen2lab.__all__:
        assert getattr(listen2lab, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        listen2lab.runn  # noqa: B018


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebooks_are_kept_without_outputs(path):
    """Outputs would go stale and carry someone's paths."""
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_every_reason_and_quantity_is_explained():
    """A code that a report shows can be looked up."""
    from listen2lab.report.text.verdicts import REASONS
    from listen2lab.study.data import BYTES
    from listen2lab.verdict.reasons import Reason

    verdicts = (ROOT / "docs" / "reading-verdicts.md").read_text()
    assert list(REASONS) == [str(reason) for reason in Reason]
    for code, sentence in REASONS.items():
        assert f"`{code}` | {sentence}" in verdicts
    quantities = (ROOT / "docs" / "quantities.md").read_text()
    for name in (*BYTES, "minor_faults", "gc_found", "gc_freed", "python_blocks"):
        assert f"| `{name}` |" in quantities


@pytest.mark.slow  # judges nothing, but imports everything
def test_the_examples_of_the_api_page_are_true():
    """Each line of them, on the reference study."""
    failed, tried = doctest.testfile(str(ROOT / "docs" / "api.md"), module_relative=False)
    assert (failed, tried > 8) == (0, True)


def test_the_pages_of_the_documentation_are_listed_and_printed():
    """Wherever it is installed: what ``pip show`` names leads to them."""
    listed = CliRunner().invoke(app, ["docs"])
    assert {line.split()[0] for line in listed.output.splitlines()[::2]} == {
        page.stem for page in (ROOT / "docs").glob("*.md")
    }
    printed = CliRunner().invoke(app, ["docs", "api"])
    assert printed.output == (ROOT / "docs" / "api.md").read_text()
    assert "did you mean 'quantities'" in str(
        CliRunner().invoke(app, ["docs", "quantity"]).exception
    )
