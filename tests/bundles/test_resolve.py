"""MODEL is found by name or path, and a part of a bundle is checked like the bundle."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.bundles import alter, make

from edgefashion.bundles import bundle, places, resolve
from edgefashion.errors import BadInputError

pytestmark = pytest.mark.usefixtures("work")


@pytest.fixture
def shelf(work: Path) -> None:
    """Every kind of thing MODEL may name, and some it may not."""
    make()
    make("models/cnn-0.25")
    make("elsewhere/yours")
    Path("exported/saved_model").mkdir(parents=True)
    for name in ("exported/saved_model/saved_model.pb", "loose.keras", "loose.xml", "loose.bin", "alone.xml"):
        Path(name).write_text("?")
    for name in ("old.h5", "old.hdf5", "notes.txt", "theirs.pt", "theirs.ONNX"):
        Path(name).write_text("?")
    Path("empty").mkdir()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("mine", ("bundle", "models/mine", "mine")),
        ("cnn-0.25", ("bundle", "models/cnn-0.25", "mine")),
        ("models/mine", ("bundle", "models/mine", "mine")),
        ("elsewhere/yours", ("bundle", "elsewhere/yours", "mine")),
        ("elsewhere/../models/mine", ("bundle", "elsewhere/../models/mine", "mine")),
        ("exported/saved_model", ("saved_model", "exported/saved_model", "exported")),
        ("models/mine/saved_model", ("saved_model", "models/mine/saved_model", "mine")),
        ("loose.keras", ("keras", "loose.keras", "loose")),
        ("models/mine/model.keras", ("keras", "models/mine/model.keras", "mine")),
        ("loose.xml", ("ir", "loose.xml", "loose")),
        ("models/mine/int8.xml", ("ir", "models/mine/int8.xml", "mine")),
    ],
)
@pytest.mark.usefixtures("shelf")
def test_resolve(model: str, expected: tuple[str, str, str]) -> None:
    """A bundle's name, or the path of a bundle, SavedModel, .keras or IR, is found for what it is."""
    found = resolve.resolve(model)
    assert (found.kind, found.path, found.name) == (expected[0], Path(expected[1]), expected[2])
    assert resolve.is_model(model)
    assert resolve.resolve(Path(model)) == found


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nonsense", "no model 'nonsense'.*Known bundles: .*mine"),
        ("models/nonsense", "no model"),
        ("", "neither a bundle"),
        ("empty", "neither a bundle"),
        ("models", "neither a bundle"),
        ("notes.txt", "is no model"),
        ("models/mine/bundle.json", "is no model"),
        ("old.h5", "can run code when loaded"),
        ("old.hdf5", "can run code when loaded"),
        ("missing.h5", "can run code when loaded"),
        ("OLD.H5", "can run code when loaded"),
        ("theirs.pt", r"\.pt files are not read\. Write it as \.onnx with torch\.onnx\.export"),
        ("theirs.PTH", r"\.PTH files are not read\. Write it as \.onnx"),
        ("frozen.pb", r"\.pb files are not read\. Save it as \.keras"),
        ("forest.pkl", r"\.pkl files are not read\. .* can run code"),
        ("myriad.blob", r"\.blob files are not read\. It is compiled for one device"),
        ("theirs.ONNX", r"rename it to theirs\.onnx"),
        ("theirs.Keras", r"rename it to theirs\.keras"),
        ("missing.keras", "does not exist"),
        ("missing.xml", "does not exist"),
        ("alone.xml", r"alone\.bin is missing"),
        ("x" * 300, "cannot be read"),
        ("models/" + "x" * 300 + ".xml", "cannot be read"),
        ("zero\0byte", "no model"),
    ],
)
@pytest.mark.usefixtures("shelf")
def test_resolve_refuses(model: str, message: str) -> None:
    """Anything else is refused with what it is, or with the names that are known."""
    with pytest.raises(BadInputError, match=message):
        resolve.resolve(model)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *((f"a{suffix}", True) for suffix in (".onnx", ".ONNX", ".h5", ".H5", ".pt", ".pth", ".safetensors", ".pb")),
        *((f"a{suffix}", False) for suffix in (".jpg", ".bin", ".txt", ".png", "")),
    ],
)
def test_a_model_that_is_not_read_is_no_picture(name: str, meant: bool) -> None:
    """A file in front of pictures whose name says that it is a model is taken for one, also where it is refused: the
    shipped network does not answer in its place."""
    assert resolve.is_model(name) is meant


def test_resolve_own_before_shipped() -> None:
    """A name is looked up in ``./models`` before the bundles shipped with the package."""
    shipped = resolve.resolve(places.DEFAULT_MODEL)
    assert shipped.path.parent == places.model_dirs()[-1]
    assert shipped.name == places.DEFAULT_MODEL
    own = Path("models") / places.DEFAULT_MODEL
    make(own)
    assert resolve.resolve(places.DEFAULT_MODEL).path == own
    known = [found.path for found in resolve.known()]
    assert own in known
    assert shipped.path not in known


@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("int8.xml", "models/mine/int8.xml"),
        ("int8.bin", "models/mine/int8.xml"),
        ("model.keras", "models/mine/model.keras"),
        ("saved_model/saved_model.pb", "models/mine/saved_model"),
    ],
)
def test_part_by_path_is_verified(file: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of a bundle given by its own path, also from inside the bundle, is checked like one taken by name."""
    made = make()
    resolve.resolve(model)
    alter(made.path / file)
    with pytest.raises(BadInputError, match="was altered"):
        resolve.resolve(model)
    monkeypatch.chdir(made.path)
    with pytest.raises(BadInputError, match="was altered"):
        resolve.resolve(Path(model).name)


def test_saved_model_from_inside_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle's SavedModel is its bundle's also to one who stands in its folder and calls it by a dot."""
    made = make()
    monkeypatch.chdir(made.path / "saved_model")
    assert resolve.resolve(".").kind == "saved_model"
    alter(Path("saved_model.pb"))
    with pytest.raises(BadInputError, match="was altered"):
        resolve.resolve(".")


@pytest.mark.parametrize(("name", "message"), [("fp16", "has no fp16"), ("custom", "not in its bundle's manifest")])
def test_ir_added_to_a_bundle_is_refused(name: str, message: str) -> None:
    """An IR that somebody put into a bundle's folder is not taken for the bundle's own."""
    made = make()
    for suffix in (".xml", ".bin"):
        (made.path / f"{name}{suffix}").write_text("?")
    with pytest.raises(BadInputError, match=message):
        resolve.resolve(made.path / f"{name}.xml")


def test_ir_in_a_bundle_knows_its_bundle() -> None:
    """An IR in a bundle brings the bundle's labels and threshold along, a loose one has none."""
    owner = resolve.resolve(make().path / "int8.xml").bundle
    assert owner is not None
    assert owner.accept_threshold == 0.4321
    for suffix in (".xml", ".bin"):
        Path(f"loose{suffix}").write_text("?")
    assert resolve.resolve("loose.xml").bundle is None


@pytest.mark.parametrize(
    ("model", "precision"),
    [
        ("models/mine/int8.xml", "int8"),
        ("models/mine/fp32.xml", "fp32"),
        ("loose.xml", "fp32"),
        ("stranger/int8.xml", "int8"),
        ("stranger/bf16.xml", "bf16"),
        ("models/mine", None),
        ("loose.keras", None),
    ],
)
@pytest.mark.usefixtures("shelf")
def test_precision_of_an_ir(model: str, precision: str | None) -> None:
    """A bundle says what its IR is run in. An IR from elsewhere may be named by its precision, else it is FP32."""
    Path("stranger").mkdir()
    for name in ("int8", "bf16"):
        for suffix in (".xml", ".bin"):
            Path(f"stranger/{name}{suffix}").write_text("?")
    assert resolve.resolve(model).precision == precision


@pytest.mark.parametrize("path", ["photo.jpg", "photos", "missing"])
def test_is_model_refuses(path: str) -> None:
    """A picture, a folder of pictures and a path that does not exist are no models."""
    Path("photo.jpg").touch()
    Path("photos").mkdir()
    assert not resolve.is_model(path)


def test_known_leaves_out_broken() -> None:
    """One bundle that cannot be read does not hide the others."""
    make("models/good")
    make("models/bad")
    Path("models/bad", bundle.INFO).write_text("{")
    own = [found.path.name for found in resolve.known() if found.path.parent == Path("models")]
    assert own == ["good"]
