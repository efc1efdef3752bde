"""What is said of a model made elsewhere, and what is given where pictures are wanted: refused by what it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edgefashion.bundles import resolve
from edgefashion.cli.bench import bench
from edgefashion.cli.camera import camera
from edgefashion.cli.convert import convert
from edgefashion.cli.evaluate import evaluate
from edgefashion.cli.predict import _model_and_paths, predict
from edgefashion.cli.serve import serve
from edgefashion.cli.tag import tag
from edgefashion.errors import BadInputError
from edgefashion.inference import told

NONE_GIVEN = "are for models made elsewhere, and none is given"
ITSELF = "says itself how it is fed"


@pytest.mark.parametrize(
    ("command", "given", "says"),
    [
        (evaluate, {"scale": "0-1"}, NONE_GIVEN),
        (evaluate, {"photos": [Path("photos")], "labels": "measured"}, NONE_GIVEN),
        (evaluate, {"models": ["edge"], "scale": "0-1"}, f"^edge {ITSELF}"),
        (evaluate, {"models": ["kiosk", "edge"], "std": "0.5"}, f"^kiosk {ITSELF}"),
        (convert, {"mean": "0.5"}, NONE_GIVEN),
        (convert, {"models": ["edge"], "mean": "0.5"}, "edge was made here and says itself how it is fed"),
        (bench, {"output": "0"}, NONE_GIVEN),
        (bench, {"model": "http://127.0.0.1:9/v2/models/edge", "output": "0"}, ITSELF),
        (serve, {"anyway": True}, NONE_GIVEN),
        (serve, {"models": ["kiosk"], "anyway": True}, f"^kiosk {ITSELF}"),
        (tag, {"paths": ["."], "out": Path("a.csv"), "scale": "0-1"}, NONE_GIVEN),
        (tag, {"paths": ["."], "out": Path("a.csv"), "model": "edge", "scale": "0-1"}, f"^edge {ITSELF}"),
        (tag, {"paths": ["."], "out": Path("a.csv"), "model": "a.onnx", "engine": "ray", "scale": "0-1"}, "Convert"),
        (predict, {"arguments": ["a.png"], "scale": "0-1"}, NONE_GIVEN),
        (predict, {"arguments": ["edge", "a.png"], "scale": "0-1"}, f"^edge {ITSELF}"),
        (camera, {"context": None, "std": "0.5"}, NONE_GIVEN),
        (camera, {"context": None, "model": "edge", "std": "0.5"}, f"^edge {ITSELF}"),
        (camera, {"context": None, "config": Path("shop.toml"), "std": "0.5"}, f"^kiosk {ITSELF}"),
    ],
)
def test_what_is_said_of_no_model_from_elsewhere(
    command: Callable[..., Any], given: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options for models made elsewhere are refused where there is none: by the name of the model that was given, and
    without a name where none was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgefashion.camera.settings_file.find", lambda path=None: path)
    (tmp_path / "shop.toml").write_text('model = "kiosk"\n')
    with pytest.raises(BadInputError, match=says) as refused:
        command(**given)
    assert "\n" not in str(refused.value)
    if says == NONE_GIVEN:
        assert not any(name in str(refused.value) for name in ("kiosk", "edge "))
    assert told.given().is_empty


@pytest.mark.parametrize(
    ("command", "given", "says"),
    [
        (bench, "edge", f"^edge {ITSELF}"),
        (bench, "", NONE_GIVEN),
        (bench, "--rounds 5", NONE_GIVEN),
        (tag, ". --out a.csv --model kiosk", f"^kiosk {ITSELF}"),
        (tag, ". --out a.csv", NONE_GIVEN),
        (tag, ". --out a.csv --model a.onnx --engine ray", "Convert"),
        (predict, "edge a.png", f"^edge {ITSELF}"),
        (evaluate, "kiosk", f"^kiosk {ITSELF}"),
        (evaluate, "", NONE_GIVEN),
        (camera, "kiosk --config shop.toml", f"^kiosk {ITSELF}"),
        (camera, "--config ours.toml", f"^edge {ITSELF}"),
        (camera, "", NONE_GIVEN),
    ],
)
def test_a_default_that_is_given(
    command: Callable[..., Any], given: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the command line a model is given if it is written there, also where it is the default, and then goes before
    the settings file's; if it is not written it is not given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edgefashion.camera.settings_file.find", lambda path=None: path)
    (tmp_path / "shop.toml").write_text('model = "theirs.onnx"\n')
    (tmp_path / "ours.toml").write_text('model = "edge"\n')
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, [*given.split(), "--scale", "0-1"])
    assert isinstance(done.exception, BadInputError)
    assert re.search(says, str(done.exception))


STREAM = "is a stream, and predict reads pictures. Run: edgefashion camera --source"
ADDRESS = "is an address, and predict reads pictures of this machine. Save the picture here first. One at an address is"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rtsp://u:secret@cam/live"], STREAM),
        (["edge", "rtsp://u:secret@cam/live"], STREAM),
        (["RTSP://u:secret@cam/live", "a.png"], STREAM),
        (["a.png", "rtmp://cam/live"], STREAM),
        (["udp://@:5000"], STREAM),
        (["edge", "rtp://239.0.0.1:5000"], STREAM),
        (["0"], "0 is a camera, and predict reads pictures. Run: edgefashion camera --source 0"),
        (["/dev/video0"], "/dev/video0 is a camera"),
        (["http://host/a.jpg"], ADDRESS),
        (["https://u:secret@host/a.jpg?token=secret"], ADDRESS),
        (["edge", "http://host/a.jpg"], ADDRESS),
        (["edge", "a.png", "s3://shop/a.jpg"], ADDRESS),
        (["s3://shop/a.jpg"], ADDRESS),
        (["http://host:8000/v2/models/edge"], "is a model. Give pictures after it"),
        (["grpc://host:8001/edge"], "is a model. Give pictures after it"),
        (["edge"], "edge is a model. Give pictures after it"),
        (["theirs.onnx"], "theirs.onnx is a model. Give pictures after it"),
    ],
)
def test_what_is_no_picture_of_this_machine(arguments: list[str], says: str) -> None:
    """What is given to predict and is no picture of this machine is refused by what it is, with the command that reads
    it, and without its password."""
    with pytest.raises(BadInputError) as refused:
        _model_and_paths(arguments)
    assert says in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("source", ["rtsp://u:secret@cam/live", "0", "udp://@:5000"])
def test_no_inventory_of_a_camera(source: str, tmp_path: Path) -> None:
    """A camera given to tag is refused with the command that reads it, before a table is begun."""
    with pytest.raises(BadInputError, match=r"and tag reads pictures\. Run: edgefashion camera --source") as refused:
        tag(paths=[source], out=tmp_path / "a.csv")
    assert "secret" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_pictures_by_every_kind_of_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, a file:// address, and a folder that has a model's or a camera's name are pictures."""
    monkeypatch.chdir(tmp_path)
    for name in ("edge", "7"):
        (tmp_path / name).mkdir()
    (tmp_path / "a b.png").touch()
    spec = (tmp_path / "a b.png").as_uri()
    assert _model_and_paths([spec]) == ("kiosk", [tmp_path / "a b.png"])
    assert _model_and_paths(["edge"]) == ("kiosk", [Path("edge")])
    assert _model_and_paths(["7"]) == ("kiosk", [Path("7")])
    assert _model_and_paths(["edge", spec, "x.png"]) == ("edge", [tmp_path / "a b.png", Path("x.png")])
    assert resolve.is_model("edge")
