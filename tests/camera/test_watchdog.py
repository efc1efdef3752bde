"""systemd's notify protocol over real sockets: the watchdog is fed after a fresh inference, and only then."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefashion import load
from edgefashion.camera import app
from edgefashion.camera.moment import Health, Moment
from edgefashion.camera.networks import Networks
from edgefashion.camera.server_fallback import Served
from edgefashion.camera.service.watchdog import Watchdog, proof, send, stopping, watchdog_limit_s
from edgefashion.inference.remote.errors import AccountError, ServerError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd is Linux's")

LIMIT_S = 0.3
LIVE = Health("live", fps=30, frames=1234)
AWAY = Health("reconnecting", "the camera was unplugged")


class Manager:
    """systemd's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def told(self) -> list[str]:
        """The datagrams that have come, STATUS apart."""
        return [text for text in self.everything() if not text.startswith("STATUS=")]

    def everything(self) -> list[str]:
        found = []
        self.socket.setblocking(False)
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def wait(self, text: str, seconds: float = 60) -> None:
        self.socket.settimeout(seconds)
        while text not in self.socket.recv(4096).decode().splitlines():
            pass


@pytest.fixture
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    address = getattr(request, "param", str(tmp_path / "notify"))
    made = Manager(address)
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", str(int(LIMIT_S * 1e6)))
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    yield made
    made.socket.close()


def moment(health: Health, answered: int) -> Moment:
    """A moment with so many answered frames more than ``health`` has."""
    return Moment(time.monotonic(), replace(health, frames=health.frames + answered), taken_s=time.monotonic())


def for_a_while(watchdog: Watchdog, next_moment: Callable[[int], Moment], seconds: float = 2 * LIMIT_S) -> None:
    """Give the watchdog a moment each 10 ms, as the loop does."""
    until, number = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        watchdog.take(next_moment(number))
        number += 1
        time.sleep(0.01)


ABSTRACT = pytest.param(
    f"@edgefashion-test-{os.getpid()}", marks=pytest.mark.skipif("sys.platform != 'linux'"), id="abstract"
)


@pytest.mark.parametrize("manager", [ABSTRACT], indirect=True)
def test_an_abstract_socket(manager: Manager) -> None:
    """A socket without a file, as Linux has them, is found too."""
    assert send("READY=1", "STATUS=here")
    assert manager.everything() == ["READY=1\nSTATUS=here"]


def test_frames_feed_the_watchdog(manager: Manager) -> None:
    """The first answered frame says that the service is ready; new ones feed, three times in the limit at most."""
    watchdog = Watchdog()
    watchdog.take(moment(LIVE, 0))
    assert manager.everything() == ["STATUS=live: 30 fps, 1,234 frames", "READY=1\nWATCHDOG=1"]
    for_a_while(watchdog, lambda n: moment(LIVE, 1 + n))
    fed = manager.told()
    assert set(fed) == {"WATCHDOG=1"}
    assert 1 <= len(fed) <= 6  # twice the limit went by
    stopping()
    assert manager.told() == ["STOPPING=1"]


@pytest.mark.parametrize(
    "stuck",
    [
        pytest.param(lambda n: moment(LIVE, 0), id="the same frame again and again"),
        pytest.param(lambda n: moment(replace(LIVE, condition="stale"), 1 + n), id="frames that are not live"),
        pytest.param(lambda n: moment(AWAY, 0), id="no camera"),
        pytest.param(lambda n: moment(Health(), 0), id="not one frame yet"),
    ],
)
def test_nothing_else_feeds_it(stuck: Callable[[int], Moment], manager: Manager) -> None:
    """However long the loop turns, without a new answered frame and without a proof the watchdog starves."""
    watchdog = Watchdog()
    watchdog.take(moment(LIVE, 0))
    manager.told()
    for_a_while(watchdog, stuck)
    assert manager.told() == []


def test_a_proof_feeds_it_while_no_camera_is_there(manager: Manager) -> None:
    """Without a camera the watchdog is fed after a real inference of the shipped network, each time anew."""
    proofs: list[float] = []
    classifier = load("kiosk")
    prove = proof(lambda: classifier)

    def proved() -> None:
        prove()
        proofs.append(time.monotonic())

    watchdog, moments = Watchdog(proved), 0
    while len(proofs) < 3:
        watchdog.take(moment(AWAY, 0))
        moments += 1
        time.sleep(0.001)
    assert manager.told() == ["READY=1\nWATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
    assert moments > 6  # not proved at every one
    for_a_while(watchdog, lambda n: moment(LIVE, 1 + n))
    assert len(proofs) == 3  # frames need no proof
    assert manager.told()


def test_a_proof_that_fails_does_not_feed(manager: Manager) -> None:
    """A network that raises or answers with no numbers starves the watchdog, and the loop is told."""

    class Broken:
        input_shape = (160, 160, 3)

        def __call__(self, images: object) -> np.ndarray:
            return np.full((1, 12), np.nan, np.float32)

    def raises() -> None:
        raise RuntimeError("the device is lost")

    for prove in (raises, proof(Broken)):  # type: ignore[arg-type]
        with pytest.raises(RuntimeError):
            Watchdog(prove).take(moment(AWAY, 0))
        assert manager.told() == []


@pytest.mark.parametrize(
    ("error", "fed"),
    [
        (ServerError("the server is away"), True),
        (AccountError("another account"), True),
        (RuntimeError("a defect"), False),
    ],
)
def test_a_server_that_is_away_feeds(
    error: Exception, fed: bool, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera that waits for its server is no process to start anew: it would not even begin without it."""
    here = load("edge")

    class Lost:
        input_shape, settings = here.input_shape, here.settings
        runtime_precision = here.runtime_precision

        def __call__(self, images: object) -> np.ndarray:
            raise error

    monkeypatch.setattr(Served, "_load", lambda _: replace(here, run=Lost()))
    networks = Networks(["http://127.0.0.1:9/v2/models/edge"], fallback="none")
    output = app._watchdog(networks)
    assert [bool(output.take(moment(AWAY, 0))), bool(manager.told())] == [not fed, fed]
    networks.close()


def test_status_tells_a_change_at_once(manager: Manager) -> None:
    """`systemctl status` learns of a lost camera and its reason at once, and of figures only now and then."""
    watchdog = Watchdog(lambda: None)
    for answered in range(20):
        watchdog.take(moment(LIVE, answered))
    for _ in range(20):
        watchdog.take(moment(AWAY, 0))
    told = [text for text in manager.everything() if text.startswith("STATUS=")]
    assert told == [
        "STATUS=live: 30 fps, 1,234 frames",
        "STATUS=reconnecting (the camera was unplugged): 0 fps, 0 frames",
    ]


def test_nobody_asks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a socket, or with one nobody listens on, nothing is sent and nothing is proved in vain."""
    proved: list[int] = []
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not send("READY=1")
    Watchdog(lambda: proved.append(1)).take(moment(AWAY, 0))
    assert proved == []
    for address in (str(tmp_path / "nobody"), "@nobody-listens", "relative", "@" + "x" * 200, ""):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert not send("READY=1"), address


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("30000000", None, 30.0), ("30000000", "1", None), ("0", None, None), ("soon", None, None), (None, None, None)],
)
def test_whom_the_watchdog_is_for(
    usec: str | None, pid: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is this process's own only where systemd says so: a child inherits its parent's."""
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert watchdog_limit_s() == seconds


def test_a_full_queue_blocks_nobody(manager: Manager) -> None:
    """A manager that has stopped reading does not stop the loop."""
    assert any(not send("WATCHDOG=1") for _ in range(2000))


# A camera's loop in small: a real network on frames that come, then none, then a classifier that hangs.
CHILD = """
import sys, time, numpy as np
from edgefashion import load
from edgefashion.camera.service import watchdog as notify
from edgefashion.camera.moment import Health, Moment
classifier = load("kiosk")
watchdog = notify.Watchdog(notify.proof(lambda: classifier))
def turn(condition, frames):
    watchdog.take(Moment(time.monotonic(), Health(condition, frames=frames)))
    time.sleep(0.02)
for n in range(20):
    classifier(np.zeros((1, 160, 160, 3), np.uint8))
    turn("live", n + 1)
print("away", flush=True)
while not sys.stdin.readline():
    pass
for n in range(20):
    turn("reconnecting", 20)
print("hangs", flush=True)
classifier = type("Hangs", (), {"input_shape": (1, 1, 3), "__call__": lambda *_: time.sleep(60)})()
while True:
    turn("reconnecting", 20)
"""


def test_a_real_child_process(manager: Manager) -> None:
    """A child started as systemd starts it feeds on frames, then on proofs, and starves when inference hangs."""
    env = {name: value for name, value in os.environ.items() if name != "WATCHDOG_PID"}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        manager.wait("READY=1")
        manager.wait("WATCHDOG=1")
        assert child.stdout.readline() == "away\n"
        manager.told()
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "hangs\n"
        assert "WATCHDOG=1" in manager.told()
        time.sleep(2 * LIMIT_S)
        manager.told()
        time.sleep(2 * LIMIT_S)
        assert manager.told() == []  # here systemd would end it
        assert child.poll() is None
    finally:
        child.kill()
        child.communicate()
