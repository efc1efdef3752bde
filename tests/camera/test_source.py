"""Sources: a file gives every frame, a folder every picture, and what is neither, nor a camera, says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from helpers.camera import number_of, numbered, read_frame, refusing_url, write_clip
from helpers.sources import capture_threads

from edgefashion.camera.sources.source import open_source
from edgefashion.data import images
from edgefashion.errors import BadInputError, MissingError


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_video_gives_every_frame(tmp_path: Path, suffix: str) -> None:
    """A video gives every frame once and in order, knows its speed, and then has ended."""
    clip = write_clip(tmp_path / f"clip 1%02d{suffix}", [numbered(n * 321) for n in range(20)], fps=12.5)
    source = open_source(str(clip))
    assert (source.live, source.fps, source.state) == (False, 12.5, "live")
    frames = [read_frame(source) for _ in range(20)]
    assert [frame.number for frame in frames] == list(range(20))
    assert [number_of(frame.image) for frame in frames] == [n * 321 for n in range(20)]
    assert source.read(1) is None
    assert source.state == "ended"
    assert source.read(1) is None


def test_folder_gives_every_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder gives its pictures sorted; an unreadable one is told of on stderr and passed over, and so, once, is what
    is no picture."""
    for number in (3, 1, 0):
        images.write_png(tmp_path / f"{number}.png", numbered(number))
    (tmp_path / "2.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either, and not meant to be one")
    source = open_source(str(tmp_path))
    frames = [read_frame(source) for _ in range(3)]
    assert [number_of(frame.image) for frame in frames] == [frame.number for frame in frames[:2]] + [3] == [0, 1, 3]
    assert source.read(1) is None
    assert source.state == "ended"
    told = capsys.readouterr()
    left_out, unreadable = told.err.splitlines()
    assert left_out == "edgefashion: left out: 1 file that is no picture (.txt)"
    assert "2.jpg" in unreadable
    assert not told.out


def test_single_picture(tmp_path: Path) -> None:
    """A picture file is a source of one frame, whatever it is called."""
    images.write_png(tmp_path / "shirt.png", numbered(77))
    (tmp_path / "shirt.png").rename(tmp_path / "shirt.mp4")
    source = open_source(str(tmp_path / "shirt.mp4"))
    assert number_of(read_frame(source).image) == 77
    assert source.read(1) is None
    assert source.state == "ended"


def test_closed_file_gives_nothing(tmp_path: Path) -> None:
    """A closed source has ended, whatever was left in it, and may be closed twice."""
    clip = write_clip(tmp_path / "clip.avi", [numbered(n) for n in range(3)])
    images.write_png(tmp_path / "picture.png", numbered(0))
    for path in (clip, tmp_path / "picture.png"):
        source = open_source(str(path))
        source.close()
        source.close()
        assert source.state == "ended"
        assert source.read(1) is None


def _text(path: Path) -> None:
    path.write_text("just words\n" * 5)


def _long_text(path: Path) -> None:
    path.write_text("\n".join(str(n) for n in range(5000)))


def _nothing(path: Path) -> None:
    path.touch()


def _folder(path: Path) -> None:
    path.mkdir()


def _cut_video(path: Path) -> None:
    write_clip(path, [numbered(n) for n in range(20)])
    path.write_bytes(path.read_bytes()[:6000])


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("notes.txt", _text, "no video"),
        ("log1.txt", _long_text, "no video"),  # FFmpeg would show it as a film of a terminal
        ("empty.mp4", _nothing, "no video"),
        ("cut.mp4", _cut_video, "no video"),
        ("folder", _folder, "no image"),
    ],
)
def test_no_pictures_in_it(tmp_path: Path, name: str, make: Callable[[Path], None], words: str) -> None:
    """A path without pictures is bad input that says so."""
    make(tmp_path / name)
    with pytest.raises(BadInputError, match=words):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("spec", ["", "no/such/clip.mp4", "-1", "udp:/127.0.0.1"])
def test_not_a_path(spec: str) -> None:
    """What is neither a path, a camera number nor a URL is bad input."""
    with pytest.raises(BadInputError, match="does not exist"):
        open_source(spec)


def test_no_readable_picture_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source none of whose pictures can be read is bad input, not a quiet success."""
    (tmp_path / "a.png").write_bytes(b"no picture")
    source = open_source(str(tmp_path))
    with pytest.raises(BadInputError, match="can be read"):
        source.read(1)
    assert source.state == "ended"


@pytest.mark.parametrize("spec", ["63", "99999999999", ""])
def test_nothing_there(spec: str) -> None:
    """A camera number or URL that is not there is something missing, and leaves no thread behind."""
    with pytest.raises(MissingError, match="cannot be opened"):
        open_source(spec or refusing_url())
    assert not capture_threads()


def test_password_is_not_repeated() -> None:
    """The error about a URL leaves out the user and password in it."""
    url = refusing_url().replace("//", "//admin:s3cret@")
    with pytest.raises(MissingError) as raised:
        open_source(url)
    assert "s3cret" not in str(raised.value)
    assert "127.0.0.1" in str(raised.value)


def test_opencv_log_level_is_restored() -> None:
    """Silencing OpenCV for a failed open does not silence it for the rest of the program."""
    level = cv2.utils.logging.getLogLevel()
    with pytest.raises(MissingError):
        open_source("63")
    assert cv2.utils.logging.getLogLevel() == level
