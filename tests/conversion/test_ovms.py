"""A repository for OpenVINO Model Server: by its rules, atomic, and with predict's answers."""

from __future__ import annotations

import copy
import errno
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from helpers.events import small_disk
from helpers.ovms_schema import SCHEMA

from edgefashion.bundles import bundle, draft, resolve
from edgefashion.conversion.graph import any_size, resize_weights
from edgefashion.conversion.ovms import repository as export_ovms
from edgefashion.conversion.ovms import served_ir, texts
from edgefashion.conversion.ovms.repository import export
from edgefashion.conversion.ovms.served_ir import Reader
from edgefashion.data import drawn, images
from edgefashion.errors import BadInputError, GateError
from edgefashion.inference import preprocess
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.load import load
from edgefashion.inference.predict import see
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.types import Arrays, Run

SIZES_WH = [(640, 480), (300, 417), (1100, 700), (100, 61), (40, 150), (28, 28)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both shipped models, exported. To be read only."""
    folder = tmp_path_factory.mktemp("export") / "served"
    export(["edge", "kiosk"], folder)
    return folder


@pytest.fixture(scope="module")
def readers(made: Path) -> dict[str, tuple[Reader, Classifier]]:
    return {name: (Reader(made / name / "1/model.xml"), load(name)) for name in ("edge", "kiosk")}


@pytest.fixture
def repository(made: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(made, tmp_path / "served"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, made: Path) -> None:
    """Models are not made anew but copied: for what is done with them then."""
    facts = json.loads((made / "edgefashion.json").read_text())["models"]

    def write_ir(model: str | Path, precision: str | None, path: Path) -> served_ir.Served:
        for suffix in (".xml", ".bin"):
            shutil.copyfile((made / str(model) / "1/model").with_suffix(suffix), path.with_suffix(suffix))
        return served_ir.Served(**facts[str(model)])

    monkeypatch.setattr(export_ovms, "write_ir", write_ir)


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- What a server finds ---------------------------------------------------------------------


def test_the_repository_is_laid_out_as_the_server_wants(made: Path) -> None:
    """A folder a model, below it the version 1 with one .xml and its .bin, the labels beside them; nothing is left
    of the making."""
    network = {f"{name}/1/{file}" for name in ("edge", "kiosk") for file in ("model.xml", "model.bin", "labels.txt")}
    assert set(_files(made)) == network | {"config.json", "README.md", "inferenceservice.yaml", "edgefashion.json"}
    assert (made / "edge/1/labels.txt").read_text().splitlines() == list(LABELS)
    assert (made / "kiosk/1/labels.txt").read_text().splitlines() == list(load("kiosk").labels)
    assert [p.name for p in made.parent.iterdir()] == ["served"]
    assert os.name == "nt" or made.stat().st_mode & 0o777 == 0o755  # the server runs as another user


def test_the_configuration_is_valid(made: Path) -> None:
    """config.json obeys the server's published schema, and every model's path is one it resolves beside the file."""
    config = json.loads((made / "config.json").read_text())
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(config, SCHEMA, jsonschema.Draft7Validator)
    if own := os.environ.get("EDGEFASHION_OVMS_SCHEMA"):
        published = json.loads(Path(own).read_text(encoding="utf-8"))
        jsonschema.validate(config, published, jsonschema.Draft7Validator)
    for entry in config["model_config_list"]:
        model = entry["config"]
        assert (made / model["base_path"] / "1/model.xml").is_file()
        # What keeps the graph's arithmetic whole on CPUs that have BF16.
        assert model["plugin_config"]["INFERENCE_PRECISION_HINT"] == "f32"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c["model_config_list"][0]["config"].update(nirec=4),
        lambda c: c["model_config_list"][0]["config"].pop("name"),
        lambda c: c["model_config_list"][0]["config"].update(layout=["NHWC"]),
        lambda c: c["model_config_list"][0]["config"]["plugin_config"].update(HINT={"a": 1}),
        lambda c: c["model_config_list"][0].update(name="edge"),
        lambda c: c["monitoring"]["metrics"].update(enable="yes"),
        lambda c: c.update(models=[]),
        lambda c: c.pop("model_config_list"),
    ],
)
def test_the_schema_finds_mistakes(made: Path, spoil: Callable[[Any], object]) -> None:
    """The schema is one that can fail: a misspelt, missing, mistyped or superfluous entry is refused."""
    config = json.loads((made / "config.json").read_text())
    spoil(config)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, SCHEMA, jsonschema.Draft7Validator)


@pytest.mark.parametrize("name", ["edge", "kiosk"])
def test_the_ir_says_what_it_takes(made: Path, name: str) -> None:
    """The server decodes pictures for an input of NHWC, 8 bits, one picture of sizes in a range; labels and steps are
    in the IR, and nothing of the one size the network itself has."""
    import openvino as ov

    model = ov.Core().read_model(made / name / "1/model.xml")
    (port,) = model.inputs
    assert port.any_name == "pictures"
    assert port.element_type == ov.Type.u8
    assert str(port.partial_shape) == "[1,28..4096,28..4096,1..4]"
    assert str(port.node.layout) == "[N,H,W,C]"
    names = {out.any_name: tuple(out.shape) for out in model.outputs}
    assert names == (
        {"probabilities": (1, 10), "box": (1, 4)}
        if name == "edge"
        else {"probabilities": (1, 12), "mask": (1, 20, 20, 1)}
    )

    def fact(*path: str) -> Any:
        return model.get_rt_info(list(path)).astype(str)

    assert json.loads(fact("edgefashion", "labels")) == list(load(name).labels)
    assert "transparency" in json.loads(fact("edgefashion", "embedded"))[0]
    assert fact("model_info", "model_type") == "Classification"
    assert fact("model_info", "reverse_input_channels") == "False"
    assert not model.has_rt_info(["model_info", "orig_width"])


def test_what_the_server_does_to_layouts_leaves_it_as_it_is(made: Path, test_set: Arrays) -> None:
    """The server sets the layout once more, as config.json says; the model takes the same and answers the same."""
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    core = ov.Core()
    model = core.read_model(made / "edge/1/model.xml")
    steps = PrePostProcessor(model)
    steps.input().tensor().set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NHWC"))
    config = {**served_ir.PLUGIN_CONFIG, "INFERENCE_NUM_THREADS": 1}
    served = core.compile_model(steps.build(), "CPU", config)
    picture = drawn.shot_of(test_set[0][0], np.random.default_rng(0), (200, 150))
    assert str(served.input("pictures").partial_shape) == "[1,28..4096,28..4096,1..4]"
    expected = Reader(made / "edge/1/model.xml")(picture)["probabilities"]
    np.testing.assert_allclose(served(picture[None])["probabilities"][0], expected, atol=1e-5)


# --- The answers -----------------------------------------------------------------------------


def _as_the_server(encoded: Any) -> Any:
    """What the server makes of a file."""
    import cv2

    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)


def test_photos_are_answered_as_predict_does(readers: dict[str, tuple[Reader, Classifier]], photo_folder: Path) -> None:
    """JPEG photos, decoded as the server does, get predict's label from kiosk, and its mask."""
    reader, classifier = readers["kiosk"]
    differences, changed = [], 0
    for path in sorted(photo_folder.rglob("*.jpg"))[::5]:
        expected, mask = classifier.look(preprocess.view(images.read_image(path)))
        answer = reader(_as_the_server(path.read_bytes()))
        differences.append(np.abs(answer["probabilities"] - expected).mean())
        changed += answer["probabilities"].argmax() != expected.argmax()
        assert np.abs(answer["mask"][..., 0] - mask).mean() < 0.02
    assert np.mean(differences) < 0.003
    assert changed <= 1  # of 33, drawn ones on which it is unsure


@pytest.mark.parametrize("size_wh", SIZES_WH, ids=str)
def test_pictures_of_every_size_are_answered_as_predict_does(
    readers: dict[str, tuple[Reader, Classifier]], size_wh: tuple[int, int], test_set: Arrays
) -> None:
    """Lying, upright, large and tiny, on light and dark: edge finds the garment where predict finds it, and both
    models give its answer."""
    rng = np.random.default_rng(3)
    differences: dict[str, list[float]] = {"edge": [], "kiosk": []}
    for image in test_set[0][:6]:
        shot = drawn.shot_of(image, rng, size_wh)
        for name, (reader, classifier) in readers.items():
            seen = see(classifier, shot)
            assert seen is not None
            answer = reader(shot)
            differences[name].append(float(np.abs(answer["probabilities"] - seen[1]).mean()))
            if name == "edge":
                # Two cells of the search: specks are told apart in another way.
                slack = 2 * max(1, max(size_wh) / preprocess.SEARCH_PX)
                assert np.abs(answer["box"] - np.array(seen[0].box)).max() <= slack + 1
    assert np.mean(differences["edge"]) < 0.01
    assert np.mean(differences["kiosk"]) < 0.01


def test_an_empty_picture_has_no_box(readers: dict[str, tuple[Reader, Classifier]]) -> None:
    """Where predict finds nothing on the background, nor on one with dust, edge says so with a box of -1."""
    reader, classifier = readers["edge"]
    plain = np.full((300, 400, 3), 230, np.uint8)
    dusty = plain.copy()
    dusty[50:52, 60:62] = dusty[200:202, 300:302] = 20
    for picture in (plain, dusty):
        assert see(classifier, picture) is None
        assert reader(picture)["box"].tolist() == [-1] * 4


def test_grey_and_transparent_files_are_taken(
    readers: dict[str, tuple[Reader, Classifier]], test_set: Arrays, tmp_path: Path
) -> None:
    """A grey JPEG, and a PNG whose background is transparent, black underneath, get predict's answer."""
    import cv2

    shot = drawn.shot_of(test_set[0][0], np.random.default_rng(1), (240, 200))
    grey = cv2.cvtColor(shot, cv2.COLOR_BGR2GRAY)
    clear = np.where(np.abs(grey.astype(int) - int(grey[0, 0])) > 40, 255, 0).astype(np.uint8)
    cut = np.dstack([np.where(clear[..., None] > 0, shot, 0).astype(np.uint8), clear])
    for suffix, picture, channels in ((".jpg", grey, None), (".png", cut, 4)):
        path = tmp_path / f"picture{suffix}"
        path.write_bytes(cv2.imencode(suffix, picture)[1].tobytes())
        decoded = _as_the_server(path.read_bytes())
        assert decoded.ndim == 2 if channels is None else decoded.shape[2] == channels
        for reader, classifier in readers.values():
            seen = see(classifier, images.read_image(path))
            assert seen is not None
            assert np.abs(reader(decoded)["probabilities"] - seen[1]).max() < 0.05


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 784)])
def test_networks_of_other_shapes_are_served_too(shape: tuple[int, ...], test_set: Arrays) -> None:
    """A network that takes its 28x28 pixels in another shape, as floats, gets what garment.find makes."""
    import openvino as ov
    import openvino.opset13 as ops

    image = ops.parameter(shape, np.float32)
    network = any_size.with_pictures(ov.Model([ops.result(ops.multiply(image, np.float32(1)))], [image], "same"))
    compiled = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    rng, differences = np.random.default_rng(0), []
    for image_28, size_wh in zip(test_set[0], [(130, 97), (300, 200), (700, 600)], strict=False):
        shot = drawn.shot_of(image_28, rng, size_wh)
        found = preprocess.find(shot)
        assert found is not None
        differences.append(np.abs(compiled(shot[None])[0].reshape(28, 28, 1) - found.pixels).mean())
    assert max(differences) < 1.5


def test_colours_keep_their_order() -> None:
    """A photo network inside gets a blue picture's blue in the last channel: BGR has become RGB."""
    import openvino as ov
    import openvino.opset13 as ops

    image = ops.parameter((1, preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3), np.uint8)
    network = ov.Model([ops.result(ops.convert(image, np.float32))], [image], "same")
    compiled = ov.Core().compile_model(any_size.with_pictures(network), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    blue = np.zeros((1, 200, 300, 3), np.uint8)
    blue[..., 0] = 250
    assert compiled(blue)[0].reshape(-1, 3).tolist() == [[0, 0, 250]] * preprocess.PHOTO_PX**2


def test_another_answer_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the graph does not do what Python does, here picks pixels in place of averaging, the gate says so, and
    nothing is written."""
    monkeypatch.setattr(any_size, "area", lambda ends, length: resize_weights.linear(ends[0], length))
    with pytest.raises(GateError, match="parity gate failed"):
        export(["edge"], tmp_path / "served")
    assert not list(tmp_path.iterdir())


# --- Versions --------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_exporting_again_adds_a_version(repository: Path) -> None:
    """A second export adds 2 to the models it names, whole, and leaves every byte of the rest; a removed number
    is not given again while a higher one is there; folders that are no versions do not count."""
    before = _files(repository)
    done = export(["edge"], repository)
    assert [(v.path, v.number) for v in done.versions] == [(repository / "edge/2", 2)]
    after = _files(repository)
    assert {name for name in after if name not in before} == {
        f"edge/2/{file}" for file in ("model.xml", "model.bin", "labels.txt")
    }
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"README.md", "edgefashion.json"}  # the README names the newest labels
    shutil.rmtree(repository / "edge/1")
    (repository / "edge/old").mkdir()
    (repository / "edge/7x").mkdir()
    assert export(["edge"], repository).versions[0].number == 3
    assert 'Path("edge/3/labels.txt")' in (repository / "README.md").read_text()


@pytest.mark.usefixtures("quick")
def test_a_version_appears_at_once(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a version is made nothing new is below the model's folder, where a server looks; then all of it is."""
    seen: list[set[str]] = []
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        seen.append({p.name for p in (repository / "edge").iterdir()})
        assert {p.name for p in self.iterdir()} == {"model.xml", "model.bin", "labels.txt"}
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    export(["edge"], repository)
    assert seen == [{"1"}]
    assert {p.name for p in (repository / "edge").iterdir()} == {"1", "2"}


@pytest.mark.usefixtures("quick")
def test_two_exports_at_once_both_get_a_number(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that another export has published meanwhile is not replaced: the next number is taken."""
    rename = Path.rename
    first: list[Path] = []

    def late(self: Path, target: Path) -> Path:
        if not first:
            first.append(target)
            shutil.copytree(repository / "edge/1", target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    assert export(["edge"], repository).versions[0].number == 3
    assert {p.name for p in (repository / "edge").iterdir()} == {"1", "2", "3"}


@pytest.mark.usefixtures("quick")
def test_a_model_may_be_added_later(made: Path, tmp_path: Path) -> None:
    """A model the repository lacked gets version 1 and an entry, and README and YAML tell of both."""
    folder = tmp_path / "served"
    export(["kiosk"], folder)
    assert [e["config"]["name"] for e in json.loads((folder / "config.json").read_text())["model_config_list"]] == [
        "kiosk"
    ]
    export(["edge"], folder)
    config = json.loads((folder / "config.json").read_text())
    jsonschema.validate(config, SCHEMA, jsonschema.Draft7Validator)
    assert [e["config"]["name"] for e in config["model_config_list"]] == ["kiosk", "edge"]
    assert "### kiosk" in (folder / "README.md").read_text()
    assert "name: edge" in (folder / "inferenceservice.yaml").read_text()


@pytest.mark.usefixtures("quick")
def test_what_was_edited_stays(repository: Path) -> None:
    """Settings added to config.json, an edited YAML and files of others outlive an export, which tells of them;
    what was not edited is brought up to date, with the storage given at first."""
    config = json.loads((repository / "config.json").read_text())
    config["model_config_list"][0]["config"]["nireq"] = 8
    (repository / "config.json").write_text(json.dumps(config))
    (repository / "README.md").write_text("ours")
    (repository / "notes.txt").write_text("theirs")
    assert export(["edge"], repository, storage="s3://shop/models").kept == ("README.md",)
    assert export(["edge"], repository).kept == ("README.md",)
    assert json.loads((repository / "config.json").read_text()) == config
    assert (repository / "README.md").read_text() == "ours"
    assert (repository / "notes.txt").read_text() == "theirs"
    assert '"s3://shop/models/edge"' in (repository / "inferenceservice.yaml").read_text()


@pytest.mark.usefixtures("quick")
def test_what_a_killed_export_left_goes(repository: Path) -> None:
    """An hour later the next export removes what a killed one worked in; what is younger may be another's."""
    old, young = repository / ".served.new-old", repository / ".served.new-young"
    for left in (old, young):
        (left / "model-0").mkdir(parents=True)
    os.utime(old, (0, 0))
    export(["edge"], repository)
    assert not old.exists()
    assert young.exists()


def test_killed_in_the_middle(repository: Path, made: Path) -> None:
    """Killed at any write or rename, an export leaves every version a server sees whole, a configuration it takes,
    and a repository into which the next export goes."""
    code = f"""
import json, os, shutil, signal, sys
from pathlib import Path
from edgefashion.conversion.ovms import repository as export_ovms, served_ir
facts = json.loads(Path({str(made / "edgefashion.json")!r}).read_text())["models"]
def write_ir(model, precision, path):
    for suffix in (".xml", ".bin"):
        shutil.copyfile(Path({str(made)!r}, "edge/1/model").with_suffix(suffix), path.with_suffix(suffix))
    return served_ir.Served(**dict(facts["edge"], name="new"))
export_ovms.write_ir = write_ir
steps = int(sys.argv[1])
def fatal(event, arguments):
    global steps
    if event in ("open", "os.rename", "os.mkdir") and {str(repository)!r} in str(arguments):
        if event == "open" and arguments[1] in ("r", "rb"):
            return
        steps -= 1
        if steps < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(fatal)
export_ovms.export(["edge"], Path({str(repository)!r}))
"""
    whole = {"model.xml", "model.bin", "labels.txt"}
    ended = []
    for steps in range(0, 60, 5):
        ended.append(subprocess.run([sys.executable, "-c", code, str(steps)], capture_output=True, check=False))
        config = json.loads((repository / "config.json").read_text())
        jsonschema.validate(config, SCHEMA, jsonschema.Draft7Validator)
        for name in ("edge", "kiosk", "new"):
            for version in (repository / name).glob("*"):
                assert {p.name for p in version.iterdir()} == whole
        if ended[-1].returncode == 0:
            break
    assert ended[0].returncode < 0
    assert ended[-1].returncode == 0, ended[-1].stderr
    assert len(ended) > 4
    assert {"edge", "kiosk", "new"} == {e["config"]["name"] for e in config["model_config_list"]}
    assert "### new" in (repository / "README.md").read_text()


# --- Bad input -------------------------------------------------------------------------------


def test_a_full_disk_changes_nothing(made: Path, tmp_path: Path) -> None:
    """Without room for the model, or for a version more, one line says so, and what was there is whole."""
    with small_disk(tmp_path / "small", "300k") as disk:
        with pytest.raises(BadInputError, match=r"cannot be written.*make room"):
            export(["edge"], disk / "served")
        assert not list(disk.iterdir())
    with small_disk(tmp_path / "disk", "6m") as disk:
        folder = Path(shutil.copytree(made, disk / "served"))
        before = _files(folder)
        with pytest.raises(BadInputError, match=r"cannot be written.*make room"):
            export(["kiosk"], folder)
        assert _files(folder) == before


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["README.md", "inferenceservice.yaml", "edgefashion.json", "config.json"])
def test_no_room_for_a_text_changes_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where the disk is full by the time the texts are written, no version has appeared."""
    (repository / "edgefashion.json").write_text(
        json.dumps({**json.loads((repository / "edgefashion.json").read_text()), "files": {}})
    )
    config = json.loads((repository / "config.json").read_text())
    config["model_config_list"] = config["model_config_list"][:1]
    (repository / "config.json").write_text(json.dumps(config))
    for each in ("README.md", "inferenceservice.yaml"):
        (repository / each).unlink()
    before, opened = _files(repository), Path.open

    def full(self: Path, mode: str = "r", *more: Any, **options: Any) -> Any:
        if "w" in mode and name in self.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(self, mode, *more, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(BadInputError, match=r"cannot be written: No space.*make room"):
        export(["edge", "kiosk"], repository)
    assert _files(repository) == before


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "edgefashion.json").unlink(), "is no repository of ours"),
        (lambda f: (f / "edgefashion.json").write_text("{"), r"edgefashion\.json cannot be read"),
        (lambda f: (f / "edgefashion.json").write_text('{"format": 2}'), "newer edgefashion"),
        (lambda f: (f / "edgefashion.json").write_text('{"format": 1, "models": {"edge": {}}}'), "not as it was made"),
        (lambda f: (f / "edgefashion.json").write_text("[1]"), "no format"),
        (lambda f: (f / "config.json").unlink(), r"config\.json cannot be read"),
        (lambda f: (f / "config.json").write_text('{"model_config_list": [7]}'), "not as it was made"),
    ],
    ids=["not ours", "broken mark", "newer", "other facts", "a list", "no config", "other config"],
)
def test_a_folder_of_something_else_is_refused(repository: Path, spoil: Callable[[Path], object], says: str) -> None:
    """A folder that is not, or no longer, a repository of ours is refused, and keeps every byte."""
    spoil(repository)
    before = _files(repository)
    with pytest.raises(BadInputError, match=says):
        export(["edge"], repository)
    assert _files(repository) == before


@pytest.mark.usefixtures("quick")
def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    """A folder that is there but empty becomes the repository."""
    (tmp_path / "served").mkdir()
    export(["edge"], tmp_path / "served")
    assert (tmp_path / "served/edge/1/model.xml").is_file()


BAD_INPUT = [
    pytest.param("export ovms full", "full exists and is no repository of ours", id="something else"),
    pytest.param("export ovms full/x", "full/x exists and is no repository", id="a file"),
    pytest.param("export ovms /dev/null/x", "/dev/null/x", id="unwritable"),
    pytest.param("export ovms ..", "cannot be made from inside", id="from inside"),
    pytest.param("export ovms a/b --model nowhere", "no model 'nowhere'", id="unknown model"),
    pytest.param("export ovms a --model bare", "bare has no fp32", id="no IR"),
    pytest.param("export ovms a --model edge --model edge", "two models are called edge", id="twice"),
    pytest.param("export ovms a --precision bf16", "bf16 cannot be served", id="bf16"),
    pytest.param("export ovms a --precision int4", "no precision named 'int4'", id="unknown precision"),
]


@pytest.mark.parametrize(("command", "says"), BAD_INPUT)
def test_bad_input(command: str, says: str, run_here: Run, tmp_path: Path) -> None:
    """Bad input gets one clear line and exit code 2, and nothing is written, nor any folder made."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("mine")
    bare = Path(shutil.copytree(resolve.resolve("edge").path.resolve(), tmp_path / "bare"))
    with draft.draft(bare, bundle.open_bundle(bare)) as making:
        for part in ("int8", "fp32", "fp16"):
            making.drop(part)
    before = _files(tmp_path)
    folders = {p for p in tmp_path.rglob("*") if p.is_dir()}
    done = run_here(*command.replace("--model bare", "--model ./bare").split())
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    assert done.stdout == ""
    assert _files(tmp_path) == before
    assert {p for p in tmp_path.rglob("*") if p.is_dir()} == folders


# --- What is told ----------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_the_command_prints_how_to_start(run_here: Run, tmp_path: Path) -> None:
    """The command prints what it wrote and both lines that start the server, which are those in the README."""
    done = run_here("export", "ovms", "my models", "--model", "edge")
    assert done.returncode == 0, done.stderr
    assert "edge int8" in done.stdout
    lines = texts.start_lines(tmp_path / "my models")
    readme = (tmp_path / "my models/README.md").read_text()
    for line in lines.values():
        assert line in done.stdout
        assert line in readme
    assert f"'{tmp_path}/my models:/models:ro'" in lines["docker"]
    (tmp_path / "my models/README.md").write_text("ours")
    assert "README.md was edited" in run_here("export", "ovms", "my models", "--model", "edge").stderr


@pytest.mark.skipif(os.name == "nt", reason="the lines are a shell's")
@pytest.mark.parametrize("size", [37 * 256 + 37, 70_001])
def test_the_readmes_curl_lines_send_the_picture(made: Path, tmp_path: Path, size: int) -> None:
    """The README's lines for curl post a request that Triton's own decoder reads as the picture, byte for byte."""
    from tritonclient.utils import deserialize_bytes_tensor

    (lines,) = re.findall(r"```sh\n(.*?)```", (made / "README.md").read_text(), re.DOTALL)
    picture = np.random.default_rng(0).bytes(size)
    (tmp_path / "photo.jpg").write_bytes(picture)
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\ncat > body\nprintf "%s\\n" "$@" > words\n')
    curl.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-ec", lines], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    words = (tmp_path / "words").read_text().splitlines()
    header = next(word for word in words if word.startswith("Inference-Header"))
    name, _, length = header.partition(": ")
    assert name == "Inference-Header-Content-Length"
    assert words[-1] == "http://localhost:8000/v2/models/edge/infer"
    body = (tmp_path / "body").read_bytes()
    head, tensor = json.loads(body[: int(length)]), body[int(length) :]
    assert head["inputs"][0].pop("parameters") == {"binary_data_size": len(tensor)}
    assert head == {"inputs": [{"name": "pictures", "shape": [1], "datatype": "BYTES"}]}
    assert deserialize_bytes_tensor(tensor).tolist() == [picture]


def test_the_readmes_python_lines_work(
    made: Path,
    readers: dict[str, tuple[Reader, Classifier]],
    test_set: Arrays,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The README's lines for Python send the file's bytes through tritonclient, and print the label that the model
    gives them."""
    import cv2
    import tritonclient.http as http

    (lines,) = re.findall(r"```python\n(.*?)```", (made / "README.md").read_text(), re.DOTALL)
    folder = Path(shutil.copytree(made, tmp_path / "served"))
    shot = drawn.shot_of(test_set[0][0], np.random.default_rng(1), (240, 200))
    (folder / "photo.jpg").write_bytes(cv2.imencode(".jpg", shot)[1].tobytes())

    def infer(self: Any, model_name: str, inputs: list[Any]) -> Any:
        assert (model_name, inputs[0].name(), inputs[0].shape()) == ("edge", "pictures", [1])
        raw = inputs[0]._get_binary_data()
        assert int.from_bytes(raw[:4], "little") == len(raw) - 4
        probabilities = readers["edge"][0](_as_the_server(raw[4:]))["probabilities"]

        class Result:
            def as_numpy(self, name: str) -> Any:
                assert name == "probabilities"
                return probabilities[None]

        return Result()

    monkeypatch.setattr(http.InferenceServerClient, "infer", infer)
    monkeypatch.chdir(folder)
    exec(compile(lines, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("Ankle boot 0.")


def _of_kserve(kind: str, value: Any) -> Any:
    """A document as the object KServe's own package makes of it; raises AssertionError for a field it does not
    know."""
    import kserve
    import kubernetes.client as kubernetes

    if found := re.fullmatch(r"list\[(.+)\]", kind):
        return [_of_kserve(found[1], each) for each in value]
    made_of = getattr(kserve, kind, None) or getattr(kubernetes, kind, None)
    if kind in ("str", "int", "bool", "object") or kind.startswith("dict(") or made_of is None:
        return value
    fields = {name: field for field, name in made_of.attribute_map.items()}
    assert set(value) <= set(fields), f"{kind} has no {set(value) - set(fields)}"
    return made_of(**{fields[k]: _of_kserve(made_of.openapi_types[fields[k]], v) for k, v in value.items()})


KINDS = {"ServingRuntime": "V1alpha1ServingRuntime", "InferenceService": "V1beta1InferenceService"}


def test_kserve_takes_the_yaml(made: Path) -> None:
    """KServe's own classes take every field of the YAML; each service uses the runtime that is in it, and passes the
    server what config.json says."""
    # By a process of its own: once KServe's messages of gRPC are in one, tritonclient's cannot be any more.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        other.submit(_check_yaml, made).result()


def _check_yaml(made: Path) -> None:
    import yaml

    documents = list(yaml.safe_load_all((made / "inferenceservice.yaml").read_text()))
    assert [d["kind"] for d in documents] == ["ServingRuntime", "InferenceService", "InferenceService"]
    runtime, *services = (_of_kserve(KINDS[d["kind"]], d) for d in documents)
    assert [s.metadata.name for s in services] == ["edge", "kiosk"]
    config = json.loads((made / "config.json").read_text())["model_config_list"]
    for service, entry in zip(services, config, strict=True):
        model = service.spec.predictor.model
        assert model.runtime == runtime.metadata.name
        assert model.model_format.name in [each.name for each in runtime.spec.supported_model_formats]
        assert model.protocol_version in runtime.spec.protocol_versions
        assert model.storage_uri == f"pvc://models/{service.metadata.name}"
        given = dict(arg.removeprefix("--").split("=", 1) for arg in model.args)
        assert json.loads(given["plugin_config"]) == entry["config"]["plugin_config"]
        assert given["layout"] == entry["config"]["layout"]
    for document in documents:
        wrong = copy.deepcopy(document)
        wrong["spec"]["storageURL"] = "x"
        with pytest.raises(AssertionError, match="storageURL"):
            _of_kserve(KINDS[document["kind"]], wrong)


@pytest.mark.parametrize(
    ("name", "expected"), [("edge", "edge"), ("My_Shop.v2", "my-shop-v2"), ("a-", "a"), ("7", "model-7")]
)
def test_kubernetes_names(name: str, expected: str) -> None:
    """A model's name becomes one Kubernetes takes."""
    assert texts.kubernetes_name(name) == expected
