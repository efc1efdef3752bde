"""A bundle's facts are read and its files checked before anything looks inside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.bundles import alter, change_info, make

from edgefashion.bundles import bundle, resolve
from edgefashion.errors import BadInputError
from edgefashion.labels import LABELS
from edgefashion.system import files

pytestmark = pytest.mark.usefixtures("work")


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
        ("fp32", "fp32.xml", alter, "was altered"),
        ("fp32", "fp32.bin", alter, "was altered"),
        ("fp32", "fp32.bin", Path.unlink, "is missing"),
        ("int8", "int8.xml", Path.unlink, "is missing"),
        ("keras", "model.keras", alter, "was altered"),
        ("saved_model", "saved_model/saved_model.pb", alter, "was altered"),
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
    alter(made.path / "saved_model/variables/variables.index")
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
