"""Fashion-MNIST downloaded: verified, resumed after a break, from a second source where the first fails."""

from __future__ import annotations

import contextlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edgefashion.data.fashion_mnist import FILES, IdxFile, cache_dir, on_disk, read_verified
from edgefashion.errors import BadInputError, MissingError
from edgefashion.system.text import whole_number

# Both serve the same bytes; the first is the one keras.datasets uses, the second is upstream's.
SOURCES: Final = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
)
TIMEOUT_S: Final = 20.0
_CHUNK_BYTES: Final = 1 << 16

FetchProgress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes there so far and the bytes expected (0 when unknown)."""


def fetch(
    folder: Path | None = None,
    *,
    sources: tuple[str, ...] = SOURCES,
    timeout_s: float = TIMEOUT_S,
    progress: FetchProgress | None = None,
) -> Path:
    """Download the four files (30 MB), verified, each written aside and renamed.

    A broken download leaves ``NAME.gz.part``, which the next call resumes. Files already there
    and right are kept. Raises :class:`MissingError` when no source answers (``timeout_s`` is how
    long it may be silent) or none serves the right bytes.
    """
    folder = folder or cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    for file in FILES.values():
        present = on_disk(folder, file)
        if present is not None:
            with contextlib.suppress(BadInputError):
                read_verified(present, file)
                continue
        target = folder / f"{file.name}.gz"
        _fetch_one(target, file, sources, timeout_s, progress)
        if present is not None and present != target:
            present.unlink()  # the uncompressed file, whose bytes were wrong
    return folder


def _fetch_one(
    target: Path, file: IdxFile, sources: tuple[str, ...], timeout_s: float, progress: FetchProgress | None
) -> None:
    part = target.with_name(target.name + ".part")
    reasons = []
    for source in sources:
        url = f"{source}/{target.name}"
        # Twice: the first try may resume a file whose first bytes are wrong, the second starts from nothing.
        for _ in range(2):
            try:
                _download(url, part, timeout_s, lambda done, total: progress and progress(target.name, done, total))
            except (OSError, http.client.HTTPException) as error:
                reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
                break
            part_as_gz = part.replace(target.with_name(f".{target.name}.unverified.gz"))
            try:
                read_verified(part_as_gz, file)
            except BadInputError:
                part_as_gz.unlink()
                reasons.append(f"{url}: not the file it should be")
                continue
            part_as_gz.replace(target)
            return
    raise MissingError(
        f"{target.name} could not be downloaded ({'; '.join(dict.fromkeys(reasons))}). Check the network and run "
        "`edgefashion data fetch` again, or on Debian: apt-get install dataset-fashion-mnist"
    )


def _download(url: str, part: Path, timeout_s: float, progress: Callable[[int, int], Any]) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # all bytes are there already: the hash decides
        raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        have = have if resumed else 0
        expected = have + (whole_number(response.headers.get("Content-Length") or "") or 0)
        with part.open("ab" if resumed else "wb") as out:
            # Not read(): it waits for a whole chunk, and loses what has come if the source stalls.
            while chunk := response.read1(_CHUNK_BYTES):
                out.write(chunk)
                have += len(chunk)
                progress(have, expected)
    if have < expected:
        raise ConnectionError(f"the connection broke after {have:,} of {expected:,} bytes")
