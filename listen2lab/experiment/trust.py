"""Which studies this user began here: only those may say by themselves what is executed.

A study that comes from somebody else is data. Its manifest names a workload's file, interpreters
and folders of models, and its hashes are the sender's own. What was begun here carries a mark: an
HMAC over all that is executed, with a secret that never leaves the user's config folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import platformdirs

from listen2lab.errors import InputError
from listen2lab.study.plan import Plan

if TYPE_CHECKING:
    from listen2lab.study.records import Manifest

__all__ = ["is_own", "marked", "refuse_foreign_levels"]

_BYTES = 32


def marked(manifest: Manifest) -> Manifest:
    """Return a manifest with the mark of this user; without one where no secret can be kept."""
    secret = _secret(make=True)
    mark = None if secret is None else _mark(manifest, secret)
    return msgspec.structs.replace(manifest, mark=mark)


def is_own(manifest: Manifest) -> bool:
    """Tell whether this user, here, began a study with this plan, inputs and interpreter."""
    secret = _secret(make=False)
    if secret is None or manifest.mark is None:
        return False
    given = manifest.mark.encode("utf-8", "replace")
    return hmac.compare_digest(_mark(manifest, secret).encode(), given)


def refuse_foreign_levels(manifest: Manifest, where: str) -> None:
    """Refuse a study of somebody else whose conditions have interpreters of their own."""
    named = [x.python for item in manifest.plan.experiments for x in item.levels if x.python]
    if named:
        raise InputError(
            f"{where} was not begun by you on this machine, and some of its conditions run under "
            f"an interpreter of their own ({', '.join(sorted(set(named))[:3])}); nothing was run; "
            "repeat it where it was begun, or start a study of your own"
        )


def _mark(manifest: Manifest, secret: bytes) -> str:
    # As it is read back: 600 and 600.0 seconds are one plan.
    plan = msgspec.json.decode(msgspec.json.encode(manifest.plan), type=Plan)
    told = msgspec.json.encode((plan, manifest.inputs, manifest.python))
    return hmac.new(secret, told, hashlib.sha256).hexdigest()


def _secret(*, make: bool) -> bytes | None:
    """Return this user's secret; None where there is none, or others could know it."""
    path = platformdirs.user_config_path("listen2lab") / "study-secret"
    found = _read(path)
    if found is not None or not make:
        return found
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd, temporary = tempfile.mkstemp(dir=path.parent)  # readable by its owner alone
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
        with contextlib.suppress(FileExistsError):  # another process was quicker
            os.link(temporary, path)
    except OSError:
        return None  # a home that cannot be written: studies are asked about when resumed
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return _read(path)


def _read(path: Path) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        about = os.fstat(fd)
        is_ours = stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()
        if not is_ours or about.st_mode & 0o077:
            return None
        found = file.read(_BYTES + 1)
    return found if len(found) == _BYTES else None
