"""Time every notebook as it is opened, the card of a study and each of its pictures.

All notebooks together are to take at most 60 s, importing the lab and showing a card 1.5 s, each
picture 2 s; CPU seconds are printed beside, as a busy machine stretches the others. With
``--pages``, what was executed is kept: a page each, offline.
"""

from __future__ import annotations

import argparse
import io
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

import listen2lab as lab
from listen2lab.notebook import execute, parameters
from listen2lab.report.style import to_png

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

BOUND_S = 60.0
CARD_S = 1.5
PICTURE_S = 2.0
CARD = """import sys, time
began = time.perf_counter()
import listen2lab as lab
lab.open(sys.argv[1])._repr_html_()
print(time.perf_counter() - began, time.process_time())"""
TAKES = 3  # of a card: the least of them, after one that fills the caches
ROOT = Path(__file__).parents[1]
NOTEBOOKS = {path.stem: path for path in sorted(ROOT.glob("notebooks/*.ipynb"))}
PICTURES = {"traces": "session-options", "curves": "session-recreation"}
COLOURS = 128  # a picture of few colours: half of the bytes


def cpu_s() -> float:
    """Return the CPU seconds of the kernels that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def is_quick(given: str) -> bool:
    """Time a study's card in fresh processes, and each picture; return whether all are in time."""
    takes = [
        subprocess.run(
            [sys.executable, "-c", CARD, given], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(TAKES + 1)
    ]
    card, used = min((float(wall), float(cpu)) for wall, cpu in takes[1:])
    print(f"{'import and card':<28}{card:6.1f} s{used:6.1f} s of CPU, at most {CARD_S} s")
    study = lab.open(given)
    draw: list[tuple[str, Callable[[], Figure | None]]] = [
        (name, partial(plot, item.name))
        for item in study.plan.experiments
        for name, plot in (("curves", study.plot), ("traces", study.plot_traces))
        for name in [f"{name} of {item.name}"]
    ]
    draw += [("account", study.plot_account), ("cures", study.plot_cures), ("law", study.plot_law)]
    slowest, at = 0.0, ""
    for name, plot in draw:
        began = time.perf_counter()
        if (figure := plot()) is not None:
            figure.savefig(io.BytesIO(), format="png")
        slowest, at = max((slowest, at), (time.perf_counter() - began, name))
    print(f"{f'slowest of {len(draw)} pictures':<28}{slowest:6.1f} s, {at}, at most {PICTURE_S} s")
    return card <= CARD_S and slowest <= PICTURE_S


def pictures(study: lab.Study, folder: Path) -> None:
    """Write what README and docs show of a study, each below 100 KB."""
    drawn = {
        "account-medium": study.plot_account(),
        "notebook-traces": study.plot_traces(PICTURES["traces"]),
        "notebook-curves": study.plot(PICTURES["curves"]),
    }
    for name, figure in drawn.items():
        path = folder / f"{name}.png"
        with Image.open(io.BytesIO(to_png(figure))) as image:
            image.convert("RGB").quantize(COLOURS).save(path, optimize=True)
        print(f"{path}: {path.stat().st_size / 1000:.0f} KB")


def main() -> int:
    """Run the notebooks one after the other; return 1 where they took too long."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", nargs="?", default="reference", help="a study's folder")
    parser.add_argument("--only", nargs="+", choices=sorted(NOTEBOOKS), default=sorted(NOTEBOOKS))
    parser.add_argument("--pages", type=Path, help="keep what was executed: a folder for the pages")
    parser.add_argument("--pictures", type=Path, help="only write the README's: a folder")
    given = parser.parse_args()
    if given.pictures is not None:
        pictures(lab.open(given.study), given.pictures)
        return 0
    is_in_time = given.only != sorted(NOTEBOOKS) or is_quick(given.study)
    whole = 0.0
    for name in given.only:
        path = NOTEBOOKS[name]
        began, used = time.perf_counter(), cpu_s()
        page = None if given.pages is None else given.pages / f"{name}.html"
        execute(path, {"study": given.study} if "study" in parameters(path) else {}, page)
        took = time.perf_counter() - began
        is_live = "study" not in parameters(path)
        whole += 0.0 if is_live else took
        live = ", runs something" * is_live
        print(f"{name:<28}{took:6.1f} s{cpu_s() - used:6.1f} s of CPU{live}", flush=True)
    print(f"{'from a stored study':<28}{whole:6.1f} s, at most {BOUND_S:.0f} s")
    return int(not (is_in_time and whole <= BOUND_S) and given.pages is None)


if __name__ == "__main__":
    sys.exit(main())
