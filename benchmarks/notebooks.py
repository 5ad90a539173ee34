"""Time every notebook as it is opened: with the reference study, or with another one.

All of them together are to take at most 60 s.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from listen2lab.notebook import execute, parameters

BOUND_S = 60.0
NOTEBOOKS = {path.stem: path for path in Path(__file__).parents[1].glob("notebooks/*.ipynb")}


def main() -> int:
    """Run the notebooks one after the other; return 1 where they took too long."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", nargs="?", default="reference", help="a study's folder")
    parser.add_argument("--only", nargs="+", choices=sorted(NOTEBOOKS), default=sorted(NOTEBOOKS))
    given = parser.parse_args()
    whole = 0.0
    for name in given.only:
        path = NOTEBOOKS[name]
        began = time.perf_counter()
        execute(path, {"study": given.study} if "study" in parameters(path) else {})
        took = time.perf_counter() - began
        whole += took
        print(f"{name:<28}{took:6.1f} s", flush=True)
    print(f"{'all':<28}{whole:6.1f} s, at most {BOUND_S:.0f}")
    return int(whole > BOUND_S)


if __name__ == "__main__":
    sys.exit(main())
