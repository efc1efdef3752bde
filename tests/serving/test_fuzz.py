"""Requests that a machine makes up: the server answers them or says in one line why not. It is never at fault.

At its end the server must have said nothing on stderr: see the fixture ``server``.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, Final

import grpc
import numpy as np
import pytest
from helpers.fuzzing import as_json, check_refusal, fuzz, json_mutations, json_values, mutations
from helpers.serve import Server
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb

pytestmark = pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")

CALL: Final = "/inference.GRPCInferenceService/ModelInfer"
REFUSED: Final = (400, 404, 413, 501, 503, 504)
CODES: Final = {"INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "DEADLINE_EXCEEDED"}

# --- HTTP ------------------------------------------------------------------------------------

_IMAGES: dict[str, Any] = {"name": "images", "shape": [1, 28, 28, 1], "datatype": "UINT8"}
_OUTPUTS = [{"name": "probabilities", "parameters": {"classification": 3, "binary_data": True}}]
_MORE = {
    "id": "1",
    "outputs": _OUTPUTS,
    "parameters": {"facts": True, "timeout": 9_000_000, "binary_data_output": False},
}
_BINARY = {"inputs": [{**_IMAGES, "parameters": {"binary_data_size": 784}}]}
REQUESTS = [
    {"inputs": [{**_IMAGES, "data": [0] * 784}]},
    {"inputs": [{**_IMAGES, "data": np.zeros((1, 28, 28, 1), int).tolist(), "parameters": {}}], **_MORE},
    {"inputs": [{"name": "pictures", "shape": [1], "datatype": "BYTES", "data": ["aGVsbG8="]}]},
    {**_BINARY, **_MORE},
]
WORDS = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"null",
    b"-1",
    b"1e999",
    b'"shape"',
    b'"parameters"',
    b"binary_data_size",
    b"\xff",
    b"\0",
]


def check_post(server: Server, body: bytes, **headers: str) -> None:
    """Fail unless a request is answered, in whatever form it asks for, or refused in one line."""
    request = urllib.request.Request(f"{server.said['http']}/v2/models/edge/infer", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200
            return
    except urllib.error.HTTPError as error:
        refused = error
    told = json.loads(refused.read())
    assert refused.code in REFUSED, told
    assert list(told) == ["error"]
    check_refusal(Exception(told["error"]))


@fuzz(80)
@given(json_mutations(REQUESTS) | json_values)
def test_json(server: Server, asked: Any) -> None:
    """JSON of any kind is answered or refused in one line."""
    check_post(server, as_json(asked))


@fuzz(60)
@given(
    json_mutations([_BINARY, {**_BINARY, **_MORE}]),
    st.sampled_from([bytes(784), bytes(1568), b"\5\0\0\0hello", b"\xff\xff\xff\xff"]) | st.binary(max_size=40),
    st.none() | st.integers(-5, 900) | st.text("0123 +x", min_size=1, max_size=5),
)
def test_binary_tensors(server: Server, asked: Any, behind: bytes, told: int | str | None) -> None:
    """JSON with bytes behind it, of whatever length the header tells, is answered or refused in one line."""
    body = as_json(asked)
    length = str(len(body) if told is None else told)
    check_post(server, body + behind, **{"Inference-Header-Content-Length": length})


@fuzz(60)
@given(mutations([as_json(each) for each in REQUESTS], WORDS))
def test_any_bytes(server: Server, body: bytes) -> None:
    """A good request with pieces cut out, written over or repeated is answered or refused in one line."""
    check_post(server, body)


# --- gRPC ------------------------------------------------------------------------------------

_VALUES = st.one_of(
    st.builds(pb.InferParameter),  # of no kind
    st.builds(pb.InferParameter, bool_param=st.booleans()),
    st.builds(pb.InferParameter, int64_param=st.integers(-(2**63), 2**63 - 1)),
    st.builds(pb.InferParameter, uint64_param=st.integers(0, 2**64 - 1)),
    st.builds(pb.InferParameter, double_param=st.floats()),
    st.builds(pb.InferParameter, string_param=st.text(max_size=8)),
)
_NAMES = st.sampled_from(
    [
        *("facts", "timeout", "binary_data_output", "binary_data_size", "binary_data", "classification"),
        *("sequence_id", "priority", "shared_memory_region", "content_type"),
    ]
)
_PARAMETERS: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.dictionaries(
    _NAMES | st.text(max_size=6), _VALUES, max_size=2
)
_CONTENTS = st.one_of(
    st.none(),
    st.builds(pb.InferTensorContents, uint_contents=st.sampled_from([[0] * 784, [256] * 784, [1], []])),
    st.builds(pb.InferTensorContents, bytes_contents=st.lists(st.binary(max_size=20), max_size=3)),
    st.builds(pb.InferTensorContents, fp32_contents=st.lists(st.floats(width=32), max_size=3)),
    st.builds(pb.InferTensorContents, int_contents=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=3)),
)
_TENSORS = st.sampled_from(["images", "images", "pictures", "frames", "probabilities", "mask", "label"]) | st.text(
    max_size=8
)
_SHAPES = st.sampled_from([[1, 28, 28, 1], [1, 28, 28, 1], [2, 28, 28, 1], [1], [0], []]) | st.lists(
    st.integers(-(2**63), 2**63 - 1), max_size=5
)
_INPUTS = st.builds(
    pb.ModelInferRequest.InferInputTensor,
    name=_TENSORS,
    datatype=st.sampled_from(["UINT8", "UINT8", "BYTES", "FP32", "FP16", "BOOL"]) | st.text(max_size=6),
    shape=_SHAPES,
    parameters=_PARAMETERS,
    contents=_CONTENTS,
)
_OUTPUT_TENSORS = st.builds(pb.ModelInferRequest.InferRequestedOutputTensor, name=_TENSORS, parameters=_PARAMETERS)
_RAW = st.sampled_from([bytes(784), bytes(1568), b"\5\0\0\0hello", b"\xff\xff\xff\xff", b""])
MESSAGES = st.builds(
    pb.ModelInferRequest,
    model_name=st.sampled_from(["edge", "edge", "kiosk", "", "x"]),
    model_version=st.sampled_from(["", "", "1"]),
    id=st.text(max_size=5),
    parameters=_PARAMETERS,
    inputs=st.lists(_INPUTS, min_size=1, max_size=2),
    outputs=st.lists(_OUTPUT_TENSORS, max_size=2),
    raw_input_contents=st.just([]) | st.lists(_RAW | st.binary(max_size=40), max_size=2),
)
_GOOD = pb.ModelInferRequest(
    model_name="edge",
    inputs=[pb.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=[1, 28, 28, 1])],
    outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name="probabilities")],
    raw_input_contents=[bytes(784)],
).SerializeToString()


def check_call(server: Server, message: bytes) -> None:
    """Fail unless a message is answered, or refused in one line."""
    with grpc.insecure_channel(server.address["grpc"]) as channel:
        answer = channel.unary_unary(CALL).future(message, timeout=60)
        if answer.exception() is not None:
            assert answer.code().name in CODES, answer.details()
            check_refusal(Exception(answer.details()))


@fuzz(80)
@given(MESSAGES)
def test_messages(server: Server, message: Any) -> None:
    """A message of any content is answered or refused in one line."""
    check_call(server, message.SerializeToString())


@fuzz(60)
@given(mutations([_GOOD], [b"\0", b"\xff", b"\x0a", b"\x80\x80\x80\x80\x80"]) | st.binary(max_size=60))
def test_any_message_bytes(server: Server, message: bytes) -> None:
    """Bytes that are no message, or a good one cut or changed, are answered or refused in one line."""
    check_call(server, message)
