"""A pack becomes a model's revision in force once it is proved here, in one step, whatever happens meanwhile."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.bundles import make
from helpers.crashes import calls_of, killed, with_full_disk
from helpers.packs import edge, packed

from edgefashion.bundles import pack, probation, resolve, revisions
from edgefashion.errors import BadInputError, GateError
from edgefashion.packs import install as installing
from edgefashion.packs.export import export
from edgefashion.packs.install import install

pytestmark = pytest.mark.usefixtures("packs")

SHOP = Path("models/shop")


def in_force() -> int:
    found = resolve.resolve("shop").bundle
    assert found is not None
    found.verify_all()
    return found.facts.seed or 0


def test_install_twice_and_back() -> None:
    """The first pack makes the model, the second is on probation and leaves a way back."""
    first = install("first.edgepack")
    assert (first.model, first.previous, first.probation_s, in_force()) == ("shop", None, 0.0, 1)
    assert first.tried is not None
    assert (first.tried.pictures, first.tried.agreement) == (12, 1.0)
    second = install("second.edgepack")
    assert (second.previous, second.probation_s, in_force()) == (first.revision.id, 600.0, 2)
    on = probation.running(SHOP)
    assert on is not None
    assert (on.revision, on.previous) == (second.revision.id, first.revision.id)
    assert [each.origin.why for each in revisions.history(SHOP)] == [
        "installed from first.edgepack",
        "installed from second.edgepack",
    ]
    assert second.revision.origin.parent == first.revision.id
    revisions.rollback(SHOP)
    assert in_force() == 1


def test_the_same_again() -> None:
    """A pack that is in force already changes nothing; one that was there before is put in force again, not copied."""
    install("first.edgepack")
    install("second.edgepack")
    before = content_names()
    again = install("second.edgepack")
    assert (again.was_there, again.probation_s) == (True, 0.0)
    back = install("first.edgepack")
    assert (back.was_there, in_force(), len(revisions.history(SHOP))) == (True, 1, 2)
    assert content_names() == before


def test_damaged_revision_is_installed_anew() -> None:
    """A revision whose files were spoiled on the disk is mended by its pack."""
    first = install("first.edgepack")
    (first.revision.path / "int8.bin").write_bytes(b"x")
    second = install("first.edgepack")
    assert (second.was_there, in_force()) == (False, 1)


def test_over_a_plain_bundle(arrays: dict[str, np.ndarray]) -> None:
    """A bundle that was made here is the way back from the first pack."""
    edge(SHOP, 7, arrays)
    assert install("first.edgepack").previous == "."
    revisions.rollback(SHOP)
    assert in_force() == 7


def test_a_folder_under_another_name(arrays: dict[str, np.ndarray]) -> None:
    """A bundle's folder is installed as a pack is, under the name that is given."""
    edge(Path("elsewhere/made"), 5, arrays)
    assert install(Path("elsewhere/made"), name="shop").model == "shop"
    assert in_force() == 5


def test_a_path_is_no_name(arrays: dict[str, np.ndarray]) -> None:
    """The folder that is given is installed, and no model of its name in ``./models``."""
    edge(SHOP, 7, arrays)
    edge(Path("shop"), 8, arrays)
    install("shop")
    assert in_force() == 8


def test_exported_and_installed_elsewhere(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one machine exports the next one installs: the same hash, whichever number the revision has there."""
    here = install("first.edgepack").revision
    path = export("shop")
    assert path.name == f"shop-{here.id}.edgepack"
    (work / "other").mkdir()
    monkeypatch.chdir(work / "other")
    install(work / "second.edgepack")
    there = install(work / path).revision
    assert (there.sha256, there.id) == (here.sha256, f"0002-{here.sha256[:8]}")


def content_names() -> set[str]:
    return {path.as_posix() for path in Path("models").rglob("*")} if Path("models").is_dir() else set()


# --- What is refused -------------------------------------------------------------------------


def _no_pack() -> Path:
    Path("x.edgepack").write_bytes(Path("second.edgepack").read_bytes()[:5000])
    return Path("x.edgepack")


def _with_pinned(change: dict[str, Any]) -> Path:
    return packed(edge(Path("a/shop"), 4, change), out=Path("x.edgepack"))


def _without_ir() -> Path:
    return packed(make("a/shop"), out=Path("x.edgepack"))


def test_answers_other_than_its_makers(arrays: dict[str, np.ndarray]) -> None:
    """A network that does not answer here as it did where it was made is a failed gate, and nothing has changed."""
    install("first.edgepack")
    before = content_names()
    for change in (
        {"probabilities": np.roll(arrays["probabilities"], 1, axis=1)},  # another network's
        {"probabilities": np.full_like(arrays["probabilities"], 0.1)},
    ):
        with pytest.raises(GateError, match="Not installed; nothing was changed"):
            install(_with_pinned({**arrays, **change}))
    assert content_names() == before
    assert in_force() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ends": np.zeros(12, np.int64)}, "do not fit"),
        ({"ends": np.arange(1, 13)}, "do not fit"),
        ({"labels": np.array(["Coat"] * 3)}, "do not fit"),
        ({"labels": np.array([["Coat"]] * 12)}, "do not fit"),
        ({"probabilities": np.zeros((12, 3), np.float32)}, "do not fit"),
        ({"probabilities": np.full((12, 10), np.nan, np.float32)}, "do not fit"),
        ({"probabilities": np.zeros((12, 10), np.int64)}, "do not fit"),
        ({"labels": np.array([None] * 12)}, "cannot be read"),
        ({"jpeg": np.zeros(10, np.uint8)}, "do not fit"),
        ({"jpeg": np.zeros((10, 10))}, "do not fit"),
        ({"ends": np.zeros(0, np.int64)}, "do not fit|cannot be read"),
    ],
)
def test_pinned_pictures_that_are_none(change: dict[str, Any], message: str, arrays: dict[str, np.ndarray]) -> None:
    """A part that is no pictures is one line that names the pack, and no folder of ours; nothing is left."""
    with pytest.raises(BadInputError, match=message) as raised:
        install(_with_pinned({**arrays, **change}))
    assert ".install-" not in str(raised.value)
    assert content_names() == set()


def test_spoiled_picture(arrays: dict[str, np.ndarray]) -> None:
    """A pinned picture that is none is named by its number."""
    with pytest.raises(BadInputError, match="pinned picture 1 is no"):
        install(_with_pinned({**arrays, "jpeg": np.zeros_like(arrays["jpeg"])}))


def test_without_pinned_pictures() -> None:
    """A pack that cannot be tried is installed only by who says so."""
    with pytest.raises(BadInputError, match=r"no pinned pictures to be tried on.*Add --anyway"):
        install("bare.edgepack")
    assert not Path("models/shop").exists()
    assert install("bare.edgepack", anyway=True).tried is None
    assert in_force() == 3


def test_other_refusals(work: Path) -> None:
    """A damaged pack, one for another kind of network, one that no camera can run, and a folder of something else."""
    with pytest.raises(BadInputError, match="cut off or damaged"):
        install(_no_pack())
    with pytest.raises(BadInputError, match="is refused"):
        install(_without_ir(), anyway=True)
    (work / "models/photos").mkdir(parents=True)
    (work / "models/photos/x.jpg").touch()
    with pytest.raises(BadInputError, match="exists and is no bundle"):
        install("first.edgepack", name="photos")
    with pytest.raises(BadInputError, match="no name for a model"):
        install("first.edgepack", name="../photos")
    shutil.copytree(resolve.resolve("kiosk").path, "models/seeing")
    with pytest.raises(BadInputError, match="is for another network: it takes Fashion-MNIST"):
        install("first.edgepack", name="seeing")
    with pytest.raises(BadInputError, match="at least 1 revision"):
        install("first.edgepack", keep=0)
    with pytest.raises(BadInputError, match="no key to check it with"):
        install("first.edgepack", require_signature=True)


def test_network_that_the_guard_refuses(arrays: dict[str, np.ndarray]) -> None:
    """A network that could hurt is refused by its name in the pack before anything runs it, and nothing has changed."""
    made = edge(Path("a/shop"), 4, arrays)
    xml = (made.path / "int8.xml").read_text().replace('type="SoftMax"', 'type="Loop"', 1)
    with pytest.raises(BadInputError, match=r"x\.edgepack.int8\.xml is refused"):
        _install_changed(made.path, xml)
    assert not Path("models/shop").exists()


def _install_changed(path: Path, xml: str) -> None:
    from edgefashion.bundles import bundle, draft

    base = bundle.open_bundle(path)
    with draft.draft(Path("b/shop"), base) as making:
        making.part("int8").write_text(xml)
    install(packed(bundle.open_bundle(Path("b/shop")), out=Path("x.edgepack")))


# --- Crashes ---------------------------------------------------------------------------------


@pytest.fixture
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard and gate change nothing in the model's folder, and take a second."""
    monkeypatch.setattr(installing, "_guard", lambda *_: None)
    monkeypatch.setattr(installing, "_try", lambda *_, **__: None)
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.mark.usefixtures("unproved")
def test_killed_at_every_step(work: Path) -> None:
    """Killed at any call that changes the disk, the model is the old one or the new one, whole; the same installation
    again completes, and nothing of the killed one is left."""
    edge(SHOP, 1)
    shutil.copytree("models", "start/models")

    def fresh() -> None:
        shutil.rmtree("models")
        shutil.copytree("start/models", "models")

    steps = calls_of(work / "models", lambda: install("second.edgepack"))
    found = []
    for at in range(steps):
        fresh()
        killed(work / "models", lambda: install("second.edgepack"), at)
        found.append(in_force())
        install("second.edgepack")
        assert in_force() == 2
        assert {name for name in content_names() if ".install-" in name} == set()
    assert found == sorted(found)
    assert set(found) == {1, 2}
    assert steps > 10


@pytest.mark.usefixtures("unproved")
def test_full_disk_at_every_step(work: Path) -> None:
    """With no room left from any step on, the installation is an error and the old one is in force, or it is done."""
    edge(SHOP, 1)
    shutil.copytree("models", "start")
    steps = calls_of(work / "models", lambda: install("second.edgepack"))
    for at in range(steps):
        shutil.rmtree("models")
        shutil.copytree("start", "models")
        try:
            with_full_disk(work / "models", lambda: install("second.edgepack"), at)
        except (OSError, BadInputError) as error:
            assert "space" in str(error)  # noqa: PT017
            assert in_force() == 1
        else:
            assert in_force() == 2
        left = [name for name in content_names() if ".install-" in name or ".new-" in name]
        assert left == []


@pytest.mark.usefixtures("unproved")
def test_two_at_once() -> None:
    """Of two installations at once one is refused, with one line; the other is whole."""
    install("first.edgepack")
    told: list[str] = []

    def other() -> None:
        try:
            install("second.edgepack")
        except BadInputError as error:
            told.append(str(error))

    with revisions.changing(SHOP):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert told == ["another process is changing the revisions of shop. Wait until that is done"]
    assert install("second.edgepack").model == "shop"
    assert pack.peek(Path("second.edgepack")).model == "shop"


@pytest.mark.usefixtures("unproved")
def test_keep_bounds_the_disk(work: Path) -> None:
    """So many revisions stay, and those that went are told."""
    for seed in range(1, 6):
        done = install(packed(edge(Path(f"made/{seed}/shop"), seed)), keep=3)
    assert len(revisions.history(SHOP)) == 3
    assert len(done.removed) == 1
    assert in_force() == 5
