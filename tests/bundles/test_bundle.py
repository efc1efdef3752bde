"""The bundle's folder: written whole or not at all, checked before use, found by name or path.

Text files stand in for the networks: what is proved here never looks inside them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgefashion
from edgefashion.bundles import bundle, draft, resolve
from edgefashion.bundles.card import write_card
from edgefashion.errors import BadInputError
from edgefashion.labels import LABELS
from edgefashion.system import files

FACTS: dict[str, Any] = {
    "name": "mine",
    "architecture": "cnn",
    "parameters": 12_345,
    "source": "nobody",
    "labels": list(LABELS),
    "input_shape": [28, 28, 1],
    "pixels": "uint8",
    "thresholds": {"accept": 0.4321, "chosen_on": "validation images"},
    "metrics": {"original": {"test_accuracy": 0.9}},
    "validation_split": 0.1,
    "seed": 0,
}


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder of its own, so ``./models`` is its alone."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fill(making: draft.Draft, content: str = "first") -> None:
    making.info.update(FACTS)
    for part in ("fp32", "int8"):
        making.part(part).write_text(f"{content} {part} xml")
        making.part(part).with_suffix(".bin").write_text(f"{content} {part} bin")
    making.part("keras").write_text(f"{content} keras")
    for name in ("saved_model.pb", "variables/variables.index"):
        file = making.part("saved_model") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content} {name}")


def make(path: str | Path = "models/mine", content: str = "first") -> bundle.Bundle:
    with draft.draft(Path(path)) as making:
        fill(making, content)
    return bundle.open_bundle(Path(path))


def content_of(folder: Path) -> dict[str, str]:
    """Every file below ``folder``, hidden ones included, with its text."""
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def names(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def change_info(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite a bundle's facts as a hand or another program might."""
    info = json.loads((path / bundle.INFO).read_text())
    change(info)
    (path / bundle.INFO).write_text(json.dumps(info))


# --- Writing ---------------------------------------------------------------------------------


def test_draft_writes_manifest() -> None:
    """A finished draft holds its facts and the hash of every file in it, and nothing is left beside it."""
    made = make()
    assert {key: made.info[key] for key in FACTS} == FACTS
    assert made.info["format"] == bundle.FORMAT
    on_disk = {p.relative_to(made.path).as_posix() for p in made.path.rglob("*") if p.is_file()}
    assert set(made.info["files"]) == on_disk - {bundle.INFO}
    assert made.info["files"]["fp32.xml"] == files.sha256(made.path / "fp32.xml")
    made.verify_all()
    assert names("models") == {"mine"}


def test_sha256(tmp_path: Path) -> None:
    """The hash is SHA-256 as everyone writes it (FIPS 180-2, appendix B.1)."""
    (tmp_path / "abc").write_text("abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.sha256(tmp_path / "abc") == expected


def test_bundle_facts() -> None:
    """An opened bundle tells its name, labels, threshold, parts and their size on disk."""
    made = make()
    assert (made.name, made.labels, made.accept_threshold) == ("mine", LABELS, 0.4321)
    assert [made.has(part) for part in ("fp32", "int8", "fp16", "saved_model", "history")] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert made.size_bytes("fp32") == len("first fp32 xmlfirst fp32 bin")
    assert made.size_bytes("saved_model") == len("first saved_model.pbfirst variables/variables.index")


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("exception", [ValueError, KeyboardInterrupt])
def test_draft_that_fails(exception: type[BaseException], existing: bool, work: Path) -> None:
    """What is raised in the block comes out of it, nothing of the draft remains, an older bundle is as it was."""
    if existing:
        make()
    Path("models").mkdir(exist_ok=True)
    before = content_of(work)

    def fail_halfway() -> None:
        with draft.draft(Path("models/mine")) as making:
            fill(making, "second")
            raise exception

    with pytest.raises(exception):
        fail_halfway()
    assert content_of(work) == before
    assert names("models") == ({"mine"} if existing else set())


def test_draft_replaces() -> None:
    """A new bundle takes an old one's place whole: no file of the old one survives in it."""
    old = make()
    with draft.draft(old.path) as making:
        making.info.update(FACTS)
        making.part("history").write_text("epoch")
    new = bundle.open_bundle(old.path)
    assert set(new.info["files"]) == {"history.csv"}
    assert {p.name for p in old.path.iterdir()} == {"history.csv", bundle.INFO}
    assert names("models") == {"mine"}


def test_draft_from_base() -> None:
    """A draft from a base starts with the base's files and facts, which stay untouched in the base itself."""
    base = make()
    before = content_of(base.path)
    with draft.draft(Path("models/other"), base) as making:
        assert making.info["seed"] == 0
        making.info["name"] = "other"
        making.info["thresholds"]["accept"] = 0.9
        making.part("int8").write_text("better")
        making.drop("saved_model")
        making.drop("fp32")
        making.drop("history")  # was never there
    made = bundle.open_bundle(Path("models/other"))
    assert made.verified("int8").read_text() == "better"
    assert (made.name, made.accept_threshold) == ("other", 0.9)
    assert set(made.info["files"]) == {"int8.xml", "int8.bin", "model.keras"}
    assert content_of(base.path) == before
    assert base.accept_threshold == 0.4321


def test_draft_leaves_out_what_base_does_not_list() -> None:
    """A file somebody dropped into the base does not travel on into a new bundle."""
    base = make()
    (base.path / "saved_model/evil.so").write_text("?")
    with draft.draft(Path("models/other"), base):
        pass
    assert not Path("models/other/saved_model/evil.so").exists()


def test_draft_refuses_altered_base() -> None:
    """A draft from a base that was altered is refused before a byte of it is used."""
    base = make()
    (base.path / "int8.bin").write_text("altered")
    with pytest.raises(BadInputError, match="was altered"), draft.draft(Path("models/other"), base):
        pytest.fail("the block was entered")
    assert names("models") == {"mine"}


def test_draft_lists_nested_info() -> None:
    """A file that happens to be called like the manifest, deeper down, is in the manifest like any other."""
    with draft.draft(Path("models/mine")) as making:
        fill(making)
        (making.part("saved_model") / bundle.INFO).write_text("an asset")
    assert bundle.open_bundle(Path("models/mine")).verified("saved_model").is_dir()


def test_draft_report() -> None:
    """What each stage reports is kept beside what the others did, and read back verified."""
    with draft.draft(Path("models/mine")) as making:
        fill(making)
        making.add_report("train", {"epochs": 3})
        making.add_report("convert", {"parity": 1e-6})
        making.add_report("train", {"epochs": 4})
    made = bundle.open_bundle(Path("models/mine"))
    assert made.report() == {"train": {"epochs": 4}, "convert": {"parity": 1e-6}}
    (made.path / "report.json").write_text("{}")
    with pytest.raises(BadInputError, match="was altered"):
        made.report()


def test_card_agrees_with_facts() -> None:
    """The model card says the facts' own numbers, and says so where the parameters are unknown."""
    with draft.draft(Path("models/mine")) as making:
        fill(making)
        write_card(making)
        card = making.part("card").read_text(encoding="utf-8")
        making.info["parameters"] = None
        write_card(making)
        unknown = making.part("card").read_text(encoding="utf-8")
    for fact in ("# Model card: mine", "12,345 parameters", "90.00 %", "0.4321", "T-shirt/top, Trouser", "10% of"):
        assert fact in card
    assert "unknown parameters" in unknown


def _folder_of_photos() -> None:
    Path("target").mkdir()
    Path("target/holiday.jpg").write_text("precious")


def _file() -> None:
    Path("target").write_text("precious")


@pytest.mark.parametrize(
    ("prepare", "target", "message"),
    [
        (_folder_of_photos, "target", "is no bundle"),
        (_file, "target", "is no bundle"),
        (_file, "target/models/mine", "cannot be written"),
        (lambda: None, "x" * 300, "cannot be written"),
        (lambda: None, ".", "cannot be replaced from inside"),
        (lambda: None, "..", "cannot be replaced from inside"),
    ],
    ids=["a folder of something else", "a file", "below a file", "a name too long", "here", "above"],
)
def test_draft_refuses_target(prepare: Callable[[], None], target: str, message: str, work: Path) -> None:
    """A target that is something else, or that cannot be written, is refused before the block runs, untouched."""
    prepare()
    before = content_of(work)
    with pytest.raises(BadInputError, match=message), draft.draft(Path(target)):
        pytest.fail("the block was entered")
    assert content_of(work) == before


def test_draft_takes_empty_folder() -> None:
    """An empty folder is nothing to protect: the bundle takes its place."""
    Path("models/mine").mkdir(parents=True)
    assert make().has("fp32")


# --- Crashes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first_use",
    [
        lambda: bundle.open_bundle(Path("models/mine")),
        lambda: resolve.resolve("mine").bundle,
        lambda: resolve.resolve("models/mine").bundle,
        lambda: resolve.resolve(Path("models/mine").absolute()).bundle,
    ],
    ids=["open", "by name", "by path", "by absolute path"],
)
def test_crash_between_renames(first_use: Callable[[], bundle.Bundle]) -> None:
    """After a crash that had moved the old bundle away but not yet put the new one in its place, the next use finds
    the old one whole where it was."""
    before = content_of(make().path)
    # The first of the two renames, by hand.
    Path("models/mine").rename("models/.mine.previous")
    found = first_use()
    found.verify_all()
    assert content_of(Path("models/mine")) == before
    assert names("models") == {"mine"}


def test_crash_after_renames() -> None:
    """After a crash that left the old bundle beside the new one, the new one is used and the next draft clears up."""
    shutil.copytree(make(content="old").path, "old")
    made = make(content="new")
    Path("old").rename("models/.mine.previous")
    assert resolve.resolve("mine").path == made.path
    assert [found.path for found in resolve.known() if found.path.parent == Path("models")] == [made.path]
    assert made.verified("keras").read_text() == "new keras"
    make(content="newest")
    assert names("models") == {"mine"}


def test_killed_while_drafting() -> None:
    """A process killed in the middle of a draft leaves the old bundle as it was, and its leavings are no bundle."""
    before = content_of(make().path)
    killed = (
        "import os; from pathlib import Path; from edgefashion.bundles import draft\n"
        "with draft.draft(Path('models/mine')) as making:\n"
        "    making.part('fp32').write_text('half')\n"
        "    os._exit(9)\n"
    )
    path = str(Path(edgefashion.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", killed], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == 9
    assert len(names("models")) == 2
    assert content_of(Path("models/mine")) == before
    assert [found.path for found in resolve.known() if found.path.parent == Path("models")] == [Path("models/mine")]
    resolve.resolve("mine")


# --- Verified before use ---------------------------------------------------------------------


def _alter(path: Path) -> None:
    path.write_text(path.read_text().replace("first", "worst"))  # the same length: only the hash can tell


def _link(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "evil.so").write_text("?")
    try:
        path.symlink_to(elsewhere.absolute(), target_is_directory=True)
    except OSError:
        pytest.skip("Windows allows links to administrators only")


@pytest.mark.parametrize(
    ("part", "file", "change", "message"),
    [
        ("fp32", "fp32.xml", _alter, "was altered"),
        ("fp32", "fp32.bin", _alter, "was altered"),
        ("fp32", "fp32.bin", Path.unlink, "is missing"),
        ("int8", "int8.xml", Path.unlink, "is missing"),
        ("keras", "model.keras", _alter, "was altered"),
        ("saved_model", "saved_model/saved_model.pb", _alter, "was altered"),
        ("saved_model", "saved_model/variables/variables.index", Path.unlink, "is missing"),
        ("saved_model", "saved_model/extra.so", Path.touch, "not in bundle.json's manifest"),
        ("saved_model", "saved_model/variables/.hidden", Path.touch, "not in bundle.json's manifest"),
        ("saved_model", "saved_model/link", _link, "not in bundle.json's manifest"),
        ("saved_model", "saved_model", shutil.rmtree, "is missing"),
    ],
)
def test_tampering_refused(part: str, file: str, change: Callable[[Path], None], message: str) -> None:
    """An altered, missing or added file is refused by name with what to do, and the bundle's other parts still load."""
    made = make()
    assert made.verified(part) == made.path / bundle.PARTS[part][0]
    change(made.path / file)
    with pytest.raises(BadInputError, match=message) as caught:
        made.verified(part)
    assert str(Path(file)) in str(caught.value)
    assert "restore the bundle" in str(caught.value)
    untouched = "int8" if part != "int8" else "fp32"
    assert made.verified(untouched).is_file()


@pytest.mark.parametrize("unlisted", ["fp32.xml", "fp32.bin"])
def test_unlisted_half_refused(unlisted: str) -> None:
    """An IR of which the manifest lists only one file is refused, whatever lies in the other's place."""
    made = make()
    change_info(made.path, lambda info: info["files"].pop(unlisted))
    with pytest.raises(BadInputError, match=r"not in bundle\.json's manifest") as caught:
        bundle.open_bundle(made.path).verified("fp32")
    assert unlisted in str(caught.value)


@pytest.mark.parametrize(
    ("part", "to_do"),
    [("fp16", "edgefashion convert"), ("history", "Train it again"), ("reference", "Train it again")],
)
def test_absent_part(part: str, to_do: str) -> None:
    """Asking for a part the bundle does not have says which command makes it."""
    with pytest.raises(BadInputError, match=f"has no {part}.*{to_do}"):
        make().verified(part)


def test_verify_all() -> None:
    """Checking the whole bundle finds a file altered anywhere in it."""
    made = make()
    made.verify_all()
    _alter(made.path / "saved_model/variables/variables.index")
    with pytest.raises(BadInputError, match=r"variables\.index was altered"):
        made.verify_all()


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "a/../../outside",
        "/outside",
        "..\\outside",
        "a\\..\\..\\outside",
        "C:\\outside",
        "C:outside",
        "\\outside",
    ],
)
def test_manifest_outside_refused(name: str) -> None:
    """A manifest that names a file outside the bundle, in the manner of any system, is refused on all of them."""
    made = make()
    Path("models/outside").write_text("?")
    change_info(made.path, lambda info: info["files"].update({name: files.sha256(Path("models/outside"))}))
    with pytest.raises(BadInputError, match="points outside the bundle"):
        bundle.open_bundle(made.path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("7", "cannot be read"),
        ("null", "cannot be read"),
        ("\udcff", "cannot be read"),  # one byte, no UTF-8
        ('{"format": 1}', "cannot be read .*no files"),
    ],
)
def test_unreadable_info(text: str, message: str) -> None:
    """A manifest that is no JSON object of a bundle is refused by name, whatever it is instead."""
    made = make()
    (made.path / bundle.INFO).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadInputError, match=message) as caught:
        bundle.open_bundle(made.path)
    assert str(made.path / bundle.INFO) in str(caught.value)
    assert made.path not in [found.path for found in resolve.known()]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", bundle.FORMAT + 1, "newer edgefashion .*Upgrade"),
        ("format", "1", "cannot be read"),
        ("labels", "Bag", "labels is no list"),
        ("labels", [1, 2], "labels is no list"),
        ("thresholds", [], "no number for accept"),
        ("thresholds", {}, "no number for accept"),
        ("thresholds", {"accept": "high"}, "no number for accept"),
        ("files", ["fp32.xml"], "files is no table"),
    ],
)
def test_wrong_facts(key: str, value: object, message: str) -> None:
    """A fact of the wrong kind, or a newer format, is refused on opening rather than failing in the middle of use."""
    made = make()
    change_info(made.path, lambda info: info.update({key: value}))
    with pytest.raises(BadInputError, match=message):
        bundle.open_bundle(made.path)


def test_no_bundle() -> None:
    """Opening a folder without a manifest says that it is no bundle."""
    Path("models/empty").mkdir(parents=True)
    with pytest.raises(BadInputError, match="is no bundle"):
        bundle.open_bundle(Path("models/empty"))


# --- MODEL on a command line -----------------------------------------------------------------


@pytest.fixture
def shelf() -> None:
    """Every kind of thing MODEL may name, and some it may not."""
    make()
    make("models/cnn-0.25")
    make("elsewhere/yours")
    Path("exported/saved_model").mkdir(parents=True)
    for name in ("exported/saved_model/saved_model.pb", "loose.keras", "loose.xml", "loose.bin", "alone.xml"):
        Path(name).write_text("?")
    for name in ("old.h5", "old.hdf5", "notes.txt"):
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


def test_resolve_own_before_shipped() -> None:
    """A name is looked up in ``./models`` before the bundles shipped with the package."""
    shipped = resolve.resolve(resolve.DEFAULT_MODEL)
    assert shipped.path.parent == resolve.model_dirs()[-1]
    assert shipped.name == resolve.DEFAULT_MODEL
    own = Path("models") / resolve.DEFAULT_MODEL
    make(own)
    assert resolve.resolve(resolve.DEFAULT_MODEL).path == own
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
    _alter(made.path / file)
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
    _alter(Path("saved_model.pb"))
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
