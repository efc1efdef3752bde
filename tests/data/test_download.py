"""Fashion-MNIST downloaded from a server that may misbehave."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from helpers.dataset import TRAIN_LABELS, altered, place, raw_bytes

from edgefashion.data import download, fashion_mnist
from edgefashion.errors import MissingError


class Source:
    """A real HTTP server of the four files, which can be told to misbehave."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.ranges = True
        self.cut_after: int | None = None
        """Close the next connection after so many bytes."""
        self.stall_after: int | None = None
        """Say nothing more after so many bytes, until ``awake``."""
        self.length: str | None = None
        """What it says in the place of a body's length."""
        self.awake = threading.Event()
        self.asked: list[tuple[str, str | None]] = []
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source._answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.awake.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        name, wanted = request.path.removeprefix("/"), request.headers.get("Range")
        self.asked.append((name, wanted))
        body = self.files.get(name)
        if body is None:
            request.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        if start and start >= len(body):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        request.send_header("Content-Length", self.length or str(len(body) - start))
        request.end_headers()
        end = len(body)
        if self.cut_after is not None:
            end, self.cut_after = start + self.cut_after, None
        pause = end if self.stall_after is None else start + self.stall_after
        request.wfile.write(body[start:pause])
        if pause < end:
            request.wfile.flush()
            # A client without a timeout gets everything in the end, and the test sees it.
            self.awake.wait(5)
            request.wfile.write(body[pause:end])


@pytest.fixture(scope="module")
def packed(real: Path) -> dict[str, bytes]:
    """The four files as a source serves them: name with .gz -> bytes."""
    return {f"{name}.gz": gzip.compress(raw_bytes(real, name), 1) for name in fashion_mnist.SHA256}


@pytest.fixture
def source(packed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Source(dict(packed))
    yield server
    server.close()


@pytest.fixture
def folder(real: Path, tmp_path: Path) -> Path:
    """A folder in which only the training labels (29 kB) are still to be fetched."""
    return place(real, tmp_path / "fetched", TRAIN_LABELS)


GZ = f"{TRAIN_LABELS}.gz"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_fetch_all(source: Source, packed: dict[str, bytes], tmp_path: Path) -> None:
    """A fetch into a folder that does not exist brings the four files and nothing else, each asked for once, and
    tells its progress to the last byte."""
    told: dict[str, tuple[int, int]] = {}

    def progress(name: str, done: int, total: int) -> None:
        assert done > told.get(name, (0, 0))[0]
        told[name] = done, total

    folder = download.fetch(tmp_path / "new/folder", sources=(source.url,), progress=progress)
    assert fashion_mnist.verify(folder) == folder == tmp_path / "new/folder"
    assert names(folder) == set(packed)
    assert told == {name: (len(body), len(body)) for name, body in packed.items()}
    assert sorted(source.asked) == sorted((name, None) for name in packed)


@pytest.mark.parametrize("length", ["ten", "-1", "\u00b2", "9" * 5000])
def test_fetch_odd_length(length: str, source: Source, folder: Path) -> None:
    """A source, or a proxy before it, that tells no length is read to its end: the hash decides."""
    source.length = length
    assert fashion_mnist.verify(download.fetch(folder, sources=(source.url,))) == folder


def test_fetch_keeps_what_is_right(source: Source, folder: Path) -> None:
    """Files already there and right are not asked for again, an altered one is."""
    download.fetch(folder, sources=(source.url,))
    assert source.asked == [(GZ, None)]
    download.fetch(folder, sources=(source.url,))
    assert source.asked == [(GZ, None)]
    altered(folder, TRAIN_LABELS)
    download.fetch(folder, sources=(source.url,))
    assert source.asked == [(GZ, None)] * 2
    assert fashion_mnist.verify(folder) == folder


def test_fetch_goes_to_the_named_folder(source: Source, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder the files go where ``EDGEFASHION_DATA`` says."""
    monkeypatch.setenv("EDGEFASHION_DATA", str(folder))
    assert download.fetch(sources=(source.url,)) == folder
    assert fashion_mnist.find() == folder


def test_fetch_resumes(source: Source, packed: dict[str, bytes], folder: Path) -> None:
    """A ``.part`` is completed by asking for the bytes after it, and only those count as still to come."""
    (folder / f"{GZ}.part").write_bytes(packed[GZ][:10_000])
    told: list[tuple[int, int]] = []
    download.fetch(folder, sources=(source.url,), progress=lambda _, done, total: told.append((done, total)))
    assert source.asked == [(GZ, "bytes=10000-")]
    assert told[0][0] > 10_000
    assert told[-1] == (len(packed[GZ]), len(packed[GZ]))
    assert (folder / GZ).read_bytes() == packed[GZ]
    assert f"{GZ}.part" not in names(folder)


@pytest.mark.parametrize(
    ("ranges", "make", "tries"),
    [
        pytest.param(False, lambda whole: whole[:10_000], 1, id="a server that sends everything again"),
        pytest.param(True, lambda whole: whole, 1, id="nothing missing"),
        pytest.param(True, lambda whole: bytes(10_000), 2, id="bytes of something else"),
        pytest.param(True, lambda whole: whole + b"more", 2, id="too many bytes"),
    ],
)
def test_fetch_odd_part(
    ranges: bool,
    make: Callable[[bytes], bytes],
    tries: int,
    source: Source,
    packed: dict[str, bytes],
    folder: Path,
) -> None:
    """Whatever a ``.part`` holds and whether or not the server knows Range, the file comes out right: its hash
    decides, and where resuming went wrong the second try starts clean."""
    part = make(packed[GZ])
    (folder / f"{GZ}.part").write_bytes(part)
    source.ranges = ranges
    download.fetch(folder, sources=(source.url,))
    assert [wanted for _, wanted in source.asked] == [f"bytes={len(part)}-", None][:tries]
    assert (folder / GZ).read_bytes() == packed[GZ]
    assert f"{GZ}.part" not in names(folder)


def test_fetch_broken_connection(source: Source, packed: dict[str, bytes], folder: Path) -> None:
    """A connection that breaks midway leaves the bytes in a ``.part`` and no file, and the next call completes it."""
    source.cut_after = 12_345
    with pytest.raises(MissingError, match="connection broke after 12,345 of") as caught:
        download.fetch(folder, sources=(source.url,))
    assert "edgefashion data fetch" in str(caught.value)
    assert (folder / f"{GZ}.part").read_bytes() == packed[GZ][:12_345]
    assert GZ not in names(folder)
    download.fetch(folder, sources=(source.url,))
    assert source.asked[-1] == (GZ, "bytes=12345-")
    assert (folder / GZ).read_bytes() == packed[GZ]


def test_fetch_stalled(source: Source, packed: dict[str, bytes], folder: Path) -> None:
    """A source that falls silent is given up after ``timeout_s``, what it sent is kept and resumed."""
    source.stall_after = 5_000
    with pytest.raises(MissingError, match="timed out"):
        download.fetch(folder, sources=(source.url,), timeout_s=0.2)
    assert GZ not in names(folder)
    assert (folder / f"{GZ}.part").read_bytes() == packed[GZ][:5_000]
    source.stall_after = None
    download.fetch(folder, sources=(source.url,))
    assert source.asked[-1] == (GZ, "bytes=5000-")


@pytest.mark.parametrize(
    "served",
    [b"", b"<html>Please log in to this network</html>", gzip.compress(bytes(60_008)), None],
    ids=["nothing", "a login page", "another gzip", "404"],
)
def test_fetch_garbage(served: bytes | None, source: Source, folder: Path) -> None:
    """What is not the file is thrown away, leaving neither a file nor a ``.part``, with an error that says so."""
    source.files.pop(GZ)
    if served is not None:
        source.files[GZ] = served
    before = names(folder)
    with pytest.raises(MissingError, match="not the file it should be" if served is not None else "Not Found"):
        download.fetch(folder, sources=(source.url,))
    assert names(folder) == before


@pytest.fixture
def closed_url() -> str:
    """An address at which nothing listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{holder.getsockname()[1]}"


def test_fetch_unreachable(folder: Path, closed_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing answers, the error names the file, what failed and what to do, and no file appears."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    before = names(folder)
    with pytest.raises(MissingError, match="refused") as caught:
        download.fetch(folder, sources=(closed_url,))
    assert GZ in str(caught.value)
    assert "Check the network" in str(caught.value)
    assert names(folder) == before


def test_fetch_second_source(source: Source, packed: dict[str, bytes], folder: Path, closed_url: str) -> None:
    """When the first source fails, the second brings the file."""
    download.fetch(folder, sources=(closed_url, source.url))
    assert (folder / GZ).read_bytes() == packed[GZ]
