"""Time every notebook as it is opened: with the reference study, or with another one.

All of them together are to take at most 60 s; CPU seconds are printed beside, as a busy machine
stretches the others. With ``--pages``, what was executed is kept: a page each, offline.
"""

from __future__ import annotations

import argparse
import io
import resource
import sys
import time
from pathlib import Path

from PIL import Image

import listen2lab as lab
from listen2lab.notebook import execute, parameters
from listen2lab.report.style import to_png

BOUND_S = 60.0
ROOT = Path(__file__).parents[1]
NOTEBOOKS = {path.stem: path for path in sorted(ROOT.glob("notebooks/*.ipynb"))}
PICTURES = {"traces": "session-options", "curves": "session-recreation"}
COLOURS = 48  # a picture of few colours: a third of the bytes


def cpu_s() -> float:
    """Return the CPU seconds of the kernels that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pictures(study: lab.Study, folder: Path) -> None:
    """Write what the README shows of the notebooks, each below 100 KB."""
    drawn = {
        "traces": study.plot_traces(PICTURES["traces"]),
        "curves": study.plot(PICTURES["curves"]),
    }
    for name, figure in drawn.items():
        path = folder / f"notebook-{name}.png"
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
    return int(whole > BOUND_S and given.pages is None)


if __name__ == "__main__":
    sys.exit(main())
