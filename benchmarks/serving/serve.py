"""What the server costs: requests a second and their latency on loopback, beside the same model called in-process.

    python benchmarks/serving/serve.py             # about ten minutes, on a machine that does nothing else
    python benchmarks/serving/serve.py --quick     # under a minute, to see that it runs

1 to 64 clients ask in a closed loop, each for the next answer once it has the last, from processes of their own on
the same machine: its cores are shared by both sides. HTTP requests are tritonclient's bytes over bare sockets, gRPC's
its messages, so that little of the time is the clients'. Then the server is killed, or told to end, and started again
under load, and every request counted. Writes ``benchmarks/serving/results/serve.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import multiprocessing
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefashion import load
from edgefashion.camera import demo_clip
from edgefashion.data import fashion_mnist
from edgefashion.data.images import decode_image
from edgefashion.inference.predict import see
from edgefashion.system import files, machine

RESULTS = Path(__file__).parent / "results" / "serve.json"
CLIENTS = (1, 2, 4, 8, 16, 32, 64)
P99_MS = 20.0
"""What is asked of the 99th percentile."""

PROCESSES = 2
"""The clients live in so many processes."""

Job = tuple[str, str, str]
"""Protocol, model, and the input: images or pictures."""

JOBS: tuple[Job, ...] = (
    ("http", "edge", "images"),
    ("grpc", "edge", "images"),
    ("http", "kiosk", "images"),
    ("grpc", "kiosk", "images"),
    ("http", "kiosk", "pictures"),
    ("grpc", "kiosk", "pictures"),
)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--out", type=Path, help="Default: the results' file, or none with --quick.")
    arguments.add_argument("--seconds", type=float, default=8.0, help="Of each row.")
    arguments.add_argument("--clients", type=int, nargs="+", default=list(CLIENTS))
    arguments.add_argument("--ends", type=int, default=10)
    given = arguments.parse_args()
    jobs: tuple[Job, ...] = JOBS
    if given.quick:
        jobs = JOBS[0], JOBS[1], JOBS[4]
        given.seconds, given.clients, given.ends = 0.3, [1, 64], 2
    report: dict[str, Any] = {"machine": machine.describe(), "seconds_a_row": given.seconds}
    report["in_process"] = {f"{m} {what}": in_process(m, what, given.seconds) for _, m, what in JOBS[::2]}
    rows = []
    with Server() as server:
        report["start_s"] = round(server.start_s, 2)
        for job in jobs:
            for clients in given.clients:
                rows.append({**row_of(job), "clients": clients, **load_of(server, job, clients, given.seconds)})
                print(json.dumps(rows[-1]), flush=True)
    report["rows"] = rows
    report["best"] = {" ".join(job): best_of([r for r in rows if row_of(job).items() <= r.items()]) for job in jobs}
    report["ended_under_load"] = {protocol: ended(protocol, given.ends) for protocol in ("http", "grpc")}
    out = given.out or (None if given.quick else RESULTS)
    if out:
        with files.written_aside(out) as aside:
            aside.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: report[k] for k in ("in_process", "best", "ended_under_load", "start_s")}, indent=1))


def row_of(job: Job) -> dict[str, str]:
    return dict(zip(("protocol", "model", "input"), job, strict=True))


def best_of(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The row of the highest rate among those whose 99th percentile is what is asked."""
    quick = [row for row in rows if row["p99_ms"] < P99_MS and not row["failed"]]
    return max(quick, key=lambda row: row["requests_a_second"]) if quick else None


# --- What is sent ----------------------------------------------------------------------------


def sample(model: str, what: str) -> NDArray[Any]:
    """One request's tensor: a test image or a scene as the network takes it, or as a JPEG."""
    image = fashion_mnist.load("test")[0][0]
    scene = demo_clip.scene_of(image)
    if what == "pictures":
        encoded = cv2.imencode(".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        return np.array([encoded], object)
    if model == "edge":
        return np.asarray(image[None])
    return np.asarray(cv2.resize(scene, (160, 160), interpolation=cv2.INTER_AREA), np.uint8)[None, ..., ::-1].copy()


def http_request(model: str, what: str, host: str) -> bytes:
    """A request as tritonclient sends it."""
    import tritonclient.http as client

    tensor = sample(model, what)
    given = client.InferInput(what, list(tensor.shape), "BYTES" if what == "pictures" else "UINT8")
    given.set_data_from_numpy(tensor)
    body, json_length = client.InferenceServerClient.generate_request_body([given])
    header = f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
    if json_length:
        header += f"Inference-Header-Content-Length: {json_length}\r\n"
    return f"{header}\r\n".encode() + bytes(body)


def grpc_request(model: str, what: str) -> Any:
    """The message that tritonclient sends."""
    import tritonclient.grpc as client
    from tritonclient.grpc import service_pb2

    tensor = sample(model, what)
    given = client.InferInput(what, list(tensor.shape), "BYTES" if what == "pictures" else "UINT8")
    given.set_data_from_numpy(tensor)
    return service_pb2.ModelInferRequest(
        model_name=model, inputs=[given._get_tensor()], raw_input_contents=[given._get_content()]
    )


# --- Clients ---------------------------------------------------------------------------------


def client_process(job: Job, address: tuple[str, int], clients: int, seconds: float, ready: Any, answers: Any) -> None:
    """``clients`` in one process; puts their latencies and how long they asked, in seconds, and how many failed."""
    answers.put(asyncio.run(_clients(job, address, clients, seconds, ready)))


async def _clients(
    job: Job, address: tuple[str, int], clients: int, seconds: float, ready: Any
) -> tuple[list[float], float, int]:
    protocol, model, what = job
    host, port = address
    make = _http_client if protocol == "http" else _grpc_client
    request = http_request(model, what, host) if protocol == "http" else grpc_request(model, what)
    async with asyncio.TaskGroup() as group:
        asks = [await make(host, port, request) for _ in range(clients)]
        await asyncio.to_thread(ready.wait)
        start_s = time.perf_counter()
        tasks = [group.create_task(_ask_until(ask, start_s + seconds)) for ask in asks]
    taken = [t for task in tasks for t in task.result()[0]]
    return taken, time.perf_counter() - start_s, sum(task.result()[1] for task in tasks)


async def _ask_until(ask: Any, end_s: float) -> tuple[list[float], int]:
    taken: list[float] = []
    failed = 0
    start_s = time.perf_counter()
    while start_s < end_s:
        failed += not await ask()
        now_s = time.perf_counter()
        taken.append(now_s - start_s)
        start_s = now_s
    return taken, failed


async def _http_client(host: str, port: int, request: bytes) -> Any:
    reader, writer = await asyncio.open_connection(host, port)

    async def ask() -> bool:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        return head.startswith(b"HTTP/1.1 200")

    return ask


async def _grpc_client(host: str, port: int, request: Any) -> Any:
    import grpc
    from tritonclient.grpc import service_pb2_grpc

    # A channel of its own each, as that many machines would have.
    channel = grpc.aio.insecure_channel(f"{host}:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    await channel.channel_ready()

    async def ask() -> bool:
        try:
            await stub.ModelInfer(request)
        except grpc.aio.AioRpcError:
            return False
        return True

    return ask


class Server:
    """``edgefashion serve`` of both models in a process of its own."""

    def __init__(self, port: int = 0, grpc_port: int = 0, models: tuple[str, ...] = ("edge", "kiosk")) -> None:
        self._command = [sys.executable, "-m", "edgefashion", "serve", *models]
        self._command += ["--port", str(port), "--grpc-port", str(grpc_port)]

    def __enter__(self) -> Server:
        start_s = time.perf_counter()
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        found = json.loads(self.process.stdout.readline())
        self.start_s = time.perf_counter() - start_s
        self.ports = {p: int(found[p].rpartition(":")[2]) for p in ("http", "grpc")}
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)


def load_of(server: Server, job: Job, clients: int, seconds: float) -> dict[str, Any]:
    """Rate and latencies of so many clients."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = min(clients, PROCESSES)
    ready = context.Barrier(processes)
    address = "127.0.0.1", server.ports[job[0]]
    shares = [clients // processes + (n < clients % processes) for n in range(processes)]
    started = [
        context.Process(target=client_process, args=(job, address, share, seconds, ready, answers), daemon=True)
        for share in shares
    ]
    for process in started:
        process.start()
    found = [answers.get(timeout=seconds + 60) for _ in started]
    for process in started:
        process.join(10)
    taken = np.array([t for part, _, _ in found for t in part])
    p50, p99 = (round(float(np.quantile(taken, q)) * 1e3, 2) for q in (0.5, 0.99))
    rate = round(sum(len(part) / asked_s for part, asked_s, _ in found), 1)
    return {"requests_a_second": rate, "p50_ms": p50, "p99_ms": p99, "failed": sum(failed for *_, failed in found)}


def in_process(model: str, what: str, seconds: float) -> dict[str, float]:
    """The same work without a server: answers a second by one thread, and by one a core."""
    tensor = sample(model, what)

    def work() -> int:
        classifier = load(model, threads=1)
        done = 0
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s:
            if what == "pictures":
                see(classifier, decode_image(io.BytesIO(tensor[0]), "picture").image)
            elif classifier.takes_photos:
                classifier.look(tensor[0])
            else:
                classifier(tensor)
            done += 1
        return done

    one = work()
    with ThreadPoolExecutor(machine.cores()) as threads:
        every = sum(done.result() for done in [threads.submit(work) for _ in range(machine.cores())])
    return {"one_core_a_second": round(one / seconds, 1), "all_cores_a_second": round(every / seconds, 1)}


# --- Killed and started again ----------------------------------------------------------------


def ended(protocol: str, times: int) -> dict[str, Any]:
    """SIGKILL and SIGTERM under load, turn about, and started again each time.

    What was sent was answered, rightly, or failed, to its caller's knowledge.
    """
    images = fashion_mnist.load("test")[0][:64]
    right = load("edge")(images[:32]), load("edge")(images[32:])
    expected = np.concatenate(right)
    ports = free_port(), free_port()
    port = ports[protocol == "grpc"]
    counts = {"sent": 0, "answered": 0, "failed": 0, "wrong": 0}
    kinds: Counter[str] = Counter()
    lock = threading.Lock()
    over = threading.Event()

    def client(number: int) -> None:
        ask = _asker(protocol, port)
        while not over.is_set():
            at = (number * 7 + counts["sent"]) % len(images)
            with lock:
                counts["sent"] += 1
            try:
                answer = ask(images[at : at + 1])
            except Exception as error:  # every error is one its caller knows of
                kind = "failed"
                with lock:
                    kinds[f"{type(error).__name__}: {error}"[:70]] += 1
                ask = _asker(protocol, port)
                time.sleep(0.05)
            else:
                kind = "answered" if np.abs(answer[0] - expected[at]).max() < 1e-6 else "wrong"
            with lock:
                counts[kind] += 1

    clients = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(8)]
    back_s = []
    for turn in range(times + 1):
        with Server(*ports, models=("edge",)) as server:
            back_s.append(server.start_s)
            if turn == 0:
                for one in clients:
                    one.start()
            time.sleep(0.7)
            if turn == times:
                over.set()
                for one in clients:
                    one.join(30)
            else:
                server.process.send_signal((signal.SIGKILL, signal.SIGTERM)[turn % 2])
                server.process.wait(30)
    counts["silently_lost"] = counts["sent"] - counts["answered"] - counts["failed"] - counts["wrong"]
    errors = dict(kinds.most_common(6))
    return {**counts, "errors": errors, "times": times, "back_after_s": round(statistics.median(back_s), 2)}


def _asker(protocol: str, port: int) -> Any:
    """A function that asks by tritonclient."""
    if protocol == "http":
        import tritonclient.http as http

        web = http.InferenceServerClient(f"127.0.0.1:{port}", network_timeout=10)
        return lambda image: _ask(http, web, image)
    import tritonclient.grpc as grpc

    rpc = grpc.InferenceServerClient(f"127.0.0.1:{port}")
    return lambda image: _ask(grpc, rpc, image, client_timeout=10)


def _ask(library: Any, client: Any, image: NDArray[np.uint8], **options: Any) -> NDArray[np.float32]:
    given = library.InferInput("images", list(image.shape), "UINT8")
    given.set_data_from_numpy(image)
    return np.asarray(client.infer("edge", [given], **options).as_numpy("probabilities"))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    main()
