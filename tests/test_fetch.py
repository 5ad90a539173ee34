"""A voice is fetched whole and as announced, or nothing of it is kept."""

from __future__ import annotations

import hashlib
import http.server
import io
import socket
import stat
import tarfile
import threading
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import model_bytes

from listen2lab.errors import FetchError, UnknownNameError
from listen2lab.models import fetch
from listen2lab.models import unpack as _unpack
from listen2lab.models.fetch import KNOWN, KnownModel, fetch_voice

TOKENS = b"_ 0\n^ 1\n$ 2\n  3\na 4\n"
METADATA = {
    "comment": "piper",
    "language": "English",
    "voice": "en-us",
    "sample_rate": "22050",
    "n_speakers": "1",
}
FOLDER = "vits-piper-x/"


FILES = {
    FOLDER + "en_US-x.onnx": model_bytes(METADATA),
    FOLDER + "tokens.txt": TOKENS,
    FOLDER + "README": b"hi",
}


def make_tar(files, mode="w:bz2", members=()):
    """Make a tar archive of files, and of members that are not files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in members:
            tar.addfile(info)
    return out.getvalue()


def make_zip(files, modes=None):
    """Make a zip archive; modes are Unix modes by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (modes or {}).get(name, 0o644) << 16
            archive.writestr(info, content)
    return out.getvalue()


@pytest.fixture
def served(monkeypatch):
    """Serve a dict of paths on this machine; give (dict, address, requests so far)."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    content: dict[str, bytes] = {}
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            body = content.get(self.path.lstrip("/"))
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + 100 * ("cut" in self.path)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield content, f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()


def sum_of(data):
    """Return a checksum as it is stated."""
    return hashlib.sha256(data).hexdigest()


def left(root):
    """List what is in a folder, hidden files too."""
    return sorted(path.name for path in root.iterdir()) if root.exists() else []


def test_a_known_voice_is_fetched_once(served, tmp_path, monkeypatch):
    """By name: unpacked, checked, renamed; the second time nothing is asked."""
    content, address, requests = served
    content["tts-models/x.tar.bz2"] = archive = make_tar(FILES)
    known = KnownModel("voice", "tts-models", "x.tar.bz2", len(archive), sum_of(archive))
    monkeypatch.setitem(KNOWN, "x", known)
    monkeypatch.setattr(fetch, "RELEASES", address)
    folder = fetch_voice("x", tmp_path / "voices")
    assert folder == tmp_path / "voices" / "x"
    assert left(folder) == ["README", "en_US-x.onnx", "tokens.txt"]
    assert left(tmp_path / "voices") == ["x"]
    assert fetch_voice("x", tmp_path / "voices") == folder
    assert requests == ["/tts-models/x.tar.bz2"]
    (folder / "tokens.txt").unlink()
    with pytest.raises(FetchError, match=r"tokens\.txt.*delete the folder and fetch again"):
        fetch_voice("x", tmp_path / "voices")


@pytest.mark.parametrize("kind", ["w:gz", "w:xz", "w", "zip", "flat"])
def test_other_archives_are_unpacked_too(served, tmp_path, kind):
    """The first bytes tell the kind; files without a folder around them are fine."""
    content, address, _ = served
    files = {name.removeprefix(FOLDER): data for name, data in FILES.items()}
    if kind == "zip":
        archive = make_zip({FOLDER: b"", **FILES})
    elif kind == "flat":
        archive = make_tar({"./" + name: data for name, data in files.items()})
    else:
        archive = make_tar(FILES, kind)
    content["v"] = archive
    folder = fetch_voice("v", tmp_path, url=f"{address}/v", sha256=sum_of(archive).upper())
    assert (folder / "tokens.txt").read_bytes() == TOKENS


def test_the_table_is_well_formed():
    """Names are folders, archives are tar.bz2, sums are SHA-256, and no two are the same."""
    for name, known in KNOWN.items():
        assert fetch._checked(name, "https://x/" + known.archive, known.sha256) == known.sha256
        assert known.archive.endswith(f"{name}.tar.bz2")
        assert known.n_bytes < fetch.MAX_DOWNLOAD_BYTES
    assert len({known.sha256 for known in KNOWN.values()}) == len(KNOWN)


def test_an_unknown_name_suggests_the_nearest(tmp_path):
    """Without an address only the table's names can be fetched."""
    with pytest.raises(UnknownNameError, match="did you mean 'en_US-lessac-medium'"):
        fetch_voice("en_US-lessac-medum", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"url": "http://127.0.0.1:9/x"}, "--sha256"),
        ({"url": "http://127.0.0.1:9/x", "sha256": "abc"}, "no SHA-256"),
        ({"url": "file:///etc/passwd", "sha256": "0" * 64}, "no http or https"),
        ({"url": "x.tar.bz2", "sha256": "0" * 64}, "no http or https"),
        ({"name": "../x", "url": "http://127.0.0.1:9/x", "sha256": "0" * 64}, "folder's name"),
        ({"name": ".x", "url": "http://127.0.0.1:9/x", "sha256": "0" * 64}, "folder's name"),
    ],
)
def test_what_must_not_be_asked_for_is_not(tmp_path, arguments, words):
    """No checksum, no fetch; no other scheme; no name that is a path."""
    with pytest.raises(FetchError, match=words):
        fetch_voice(**{"name": "x", "root": tmp_path / "voices", **arguments})
    assert left(tmp_path) == []


def test_a_wrong_checksum_deletes_what_came(served, tmp_path):
    """A replaced file is not even opened."""
    content, address, _ = served
    content["v"] = make_tar(FILES)
    with pytest.raises(FetchError, match="deleted unopened"):
        fetch_voice("v", tmp_path, url=f"{address}/v", sha256="0" * 64)
    assert left(tmp_path) == []


def test_without_a_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    """A refused connection: the address, the checksum and the way by hand."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setattr(fetch, "RELEASES", address)
        with pytest.raises(FetchError) as caught:
            fetch_voice("en_US-amy-medium", tmp_path)
    message = str(caught.value)
    assert "refused" in message
    assert "--voice DIR" in message
    assert KNOWN["en_US-amy-medium"].sha256 in message
    assert left(tmp_path) == []


def test_a_missing_file_and_a_broken_transfer_are_told_apart(served, tmp_path):
    """404 is the server's answer; a transfer that stops is a failed download."""
    content, address, _ = served
    with pytest.raises(FetchError, match="server answered 404"):
        fetch_voice("v", tmp_path, url=f"{address}/v", sha256="0" * 64)
    content["cut"] = archive = make_tar(FILES)
    with pytest.raises(FetchError, match=r"could not be downloaded|deleted unopened"):
        fetch_voice("v", tmp_path, url=f"{address}/cut", sha256=sum_of(archive + b"x"))
    assert left(tmp_path) == []


def test_an_endless_download_is_stopped(served, tmp_path, monkeypatch):
    """The size is counted while it comes."""
    content, address, _ = served
    content["v"] = archive = bytes(400_000)
    monkeypatch.setattr(fetch, "MAX_DOWNLOAD_BYTES", 100_000)
    with pytest.raises(FetchError, match="stopped and deleted"):
        fetch_voice("v", tmp_path, url=f"{address}/v", sha256=sum_of(archive))
    assert left(tmp_path) == []


def link(name, target, kind=tarfile.SYMTYPE):
    """Make a tar member that is no file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


HOSTILE = {
    "parent": (make_tar({"../evil": b"x"}), "leaves the folder"),
    "deep parent": (make_tar({"a/b/../../../evil": b"x"}), "leaves the folder"),
    "absolute": (make_tar({"/evil": b"x"}), "leaves the folder"),
    "drive": (make_tar({"C:/evil": b"x"}), "leaves the folder"),
    "backslash": (make_tar({"..\\evil": b"x"}), "no plain path"),
    "symlink": (make_tar({}, members=[link("a", "/etc/passwd")]), "is a link"),
    "hardlink": (make_tar({"b": b""}, members=[link("a", "b", tarfile.LNKTYPE)]), "is a link"),
    "device": (make_tar({}, members=[link("a", "", tarfile.CHRTYPE)]), "a device"),
    "pipe": (make_tar({}, members=[link("a", "", tarfile.FIFOTYPE)]), "a device"),
    "zip parent": (make_zip({"../evil": b"x"}), "leaves the folder"),
    "zip absolute": (make_zip({"/evil": b"x"}), "leaves the folder"),
    "zip symlink": (make_zip({"a": b"/etc"}, {"a": stat.S_IFLNK | 0o777}), "is a link"),
    "bomb": (make_tar({"a": bytes(40_000_000)}), "bomb"),
    "zip bomb": (make_zip({"a": bytes(40_000_000)}), "bomb"),
    "not an archive": (b"<html>hello</html>", "no archive at all"),
    "empty": (b"", "no archive at all"),
    "empty tar": (make_tar({}), "no members"),
    "truncated": (make_tar({"a": bytes(range(256)) * 4000})[:-500], "damaged"),
    "not a voice": (make_tar({"a/b": b"x"}), r"cannot be used as a voice.*no \.onnx model"),
    "file as folder": (make_tar({"a": b"x", "a/b": b"y"}), "could not be unpacked"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_leave_nothing(served, tmp_path, name):
    """Whatever is wrong with an archive of the right checksum, nothing of it stays anywhere."""
    content, address, _ = served
    archive, words = HOSTILE[name]
    content["v"] = archive
    root = tmp_path / "deep" / "voices"
    with pytest.raises(FetchError, match=words):
        fetch_voice("v", root, url=f"{address}/v", sha256=sum_of(archive))
    assert left(root) == []
    assert left(tmp_path) == ["deep"]
    assert left(tmp_path / "deep") == ["voices"]


def test_doubles_and_crowds_are_refused(tmp_path, monkeypatch):
    """A name that comes twice could replace what was checked; thousands of files are no voice."""
    twice = io.BytesIO()
    with tarfile.open(fileobj=twice, mode="w:gz") as tar:
        for content in (b"one", b"two"):
            info = tarfile.TarInfo("a")
            info.size = 3
            tar.addfile(info, io.BytesIO(content))
    archive = tmp_path / "archive"
    archive.write_bytes(twice.getvalue())
    (tmp_path / "one").mkdir()
    with pytest.raises(FetchError, match="there twice"):
        _unpack.unpack(archive, tmp_path / "one")
    monkeypatch.setattr(_unpack, "MAX_MEMBERS", 10)
    archive.write_bytes(make_tar({f"f{i}": b"" for i in range(11)}))
    (tmp_path / "two").mkdir()
    with pytest.raises(FetchError, match="members"):
        _unpack.unpack(archive, tmp_path / "two")


def test_a_bomb_in_a_header_is_counted(tmp_path):
    """Long names are read into memory by tar readers; they come out of the same allowance."""
    archive = tmp_path / "archive"
    archive.write_bytes(make_tar({"a" * 60_000_000: b""}))
    (tmp_path / "out").mkdir()
    with pytest.raises(FetchError, match="bomb"):
        _unpack.unpack(archive, tmp_path / "out")


@given(data=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_damaged_archives_raise_nothing_else(tmp_path_factory, data):
    """Changed or missing bytes: files inside the folder, or a FetchError."""
    base = tmp_path_factory.mktemp("fuzz")
    make = data.draw(st.sampled_from([make_zip, make_tar, lambda f: make_tar(f, "w")]))
    content = bytearray(make({"a/b": b"hello" * 50, "c": b"x"}))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    (base / "archive").write_bytes(content)
    (base / "out").mkdir()
    try:
        _unpack.unpack(base / "archive", base / "out")
    except FetchError as error:
        assert "archive" in str(error)  # noqa: PT017 - either outcome is right
    assert left(base) == ["archive", "out"]


def test_a_root_that_cannot_be_written_is_an_error(served, tmp_path):
    """The place is named, and nothing is half there."""
    content, address, _ = served
    content["v"] = archive = make_tar(FILES)
    (tmp_path / "file").write_text("x")
    with pytest.raises(FetchError, match="could not be stored"):
        fetch_voice("v", tmp_path / "file" / "x", url=f"{address}/v", sha256=sum_of(archive))
