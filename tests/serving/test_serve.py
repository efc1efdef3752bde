"""The server, as clients see it that no one here wrote: its answers, its refusals, its end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import itertools
import json
import select
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import cv2
import grpc
import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from helpers.types import Arrays, Run
from numpy.typing import NDArray
from PIL import Image
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from edgefashion import load
from edgefashion.camera import demo_clip
from edgefashion.data import fashion_mnist
from edgefashion.data.images import decode_image
from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.predict import predict
from edgefashion.serving.admission import MOST_VALUES, Gate, RefusedError, most_calls
from edgefashion.serving.serve import bound

MAX_BYTES = 2_000_000
MAX_IMAGES = 100
LIBRARIES = {"http": triton_http, "grpc": triton_grpc}
both = pytest.mark.parametrize("protocol", ["http", "grpc"])


class Server:
    """``edgefashion serve`` in a process of its own, on free ports."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "edgefashion", "serve", *arguments, "--port", "0", "--grpc-port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.first_line = self.process.stdout.readline()
        assert self.first_line, self.process.communicate()[1]
        self.said = json.loads(self.first_line)
        self.address = {p: self.said[p].rpartition("/")[2] for p in ("http", "grpc")}

    def client(self, protocol: str, **options: Any) -> Any:
        return LIBRARIES[protocol].InferenceServerClient(self.address[protocol], **options)

    def get(self, path: str) -> tuple[int, str]:
        return self._open(urllib.request.Request(f"{self.said['http']}{path}"))

    def post(self, body: bytes, model: str = "edge", **headers: str) -> tuple[int, Any]:
        url = f"{self.said['http']}/v2/models/{model}/infer"
        status, text = self._open(urllib.request.Request(url, body, headers))
        return status, json.loads(text)

    def _open(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def connect(self) -> socket.socket:
        host, port = self.address["http"].split(":")
        return socket.create_connection((host, int(port)), timeout=30)

    def end(self, how: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code, and what it said on stderr."""
        self.process.send_signal(how)
        return self.process.wait(30), self.process.communicate()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    limits = f"--max-request-mb={MAX_BYTES / 1e6}", f"--max-images={MAX_IMAGES}", "--max-megapixels=2", "--timeout=20"
    with Server("kiosk", "edge", *limits) as made:
        yield made
        code, said = made.end()
        # Whatever the tests sent it, there is no error of the server's own, and no traceback.
        assert (code, said) == (143, "")


@pytest.fixture(scope="module")
def classifiers() -> dict[str, Classifier]:
    return {name: load(name) for name in ("edge", "kiosk")}


@pytest.fixture(scope="module")
def scene() -> NDArray[np.uint8]:
    return demo_clip.scene_of(fashion_mnist.load("test")[0][1])


@pytest.fixture(scope="module")
def pictures(scene: NDArray[np.uint8]) -> list[bytes]:
    """A JPEG of a scene, and a PNG of an empty wall."""
    wall = np.full((200, 300, 3), demo_clip.BACKGROUND, np.uint8)
    return [cv2.imencode(".jpg", scene)[1].tobytes(), cv2.imencode(".png", wall)[1].tobytes()]


def infer(client: Any, model: str, tensor: NDArray[Any], name: str = "images", **options: Any) -> Any:
    """One request of tritonclient's, whichever protocol the client speaks."""
    library = triton_http if isinstance(client, triton_http.InferenceServerClient) else triton_grpc
    return client.infer(model, [input_of(library, tensor, name)], **options)


def input_of(library: Any, tensor: NDArray[Any], name: str = "images", **options: Any) -> Any:
    given = library.InferInput(name, list(tensor.shape), "BYTES" if tensor.dtype == object else "UINT8")
    given.set_data_from_numpy(tensor, **options)
    return given


def views_of(scene: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two different inputs for the photo network."""
    view = np.asarray(cv2.resize(scene, (160, 160)), np.uint8)
    return np.stack([view, view[:, ::-1]])


def as_json(tensor: NDArray[Any], **more: Any) -> bytes:
    given = {"name": "images", "shape": list(tensor.shape), "datatype": "UINT8", "data": tensor.ravel().tolist()}
    return json.dumps({"inputs": [given], **more}).encode()


# --- Health and metadata ---------------------------------------------------------------------


@both
def test_health_and_metadata(server: Server, protocol: str) -> None:
    """Once its first line is out, the server and its models are ready and say what they take and give."""
    client = server.client(protocol)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("kiosk")
    options = {"as_json": True} if protocol == "grpc" else {}
    assert client.get_server_metadata(**options)["name"] == "edgefashion"
    metadata = client.get_model_metadata("kiosk", **options)
    shapes = {
        t["name"]: (t["datatype"], [int(n) for n in t["shape"]]) for t in metadata["inputs"] + metadata["outputs"]
    }
    assert shapes["images"] == ("UINT8", [-1, 160, 160, 3])
    assert shapes["pictures"] == ("BYTES", [-1])
    assert shapes["probabilities"] == ("FP32", [-1, 12])
    assert shapes["mask"] == ("FP32", [-1, 20, 20])
    assert shapes["box"] == ("INT32", [-1, 4])


def test_nothing_leaves_the_machine(server: Server) -> None:
    """The server has no connection but those that clients made to it."""
    known = {int(address.rpartition(":")[2]) for address in server.address.values()}
    its = [one for one in psutil.net_connections("inet") if one.pid == server.process.pid]
    assert len(its) >= 2
    for connection in its:
        assert connection.laddr.port in known
        assert connection.laddr.ip.removeprefix("::ffff:") == "127.0.0.1"


# --- Answers ---------------------------------------------------------------------------------


@both
def test_same_numbers_as_in_process(
    server: Server, protocol: str, test_set: Arrays, classifiers: dict[str, Classifier], scene: NDArray[np.uint8]
) -> None:
    """Tensors are answered with the very numbers that a classifier gives in-process, mask and all."""
    client = server.client(protocol)
    images = test_set[0][:70]
    edge = infer(client, "edge", images, request_id="seven")
    np.testing.assert_array_equal(edge.as_numpy("probabilities"), classifiers["edge"](images))
    assert (edge.get_response()["id"] if protocol == "http" else edge.get_response().id) == "seven"
    views = views_of(scene)
    kiosk = infer(client, "kiosk", views)
    for number, view in enumerate(views):
        probabilities, mask = classifiers["kiosk"].look(view)
        np.testing.assert_array_equal(kiosk.as_numpy("probabilities")[number], probabilities)
        np.testing.assert_array_equal(kiosk.as_numpy("mask")[number], mask)
    fashion = infer(client, "kiosk", images[:2]).as_numpy("probabilities")
    np.testing.assert_array_equal(fashion, classifiers["kiosk"](images[:2]))


def test_json_and_the_outputs_asked_for(server: Server, scene: NDArray[np.uint8]) -> None:
    """JSON tensors are answered in JSON, with the same numbers as binary ones, and only with what was asked for."""
    views = views_of(scene)
    client = server.client("http")
    in_json = [input_of(triton_http, views, binary_data=False)]
    asked = [triton_http.InferRequestedOutput("probabilities", binary_data=False)]
    answer = client.infer("kiosk", in_json, outputs=asked)
    binary = infer(client, "kiosk", views)
    np.testing.assert_array_equal(answer.as_numpy("probabilities"), binary.as_numpy("probabilities"))
    assert answer.as_numpy("mask") is None
    grpc = infer(server.client("grpc"), "kiosk", views, outputs=[triton_grpc.InferRequestedOutput("mask")])
    np.testing.assert_array_equal(grpc.as_numpy("mask"), binary.as_numpy("mask"))
    assert grpc.as_numpy("probabilities") is None


@both
@pytest.mark.parametrize("model", ["edge", "kiosk"])
def test_pictures_as_predict(
    server: Server, protocol: str, model: str, pictures: list[bytes], classifiers: dict[str, Classifier]
) -> None:
    """Encoded pictures are answered as ``predict`` answers the files."""
    answer = infer(server.client(protocol), model, np.array(pictures, object), "pictures")
    for number, encoded in enumerate(pictures):
        seen = predict(classifiers[model], decode_image(io.BytesIO(encoded), "it").image).as_json("it")
        assert answer.as_numpy("label")[number].decode() == (seen["label"] or "")
        assert answer.as_numpy("confidence")[number] == np.float32(seen["confidence"])
        assert answer.as_numpy("accepted")[number] == seen["accepted"]
        assert answer.as_numpy("box")[number].tolist() == (seen["box"] or [-1] * 4)
    assert answer.as_numpy("label")[0]
    assert not answer.as_numpy("label")[1]
    assert answer.as_numpy("probabilities").shape == (2, len(classifiers[model].labels))


def test_picture_by_curl(server: Server, pictures: list[bytes]) -> None:
    """A picture may be base64 text in JSON, with no header but curl's own."""
    text = base64.b64encode(pictures[0]).decode()
    given = {"name": "pictures", "shape": [1], "datatype": "BYTES", "data": [text]}
    status, answer = server.post(json.dumps({"inputs": [given]}).encode(), "kiosk")
    assert status == 200
    found = {output["name"]: output["data"] for output in answer["outputs"]}
    binary = infer(server.client("http"), "kiosk", np.array(pictures[:1], object), "pictures")
    assert found["label"] == [binary.as_numpy("label")[0].decode()]
    assert found["box"] == binary.as_numpy("box").ravel().tolist()


@both
def test_facts(server: Server, protocol: str, test_set: Arrays, classifiers: dict[str, Classifier]) -> None:
    """Who asks for the facts gets labels, threshold, precision and shape beside the answer."""
    answer = infer(server.client(protocol), "edge", test_set[0][:1], parameters={"facts": True}).get_response()
    text = answer["parameters"]["facts"] if protocol == "http" else answer.parameters["facts"].string_param
    facts = json.loads(text)
    assert facts["labels"] == list(classifiers["edge"].labels)
    assert facts["accept_threshold"] == classifiers["edge"].accept_threshold
    assert (facts["precision"], facts["input_shape"]) == ("int8", [28, 28, 1])
    assert facts["max_images"] == MAX_IMAGES


@both
def test_many_at_once(
    server: Server, protocol: str, test_set: Arrays, classifiers: dict[str, Classifier], scene: NDArray[np.uint8]
) -> None:
    """Requests in flight beside each other, of both models, get each its own answer."""
    images = test_set[0][:16]
    views = np.stack([np.roll(views_of(scene)[0], 10 * n, axis=1) for n in range(8)])
    client = server.client(protocol, **({"concurrency": 8} if protocol == "http" else {}))

    def ask(number: int) -> None:
        answer = infer(client, "edge", images[number : number + 1]).as_numpy("probabilities")
        np.testing.assert_array_equal(answer, expected[number : number + 1])
        view = views[number % 8]
        answer = infer(client, "kiosk", view[None]).as_numpy("mask")[0]
        np.testing.assert_array_equal(answer, masks[number % 8])

    expected, masks = classifiers["edge"](images), [classifiers["kiosk"].look(view)[1] for view in views]
    if protocol == "http":
        waiting = [client.async_infer("edge", [input_of(triton_http, images[n : n + 1])]) for n in range(16)]
        got = np.concatenate([one.get_result().as_numpy("probabilities") for one in waiting])
        np.testing.assert_array_equal(got, expected)
        return  # its client is for one thread
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(16)))


# --- Refusals --------------------------------------------------------------------------------

ZEROS = np.zeros((1, 28, 28, 1), np.uint8)
GIVEN: dict[str, Any] = {"name": "images", "shape": [1, 28, 28, 1], "datatype": "UINT8", "data": [0] * 784}
BYTES: dict[str, Any] = {"name": "pictures", "shape": [1], "datatype": "BYTES"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"inputs": [{"name": "images", "shape": [1], "datatype": "UINT8", "data": [NaN]}]}', "no JSON"),
        ([1], "none of the Open Inference Protocol"),
        ({}, "none of the Open Inference Protocol"),
        ({"inputs": 3}, "none of the Open Inference Protocol"),
        ({"inputs": []}, "one input is wanted"),
        ({"inputs": [GIVEN, GIVEN]}, "one input is wanted"),
        ({"inputs": [GIVEN | {"name": "x"}]}, "one input is wanted"),
        ({"inputs": [GIVEN], "outputs": [{"name": "label"}]}, "the outputs of 'images' are probabilities"),
        ({"inputs": [GIVEN], "parameters": [1]}, "parameters are an object"),
        (GIVEN | {"datatype": "FP32"}, "'images' is UINT8, not FP32"),
        (GIVEN | {"shape": [1, 160, 160, 3]}, "has the shape [n, 28, 28, 1]"),
        (GIVEN | {"shape": [-1, 28, 28, 1]}, "a list of whole numbers"),
        (GIVEN | {"shape": [10**9, 28, 28, 1]}, "1 to 100 images"),
        (GIVEN | {"shape": [0, 28, 28, 1], "data": []}, "1 to 100 images"),
        (GIVEN | {"data": [0] * 783}, "are not of the shape"),
        (GIVEN | {"data": [256] * 784}, "whole numbers from 0 to 255"),
        (GIVEN | {"data": [0.5] * 784}, "whole numbers from 0 to 255"),
        (GIVEN | {"data": ["1"] * 784}, "whole numbers from 0 to 255"),
        (GIVEN | {"data": [[1], [1, 2]]}, "no tensor"),
        (GIVEN | {"parameters": {"binary_data_size": 784}}, "binary_data_size"),
        (BYTES | {"data": ["!"]}, "no base64"),
        (BYTES | {"data": [1]}, "no bytes"),
        (BYTES | {"data": ["aGVsbG8="]}, "pictures[0] is no BMP, JPEG"),
        (BYTES | {"shape": [2], "data": ["aGVsbG8="]}, "1 elements are not the 2"),
    ],
)
def test_malformed_requests(server: Server, body: Any, says: str) -> None:
    """A malformed request is told in one line what is wrong with it, as the protocol tells it."""
    if isinstance(body, dict) and "name" in body:
        body = {"inputs": [body]}
    status, answer = server.post(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert (status, list(answer)) == (400, ["error"])
    assert says in answer["error"]


def test_broken_bytes(server: Server) -> None:
    """Bytes changed, cut or moved at random are refused or answered; never is the server at fault."""
    body, rng = as_json(ZEROS), np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(body[: rng.integers(1, len(body))] if rng.random() < 0.3 else body)
        broken[rng.integers(min(100, len(broken)))] = rng.integers(256)
        header = {"Inference-Header-Content-Length": str(rng.integers(len(body)))} if rng.random() < 0.3 else {}
        assert server.post(bytes(broken), **header)[0] in (200, 400)


@both
def test_wrong_requests_by_tritonclient(server: Server, protocol: str, test_set: Arrays) -> None:
    """Unknown models, shapes and pictures that are none are told by the protocol's own errors; then it goes on."""
    client = server.client(protocol)
    not_found, invalid = (
        ("404", "400") if protocol == "http" else ("StatusCode.NOT_FOUND", "StatusCode.INVALID_ARGUMENT")
    )
    wrong: list[tuple[str, str, NDArray[Any], str]] = [
        ("nothing", "images", ZEROS, not_found),
        ("edge", "images", np.zeros((1, 27, 28, 1), np.uint8), invalid),
        ("edge", "image", ZEROS, invalid),
        ("edge", "pictures", ZEROS, invalid),
        ("kiosk", "pictures", np.array([b"no picture"], object), invalid),
        ("kiosk", "images", np.zeros((MAX_IMAGES + 1, 28, 28, 1), np.uint8), invalid),
    ]
    for model, name, tensor, status in wrong:
        with pytest.raises(InferenceServerException) as refused:
            infer(client, model, tensor, name)
        assert refused.value.status() == status
        assert refused.value.message()
    with pytest.raises(InferenceServerException):
        client.unload_model("edge")
    assert infer(client, "edge", test_set[0][:1]).as_numpy("probabilities").shape == (1, 10)


@both
def test_image_bomb(server: Server, protocol: str) -> None:
    """A small file that is a huge picture is refused by its header, before it is decoded."""
    bomb = io.BytesIO()
    Image.new("1", (9000, 9000)).save(bomb, "PNG")
    before = psutil.Process(server.process.pid).memory_info().rss
    with pytest.raises(InferenceServerException, match="9000 x 9000"):
        infer(server.client(protocol), "kiosk", np.array([bomb.getvalue()], object), "pictures")
    assert psutil.Process(server.process.pid).memory_info().rss - before < 20e6


def test_too_large(server: Server) -> None:
    """A request over the limit is refused: by what it announces, by what it sends in chunks, and over gRPC."""
    large = np.zeros((MAX_IMAGES, 160, 160, 3), np.uint8)
    for path, status in ((b"edge", b"413"), (b"edge/versions/1", b"501")):  # which it reads no body of at all
        with server.connect() as announced:
            announced.sendall(b"POST /v2/models/%s/infer HTTP/1.1\r\nHost: x\r\n" % path)
            announced.sendall(b"Content-Length: 99999999999\r\n\r\n")
            assert announced.recv(1000).startswith(b"HTTP/1.1 " + status)
    with server.connect() as chunked:
        chunked.sendall(b"POST /v2/models/edge/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 100 * MAX_BYTES:  # without end, if it were let
                chunked.sendall(b"40000\r\n" + bytes(0x40000) + b"\r\n")
                sent += 0x40000
                chunked.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    assert chunked.recv(1000).startswith(b"HTTP/1.1 413")
                    break
                chunked.setblocking(True)
        assert sent < 20 * MAX_BYTES
    with pytest.raises(InferenceServerException, match="RESOURCE_EXHAUSTED"):
        infer(server.client("grpc"), "kiosk", large)
    assert server.get("/v2/health/ready")[0] == 200


def test_many_bodies_at_once(server: Server) -> None:
    """Bodies that are still being sent count as held: over the bound new bytes are refused, and then it goes on."""
    with contextlib.ExitStack() as stack:
        senders = [stack.enter_context(server.connect()) for _ in range(12)]
        for sender in senders:
            sender.sendall(b"POST /v2/models/edge/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MAX_BYTES)
            with contextlib.suppress(ConnectionError):
                sender.sendall(bytes(MAX_BYTES - 1))
        refused = select.select(senders, [], [], 10)[0]
        assert refused
        assert refused[0].recv(1000).startswith(b"HTTP/1.1 503")
    assert server.post(as_json(ZEROS))[0] == 200


@pytest.mark.parametrize(("mebibytes", "calls"), [(1, 576), (32, 64), (2000, 8)])
def test_many_messages_at_once(mebibytes: int, calls: int) -> None:
    """So many gRPC calls are taken as fit into the memory that is for them, or eight."""
    assert most_calls(576, mebibytes << 20) == calls


def test_values_one_by_one(server: Server) -> None:
    """A request of very many small values is refused before it is parsed, in both protocols."""
    status, answer = server.post(b'{"inputs":[{"data":[' + b"[]," * (MOST_VALUES // 2) + b"[]]}]}")
    assert status == 413
    assert "as binary data" in answer["error"]
    given = service_pb2.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=[1, 28, 28, 1])
    given.contents.uint_contents.extend([0] * (MOST_VALUES + 1))
    with grpc.insecure_channel(server.address["grpc"]) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError, match="as binary data"):
            stub.ModelInfer(service_pb2.ModelInferRequest(model_name="edge", inputs=[given]))


@both
def test_jpeg_without_end(server: Server, protocol: str) -> None:
    """A small JPEG of very many scans, each of which takes as long as a picture, is refused before it is decoded."""
    made = io.BytesIO()
    Image.new("L", (640, 480)).save(made, "JPEG", progressive=True)
    first, mark, last = made.getvalue().removesuffix(b"\xff\xd9").rpartition(b"\xff\xda")
    jpeg = first + 101 * (mark + last) + b"\xff\xd9"
    assert decode_image(io.BytesIO(jpeg), "it").width == 640
    with pytest.raises(InferenceServerException, match="more than 100 scans"):
        infer(server.client(protocol), "kiosk", np.array([jpeg], object), "pictures")


def test_pixels_at_most(tmp_path: Path) -> None:
    """A picture of more pixels than asked for is refused with its size, in whatever format."""
    for suffix in ("png", "jpg", "tiff", "webp", "bmp"):
        path = tmp_path / f"it.{suffix}"
        Image.new("RGB", (40, 30)).save(path)
        assert decode_image(path, "it", most_pixels=1200).width == 40
        with pytest.raises(BadInputError, match="it has more than 1,199 pixels, 40 x 30"):
            decode_image(path, "it", most_pixels=1199)


def test_clients_that_leave(server: Server) -> None:
    """A client that leaves in mid-body is counted as gone, and not as the server's error."""
    with server.connect() as leaving:
        leaving.sendall(b"POST /v2/models/edge/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        assert server.get("/v2/health/ready")[0] == 200  # it has begun to read
    counted = 'edgefashion_requests_total{model="edge",outcome="%s",protocol="http"}'
    while counted % "gone" not in (text := server.get("/metrics")[1]):
        assert counted % "error" not in text


def test_headers_without_end(server: Server) -> None:
    """A header that grows without end is cut off; the others are served meanwhile."""
    with server.connect() as slow, contextlib.suppress(ConnectionError):
        slow.sendall(b"GET / HTTP/1.1\r\n")
        for _ in range(20):
            slow.sendall(b"x: " + b"y" * 10_000 + b"\r\n")
        assert slow.recv(1000).startswith(b"HTTP/1.1 400")
    assert server.get("/v2/health/ready")[0] == 200


def test_metrics(server: Server) -> None:
    """Prometheus finds requests by model and outcome, their latencies and the queue."""
    server.post(as_json(ZEROS))
    server.post(b"{}")
    server.post(as_json(ZEROS), "a-name-of-the-client's")
    status, text = server.get("/metrics")
    assert status == 200
    for line in (
        'edgefashion_requests_total{model="edge",outcome="ok",protocol="http"}',
        'edgefashion_requests_total{model="edge",outcome="invalid",protocol="http"}',
        'edgefashion_requests_total{model="",outcome="not_found",protocol="http"}',
        'edgefashion_request_seconds_bucket{le="0.02",model="edge",protocol="http"}',
        "edgefashion_queue_length 0.0",
        "edgefashion_requests_in_flight 0.0",
    ):
        assert line in text
    assert "a-name" not in text


# --- Overload and the end --------------------------------------------------------------------


def test_overload_slowness_and_the_end(pictures: list[bytes]) -> None:
    """Over its queue the server says so at once; what takes too long is given up; SIGTERM waits for what is inside."""
    large = io.BytesIO()
    Image.new("L", (4000, 4000)).save(large, "PNG")
    few, many = (np.array(pictures[:1] * count, object) for count in (5, 16))
    without_end = np.array([large.getvalue()] * 250, object)  # for any machine
    with Server("kiosk", "--workers=1", "--queue=1", "--timeout=4") as server, ThreadPoolExecutor(12) as threads:

        def ask(protocol: str, tensor: NDArray[Any] = many) -> str:
            try:
                infer(server.client(protocol, **patience[protocol]), "kiosk", tensor, "pictures")
            except InferenceServerException as refused:
                return str(refused.status())
            except OSError as error:  # not even connected
                return type(error).__name__
            return "ok"

        patience = {"http": {"network_timeout": 30}, "grpc": {}}
        silent, header, slow = (server.connect() for _ in range(3))
        header.sendall(b"POST /v2/models/kiosk/infer HTTP/1.1\r\nHost: x\r\nContent-Le")
        slow.sendall(b"POST /v2/models/kiosk/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        said = list(threads.map(lambda protocol: ask(protocol, few), ["http", "grpc"] * 6))
        assert said.count("ok") >= 2
        assert {"503", "StatusCode.RESOURCE_EXHAUSTED"} & set(said)
        assert set(said) <= {"ok", "503", "StatusCode.RESOURCE_EXHAUSTED"}
        # One is computed too long, and the other waits too long.
        late = list(threads.map(lambda protocol: ask(protocol, without_end), ["http", "grpc"]))
        assert late == ["504", "StatusCode.DEADLINE_EXCEEDED"]
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
        for cut in (silent, header):
            with contextlib.suppress(ConnectionError):
                assert cut.recv(1000) == b""
        assert ask("http", few) == "ok"

        inside = [threads.submit(ask, "http"), threads.submit(ask, "grpc")]
        while "edgefashion_requests_in_flight 2.0" not in server.get("/metrics")[1]:
            assert not any(one.done() for one in inside)
        server.process.send_signal(signal.SIGTERM)
        while server.get("/v2/health/ready")[0] != 503:
            assert not any(one.done() for one in inside)
        new = ask("http"), ask("grpc")
        assert not all(one.done() for one in inside)
        assert new == ("503", "StatusCode.UNAVAILABLE")
        assert [one.result() for one in inside] == ["ok", "ok"]
        assert server.process.wait(30) == 143
        assert server.process.communicate()[1] == ""


def test_given_up_work_counts() -> None:
    """Work that nobody waits for any more takes its thread, and counts as inside, until it ends."""
    gate, end = Gate(workers=1, queue=0, timeout_s=0.05), threading.Event()

    async def ask() -> None:
        with pytest.raises(RefusedError) as late:
            await gate.run(lambda _: end.wait(30))
        assert late.value.why.outcome == "timeout"
        assert gate.inside == 1
        with pytest.raises(RefusedError) as busy:
            await gate.run(lambda _: None)
        assert busy.value.why.outcome == "overloaded"
        end.set()
        while gate.inside:
            await asyncio.sleep(0.001)
        assert await gate.run(lambda _: "answer") == "answer"

    asyncio.run(ask())
    gate.abandon()


def test_cause_of_a_failed_start() -> None:
    """Where a model cannot be loaded in one thread, that is told, and not that the others waited for it."""
    gate, turns = Gate(workers=3, queue=0, timeout_s=1), itertools.count()

    def third_fails() -> None:
        if next(turns) == 2:
            raise BadInputError("no memory")

    with pytest.raises(BadInputError, match="no memory"):
        gate.run_in_each(third_fails)
    gate.abandon()


def test_end_in_mid_work() -> None:
    """Once drained, the process ends, though a thread is still at a picture."""
    program = """
import concurrent.futures, signal, time
from edgefashion.cli import main as cli
from edgefashion.serving import serve
def ended(*_):
    concurrent.futures.ThreadPoolExecutor(1).submit(time.sleep, 60)
    print("served")
    return signal.SIGTERM
serve.serve = ended
cli.app(["serve"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (143, "served\n")


def test_one_server_an_address() -> None:
    """A second server on an address is refused though the first is still loading its models."""
    with (
        bound("127.0.0.1", 0, "--port") as first,
        pytest.raises(BadInputError, match="Choose another --port"),
    ):
        bound("127.0.0.1", first.getsockname()[1], "--port")


def test_ctrl_c_and_ports_and_warning(run_here: Run) -> None:
    """Ctrl-C ends it with 130; a port in use is told before anything is loaded; so is an open address."""
    with Server("edge", "--host=0.0.0.0") as server:
        port = server.said["http"].rpartition(":")[2]
        for option in ("--port", "--grpc-port"):
            refused = run_here("serve", "edge", "--port=0", "--grpc-port=0", f"{option}={port}")
            assert refused.returncode == 2
            assert refused.stderr.count("\n") == 1
            assert f"Choose another {option}" in refused.stderr
        code, said = server.end(signal.SIGINT)
        assert code == 130
        assert "can be reached from other machines" in said
        assert said.count("\n") == 1


def test_without_the_extra(run_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without KServe it says in one line how to get it, and exits with 3."""
    monkeypatch.setattr("edgefashion.errors.find_spec", lambda name: None)
    missing = run_here("serve")
    assert missing.returncode == 3
    assert 'pip install "edgefashion[serve]"' in missing.stderr


def test_unknown_and_double_models(run_here: Run) -> None:
    """A model that is none, or named twice, is told before anything is loaded."""
    options = "--port=0", "--grpc-port=0"
    assert "no model 'nope'" in run_here("serve", "nope", *options).stderr
    assert "named alike" in run_here("serve", "edge", "edge", *options).stderr
