"""The protocol's metadata and errors, in HTTP and in gRPC."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import grpc
import numpy as np
import pytest
from helpers.serve import MAX_IMAGES, ZEROS, Server, as_json, both, infer
from helpers.types import Arrays
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from edgefashion.serving.admission import MOST_VALUES

GIVEN: dict[str, Any] = {"name": "images", "shape": [1, 28, 28, 1], "datatype": "UINT8", "data": [0] * 784}
BYTES: dict[str, Any] = {"name": "pictures", "shape": [1], "datatype": "BYTES"}


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
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


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
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
        ({"inputs": [GIVEN | {"name": "frames"}]}, "one input is wanted, 'images' or 'pictures', not 'frames'"),
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
        (GIVEN | {"data": [-1.0] * 784}, "whole numbers from 0 to 255"),
        (GIVEN | {"data": [1e300] * 784}, "whole numbers from 0 to 255"),
        (GIVEN | {"data": [True] * 784}, "whole numbers from 0 to 255"),
        (GIVEN | {"data": ["1"] * 784}, "whole numbers from 0 to 255"),
        (GIVEN | {"data": [[1], [1, 2]]}, "no tensor"),
        (GIVEN | {"parameters": {"binary_data_size": 784}}, "binary_data_size"),
        (BYTES | {"data": ["!"]}, "no base64"),
        (BYTES | {"data": [1]}, "no bytes"),
        (BYTES | {"data": ["aGVsbG8="]}, "pictures[0] is no BMP, "),
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


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
@pytest.mark.parametrize("said", ["9" * 5000, "9" * 18, "\u00b2", "1_0", "+5", "-1", "0x10", "1e2", "ten", ""])
def test_a_length_that_is_none(server: Server, said: str) -> None:
    """A header that tells no length of the JSON, or one beyond any, is the client's fault, told in one line."""
    status, answer = server.post(as_json(ZEROS), **{"Inference-Header-Content-Length": said})
    assert (status, list(answer)) == (400, ["error"])
    assert f"the header inference-header-content-length says {said[:20]!r}" in answer["error"]


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_broken_bytes(server: Server) -> None:
    """Bytes changed, cut or moved at random are refused or answered; never is the server at fault."""
    body, rng = as_json(ZEROS), np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(body[: rng.integers(1, len(body))] if rng.random() < 0.3 else body)
        broken[rng.integers(min(100, len(broken)))] = rng.integers(256)
        header = {"Inference-Header-Content-Length": str(rng.integers(len(body)))} if rng.random() < 0.3 else {}
        assert server.post(bytes(broken), **header)[0] in (200, 400)


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
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


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
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


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_the_json_of_the_protocol(server: Server, test_set: Arrays) -> None:
    """A number is a number, 255.0 as 255; and what has no value is left out or empty, for null is no text or list."""
    image = test_set[0][:1].reshape(1, 28, 28, 1)
    numbers = [server.post(as_json(image.astype(kind)))[1] for kind in (np.uint8, np.float64)]
    assert numbers[0] == numbers[1]
    assert numbers[0]["outputs"]
    texts = [server.get(path)[1] for path in ("/v2", "/v2/models", "/v2/models/edge", "/v2/models/edge/ready")]
    assert [text for text in [*texts, json.dumps(numbers[0])] if "null" in text] == []


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
@pytest.mark.parametrize("field", ["int_contents", "fp32_contents", "bool_contents", "bytes_contents"])
def test_values_in_another_field(field: str, server: Server) -> None:
    """Values in a field of another type are not passed over: the field that is meant is named."""
    given = service_pb2.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=[1, 28, 28, 1])
    getattr(given.contents, field).append(b"0" if field == "bytes_contents" else 0)
    with grpc.insecure_channel(server.address["grpc"]) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError, match=f"values of type UINT8 are in uint_contents, not {field}"):
            stub.ModelInfer(service_pb2.ModelInferRequest(model_name="edge", inputs=[given]))


KSERVE = """
import asyncio, logging, sys
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

async def main(http, grpc):
    rest, remote = InferenceRESTClient(RESTConfig(protocol="v2", retries=0)), InferenceGRPCClient(grpc)
    calls = [
        (rest.is_server_live(http), rest.is_server_ready(http), rest.is_model_ready(http, "edge")),
        (remote.is_server_live(), remote.is_server_ready(), remote.is_model_ready("edge")),
        (rest.is_model_ready(http, "hat"), remote.is_model_ready("hat")),
    ]
    print([[await call for call in row] for row in calls])
    for binary in (True, False):
        given = InferInput("images", [1, 28, 28, 1], "UINT8")
        given.set_data_from_numpy(np.zeros((1, 28, 28, 1), np.uint8), binary_data=binary)
        request = InferRequest("edge", [given])
        for answer in (await rest.infer(http, request, model_name="edge"), await remote.infer(request)):
            print(*answer.outputs[0].as_numpy().ravel().tolist())
    hat = InferRequest("hat", [given])
    for wanted in (rest.infer(http, hat, model_name="hat"), remote.infer(hat)):
        try:
            await wanted
        except Exception as error:
            print(error)

logging.disable()
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_kserves_own_clients(server: Server) -> None:
    """KServe's REST and gRPC clients are answered alike: live, ready, an answer, and a model that is not here."""
    # In a process of its own: KServe and tritonclient describe the same messages, which protobuf takes once only.
    command = [sys.executable, "-c", KSERVE]
    done = subprocess.run([*command, server.said["http"], server.address["grpc"]], capture_output=True, text=True)
    said = done.stdout.splitlines()
    assert said[0] == "[[True, True, True], [True, True, True], [False, False]]", done.stderr
    expected = infer(server.client("http"), "edge", ZEROS).as_numpy("probabilities").ravel()
    for row in said[1:5]:
        assert np.allclose([float(number) for number in row.split()], expected, atol=1e-6)
    assert "Model with name hat does not exist" in said[5]
    assert any("Model with name hat does not exist" in line for line in said[6:])
