"""Motion JPEG as cameras really send it: spoiled pictures are never given out, and the whole ones between them are."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import pytest
from helpers.camera import (
    NetworkCamera,
    garbage_part,
    number_of,
    numbered,
    overlong_part,
    read_frame,
    truncated_part,
    undertold_part,
    unsized_part,
    wait_until,
)
from helpers.sources import read_on, wait_for

from edgefashion.camera.sources.source import open_source


@pytest.mark.parametrize("spoil", [truncated_part, overlong_part, garbage_part])
def test_spoiled_pictures(network_camera: NetworkCamera, spoil: Callable[[bytes], bytes]) -> None:
    """Truncated and garbage pictures are never given out, and the whole ones between them are."""
    spoilt: set[int] = set()
    counted = iter(range(10**6))

    def part(jpeg: bytes) -> bytes:
        if next(counted) % 3:
            spoilt.add(network_camera.sent)
            return spoil(jpeg)
        return whole(jpeg)

    whole, network_camera.part = network_camera.part, part
    source = open_source(network_camera.url)
    numbers = [number_of(read_frame(source).image) for _ in range(10)]
    assert not spoilt & set(numbers)
    assert numbers == sorted(set(numbers))
    assert source.losses == 0
    source.close()


def test_nothing_but_spoiled_pictures(network_camera: NetworkCamera) -> None:
    """A stream of nothing but spoiled pictures is lost, and found again once they are whole."""
    source = open_source(network_camera.url)
    read_on(source)
    whole, network_camera.part = network_camera.part, truncated_part
    wait_for(source, "reconnecting")
    network_camera.part = whole
    read_frame(source)
    assert source.state == "live"
    source.close()


@pytest.mark.parametrize("part", [unsized_part, undertold_part])
def test_lengths_untold(network_camera: NetworkCamera, part: Callable[[bytes], bytes]) -> None:
    """A camera that does not tell its pictures' lengths, or less than they are, is read all the same."""
    network_camera.part = part
    source = open_source(network_camera.url)
    numbers = [number_of(read_frame(source).image) for _ in range(10)]
    assert numbers == sorted(set(numbers))
    source.close()


def test_thumbnails(network_camera: NetworkCamera) -> None:
    """A picture that carries a thumbnail, which ends before it does, is read whole, its length told or not."""
    thumbnail = cv2.imencode(".jpg", numbered(0, (32, 24)))[1].tobytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    network_camera.part = lambda jpeg: unsized_part(jpeg[:2] + segment + jpeg[2:])
    source = open_source(network_camera.url)
    numbers = [number_of(read_frame(source).image) for _ in range(10)]
    assert numbers == sorted(set(numbers))
    assert source.losses == 0
    source.close()


def test_bare_line_ends(network_camera: NetworkCamera) -> None:
    """A camera that ends its lines with a line feed alone is read, too."""
    network_camera.part = lambda jpeg: unsized_part(b"").replace(b"\r\n", b"\n")[:-1] + jpeg + b"\n"
    source = open_source(network_camera.url)
    numbers = [number_of(read_frame(source).image) for _ in range(10)]
    assert numbers == sorted(set(numbers))
    source.close()


def test_header_without_end(network_camera: NetworkCamera) -> None:
    """A server whose header never ends is given up and tried again, until it is itself."""
    source = open_source(network_camera.url)
    read_frame(source)
    network_camera.endless_header.set()
    network_camera.cut()
    network_camera.start()
    wait_for(source, "reconnecting")
    wait_until(lambda: source.read(0.1) is None and network_camera.watched, "the viewer of the header")
    network_camera.endless_header.clear()
    read_frame(source)
    source.close()
