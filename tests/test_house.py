"""The rooms of the house, and the arrows between them that are allowed: over all imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "listen2lab"

BASE = {"errors", "units", "version", "notice", "privacy"}
"""What every room may use."""

ALLOWED = {
    "texts": set(),
    "models": set(),
    "workload": set(),
    "probes": set(),
    "verdict": set(),
    "pipeline": {"texts", "models"},
    "study": {"pipeline"},
    "account": {"study", "verdict"},
    "experiment": {"study", "pipeline", "probes", "models", "texts", "workload"},
    "findings": {"study", "verdict", "account", "experiment"},
    "comparison": {"study", "verdict", "account", "findings", "experiment", "texts"},
    "device": {"study", "verdict", "findings"},
    "report": {
        *("study", "verdict", "account", "findings", "comparison", "device", "experiment"),
        "models",
    },
}
"""Room to the rooms that it may import from, besides `BASE`; those on top may use any below."""


def files():
    """Return every module of the package with its file."""
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


FILES = files()


def imports_of(name, path):
    """Return the modules of the package that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        targets = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative imports hide what they import"
            targets = [
                full if (full := f"{node.module}.{alias.name}") in FILES else node.module or ""
                for alias in node.names
            ]
        for target in targets:
            module = target
            while module and module not in FILES:
                module = module.rpartition(".")[0]
            if module and module != name:
                found.add(module)
    return found


GRAPH = {name: imports_of(name, path) for name, path in FILES.items()}


def room(name):
    """Return a module's room: its folder, or its own name at the top."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_arrows_point_one_way(name):
    """A room imports from nothing but the rooms that the table allows."""
    allowed = ALLOWED[name] | BASE | {name}
    wrong = {
        f"{module} -> {target}"
        for module, targets in GRAPH.items()
        if room(module) == name
        for target in targets
        if room(target) not in allowed and target != "listen2lab"
    }
    assert not wrong


def test_nothing_imports_in_a_circle():
    """Files that import each other, however far around, cannot be understood one by one."""
    left = {name: set(targets) - {"listen2lab"} for name, targets in GRAPH.items()}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    assert not left
