"""What names no camera, no stream and no file that can be read is told as what it is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.camera import number_of, numbered, read_frame, write_clip

from edgefashion.camera.sources import opencv, schemes
from edgefashion.camera.sources.failures import StreamLostError
from edgefashion.camera.sources.source import open_source
from edgefashion.data import images
from edgefashion.errors import BadInputError, MissingError
from edgefashion.system import files

pytestmark = pytest.mark.linux_only("devices and /proc")

_VIDEO = os.makedev(81, 250) if sys.platform == "linux" else 0
"""A camera's device that no driver has."""

_AS_NOBODY = """
import os, sys
from edgefashion.camera.sources import failures, opencv
import cv2
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    opencv.open_device(opencv.FfmpegLog(), sys.argv[1])
except failures.StreamLostError as error:
    print(error.kind, "|", error)
"""


def said(open_it: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(StreamLostError) as refused:
        open_it()
    return refused.value.kind, str(refused.value)


@pytest.fixture
def device(tmp_path: Path) -> str:
    path = tmp_path / "video9"
    try:
        os.mknod(path, stat.S_IFCHR | 0o660, _VIDEO)
    except PermissionError:
        pytest.skip("only root makes a device")
    return str(path)


class _Log(opencv.FfmpegLog):
    """Leaves this process's stderr alone."""

    def __init__(self) -> None:
        self._from = None


@pytest.mark.parametrize(
    ("name", "kind"),
    [("/dev/null", "no camera"), ("/dev/zero", "no camera"), ("/dev/video999", "no device"), ("999", "no device")],
)
def test_no_camera(name: str, kind: str) -> None:
    """A device of another kind is no camera, and a number that is not there is no device."""
    assert said(lambda: opencv.open_device(_Log(), name))[0] == kind


def test_device_without_driver(device: str) -> None:
    """A camera's name that no driver stands behind is no camera, as one that was pulled out."""
    assert said(lambda: opencv.open_device(_Log(), device)) == ("no device", "there is no such camera")


def test_device_of_others(device: str) -> None:
    """A camera that this user may not open is told so, and not that it gives no pictures."""
    for folder in Path(device).parents:
        if folder.owner() == "root" and str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run([sys.executable, "-c", _AS_NOBODY, device], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "not allowed | this user may not open it", done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it describes no stream"),
        ("not a description at all\n", "it describes no stream"),
        ("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n", "it describes no stream"),
        ("v=0\nc=IN IP4 127.0.0.1\nm=audio 15008 RTP/AVP 97\n", "it describes no video"),
    ],
)
def test_bad_descriptions(text: str, words: str, tmp_path: Path) -> None:
    """An .sdp file without a video is told as such at once, and not that nothing was sent."""
    path = tmp_path / "cam 1:2.SDP"
    path.write_text(text)
    assert schemes.is_described(str(path))
    assert said(lambda: opencv.open_described(_Log(), str(path))) == ("no sdp", words)


def test_folder_named_like_a_description(tmp_path: Path) -> None:
    """A folder is a folder of pictures whatever it is called, with a slash at its end or without."""
    folder = tmp_path / "photos.sdp"
    folder.mkdir()
    images.write_png(folder / "a.png", numbered(7))
    for spec in (str(folder), f"{folder}/"):
        assert number_of(read_frame(open_source(spec)).image) == 7


def test_description_that_may_not_be_read(tmp_path: Path) -> None:
    """A description that cannot be opened is told with the system's reason."""
    kind, words = said(lambda: opencv.open_described(_Log(), str(tmp_path / "gone.sdp")))
    assert (kind, words) == ("no sdp", "it cannot be read: no such file or directory")


def test_files_of_this_process(tmp_path: Path) -> None:
    """A video that only this process has open is read by the one that reads sources, too, and not waited for."""
    clip = write_clip(tmp_path / "clip.mp4", [numbered(n * 321) for n in range(5)])
    with clip.open("rb") as file:
        source = open_source(f"/proc/self/fd/{file.fileno()}")
        assert [number_of(read_frame(source).image) for _ in range(5)] == [n * 321 for n in range(5)]
        source.close()
    with pytest.raises((BadInputError, MissingError), match="does not exist"):
        open_source("/proc/self/fd/9999")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/dev/stdin", "/proc/<pid>/fd/0"),
        ("/dev/fd/63", "/proc/<pid>/fd/63"),
        ("/proc/self/fd/5", "/proc/<pid>/fd/5"),
        ("/proc/thread-self/fd/5", "/proc/<pid>/fd/5"),
        ("/proc/self/cwd/a.jpg", "/proc/<pid>/cwd/a.jpg"),
        ("/dev/stdin.mp4", None),
        ("/dev/fdx/5", None),
        ("dev/fd/5", None),
        ("/proc/1/fd/5", None),
        ("/proc/selfie/a.jpg", None),
        ("/photos/dev/fd/5", None),
    ],
)
def test_own_names(path: str, found: str | None) -> None:
    """What means another file to each process is named so that others find it; every other name stays as it is."""
    assert files.is_own(path) is (found is not None)
    assert files.seen_by_others(path) == (path if found is None else found.replace("<pid>", str(os.getpid())))
