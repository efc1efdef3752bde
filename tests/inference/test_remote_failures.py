"""A model as a URL, and a server that is away, a stranger, silent, or answers what it should not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference import load
from edgefashion.inference.decision import Rule
from edgefashion.inference.finder import CELLS_SHAPE
from edgefashion.inference.remote import engine
from edgefashion.inference.remote.address import parse
from edgefashion.inference.remote.errors import RefusedError, ServerError
from edgefashion.system import extras
from edgefashion.training import distillation

if TYPE_CHECKING:
    from helpers.types import Run
from helpers.served import PROTOCOLS, SOON, Pretending, answering, free_port


def test_no_teacher() -> None:
    """A served model is no teacher: what it says today need not be what it says tomorrow."""
    with pytest.raises(BadInputError, match="cannot teach"):
        distillation._teacher("http://shop:1/v2/models/edge")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_server(protocol: str, run_here: Run) -> None:
    """A server that is not there is something missing (exit code 3), told in one line without the password."""
    done = run_here("evaluate", f"{protocol}://me:secret@127.0.0.1:{free_port()}/v2/models/edge")
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


OURS: Final = {"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28, 1]}


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (404, b"<html>nothing here</html>", RefusedError, "no server of the Open Inference protocol"),
        (200, b"<html>welcome</html>", ServerError, ""),
        (200, b"[]", RefusedError, "no server of the Open Inference protocol"),
        (401, b'{"error": "who are you"}', RefusedError, "another account (who are you)"),
        (503, b'{"error": "draining"}', ServerError, "draining"),
        (500, b"", ServerError, ""),
        (200, b'{"inputs": [], "outputs": []}', BadInputError, "no model of edgefashion: it takes nothing"),
        (
            200,
            b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3]}], "outputs": []}',
            BadInputError,
            "takes x FP32[1, 3]",
        ),
        (200, json.dumps({"inputs": [OURS], "outputs": [{"name": "probabilities"}]}).encode(), ServerError, "no infer"),
    ],
)
def test_strangers(status: int, body: bytes, error: type[Exception], words: str) -> None:
    """A server that is none of ours, or not well, is told apart from one that is, in one line."""
    with (
        answering(lambda *_: (status, "application/json", body)) as port,
        pytest.raises(error) as told,
    ):
        load.load(f"http://127.0.0.1:{port}/v2/models/edge")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "shape",
    [
        "[-1, 28, 28, 2]",
        "[-1, 0, 28, 1]",
        "[-1, -28, -28, 1]",
        "[-1, 1025, 28, 3]",
        "[-1, 99999999999, 99999999999, 3]",
        f"[-1, {'9' * 4000}, 28, 1]",
        f"[-1, {'9' * 5000}, 28, 1]",
        "[-1, Infinity, 28, 1]",
        "[-1, NaN, 28, 1]",
        "[-1, null, 28, 1]",
        '[-1, "28", [28], 1]',
        "null",
        "7",
        "{}",
        f"{'[' * 100_000}{']' * 100_000}",
    ],
    ids=lambda shape: shape[:40],
)
def test_an_image_that_nobody_can_make(shape: str) -> None:
    """A server that wants images of no size, or of one that no memory holds, is none of ours, or not well; that is said
    in one line, and no image is made."""
    facts = json.dumps({"inputs": [OURS], "outputs": [{"name": "probabilities"}]})
    body = facts.replace(json.dumps(OURS["shape"]), shape).encode()
    with (
        answering(lambda *_: (200, "application/json", body)) as port,
        pytest.raises((BadInputError, ServerError)) as told,
    ):
        load.load(f"http://127.0.0.1:{port}/v2/models/edge")
    assert "no infer" not in str(told.value)  # it was not asked for an answer
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 500


def test_facts_nested_without_end() -> None:
    """What a server says of its model is refused, nested however deep."""
    with pytest.raises(BadInputError, match="does not tell its labels"):
        engine.ServedFacts.read("[" * 100_000, parse("http://shop:1/v2/models/edge"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"mask": np.zeros((1, 400), np.float32)},
        {"mask": np.zeros((1, 2, 2), np.float32)},
        {"mask": np.zeros((1, 20, 20), np.int32)},
        {"mask": np.full((1, 20, 20), "a")},
        {"probabilities": np.zeros((1, 3), np.float32)},
        {"probabilities": np.zeros((1, 2, 1), np.float32)},
        {"probabilities": np.full((1, 2), "a")},
        {"probabilities": np.zeros((1, 2), np.float64)},
        {"probabilities": np.full((1, 2), np.nan, np.float32)},
        {"probabilities": np.full((1, 2), 1.1, np.float32)},
        {"probabilities": np.full((1, 2), -0.1, np.float32)},
        {"mask": np.full((1, 20, 20), np.nan, np.float32)},
    ],
    ids=lambda wrong: " ".join(
        f"{name} {tensor.dtype}{tensor.shape} {tensor.flat[0]}" for name, tensor in wrong.items()
    ),
)
def test_wrong_tensors(wrong: dict[str, np.ndarray[Any, Any]]) -> None:
    """Tensors of another shape or type, or of no probabilities, in mid-run are a server's failure, after which a camera
    goes on by itself."""
    pretending = Pretending((160, 160, 3))
    with answering(pretending) as port:
        there = load.load(f"http://127.0.0.1:{port}/v2/models/m")
        pretending.tensors = {**pretending.tensors, "mask": np.zeros((1, 20, 20), np.float32)}
        assert there.look(np.zeros((160, 160, 3), np.uint8))[1].shape == (20, 20)
        pretending.tensors |= wrong
        with pytest.raises(ServerError, match="answers"):
            there.look(np.zeros((160, 160, 3), np.uint8))


def test_the_servers_finder() -> None:
    """A server's finder is asked with the frame as the finder takes it; what is no answer of one is the server's
    failure, another finder in mid-run another model, and a server that tells of none has none."""
    pretending = Pretending((160, 160, 3))
    with answering(pretending) as port:
        url = f"http://127.0.0.1:{port}/v2/models/m"
        assert load.load(url).finder is None
        pretending.facts |= {"finder_floor": 0.5, "finder_sha256": "00ff"}
        pretending.tensors["cells"] = np.zeros((1, *CELLS_SHAPE), np.float32)
        pretending.tensors["cells"][0, 16, 8, 0] = 0.75
        found = load.load(url).finder
        assert found is not None
        assert (found.floor, found.sha256) == (0.5, "00ff")
        assert [(one.kind, one.score) for one in found.find(np.zeros((300, 200, 3), np.uint8))] == [("upper", 0.75)]
        for shape, value in (((1, 4, 4, 41), 0.0), ((1, *CELLS_SHAPE), np.nan)):
            pretending.tensors["cells"] = np.full(shape, value, np.float32)
            with pytest.raises(ServerError, match="answers cells"):
                found.find(np.zeros((300, 200, 3), np.uint8))
        pretending.tensors["cells"] = np.zeros((1, *CELLS_SHAPE), np.float32)
        pretending.facts["finder_sha256"] = "ff00"
        with pytest.raises(engine.ChangedError):
            found.find(np.zeros((300, 200, 3), np.uint8))
        pretending.facts["finder_floor"] = float("nan")
        with pytest.raises(BadInputError, match=r"no sound .*limit"):
            load.load(url)


def test_a_model_that_left_is_not_looked_for() -> None:
    """In mid-run a server that knows the model no more is asked once: a frame that waits is answered by another."""
    pretending = Pretending((28, 28, 1))
    with answering(pretending) as port:
        there = load.load(f"http://127.0.0.1:{port}/v2/models/m")
        pretending.status, before = 404, len(pretending.asked)
        with pytest.raises(RefusedError, match="has no model 'm'"):
            there(np.zeros((1, 28, 28, 1), np.uint8))
        assert pretending.asked[before:] == [("/v2/models/m/infer", 1)]


def test_the_server_bounds_a_request() -> None:
    """No request has more images than the server says it takes, also where that changes in mid-run."""
    pretending = Pretending((28, 28, 1), max_images=3)
    with answering(pretending) as port:
        there = load.load(f"http://127.0.0.1:{port}/v2/models/m")
        images, before = np.zeros((5, 28, 28, 1), np.uint8), len(pretending.asked)
        assert there(images).shape == (5, 2)
        pretending.facts["max_images"] = 9
        assert there(images[:1]).shape == (1, 2)
        assert there(images).shape == (5, 2)
        assert [number for _, number in pretending.asked[before:]] == [2, 2, 1, 1, 5]
        pretending.facts["labels"] = ["a", "c"]
        with pytest.raises(engine.ChangedError):
            there(images)


def test_the_servers_rule() -> None:
    """The rule is the server's, an older server's without floors; another rule in mid-run is another model, and
    floors that are none are refused."""
    pretending = Pretending((28, 28, 1))
    with answering(pretending) as port:
        url = f"http://127.0.0.1:{port}/v2/models/m"
        assert load.load(url).rule == Rule(0.5)
        pretending.facts |= {"floors": {"a": 0.75}, "kind_floor": 0.9}
        there = load.load(url)
        assert there.rule == Rule(0.5, {"a": 0.75}, 0.9)
        pretending.facts["floors"] = {"a": 0.5}
        with pytest.raises(engine.ChangedError):
            there(np.zeros((1, 28, 28, 1), np.uint8))
        for wrong in ({"floors": [0.5]}, {"floors": {"a": "high"}}, {"floors": {"a": 2}}, {"kind_floor": "x"}):
            pretending.facts |= {"floors": {}, "kind_floor": None, **wrong}
            with pytest.raises(BadInputError, match="does not tell its labels and threshold"):
                load.load(url)


@pytest.mark.linux_only("SIGINT to another process is POSIX's")
@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to another process")
def test_interrupted() -> None:
    """Ctrl-C ends a process whose server hangs with several requests, without waiting for them."""
    pretending, hanging, ended = Pretending((28, 28, 1)), threading.Semaphore(0), threading.Event()

    def reply(path: str, body: bytes) -> tuple[int, str, bytes]:
        if (answer := pretending(path, body)) and pretending.asked[-1][1] > 1:
            hanging.release()
            ended.wait()
        return answer

    code = """
import sys
import numpy as np
from edgefashion.inference.remote import engine
from edgefashion.inference.remote.client import Limits
there = engine.load(sys.argv[1], purpose="throughput", limits=Limits(5, 3600))
there(np.zeros((1000, 28, 28, 1), np.uint8))
"""
    with answering(reply) as port:
        url = f"http://127.0.0.1:{port}/v2/models/m"
        process = subprocess.Popen([sys.executable, "-c", code, url], stderr=subprocess.DEVNULL)
        try:
            for _ in range(engine.IN_FLIGHT):
                assert hanging.acquire(timeout=180), "its start takes long from a cold disk"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=180) != 0
        finally:
            process.kill()
            ended.set()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_silence_has_an_end(protocol: str) -> None:
    """A server that takes the connection and says nothing, or a byte now and then, is given up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{protocol}://127.0.0.1:{silent.getsockname()[1]}/v2/models/edge"
        with pytest.raises(ServerError, match=r"within 0\.3 s|before receiving SETTINGS"):
            engine.load(url, limits=SOON)
        stop = threading.Event()

        def drip() -> None:
            connection, _ = silent.accept()
            connection, _ = silent.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not stop.wait(0.05):
                    connection.send(b"a")

        if protocol == "http":
            dripping = threading.Thread(target=drip, daemon=True)
            dripping.start()
            with pytest.raises(ServerError, match=r"within 0\.3 s"):
                engine.load(url, limits=SOON)
            stop.set()
            dripping.join()


def test_without_tritonclient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tritonclient a URL names the extra that brings it."""
    monkeypatch.setattr(extras, "installed", lambda _: False)
    with pytest.raises(MissingError, match=r"edgefashion\[remote\]"):
        load.load("http://shop:1/v2/models/edge")
