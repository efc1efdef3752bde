"""A camera whose network is served elsewhere: how long it is without an answer when the server goes, and what the way
there costs.

    PYTHONPATH=benchmarks/camera python benchmarks/serving/remote.py [--rounds 5]

Starts `edgefashion serve` on loopback and the camera's loop on a stream of 15 frames a second (:mod:`bad_camera`),
with the network by its URL, over HTTP and over gRPC. The server is killed, stopped (it takes connections and answers
nothing) and told to end, so often each, and started or continued again: *gap* is the longest time between two answers
from just before the fault to the server's return, *back* the time from when it answers again to the first frame it
answers. Then one picture at a time is asked through the server and in this process, in turns. Writes
``benchmarks/serving/results/remote.json``. Six minutes; Linux.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from bad_camera import BadCamera

from edgefashion.camera import loop, server_fallback
from edgefashion.camera.moment import Moment
from edgefashion.camera.networks import Networks
from edgefashion.camera.outputs.reopening import ReopeningOutput
from edgefashion.camera.sources.source import open_source
from edgefashion.inference.load import load
from edgefashion.system import machine

RESULTS: Final = Path(__file__).parent / "results"
MODEL: Final = "kiosk"
LIMIT_S: Final = 1.0
"""What the fallback promises."""

PATIENCE_S: Final = 90.0
SETTLE_S: Final = 3.0
PASSES: Final = 300


class Server:
    """`edgefashion serve` on ports of its own, which it has again when it is started again."""

    def __init__(self, *models: str) -> None:
        self._models = models
        self._ports: tuple[str, ...] = ("0", "0")
        self.start()
        self.wait()

    def start(self) -> None:
        ports = ("--port", self._ports[0], "--grpc-port", self._ports[1])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgefashion", "serve", *self._models, *ports],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def wait(self) -> None:
        """Return once it is ready."""
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self._urls = {"http": told["http"], "grpc": told["grpc"]}
        self._ports = tuple(url.rpartition(":")[2] for url in self._urls.values())

    def url(self, protocol: str, model: str) -> str:
        return f"{self._urls[protocol]}/v2/models/{model}"

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait()

    def go_on(self, after: signal.Signals) -> None:
        """Start or continue it."""
        if after is signal.SIGSTOP:
            self.process.send_signal(signal.SIGCONT)
        else:
            self.start()
            self.wait()


class Watched:
    """The camera's loop in a thread of its own: when each answer came, and which network gave it."""

    name = "recording"
    shows = True
    keeping = None

    def __init__(self, url: str, source: str) -> None:
        self.answers: list[tuple[float, str]] = []
        self._frames = -1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(url, source), daemon=True)
        self._thread.start()

    def _run(self, url: str, source: str) -> None:
        networks = Networks([url])
        loop.run(networks, open_source(source), stop=self._stop, outputs=[ReopeningOutput(self, None)])

    def take(self, moment: Moment) -> None:
        if moment.health.frames != self._frames:
            self._frames = moment.health.frames
            self.answers.append((time.monotonic(), moment.model))

    def keys(self) -> str:
        return ""

    def close(self) -> None:
        self._stop.set()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(timeout=20)

    def wait_for(self, name: str, after_s: float) -> float:
        """When the network ``name`` first answered after ``after_s``."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            for at_s, model in list(self.answers):
                if at_s > after_s and model == name:
                    return at_s
            time.sleep(0.01)
        raise RuntimeError(f"{name} gave no answer within {PATIENCE_S:.0f} s")

    def longest_gap_s(self, from_s: float, to_s: float) -> float:
        times = [at_s for at_s, _ in self.answers if from_s - 1 <= at_s <= to_s]
        return max(after - before for before, after in itertools.pairwise(times))


FAULTS: Final = {"killed": signal.SIGKILL, "hung": signal.SIGSTOP, "ended": signal.SIGTERM}


def faults(server: Server, protocol: str, rounds: int, source: str) -> list[dict[str, Any]]:
    """Every fault, so often, to a camera over one protocol."""
    watched = Watched(server.url(protocol, MODEL), source)
    rows = []
    try:
        watched.wait_for(MODEL, 0)
        for _ in range(rounds):
            for name, how in FAULTS.items():
                time.sleep(SETTLE_S)
                began_s = time.monotonic()
                server.send(how)
                here_s = watched.wait_for(f"{MODEL} (local)", began_s)
                time.sleep(SETTLE_S)
                server.go_on(how)
                ready_s = time.monotonic()
                back_s = watched.wait_for(MODEL, here_s)
                row = {
                    "protocol": protocol,
                    "fault": name,
                    "local_after_s": round(here_s - began_s, 3),
                    "longest_gap_s": round(watched.longest_gap_s(began_s, time.monotonic()), 3),
                    "back_after_s": round(back_s - ready_s, 3),
                }
                print(row, flush=True)
                rows.append(row)
    finally:
        watched.end()
    return rows


def overhead(server: Server, passes: int) -> list[dict[str, Any]]:
    """One picture through the server and in this process, in turns."""
    rows = []
    for model in ("edge", MODEL):
        ways: dict[str, Callable[[], Any]] = {}
        for name in ("in process", "http", "grpc"):
            found = load(model if name == "in process" else server.url(name, model))
            image = np.random.default_rng(0).integers(0, 256, found.input_shape).astype(np.uint8)
            ways[name] = (
                (lambda found=found, image=image: found.look(image))  # type: ignore[misc]
                if found.takes_photos
                else (lambda found=found, image=image: found(image[None]))  # type: ignore[misc]
            )
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(passes):
            for name, ask in ways.items():
                start = time.perf_counter()
                ask()
                taken[name].append((time.perf_counter() - start) * 1e3)
        for name, each in taken.items():
            p50, p99 = np.percentile(each[passes // 10 :], (50, 99))
            rows.append({"model": model, "way": name, "p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)})
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--passes", type=int, default=PASSES)
    given = arguments.parse_args()
    server_fallback.STEADY_S = SETTLE_S / 2  # type: ignore[misc]  # each fault is the first, not one of a server that flaps
    server = Server("edge", MODEL)
    try:
        with BadCamera("--size", "640x480", "--fps", "15") as stream:
            rows = [row for protocol in ("http", "grpc") for row in faults(server, protocol, given.rounds, stream.url)]
        costs = overhead(server, given.passes)
    finally:
        server.send(signal.SIGKILL)
    summary = [
        {
            "protocol": protocol,
            "fault": fault,
            "n": len(of),
            "longest_gap_s": max(row["longest_gap_s"] for row in of),
            "back_after_s": {
                "median": median(row["back_after_s"] for row in of),
                "longest": max(row["back_after_s"] for row in of),
            },
        }
        for protocol in ("http", "grpc")
        for fault in FAULTS
        if (of := [row for row in rows if (row["protocol"], row["fault"]) == (protocol, fault)])
    ]
    report = {
        "machine": machine.describe(),
        "limit_s": LIMIT_S,
        "kept": all(row["longest_gap_s"] < LIMIT_S for row in rows),
        "summary": summary,
        "rounds": rows,
        "one_picture": costs,
    }
    (RESULTS / "remote.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(summary, indent=2))
    print("every gap below a second" if report["kept"] else "A GAP OF A SECOND OR MORE")


if __name__ == "__main__":
    main()
