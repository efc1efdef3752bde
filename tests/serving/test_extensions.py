"""What a client may ask for beside its tensors is done, or refused in the same words over both protocols."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.serve import LIBRARIES, MAX_BYTES, ZEROS, Server, as_json, both, input_of
from helpers.types import Arrays
from tritonclient.utils import InferenceServerException

from edgefashion.inference.classifier import Classifier

pytestmark = pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")


def ask(server: Server, protocol: str, output: dict[str, Any] | None = None, **options: Any) -> Any:
    """One image to `edge` by tritonclient; ``output``: what is asked of the probabilities."""
    of = LIBRARIES[protocol]
    outputs = None if output is None else [of.InferRequestedOutput("probabilities", **output)]
    return server.client(protocol).infer("edge", [input_of(of, ZEROS)], outputs=outputs, **options)


def in_memory(given: Any) -> Any:
    given.set_shared_memory("region", 784)
    return given


@both
@pytest.mark.parametrize("count", [1, 3, 10, 99])
def test_classification(
    count: int, protocol: str, server: Server, classifiers: dict[str, Classifier], test_set: Arrays
) -> None:
    """`class_count` gives the likeliest classes as value:index:label, the likeliest first, and never more than are."""
    of, images = LIBRARIES[protocol], test_set[0][:2]
    best = [of.InferRequestedOutput("probabilities", class_count=count)]
    answer = server.client(protocol).infer("edge", [input_of(of, images)], outputs=best)
    found = answer.as_numpy("probabilities")
    assert found.shape == (2, min(count, 10))
    for row, probabilities in zip(found, classifiers["edge"](images), strict=True):
        order = np.argsort(-probabilities, kind="stable")[:count]
        labels = classifiers["edge"].labels
        assert [one.decode() for one in row] == [f"{probabilities[at]:f}:{at}:{labels[at]}" for at in order]


REFUSED: dict[str, tuple[Callable[[Server, str], Any], str]] = {
    "an infer of a version": (lambda s, p: ask(s, p, model_version="99"), "edge has no version '99'"),
    "the first version": (lambda s, p: ask(s, p, model_version="1"), "edge has no version '1'"),
    "a version of no model": (
        lambda s, p: s.client(p).infer("hat", [input_of(LIBRARIES[p], ZEROS)], model_version="1"),
        "Model with name hat does not exist",
    ),
    "the metadata of a version of no model": (
        lambda s, p: s.client(p).get_model_metadata("hat", "1"),
        "Model with name hat does not exist",
    ),
    "a version's metadata": (lambda s, p: s.client(p).get_model_metadata("edge", "99"), "edge has no version '99'"),
    "a sequence": (lambda s, p: ask(s, p, sequence_id=5, sequence_start=True), "no sequences are kept here"),
    "a named sequence": (lambda s, p: ask(s, p, sequence_id="five"), "no sequences are kept here"),
    "a priority": (lambda s, p: ask(s, p, priority=1), "all requests have the same priority here"),
    "an unknown parameter": (lambda s, p: ask(s, p, parameters={"mood": "fine"}), "has a parameter 'mood'"),
    "an unknown number": (lambda s, p: ask(s, p, parameters={"mood": 0.5}), "has a parameter 'mood'"),
    "too little time": (
        lambda s, p: s.client(p).infer(
            "kiosk", [input_of(LIBRARIES[p], np.zeros((20, 160, 160, 3), np.uint8))], timeout=1
        ),
        "there was no answer within 1e-06 s",
    ),
    "no time at all": (lambda s, p: ask(s, p, timeout=1), "there was no answer within 1e-06 s"),
    "an input in shared memory": (
        lambda s, p: s.client(p).infer("edge", [in_memory(input_of(LIBRARIES[p], ZEROS))]),
        "no memory is shared with clients here",
    ),
    "an output into shared memory": (
        lambda s, p: s.client(p).infer(
            "edge",
            [input_of(LIBRARIES[p], ZEROS)],
            outputs=[in_memory(LIBRARIES[p].InferRequestedOutput("probabilities"))],
        ),
        "no memory is shared with clients here",
    ),
    "classes of a mask": (
        lambda s, p: s.client(p).infer(
            "kiosk",
            [input_of(LIBRARIES[p], np.zeros((1, 160, 160, 3), np.uint8))],
            outputs=[LIBRARIES[p].InferRequestedOutput("mask", class_count=2)],
        ),
        "'mask' holds no classes",
    ),
    "less than one class": (lambda s, p: ask(s, p, {"class_count": -1}), "a whole number from 1, not -1"),
    "a region of system memory": (
        lambda s, p: s.client(p).register_system_shared_memory("region", "/region", 784),
        "this server has no such",
    ),
    "a region of CUDA memory": (lambda s, p: s.client(p).get_cuda_shared_memory_status(), "this server has no such"),
    "a model's configuration": (lambda s, p: s.client(p).get_model_config("edge"), "this server has no such"),
    "statistics": (lambda s, p: s.client(p).get_inference_statistics("edge"), "this server has no such"),
    "statistics of all models": (lambda s, p: s.client(p).get_inference_statistics(), "this server has no such"),
    "an index of models": (lambda s, p: s.client(p).get_model_repository_index(), "this server has no such"),
    "a trace": (lambda s, p: s.client(p).get_trace_settings("edge"), "this server has no such"),
    "a level of logging": (lambda s, p: s.client(p).update_log_settings({"log_verbose_level": 1}), "no such"),
    "loading": (lambda s, p: s.client(p).load_model("edge"), "models are loaded when the server starts"),
    "unloading": (lambda s, p: s.client(p).unload_model("edge"), "models are loaded when the server starts"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_alike(what: str, server: Server) -> None:
    """What the server does not do is refused over HTTP and over gRPC in one sentence, by tritonclient's own error."""
    call, says = REFUSED[what]
    told = []
    for protocol in LIBRARIES:
        with pytest.raises(InferenceServerException) as refused:
            call(server, protocol)
        told.append(re.sub(r"\b(address|call)\b", "one", str(refused.value.message())))
        assert says in refused.value.message()
    assert told[0] == told[1]


@both
def test_asked_for_nothing(protocol: str, server: Server) -> None:
    """What asks for nothing, or for what can be kept, is no reason to refuse: no sequence, a timeout that suffices."""
    answer = ask(server, protocol, timeout=20_000_000, sequence_id=0, priority=0, request_id="7", parameters={})
    assert answer.as_numpy("probabilities").shape == (1, 10)


@both
def test_versions_are_not_ready(protocol: str, server: Server) -> None:
    """A version that does not exist is not ready, nor is a model that does not; the model itself is."""
    client = server.client(protocol)
    assert [client.is_model_ready("edge", version) for version in ("99", "1", "latest", "")] == [False] * 3 + [True]
    assert [client.is_model_ready("hat", version) for version in ("1", "")] == [False] * 2


@both
def test_binary_and_lists(protocol: str, server: Server) -> None:
    """Tensors go and come as binary data or as lists, by what the client says of each, with the same numbers."""
    if protocol == "grpc":
        assert ask(server, protocol).as_numpy("probabilities").dtype == np.float32
        return
    of, answers = LIBRARIES[protocol], []
    for binary_in in (True, False):
        for binary_out in (True, False):
            out = [of.InferRequestedOutput("probabilities", binary_data=binary_out)]
            given = input_of(of, ZEROS, binary_data=binary_in)
            answers.append(server.client(protocol).infer("edge", [given], outputs=out).as_numpy("probabilities"))
    assert all(np.allclose(each, answers[0]) for each in answers)


@both
@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed(algorithm: str, protocol: str, server: Server) -> None:
    """A compressed request is answered as one that is not, binary or in lists."""
    name = "compression_algorithm" if protocol == "grpc" else "request_compression_algorithm"
    option: dict[str, Any] = {name: algorithm}
    plain = ask(server, protocol).as_numpy("probabilities")
    assert np.array_equal(ask(server, protocol, **option).as_numpy("probabilities"), plain)
    if protocol == "http":
        in_lists = input_of(LIBRARIES["http"], ZEROS, binary_data=False)
        answer = server.client("http").infer("edge", [in_lists], request_compression_algorithm=algorithm)
        assert np.array_equal(answer.as_numpy("probabilities"), plain)


BODY = as_json(ZEROS)
PACKED = gzip.compress(BODY, mtime=0)


@pytest.mark.parametrize(
    ("coding", "body", "status", "says"),
    [
        ("GZIP", PACKED, 200, ""),
        ("x-gzip", PACKED, 200, ""),
        ("identity", BODY, 200, ""),
        ("br", BODY, 400, "the Content-Encoding 'br' is not read here. Send gzip"),
        ("gzip, gzip", gzip.compress(PACKED, mtime=0), 400, "'gzip, gzip' is not read here"),
        ("gzip", BODY, 400, "the body is no gzip data"),
        ("deflate", b"", 400, "the deflate data end too early"),
        ("gzip", PACKED[:-20], 400, "the gzip data end too early"),
        ("gzip", PACKED + b"more", 400, "more follows the end of the gzip data"),
        ("gzip", gzip.compress(BODY + b" " * MAX_BYTES, mtime=0), 413, "more than 2 MB"),
        ("gzip", gzip.compress(bytes(100 * MAX_BYTES), mtime=0), 413, "more than 2 MB"),
    ],
    ids=range(11),
)
def test_content_encodings(coding: str, body: bytes, status: int, says: str, server: Server) -> None:
    """A body of another coding, a broken one and one that grows over the limit are refused in a line of their own."""
    code, answer = server.post(body, **{"Content-Encoding": coding})
    assert (code, says in answer.get("error", "")) == (status, True)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"parameters": {"binary_data_output": 1}}, "binary_data_output is true or false"),
        ({"parameters": {"timeout": "soon"}}, "timeout is a whole number of microseconds"),
        ({"parameters": {"timeout": -1}}, "timeout is a whole number of microseconds"),
        ({"parameters": {"timeout": True}}, "timeout is a whole number of microseconds"),
        ({"parameters": {"facts": "yes"}}, "facts is true or false"),
        ({"outputs": [{"name": "probabilities", "parameters": {"classification": "3"}}]}, "a whole number from 1"),
        ({"outputs": [{"name": "probabilities", "parameters": {"classification": True}}]}, "a whole number from 1"),
        ({"outputs": [{"name": "probabilities", "parameters": {"binary_data": "yes"}}]}, "binary_data is true or"),
        ({"outputs": [{"name": "probabilities", "parameters": {"content_type": "np"}}]}, "parameter 'content_type'"),
        ({"outputs": [{"name": "probabilities", "parameters": [1]}]}, "parameters are an object"),
        ({"outputs": [{"name": "probabilities"}] * 2}, "an output is named twice"),
    ],
)
def test_parameters_in_json(more: dict[str, Any], says: str, server: Server) -> None:
    """A parameter of the wrong kind is told in one line what it should be."""
    body = {"inputs": [{"name": "images", "shape": [1, 28, 28, 1], "datatype": "UINT8", "data": [0] * 784}], **more}
    status, answer = server.post(json.dumps(body).encode())
    assert status == 400
    assert says in answer["error"]
