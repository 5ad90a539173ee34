"""Known voices by name: download with a checksum, unpack with suspicion, check, and keep.

Nothing is kept whose SHA-256 was not known beforehand: from the table below, or because the user
states it. The sums in the table were not taken from a download of our own: at least three unrelated
public projects pin each of them alike, and one names the release's checksum.txt as its source. A
sum that is wrong refuses a download and does no other harm.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from listen2lab.errors import FetchError, UnknownNameError, VoiceError, need
from listen2lab.models.check import check_recognizer, check_voice
from listen2lab.models.unpack import unpack

__all__ = ["KNOWN", "KnownModel", "fetch_voice"]

RELEASES = "https://github.com/k2-fsa/sherpa-onnx/releases/download"
# The largest packed voice is some 120 MB.
MAX_DOWNLOAD_BYTES = 2**30
_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S = 20, 60
_CHUNK = 2**16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class KnownModel(NamedTuple):
    """A model that can be fetched by name."""

    kind: Literal["voice", "recognizer"]
    release: str
    archive: str
    n_bytes: int
    sha256: str


KNOWN: dict[str, KnownModel] = {
    "en_US-amy-medium": KnownModel(
        "voice", "tts-models", "vits-piper-en_US-amy-medium.tar.bz2", 67_223_746,
        "9a5d1fc497f85e8022b785bff5f8105203b1e33099ee6265203efc70b0cb0264",
    ),
    "en_US-lessac-medium": KnownModel(
        "voice", "tts-models", "vits-piper-en_US-lessac-medium.tar.bz2", 67_230_653,
        "9e3febfacf0abf4270172d2958bcec246032b7e88efc2720840cc80c93de334e",
    ),
    "en_US-ryan-high": KnownModel(
        "voice", "tts-models", "vits-piper-en_US-ryan-high.tar.bz2", 115_630_708,
        "6a71edf4d308b9cb2eaeadc8d1f3c6bf96120ecb7fe52c29a2b6e139c59760ed",
    ),
    "de_DE-thorsten-medium": KnownModel(
        "voice", "tts-models", "vits-piper-de_DE-thorsten-medium.tar.bz2", 67_214_254,
        "50487d9c95fdf2191f31d2588569381063ba1591dcd4c7d4bdd30f12b2191714",
    ),
    # The app's recognizer.
    "nemo-ctc-en-conformer-small": KnownModel(
        "recognizer", "asr-models", "sherpa-onnx-nemo-ctc-en-conformer-small.tar.bz2", 76_482_338,
        "83dcb462aece5bef4e8072c267419389f0b8d1f91152d8851765f284ff664caa",
    ),
}  # fmt: skip


def fetch_voice(
    name: str,
    root: Path,
    *,
    url: str | None = None,
    sha256: str | None = None,
    kind: Literal["voice", "recognizer"] = "voice",
) -> Path:
    """Fetch a voice or recognizer, unless it is there.

    Returns the folder ``root / name``, checked as far as it can be without the engine; of what is
    refused nothing is kept. An archive that is not in the table has a `url`, a `kind` and a
    `sha256` in hexadecimal, and the name that its folder is to have.
    """
    if url is None:
        if name not in KNOWN:
            raise UnknownNameError("voice", name, KNOWN)
        known = KNOWN[name]
        address = f"{RELEASES}/{known.release}/{known.archive}"
        kind, known_sum = known.kind, sha256 or known.sha256
    else:
        address, known_sum = url, sha256 or ""
    known_sum = _checked(name, address, known_sum)
    target = root / name
    if target.exists():
        return _still_good(target, kind)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".fetching-") as scratch:
            archive = Path(scratch, "archive")
            _download(address, known_sum, archive, name, kind)
            unpacked = Path(scratch, "unpacked")
            unpacked.mkdir()
            unpack(archive, unpacked)
            entries = list(unpacked.iterdir())
            folder = entries[0] if len(entries) == 1 and entries[0].is_dir() else unpacked
            _check(
                folder, kind, f"what {address} holds cannot be used as a {kind}", "It was deleted"
            )
            folder.rename(target)
    except OSError as error:
        if target.is_dir():  # another process fetched the same meanwhile
            return _still_good(target, kind)
        raise FetchError(
            f"{name} could not be stored in {root}: {error.strerror or error}; nothing was kept"
        ) from error
    return target


def _checked(name: str, address: str, known_sum: str) -> str:
    """Refuse what must not be asked for, before anything is asked for."""
    if not _NAME.fullmatch(name):
        raise FetchError(
            f"{name!r} cannot be a folder's name; use letters, digits, dots, dashes and underscores"
        )
    if urlsplit(address).scheme not in ("http", "https"):
        raise FetchError(f"{address} is no http or https address; nothing was asked for")
    bare = known_sum.lower().removeprefix("sha256:")
    if not bare:
        raise FetchError(
            f"the checksum of {address} is unknown, and nothing is fetched without one; "
            "state it with --sha256 (its publisher's page says it)"
        )
    if not _SHA256.fullmatch(bare):
        raise FetchError(f"{known_sum!r} is no SHA-256: that is 64 hexadecimal digits")
    return bare


def _still_good(target: Path, kind: str) -> Path:
    consequence = "Nothing was fetched; delete the folder and fetch again"
    _check(target, kind, f"{target} is there and cannot be used", consequence)
    return target


def _check(folder: Path, kind: str, complaint: str, consequence: str) -> None:
    try:
        if kind == "voice":
            check_voice(folder, needs_route=False)
        else:
            check_recognizer(folder)
    except VoiceError as error:
        raise FetchError(f"{complaint}: {error}. {consequence}") from error


def _download(address: str, known_sum: str, archive: Path, name: str, kind: str) -> None:
    """Write what comes to a file, counted, and keep to it only if the checksum is right."""
    need("fetching a voice", "requests")
    import requests  # 60 ms that other commands need not pay
    from tqdm.auto import tqdm

    digest = hashlib.sha256()
    timeout = (_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S)
    try:
        with (
            requests.get(address, stream=True, timeout=timeout) as response,
            archive.open("wb") as out,
            tqdm(desc=name, unit="B", unit_scale=True, disable=None) as bar,  # in a terminal only
        ):
            response.raise_for_status()
            bar.total = int(response.headers.get("Content-Length") or 0) or None
            for chunk in response.iter_content(_CHUNK):
                bar.update(len(chunk))
                digest.update(chunk)
                out.write(chunk)
                if out.tell() > MAX_DOWNLOAD_BYTES:
                    raise FetchError(
                        f"the download of {name} went on past {MAX_DOWNLOAD_BYTES:,} bytes, "
                        "larger than any voice; it was stopped and deleted"
                    )
    except requests.RequestException as error:
        raise FetchError(
            f"{address} could not be downloaded ({_reason(error)}); nothing was kept. Without a "
            f"network: download it elsewhere, see that its SHA-256 is {known_sum}, unpack it, "
            f"and give its folder with --{kind} DIR"
        ) from error
    if digest.hexdigest() != known_sum:
        raise FetchError(
            f"what came from {address} does not have the SHA-256 {known_sum}, so it was deleted "
            "unopened. Try again; if it stays so, the file was replaced or tampered with"
        )


def _reason(error: Exception) -> str:
    """Say the innermost cause, which is the one a person understands."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return str(cause) or type(cause).__name__
