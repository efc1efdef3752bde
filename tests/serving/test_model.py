"""A served model answers what it answers in-process."""

from __future__ import annotations

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from helpers.serve import MAX_IMAGES, Server, both, infer, input_of, views_of
from helpers.types import Arrays
from numpy.typing import NDArray

from edgefashion.data.images import decode_image
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.predict import predict


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
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


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
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


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
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


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
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


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
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
    assert (facts["floors"], facts["kind_floor"]) == ({}, None)


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
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
