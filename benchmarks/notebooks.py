"""Time every notebook as it is opened: with the reference study, or with another one.

    python benchmarks/notebooks.py [STUDY]

All of them together are to take at most 60 s.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from listen2lab.notebook import execute, parameters

BOUND_S = 60.0


def main(study: str = "reference") -> int:
    """Run the notebooks one after the other; return 1 where they took too long."""
    whole = 0.0
    for path in sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb")):
        begin = time.perf_counter()
        execute(path, {"study": study} if "study" in parameters(path) else {})
        took = time.perf_counter() - begin
        whole += took
        print(f"{path.stem:<28}{took:6.1f} s")
    print(f"{'all':<28}{whole:6.1f} s, at most {BOUND_S:.0f}")
    return int(whole > BOUND_S)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
