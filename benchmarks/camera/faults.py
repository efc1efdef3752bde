"""What befalls a kiosk, made to happen to the running command: what it says, and how soon it is back.

    python benchmarks/camera/faults.py          # five minutes; Linux
    python benchmarks/camera/faults.py table    # the table anew from what was measured

Each fault is done to `edgefashion camera` as a process with a network camera of its own (:mod:`bad_camera`). *Back*
counts from when the cause is gone to the event that says so. Writes ``benchmarks/camera/results/faults.json`` and
``faults.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import psutil
from bad_camera import BadCamera

from edgefashion.bundles import resolve
from edgefashion.system import files, machine

RESULTS = Path(__file__).parent / "results"
PATIENCE_S = 90.0
STALL_S = 30.0
ROUNDS = 3
"""The retries are jittered: of so many the slowest counts."""

Row = dict[str, Any]


class Kiosk:
    """The running command, and when each of its events came."""

    def __init__(self, *arguments: str, prefix: tuple[str, ...] = (), **environment: str) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "edgefashion", "camera", *arguments, "--events", "-"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **environment},
        )
        self.events: list[tuple[float, dict[str, Any]]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append((time.monotonic(), json.loads(line)))

    def wait_for(self, *states: str, after_s: float = 0.0, reason: str = "") -> tuple[float, dict[str, Any]]:
        """The first event of one of ``states`` that came after ``after_s`` and whose reason holds ``reason``."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            for at_s, event in list(self.events):
                if at_s > after_s and event["state"] in states and reason in (event["reason"] or ""):
                    return at_s, event
            if self.process.poll() is not None:
                raise RuntimeError(f"the camera ended with {self.process.returncode}")
            time.sleep(0.01)
        raise RuntimeError(f"no event {states} {reason!r} came within {PATIENCE_S:.0f} s")

    @property
    def reader(self) -> psutil.Process:
        """The process that reads the source."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return next(child for child in found if "edgefashion.camera.sources.capture_worker" in child.cmdline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def watching(camera: BadCamera, *arguments: str, **more: Any) -> Iterator[Kiosk]:
    with Kiosk("edge", "--source", camera.url, "--headless", "--wait", *arguments, **more) as kiosk:
        kiosk.wait_for("garment")
        yield kiosk


# --- The source ------------------------------------------------------------------------------


def of_source(
    name: str, begin: Callable[[BadCamera, Kiosk], object], end: Callable[[BadCamera, Kiosk], object], last_s: float = 4
) -> Row:
    """Have ``begin`` happen, ``end`` it ``last_s`` seconds later, and see when the source is live again."""
    back_s, said = [], []
    with BadCamera() as camera, watching(camera) as kiosk:
        for _ in range(ROUNDS):
            began_s = time.monotonic()
            begin(camera, kiosk)
            kiosk.wait_for("stale", "reconnecting", after_s=began_s)
            time.sleep(max(0.0, last_s - (time.monotonic() - began_s)))
            said = [event for at_s, event in kiosk.events if at_s > began_s and event["reason"]]
            # A server counts as back once it listens, a picture from when it is told to be itself.
            told_s = time.monotonic()
            end(camera, kiosk)
            ended_s = time.monotonic()
            back_s.append(kiosk.wait_for("live", after_s=told_s)[0] - ended_s)
            kiosk.wait_for("garment", after_s=ended_s)
        processes = len(psutil.Process(kiosk.process.pid).children(recursive=True))
    assert processes == 1, f"{processes} processes read the source"
    return row(name, said, back_s)


def row(name: str, said: list[dict[str, Any]], back_s: list[float] | None) -> Row:
    heard = dict.fromkeys(f"{event['state']}: {event['reason']}" for event in said)
    made = {"fault": name, "says": list(heard), "back_s": max(back_s) if back_s else None}
    print(made, flush=True)
    return made


def nothing(*_: object) -> None:
    pass


def be(how: str) -> Callable[[BadCamera, Kiosk], None]:
    return lambda camera, _: camera.be(how)


def sources() -> Iterator[Row]:
    yield absent()
    yield of_source("stream server killed, and started again", lambda c, _: c.kill(), lambda c, _: c.restart())
    yield of_source(f"stream stalls for {STALL_S:.0f} s", be("stall"), be("live"), STALL_S)
    yield of_source("nothing but truncated JPEGs", be("truncate"), be("live"), 6)
    yield of_source("nothing but garbage for JPEGs", be("garbage"), be("live"), 6)

    def endless(camera: BadCamera, _: Kiosk) -> None:
        camera.kill()
        camera.restart()
        camera.be("header")

    yield of_source("HTTP header without an end", endless, be("live"), 10)
    yield of_source("frozen picture", be("freeze"), be("live"), 14)
    yield of_source("black picture", be("black"), be("live"))
    yield of_source("the process that reads it crashes", lambda _, k: k.reader.kill(), nothing, 0)
    yield of_source("the process that reads it hangs", lambda _, k: k.reader.suspend(), nothing, 0)
    yield resized()


def absent() -> Row:
    with BadCamera() as camera:
        camera.kill()
        with Kiosk("edge", "--source", camera.url, "--headless", "--wait") as kiosk:
            _, event = kiosk.wait_for("starting", reason="refused")
            time.sleep(5)
            camera.restart()
            began_s = time.monotonic()
            return row("camera absent at the start (--wait)", [event], [kiosk.wait_for("live")[0] - began_s])


def resized() -> Row:
    with BadCamera() as camera, watching(camera) as kiosk:
        began_s = time.monotonic()
        camera.be("small")
        kiosk.wait_for("garment", after_s=began_s + 1)
        said = [event for at_s, event in kiosk.events if at_s > began_s and event["reason"]]
        return row("resolution changes in mid-stream", said, [0.0] if not said else None)


# --- Everything else -------------------------------------------------------------------------


def replaced_model() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, BadCamera() as camera:
        mine = Path(folder) / "mine"
        shutil.copytree(resolve.resolve("edge").path, mine)
        arguments = (str(mine), "--source", camera.url, "--headless")
        with Kiosk(*arguments) as kiosk:
            kiosk.wait_for("garment")
            began_s = time.monotonic()
            weights = mine / "int8.bin"
            whole = weights.read_bytes()
            weights.write_bytes(whole[:1000])
            _, fault = kiosk.wait_for("fault", after_s=began_s, reason="int8.bin")
            fault["reason"] = fault["reason"].replace(f"{mine}/", "")
            kiosk.wait_for("garment", after_s=began_s)
            ended_s = time.monotonic()
            weights.write_bytes(whole)
            back_s = kiosk.wait_for("fault", after_s=ended_s, reason="works again")[0] - ended_s
            yield row("model file spoiled while it runs, and restored", [fault], [back_s])


def full_disk() -> Iterator[Row]:
    folder = Path(tempfile.mkdtemp())
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        print("no file system can be mounted here: the full disk is left out")
        return
    try:
        with BadCamera("--seconds-each", "1") as camera:
            events = folder / "events.jsonl"
            with watching(camera, "--events", str(events)) as kiosk:
                filler = folder / "filler"
                began_s = time.monotonic()
                with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                    while True:
                        file.write(b"x" * 512)
                _, fault = kiosk.wait_for("fault", after_s=began_s, reason="No space left")
                time.sleep(5)
                ended_s = time.monotonic()
                filler.unlink()
                back_s = kiosk.wait_for("fault", after_s=ended_s, reason="works again")[0] - ended_s
                kiosk.process.send_signal(signal.SIGTERM)
                kiosk.process.wait()
                time.sleep(0.5)
                heard = [event for _, event in kiosk.events]
                kept = [json.loads(line) for line in events.read_text().splitlines()]
                assert kept == heard, f"{len(kept)} of {len(heard)} events are in the file"
                yield row("disk of the event file full (nothing lost, nothing doubled)", [fault], [back_s])
    finally:
        subprocess.run(["umount", str(folder)], check=False)
        folder.rmdir()


def clock_set_back() -> Iterator[Row]:
    found = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if found is None:
        print("libfaketime is not installed: the clock is left out")
        return
    with tempfile.TemporaryDirectory() as folder, BadCamera() as camera:
        clock = Path(folder) / "clock"
        clock.write_text("+0")
        faked = {
            "LD_PRELOAD": str(found),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        with watching(camera, **faked) as kiosk:
            before = kiosk.events[-1][1]["time"]
            began_s = time.monotonic()
            clock.write_text("-1d")
            _, event = kiosk.wait_for("garment", after_s=began_s + 4)
            assert event["time"] < before, "the clock was not set back"
            said = [event for at_s, event in kiosk.events if at_s > began_s and event["reason"]]
            yield row("clock set back by a day", said, [0.0] if not said else None)


def lost_display() -> Iterator[Row]:
    if not shutil.which("Xvfb"):
        print("Xvfb is not installed: the display is left out")
        return

    def screen() -> subprocess.Popen[bytes]:
        server = subprocess.Popen(["Xvfb", ":97", "-screen", "0", "1280x720x24", "-noreset"], stderr=subprocess.DEVNULL)
        time.sleep(1)
        return server

    server = screen()
    try:
        with BadCamera() as camera, Kiosk("edge", "--source", camera.url, DISPLAY=":97") as kiosk:
            kiosk.wait_for("garment")
            began_s = time.monotonic()
            server.kill()
            server.wait()
            _, fault = kiosk.wait_for("fault", after_s=began_s, reason="window")
            kiosk.wait_for("garment", after_s=began_s)
            server = screen()
            ended_s = time.monotonic()
            back_s = kiosk.wait_for("fault", after_s=ended_s, reason="works again")[0] - ended_s
            yield row("display lost, and back", [fault], [back_s])
    finally:
        server.kill()
        server.wait()


def ended() -> Iterator[Row]:
    """SIGTERM in every state: the exit code is 143, and nothing is left."""
    states: list[tuple[str, str, Callable[[BadCamera], object]]] = [
        ("starting", "starting", lambda camera: camera.kill()),
        ("live", "garment", nothing),
        ("stale", "stale", lambda camera: camera.be("stall")),
        ("reconnecting", "reconnecting", lambda camera: camera.kill()),
    ]
    took_s, said = [], {}
    for name, event, cause in states:
        with BadCamera() as camera:
            if name == "starting":
                cause(camera)
            with Kiosk("edge", "--source", camera.url, "--headless", "--wait") as kiosk:
                if name == "starting":
                    kiosk.wait_for(event)
                else:
                    kiosk.wait_for("garment")
                    began_s = time.monotonic()
                    cause(camera)
                    kiosk.wait_for(event, after_s=began_s if event != "garment" else 0)
                reader = kiosk.reader if name != "starting" else None
                began_s = time.monotonic()
                kiosk.process.send_signal(signal.SIGTERM)
                code = kiosk.process.wait(PATIENCE_S)
                took_s.append(time.monotonic() - began_s)
                time.sleep(0.2)
                assert code == 128 + signal.SIGTERM, f"{name}: exit code {code}"
                said = kiosk.events[-1][1]
                assert (said["state"], said["reason"]) == ("ended", "stopped"), said
                assert reader is None or not reader.is_running()
    yield row("SIGTERM while starting, live, stale, reconnecting (exit code 143; seconds to its end)", [said], took_s)


def table(rows: list[Row]) -> str:
    lines = ["| What happens | What the event stream says | Back after, s |", "|---|---|---|"]
    for one in rows:
        says = "; ".join(one["says"]) or "nothing: it goes on"
        back = "-" if one["back_s"] is None else f"{one['back_s']:.1f}"
        lines.append(f"| {one['fault']} | {says} | {back} |")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("do", nargs="?", choices=["measure", "table"], default="measure")
    file = RESULTS / "faults.json"
    if arguments.parse_args().do == "measure":
        parts = (sources, replaced_model, full_disk, clock_set_back, lost_display, ended)
        rows = [one for part in parts for one in part()]
        with files.written_aside(file) as aside:
            report = {"machine": machine.describe(), "rows": rows}
            aside.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    text = table(json.loads(file.read_text(encoding="utf-8"))["rows"])
    (RESULTS / "faults.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
