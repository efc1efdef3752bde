"""The command ``camera`` on a network camera: lost and back, signals, disks, the clock, the page, the service."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from helpers import garments, home_assistant
from helpers.camera import PATIENCE_S, NetworkCamera, RunningCamera, parse, read_clip, wait_until
from helpers.garments import ten_frames
from helpers.home_assistant import Subscriber
from helpers.mqtt import Mosquitto
from helpers.webhooks import Receiver

from edgefashion.bundles import resolve
from edgefashion.camera.settings import SECRET_VARIABLE

if TYPE_CHECKING:
    from helpers.types import Arrays


@pytest.fixture
def network_camera(test_set: Arrays) -> NetworkCamera:
    return garments.boot_camera(test_set)


@pytest.fixture
def changing_camera(test_set: Arrays) -> NetworkCamera:
    return garments.changing_camera(test_set)


def started(camera: NetworkCamera) -> str:
    """The URL of a camera that is started now."""
    camera.start()
    return camera.url


@pytest.mark.linux_only("SIGTERM: Windows ends a process without asking it")
def test_network_camera_comes_back(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """A network camera that is cut off is ``reconnecting`` with its reasons, and is answered once it is back;
    SIGTERM then ends the command with 143."""
    with network_camera, RunningCamera(tmp_path, "--source", network_camera.url, "--headless") as running:
        seen = running.wait_for("garment")
        assert running.events[seen]["label"] == "Ankle boot"
        network_camera.cut()
        lost = running.wait_for("reconnecting")
        network_camera.start()
        running.wait_for("garment", after=lost)
        assert running.end(signal.SIGTERM) == 143
        states = [state for state, _ in itertools.groupby(event["state"] for event in running.events)]
        assert states == ["starting", "live", "garment", "reconnecting", "live", "garment", "ended"]
        assert all(e["reason"] for e in running.events if e["state"] in ("reconnecting", "ended"))
        numbers = [event["frame"] for event in running.events if event["state"] == "garment"]
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("state", ["starting", "stale", "reconnecting"])
@pytest.mark.linux_only("SIGTERM: Windows ends a process without asking it")
def test_sigterm_without_frames(tmp_path: Path, network_camera: NetworkCamera, state: str) -> None:
    """SIGTERM ends the command with 143 while its camera is absent, stalled or lost, and leaves no process."""
    with network_camera:
        if state == "starting":
            network_camera.cut()
        with RunningCamera(tmp_path, "--source", network_camera.url, "--headless", "--wait") as running:
            if state != "starting":
                running.wait_for("garment")
                (network_camera.cut if state == "reconnecting" else network_camera.paused.set)()
            running.wait_for(state)
            children = psutil.Process(running.process.pid).children(recursive=True)
            assert running.end(signal.SIGTERM) == 143
            assert running.events[-1]["state"] == "ended"
            wait_until(lambda: not any(child.is_running() for child in children), "the children to end")


@pytest.mark.linux_only("SIGTERM, and POSIX's words for a refused connection")
def test_absent_camera_is_waited_for(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """With --wait a camera that is absent at the start is answered once it is there."""
    network_camera.start()
    network_camera.cut()
    with RunningCamera(tmp_path, "--source", network_camera.url, "--headless", "--wait") as running:
        wait_until(lambda: any(event["reason"] for event in running.events), "the reason")
        assert running.events[-1]["state"] == "starting"
        assert running.events[-1]["reason"] == "connection refused"
        with network_camera:
            network_camera.start()
            running.wait_for("garment")
            assert running.end(signal.SIGTERM) == 143


def test_max_failures(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """--max-failures ends the command with 3 and one line when its camera stays away."""
    options = ("--source", started(network_camera), "--headless", "--max-failures", "2")
    with RunningCamera(tmp_path, *options) as running:
        running.wait_for("garment")
        network_camera.cut()
        assert running.end() == 3
        assert running.events[-1]["state"] == "ended"
        assert "2 times in a row" in running.errors
        assert running.errors.count("\n") == 1


@pytest.mark.parametrize("what", ["frozen", "black"])
@pytest.mark.linux_only("SIGTERM: Windows ends a process without asking it")
def test_pictures_that_are_not_of_now(tmp_path: Path, network_camera: NetworkCamera, what: str) -> None:
    """A frozen or black picture is ``stale``, and nothing is answered until it is a living one again."""
    living = network_camera.picture
    with network_camera, RunningCamera(tmp_path, "--source", network_camera.url, "--headless") as running:
        running.wait_for("garment")
        spoilt = living(0) if what == "frozen" else np.full_like(living(0), 2)
        network_camera.picture = lambda _: spoilt
        stale = running.wait_for("stale")
        assert what in running.events[stale]["reason"]
        network_camera.picture = living
        running.wait_for("garment", after=stale)
        assert running.end(signal.SIGTERM) == 143
        after = [event["state"] for event in running.events[stale + 1 :]]
        assert after[0] == "live"


@pytest.mark.linux_only("SIGTERM: Windows ends a process without asking it")
def test_model_replaced_while_it_runs(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """A model whose file is spoiled while the camera runs is a fault and nothing else; mended, it is read anew."""
    mine = tmp_path / "mine"
    shutil.copytree(resolve.resolve("edge").path, mine)
    weights = mine / "int8.bin"
    whole = weights.read_bytes()
    with (
        network_camera,
        RunningCamera(tmp_path, "--source", network_camera.url, "--headless", model=str(mine)) as running,
    ):
        running.wait_for("garment")
        weights.write_bytes(whole[:1000])
        fault = running.wait_for("fault")
        assert "int8.bin was altered" in running.events[fault]["reason"]
        weights.write_bytes(whole)
        mended = running.wait_for("fault", after=fault + 1)
        assert running.events[mended]["reason"] == "model: works again"
        assert running.end(signal.SIGTERM) == 143
        assert {event["state"] for event in running.events} == {"starting", "live", "garment", "fault", "ended"}


def _libfaketime() -> Path:
    found = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if found is None:
        pytest.skip("libfaketime is not installed (Debian: faketime)")
    return found


@pytest.mark.linux_only("libfaketime is Linux's")
def test_clock_set_back(tmp_path: Path, changing_camera: NetworkCamera) -> None:
    """A clock set back by a day changes what time events carry, and nothing else."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(_libfaketime()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    changing_camera.start()
    options = ("--source", changing_camera.url, "--headless")
    with changing_camera, RunningCamera(tmp_path, *options, more=faked) as running:
        first = running.wait_for("garment")
        clock.write_text("-1d")
        wait_until(lambda: running.events[-1]["time"] < running.events[first]["time"], "an event of yesterday")
        running.wait_for("garment", after=len(running.events) + 1)
        assert running.end(signal.SIGTERM) == 143
        assert [event["state"] for event in running.events if event["reason"]] == ["ended"]


@pytest.mark.linux_only("a small file system is mounted")
def test_event_disk_full(tmp_path: Path, changing_camera: NetworkCamera) -> None:
    """While the event file's disk is full the camera goes on and says so elsewhere; nothing is lost or doubled."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        file, filler = disk / "events.jsonl", disk / "filler"
        # This disk is full by pages: the first events come to lie at the end of one.
        before = "x" * (2 * 4096 - 700) + "\n"
        file.write_text(before)
        options = ("--source", started(changing_camera), "--headless", "--events", str(file))
        with changing_camera, RunningCamera(tmp_path, *options) as running:
            running.wait_for("garment")
            with filler.open("wb", buffering=0) as full:
                while True:
                    try:
                        full.write(b"x" * 512)
                    except OSError:
                        break
            fault = running.wait_for("fault")
            assert "No space left" in running.events[fault]["reason"]
            filler.unlink()
            running.wait_for("fault", after=fault + 1)
            assert running.end(signal.SIGTERM) == 143
            assert parse(file.read_text().removeprefix(before)) == running.events
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("number", "code", "recording"),
    [
        (signal.SIGINT, 130, None),
        (signal.SIGINT, 130, "recording.mp4"),
        (signal.SIGTERM, 143, "recording.avi"),
    ],
)
@pytest.mark.linux_only("SIGINT and SIGTERM to another process are POSIX's")
def test_signal(
    tmp_path: Path, network_camera: NetworkCamera, number: signal.Signals, code: int, recording: str | None
) -> None:
    """Ctrl-C ends the command with 130 and SIGTERM with 143, both after a last whole ``ended``
    event, and what was recorded can be played."""
    options = ("--record", recording) if recording else ()
    with network_camera, RunningCamera(tmp_path, "--source", network_camera.url, "--headless", *options) as running:
        running.wait_for("garment")
        assert running.end(number) == code
        assert running.events[-1]["state"] == "ended"
        summary = running.errors
        assert "Traceback" not in summary
        assert summary.count("\n") == 1
    if recording:
        frames = read_clip(tmp_path / recording)
        assert len(frames) >= 2
        assert frames[0].shape == (360, 640, 3)


@pytest.mark.linux_only("SIGTERM: Windows ends a process without asking it")
def test_live_recording_keeps_time(tmp_path: Path, test_set: Arrays) -> None:
    """A recording of a camera slower than its frame rate has the time, not the frames, of life."""
    pictures = ten_frames(test_set)
    with (
        NetworkCamera(lambda number: pictures[number % 10], interval_s=0.2) as slow,
        RunningCamera(tmp_path, "--source", slow.url, "--headless", "--record", "x.avi") as running,
    ):
        running.wait_for("garment")
        mark = slow.sent
        wait_until(lambda: slow.sent >= mark + 10, "ten more pictures")
        assert running.end(signal.SIGTERM) == 143
        answered = int(running.errors.split(" frames")[0])
    assert len(read_clip(tmp_path / "x.avi")) > 2 * answered  # 3 times, at 5 and 15 a second


@pytest.mark.linux_only("SIGTERM: Windows ends a process without asking it")
def test_signal_before_the_first_frame(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """A signal that comes before there is a frame ends the command as cleanly, and leaves no empty
    recording."""
    network_camera.paused.set()
    with (
        network_camera,
        RunningCamera(tmp_path, "--source", network_camera.url, "--headless", "--record", "x.mp4") as running,
    ):
        network_camera.wait_for_viewer()
        assert running.end(signal.SIGTERM) == 143
        assert {event["state"] for event in running.events} <= {"starting", "ended"}
    assert not (tmp_path / "x.mp4").exists()


@pytest.mark.linux_only("SIGTERM: Windows ends a process without asking it")
def test_page_of_the_running_camera(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """--web shows what the running command answers, and is red as soon as its camera is lost."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"

    def healthz() -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://{address}/healthz", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    options = ("--source", started(network_camera), "--headless", "--web", address)
    with network_camera, RunningCamera(tmp_path, *options) as running:
        running.wait_for("garment")
        assert healthz()[0] == 200
        with urllib.request.urlopen(f"http://{address}/events", timeout=10) as stream:
            wait_until(lambda: b"Ankle boot" in stream.readline(), "the answer on the page")
        network_camera.cut()
        running.wait_for("reconnecting")
        wait_until(lambda: healthz()[0] == 503, "the page to be red")
        assert healthz()[1]["condition"] == "reconnecting"
        assert running.end(signal.SIGTERM) == 143


@pytest.mark.linux_only("systemd's notify socket is Linux's")
def test_service_is_ready_and_alive(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """Under systemd's protocol the command is ready once it has answered, feeds the watchdog and says that it
    stops."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(PATIENCE_S)
        told: list[str] = []
        more = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}
        options = ("--source", started(network_camera), "--headless")
        with network_camera, RunningCamera(tmp_path, *options, more=more) as running:
            while sum("WATCHDOG=1" in lines for lines in told) < 3:
                told.append(manager.recv(4096).decode())
            assert running.end(signal.SIGTERM) == 143
            manager.settimeout(0.1)
            while "STOPPING=1" not in told:
                told.append(manager.recv(4096).decode())
    assert any(lines.startswith("READY=1") for lines in told)
    assert any(lines.startswith("STATUS=live") for lines in told)


@pytest.mark.linux_only("it is killed, and the next one stopped by SIGTERM")
def test_killed_camera_delivers_what_it_told(tmp_path: Path, changing_camera: NetworkCamera) -> None:
    """What a killed camera had told while the receiver was away the next one delivers first, in order, each event
    once; the page's figures and the file of the days are there, and Home Assistant is told."""
    state = tmp_path / "state"
    with changing_camera, Receiver(always="503") as receiver:
        secret = {SECRET_VARIABLE: "the shop's own secret"}
        arguments = ("--source", changing_camera.url, "--headless", "--state", state, "--events", receiver.url())
        with RunningCamera(tmp_path, *arguments, more=secret) as running:
            running.wait_for("garment", after=running.wait_for("garment") + 1)
            time.sleep(0.5)
            told = running.events
            running.process.kill()
            running.end()
        receiver.always = "204"
        with (
            Mosquitto(tmp_path / "m") as broker,
            Subscriber(broker.port) as subscriber,
            RunningCamera(
                tmp_path, *arguments, "--web", "127.0.0.1:0", "--home-assistant", broker.url(), more=secret
            ) as running,
        ):
            running.wait_for("garment")
            subscriber.wait_for("shop/window/state", '"garment": "')
            subscriber.wait_for("shop/window/available", "online")
            home_assistant.check(*subscriber.devices[0])
            wait_until(lambda: "the page is at" in running.errors, "the page")
            page = re.search("the page is at ([^ ]+/)\n", running.errors)
            assert page
            metrics = urllib.request.urlopen(f"{page[1]}metrics", timeout=PATIENCE_S).read().decode()
            assert 'edgefashion_visits{span="day"}' in metrics
            assert running.end(signal.SIGTERM) == 143
            subscriber.wait_for("shop/window/available", "offline")
            told_then = running.events
    taken = [each for each in receiver.posted if each.answered == "204"]
    assert len({each.id for each in taken}) == len(taken)
    assert all("webhook-signature" in each.headers for each in taken)
    bodies = [{name: value for name, value in each.event.items() if name != "id"} for each in taken]
    assert bodies[: len(told)] == told
    assert [event for event in bodies if event in told_then] == told_then
    assert len(list(state.glob("days-*.json"))) == 1
