"""Who is named first for leaks of known libraries: planted ones, and real packages where installed.

::

    python benchmarks/attribution.py --only owners                      # what this environment has
    python benchmarks/attribution.py --only owners --python OTHER       # an environment with more
    python benchmarks/attribution.py --only owners --leaks lxml,pandas  # these only

Each leak keeps what one library allocates, in a workload of five lines, or is the library's own (of
the release that is told beside it); the traced run is asked for
the first owner of what grew in the last half.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import msgspec

from listen2lab.account.owners import growth
from listen2lab.account.stacks import read_rules, stacks_of
from listen2lab.experiment import worker
from listen2lab.study.trace_records import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["LEAKS", "named"]

_OBJECTS = "'[%s]' % ','.join('{\"a%d\": %d.5}' % (k, i) for k in range(40))"
LEAKS: dict[str, tuple[str, str]] = {
    "sqlite3": ("libsqlite3", "c = sqlite3.connect(''); c.execute('create table t(x)'); keep(c)"),
    "json": ("json", f"keep(json.loads({_OBJECTS}))"),
    "re": ("re", "keep(re.compile('(a%d|b[cd]*){2,}' % i * 20))"),
    "zlib": ("libz", "keep(zlib.compressobj())"),
    "bz2": ("bz2", "c = bz2.BZ2Compressor(1); c.compress(b'x' * 100); keep(c)"),
    "lzma": ("lzma", "keep(lzma.LZMACompressor(preset=0))"),
    "copy": ("copy", "keep(copy.deepcopy({str(k): [k] for k in range(100)}))"),
    "numpy": ("numpy", "keep(numpy.zeros(5000) + i)"),
    "lxml.etree": ("lxml", "keep(lxml.etree.fromstring('<a>%s</a>' % ('<b c=\"1\">t</b>' * 200)))"),
    "PIL.Image": ("PIL", "keep(PIL.Image.new('RGB', (100, 100)))"),
    "pandas": (
        "pandas", "x = pandas.Index([k * 7 + i for k in range(4000)]); x.get_loc(7 + i); keep(x)"
    ),
    "orjson": ("orjson", f"keep(orjson.loads({_OBJECTS}))"),
    "msgpack": ("msgpack", "keep(msgpack.unpackb(msgpack.packb([{'a': .5}] * 40)))"),
    "regex": ("regex", "keep(regex.compile('(a%d|b[cd]*){2,}' % i * 5))"),
    "cryptography.hazmat.primitives.hashes": (
        "cryptography",
        "H = cryptography.hazmat.primitives.hashes; keep([H.Hash(H.SHA256()) for _ in range(20)])",
    ),
    "pydantic": ("pydantic", "keep(pydantic.create_model('M%d' % i, a=(int, 1), b=(str, '')))"),
    "matplotlib.pyplot": (
        "matplotlib",
        "p = matplotlib.pyplot; p.switch_backend('agg') if not i else 0; p.figure().add_subplot()",
    ),
    "multidict": (  # 6.6.3
        "multidict",
        "d = multidict.MultiDict({f'{k}-{i}': '' for k in range(200)}); [d.pop(k) for k in [*d]]",
    ),
    "hiredis": (  # 2.2.3
        "hiredis",
        "r = hiredis.Reader(); r.feed(b'%1\\r\\n+a\\r\\n+' + b'b' * 999 + b'\\r\\n'); r.gets()",
    ),
    "attr": ("attr", "attr.make_class('C%d' % i, ['a', 'b'])"),
    "marshmallow": ("marshmallow", "type('S%d' % i, (marshmallow.Schema,), {})"),
}  # fmt: skip
"""A module to the library that allocates, and the step that keeps what it made."""

_STEPS = 20
_FILE = """import {module}
kept = []
keep = kept.append
def setup(): pass
def step(i):
    {code}
"""


def named(folder: Path, names: Sequence[str], python: str) -> list[dict[str, object]]:
    """Return who comes first for each leak, and whether that is right."""
    return [_named(folder / module, module, python) for module in names or LEAKS]


def _named(folder: Path, module: str, python: str) -> dict[str, object]:
    """Run one leak traced, as the lab does, and rank what grew."""
    library, code = LEAKS[module]
    folder.mkdir()
    file = folder / "leak.py"
    file.write_text(_FILE.format(module=module, code=code))
    workload = {"kind": "file", "path": str(file)}
    spec = {"workload": workload, "traced": True, "warmup": 4, "steps": _STEPS, "sample_every": 1}
    (folder / "spec.json").write_text(json.dumps(spec))
    command = [python, worker.__file__, str(folder / "spec.json")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        return {"leak": module, "error": done.stderr.strip().splitlines()[-1:]}
    trace = msgspec.json.decode((folder / "heap.json").read_bytes(), type=Trace)
    half = trace.last_half()
    assert half is not None
    first = growth(trace, *(f"step {each}" for each in half)).iloc[0]
    return {
        "leak": module,
        "owner": first["owner"],
        "share": round(float(first["share"]), 2),
        "function": stacks_of(trace)[first["stack"]].name("function", read_rules()),
        "is_right": library.lower() in first["owner"].lower(),
    }
