"""Studies of a workload that holds so many MiB: real runs, a fifth of a second each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import listen2lab as lab
from listen2lab.study.payload import ELEMENT_ID, payload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORKLOAD = """
kept = []
def setup(): kept.append(b"x" * ({mib} << 20))
def step(i): sum(range(2000))
"""


def holding(folder: Path, mib: int = 20, name: str = "study", **options: Any) -> lab.Study:
    """Run a workload that holds ``mib`` MiB, in a study of two conditions that are alike."""
    file = folder / "holds.py"
    file.write_text(WORKLOAD.format(mib=mib))
    chosen = {"steps": 16, "repeats": 3, "jobs": 2, **options}
    return lab.watch(file, study=folder / name, **chosen)


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a JSON file as a hand would: ``change`` gets its content and may return another."""
    content = json.loads(path.read_text())
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed))


def edit_lines(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change each line of a steps.jsonl."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        change(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def page(path: Path, manifest: dict[str, Any], summary: dict[str, Any], **options: Any) -> Path:
    """Write a page that carries a study, as a report does."""
    carried = payload(manifest, summary, **options)
    path.write_text(
        f'<!doctype html><html><head><script type="application/json" id="{ELEMENT_ID}">{carried}'
        "</script></head><body>curves</body></html>\n"
    )
    return path
