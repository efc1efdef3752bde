"""Pictures that would cost too much are refused before they are decoded."""

from __future__ import annotations

import io

import numpy as np
import psutil
import pytest
from helpers.serve import Server, both, infer
from PIL import Image
from tritonclient.utils import InferenceServerException

from edgefashion.data.images import decode_image


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
@both
def test_image_bomb(server: Server, protocol: str) -> None:
    """A small file that is a huge picture is refused by its header, before it is decoded."""
    bomb = io.BytesIO()
    Image.new("1", (9000, 9000)).save(bomb, "PNG")
    before = psutil.Process(server.process.pid).memory_info().rss
    with pytest.raises(InferenceServerException, match="9000 x 9000"):
        infer(server.client(protocol), "kiosk", np.array([bomb.getvalue()], object), "pictures")
    assert psutil.Process(server.process.pid).memory_info().rss - before < 20e6


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
@both
def test_jpeg_without_end(server: Server, protocol: str) -> None:
    """A small JPEG of very many scans, each of which takes as long as a picture, is refused before it is decoded."""
    made = io.BytesIO()
    Image.new("L", (640, 480)).save(made, "JPEG", progressive=True)
    first, mark, last = made.getvalue().removesuffix(b"\xff\xd9").rpartition(b"\xff\xda")
    jpeg = first + 101 * (mark + last) + b"\xff\xd9"
    assert decode_image(io.BytesIO(jpeg), "it").width == 640
    with pytest.raises(InferenceServerException, match="more than 100 scans"):
        infer(server.client(protocol), "kiosk", np.array([jpeg], object), "pictures")
