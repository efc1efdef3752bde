"""What a run of the camera ends with when its source or its recording fails: the words, the event, the exit code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.camera import PATIENCE_S, command, environment, parse, run_camera, write_clip
from helpers.odd_cameras import OddCameras


@pytest.mark.linux_only("RLIMIT_FSIZE is POSIX's")
def test_a_recording_that_fails_is_a_failure(tmp_path: Path) -> None:
    """A recording that is not whole is told as a fault, in a last line with what to do, and by the exit code."""
    import resource

    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (240, 320, 3)).astype(np.uint8) for _ in range(40)]
    write_clip(tmp_path / "noise.avi", noise)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))

    arguments = ["--headless", "--source", "noise.avi", "--record", "rec:1.avi"]
    done = subprocess.run(
        [*command("edge"), *arguments],
        cwd=tmp_path,
        env=environment(),
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("edgefashion: --record rec:1.avi: the recording is not whole: ")
    assert last.endswith("Make room there, or choose another place")
    *_, fault, ended = parse(done.stdout)
    assert (fault["state"], ended["state"]) == ("fault", "ended")
    assert fault["reason"].startswith("recording: ")


@pytest.mark.linux_only("/dev/full is Linux's")
@pytest.mark.parametrize(("places", "code"), [(("/dev/full",), 2), (("-", "/dev/full"), 2), (("-", "kept.jsonl"), 0)])
def test_events_that_are_lost_are_a_failure(tmp_path: Path, places: tuple[str, ...], code: int) -> None:
    """Events that could not be written are told with their number and place, and by the exit code."""
    write_clip(tmp_path / "dark.avi", [np.zeros((240, 320, 3), np.uint8)] * 5)
    events = [word for place in places for word in ("--events", place)]
    done = run_camera(tmp_path, "--headless", "--source", "dark.avi", *events)
    assert done.returncode == code, done.stderr
    assert ("events could not be written to /dev/full" in done.stderr) == (code == 2)
    if "-" in places:
        assert parse(done.stdout)[-1]["state"] == "ended"


@pytest.mark.parametrize(
    ("path", "login", "code", "words"),
    [
        ("digest", "admin:wr0ng@", 2, "it refuses the user and password (401). Correct them"),
        ("503", "", 3, "it answers 503 Service Unavailable. Restart the camera"),
    ],
)
def test_a_camera_that_refuses(tmp_path: Path, path: str, login: str, code: int, words: str) -> None:
    """A camera that refuses ends in one line with its reason and its remedy, without the password."""
    with OddCameras() as cameras:
        done = run_camera(tmp_path, "--headless", "--source", cameras.url(path, login))
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert "wr0ng" not in done.stderr
