"""The process that reads a source: it may crash or hang, and nothing of it is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from helpers.camera import NetworkCamera, read_frame, wait_until
from helpers.sources import capture_threads, children, read_on, wait_for

from edgefashion.camera.sources.source import open_source


@pytest.mark.linux_only("SIGSTOP is POSIX's")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"], ids=["crash", "hang"])
def test_process_that_reads_fails(network_camera: NetworkCamera, name: str) -> None:
    """When the process that reads a stream crashes or hangs, another one takes over and none is left."""
    source = open_source(network_camera.url)
    read_on(source)
    (child,) = children()
    child.send_signal(getattr(signal, name))
    wait_for(source, "reconnecting")
    after = read_frame(source)
    assert source.state == "live"
    assert after.number > 0
    assert child.pid not in {other.pid for other in children()}
    assert len(children()) == 1
    source.close()
    wait_until(lambda: not child.is_running(), "the first process to be gone")


@pytest.mark.linux_only("SIGTERM: Windows ends a process without asking it")
def test_signals_are_for_the_parent(network_camera: NetworkCamera) -> None:
    """What ends a whole group of processes, as a service's manager does, is left to the parent to act on."""
    source = open_source(network_camera.url)
    read_frame(source)
    (child,) = children()
    for number in (signal.SIGTERM, signal.SIGINT):
        child.send_signal(number)
    for _ in range(10):
        read_frame(source)
    assert children() == [child]
    assert source.losses == 0
    source.close()


def test_no_password_in_the_process_list(network_camera: NetworkCamera) -> None:
    """A camera's password is not among the arguments that everybody on the machine can read."""
    source = open_source(network_camera.url.replace("//", "//admin:s3cret@"))
    read_frame(source)
    (child,) = children()
    assert "s3cret" not in " ".join(child.cmdline())
    source.close()


@pytest.mark.linux_only("RLIMIT_NOFILE is POSIX's")
def test_no_more_processes(network_camera: NetworkCamera) -> None:
    """Where no process can be started for a moment, the source is lost, not the program."""
    import resource

    source = open_source(network_camera.url)
    read_frame(source)
    (child,) = children()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # no file can be opened any more
    try:
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: source.read(0.1) is None and "no process can be started" in source.reason, "the reason")
        assert source.state == "reconnecting"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    read_frame(source)
    assert source.state == "live"
    source.close()


@pytest.mark.linux_only("open files are counted as POSIX counts them")
def test_nothing_leaks(network_camera: NetworkCamera) -> None:
    """Losing a stream again and again leaves no thread, process or open file more than there was."""
    source = open_source(network_camera.url)
    read_frame(source)
    me = psutil.Process()

    def lose() -> None:
        (child,) = children()
        child.kill()
        wait_for(source, "reconnecting")
        read_frame(source)
        wait_until(lambda: len(capture_threads()) == 1, "the first child to be cleared away")

    lose()
    files = me.num_fds()
    for _ in range(3):
        lose()
    assert me.num_fds() == files
    assert len(children()) == 1
    source.close()


@pytest.mark.linux_only("Windows' virtual environments start Python through a process of their own")
def test_reader_ends_with_its_parent(network_camera: NetworkCamera, tmp_path: Path) -> None:
    """When the program that reads a source is killed outright, nothing of it stays behind."""
    script = (
        f"from edgefashion.camera.sources import source; s = source.open_source({network_camera.url!r})\n"
        "while True: s.read(1)"
    )
    program = subprocess.Popen([sys.executable, "-c", script])
    network_camera.wait_for_viewer()
    (child,) = psutil.Process(program.pid).children()
    program.kill()
    program.wait()
    wait_until(lambda: not child.is_running(), "the child to end")
    wait_until(lambda: not network_camera.watched, "the connection to close")
