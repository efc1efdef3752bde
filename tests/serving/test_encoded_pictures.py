"""A client's pictures are read by the rule of files: by their bytes, up to a size, and with a reason where not."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable

import numpy as np
import pytest
from helpers.serve import Server, infer
from numpy.typing import NDArray
from PIL import Image
from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")

KINDS = ("PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "JPEG")


def encoded(picture: NDArray[np.uint8], kind: str, times: int = 1) -> bytes:
    """A BGR picture (h, w, 3) as a file, enlarged."""
    made, height, width = io.BytesIO(), picture.shape[0], picture.shape[1]
    Image.fromarray(picture[..., ::-1].copy()).resize((width * times, height * times)).save(made, kind)
    return made.getvalue()


def test_every_kind_that_is_read(server: Server, scene: NDArray[np.uint8]) -> None:
    """A picture of every kind that is read from a file is read from a request, and has one answer."""
    small = np.ascontiguousarray(scene[::4, ::4])  # a request has 2 MB at most
    pictures = np.array([encoded(small, kind) for kind in KINDS], object)
    answer = infer(server.client("http"), "edge", pictures, "pictures")
    boxes, labels = answer.as_numpy("box"), answer.as_numpy("label")
    assert len(set(labels.tolist())) == 1
    assert np.abs(boxes - boxes[0]).max() <= 4


def test_a_large_jpeg_is_drafted(server: Server, scene: NDArray[np.uint8]) -> None:
    """A JPEG beyond the server's size is decoded smaller, and its box is told at its full size."""
    times = 1 + int((2e6 / (scene.shape[0] * scene.shape[1])) ** 0.5)
    pictures = np.array([encoded(scene, "PNG"), encoded(scene, "JPEG", times)], object)
    small, large = infer(server.client("http"), "edge", pictures, "pictures").as_numpy("box")
    assert np.abs(small * times - large).max() <= 6 * times
    with pytest.raises(InferenceServerException, match=r"pictures\[0\] has more than 2,000,000 pixels"):
        infer(server.client("http"), "edge", np.array([encoded(scene, "PNG", times)], object), "pictures")


@pytest.mark.parametrize(
    ("raw", "told"),
    [(b"v/1\x01" + bytes(60), "is OpenEXR"), (b"\xff\x0a" + bytes(60), "is JPEG XL"), (b"%PDF-1.7", "is no BMP")],
)
def test_what_is_not_read_is_named(raw: bytes, told: str, server: Server) -> None:
    """What is not read, or is no picture, is refused by its number with the reason."""
    with pytest.raises(InferenceServerException, match=rf"pictures\[0\] {told}"):
        infer(server.client("http"), "edge", np.array([raw], object), "pictures")


WRITTEN: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "in lines": lambda text: base64.encodebytes(base64.b64decode(text)),
    "in lines of DOS": lambda text: base64.encodebytes(base64.b64decode(text)).replace(b"\n", b"\r\n"),
    "a browser's": lambda text: f"data:image/png;base64,{text}".encode(),
}


@pytest.mark.parametrize("how", WRITTEN)
@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"], ids=["", "behind a mark of UTF-8"])
def test_base64_as_programs_write_it(how: str, begin: bytes, server: Server, scene: NDArray[np.uint8]) -> None:
    """A picture's base64 may stand in lines or behind a browser's prefix, and the JSON behind a mark of UTF-8."""
    text = WRITTEN[how](base64.b64encode(encoded(scene[::4, ::4], "PNG")).decode()).decode()
    pictures = {"name": "pictures", "shape": [1], "datatype": "BYTES", "data": [text]}
    status, answer = server.post(begin + json.dumps({"inputs": [pictures]}).encode())
    assert (status, answer.get("error")) == (200, None)
