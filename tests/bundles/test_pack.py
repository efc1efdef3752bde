"""A pack holds one bundle whole, and whatever else is called so is refused with one line, and not unpacked."""

from __future__ import annotations

import json
import shutil
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.bundles import content_of, make

from edgefashion.bundles import pack, revisions
from edgefashion.bundles.bundle import INFO, open_bundle
from edgefashion.errors import BadInputError

pytestmark = pytest.mark.usefixtures("work")

SHOP = Path("models/shop")


def packed(content: str = "first", out: Path = Path("shop.edgepack")) -> Path:
    """A pack of a bundle of text files."""
    made = make(SHOP, content)
    pack.write(made, "shop", revisions.history(SHOP)[0], out)
    return out


def rewritten(change: Callable[[dict[str, bytes]], None], out: Path = Path("changed.edgepack")) -> Path:
    """A pack with its files changed by another program."""
    with zipfile.ZipFile(packed()) as old:
        files = {name: old.read(name) for name in old.namelist()}
    change(files)
    with zipfile.ZipFile(out, "w") as new:
        for name, data in files.items():
            new.writestr(name, data)
    return out


def changed(file: str, **fields: Any) -> Path:
    """A pack, one of whose JSON files says something else."""

    def change(files: dict[str, bytes]) -> None:
        files[file] = json.dumps({**json.loads(files[file]), **fields}).encode()

    return rewritten(change)


def test_there_and_back() -> None:
    """What is unpacked is the bundle, byte for byte, and its pack's facts; the same revision gives the same bytes."""
    path = packed()
    found = pack.unpack(path, Path("out"))
    assert {name: text for name, text in content_of(Path("out")).items() if name != pack.FACTS} == content_of(SHOP)
    assert (found.model, found.sha256, found.signed) == ("shop", open_bundle(SHOP).sha256, False)
    assert pack.peek(path) == found
    again = Path("again.edgepack")
    pack.write(open_bundle(SHOP), "shop", revisions.history(SHOP)[0], again)
    assert again.read_bytes() == path.read_bytes()


def test_a_pack_names_nobody() -> None:
    """Neither who made a revision nor who took it back is in its pack, on whatever computer that was."""
    made, told = make(SHOP), "root@till"
    revision = revisions.history(SHOP)[0]
    revision = replace(revision, origin=revisions.Origin(why="taught", who=told, taken_back=f"by {told}"))
    pack.write(made, "shop", revision, Path("shop.edgepack"))
    with zipfile.ZipFile("shop.edgepack") as file:
        assert told not in file.read(pack.FACTS).decode()
    assert pack.peek(Path("shop.edgepack")).origin == revisions.Origin(why="taught")


def test_altered_bundle_is_not_packed() -> None:
    """A bundle whose files are not those it lists is packed for nobody, and no file is left."""
    made = make(SHOP)
    (SHOP / "int8.bin").write_text("x")
    with pytest.raises(BadInputError, match=r"int8\.bin was altered"):
        pack.write(made, "shop", revisions.history(SHOP)[0], Path("shop.edgepack"))
    assert [path.name for path in Path().iterdir()] == ["models"]


def _cut(share: float) -> Callable[[], Path]:
    def make_it() -> Path:
        whole = packed().read_bytes()
        Path("cut.edgepack").write_bytes(whole[: int(share * len(whole))])
        return Path("cut.edgepack")

    return make_it


def _flipped() -> Path:
    """One bit of a file's packed bytes is other."""
    path = packed()
    with zipfile.ZipFile(path) as file:
        entry = file.getinfo("int8.bin")
    data = bytearray(path.read_bytes())
    data[entry.header_offset + 30 + len("int8.bin") + 20 + 4] ^= 4
    path.write_bytes(data)
    return path


def _other(data: bytes) -> Callable[[], Path]:
    def make_it() -> Path:
        Path("it.edgepack").write_bytes(data)
        return Path("it.edgepack")

    return make_it


def _with(name: str, data: bytes = b"x") -> Callable[[], Path]:
    return lambda: rewritten(lambda files: files.update({name: data}))


def _without(name: str) -> Path:
    def change(files: dict[str, bytes]) -> None:
        del files[name]

    return rewritten(change)


def _twice(name: str) -> Callable[[], Path]:
    def make_it() -> Path:
        path = packed()
        with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as file:
            warnings.simplefilter("ignore")  # Python's own, of the same name twice
            file.writestr(name, "x")
        return path

    return make_it


def _bomb() -> Path:
    """Ten kilobytes that say of themselves that they are eight gigabytes."""
    path = rewritten(lambda files: files.update({"fp32.bin": b""}))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    while data[at + 46 : at + 46 + 8] != b"fp32.bin":
        at = data.index(b"PK\x01\x02", at + 1)
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
    path.write_bytes(data)
    return path


def _longer_than_told() -> Path:
    """A file that is a megabyte and says one byte."""
    path = rewritten(lambda files: files.update({"int8.bin": b"\0" * 2**20}))
    data = path.read_bytes().replace(struct.pack("<I", 2**20), struct.pack("<I", 1))
    path.write_bytes(data)
    return path


def _link() -> Path:
    """A symbolic link, as other programs put them into ZIP files, in the place of a file."""
    path = packed()
    with zipfile.ZipFile(path) as old:
        files = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = ((stat.S_IFLNK if name == "int8.bin" else stat.S_IFREG) | 0o777) << 16
            new.writestr(entry, b"/etc/passwd" if name == "int8.bin" else data)
    return path


def _locked() -> Path:
    data = bytearray(packed().read_bytes())
    for mark, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        place = data.index(mark)
        data[place + at] |= 1
    Path("it.edgepack").write_bytes(data)
    return Path("it.edgepack")


def _zip_of_something_else() -> Path:
    with zipfile.ZipFile("photos.zip", "w") as file:
        file.writestr("photo.jpg", "x")
    return Path("photos.zip")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: Path("missing.edgepack"), "does not exist"),
        (lambda: Path(), "is a folder without a bundle"),
        (_other(b""), "is no pack"),
        (_other(b"hello"), "is no pack"),
        (_other(b"PK\x03\x04" + b"\0" * 100), "cut off or damaged"),
        (_zip_of_something_else, "is a ZIP file and no pack"),
        *[(_cut(share), "cut off or damaged") for share in (0.1, 0.5, 0.9, 0.999)],
        (_flipped, "cut off or damaged|altered"),
        (_locked, "in a way that packs are not"),
        (_with("../outside"), "no bundle has such a one"),
        (_with("/etc/passwd"), "no bundle has such a one"),
        (_with("saved_model/../../x"), "no bundle has such a one"),
        (_with("C:/x"), "no bundle has such a one"),
        (_with("a\\b"), "such a one|does not list"),
        (_with("int8.bin:hidden"), "no bundle has such a one"),
        (_with("NUL"), "no bundle has such a one"),
        (_with("saved_model/con.txt"), "no bundle has such a one"),
        (_with("int8.bin."), "no bundle has such a one"),
        (_with(".hidden"), "no bundle has such a one"),
        (_with("folder/"), "no bundle has such a one"),
        (_with("ümlaut.xml"), "no bundle has such a one"),
        (_with("x" * 300), "no bundle has such a one"),
        (_with("extra.xml"), "has extra.xml, which its bundle does not list"),
        (_twice("int8.bin"), "has int8.bin twice"),
        (_twice("INT8.bin"), "has INT8.bin twice"),
        (_bomb, "Not unpacked|damaged"),
        (_longer_than_told, "damaged|altered"),
        (_link, "altered"),
        (lambda: _without("int8.bin"), "lacks int8.bin"),
        (lambda: _without(INFO), "is a ZIP file and no pack"),
        (lambda: _without(pack.FACTS), "is a ZIP file and no pack"),
        (_with("int8.bin", b"tampered"), r"int8\.bin was altered"),
        (_with("pack.json", b"{"), "is no JSON"),
        (_with("pack.json", b"[]"), "is no table"),
        (_with("pack.json", b"[" * 100_000), "is no JSON"),
        (_with("pack.json", b"\xff\xfe"), "is no JSON"),
        (_with("pack.json", b" " * (5 * 2**20)), "too many"),
        (lambda: changed("pack.json", format=2), r"newer edgefashion \(format 2\)\. Upgrade"),
        (lambda: changed(INFO, format=2), r"newer edgefashion \(format 2\)\. Upgrade"),
        (lambda: changed("pack.json", format="1"), "does not tell its format"),
        (lambda: changed("pack.json", model="../x"), "no name for a model"),
        (lambda: changed("pack.json", model="con"), "no name for a model"),
        (lambda: changed("pack.json", sha256="0"), r"bundle\.json was altered"),
        (lambda: changed("pack.json", origin=[]), "cannot be read"),
        (lambda: changed(INFO, seed=7), r"bundle\.json was altered"),
        (lambda: changed(INFO, files={"../x": "0"}), "points outside"),
        (lambda: changed(INFO, files=[]), "no table of names"),
        *[
            (lambda name=name: changed(INFO, files={name: "0"}), "what a model's revisions are kept in")
            for name in ("current", "Current.", "previous", "revisions/0002-ab12cd34/bundle.json", "probation.json")
        ],
        (lambda: changed(INFO, files={"pack.json": "0"}), "lacks"),
    ],
)
def test_no_pack(given: Callable[[], Path], message: str, work: Path) -> None:
    """What is cut off, tampered with, of another format or made to hurt is one line, and writes nothing outside."""
    path = given()
    beside = {file.relative_to(work) for file in work.rglob("*")}
    with pytest.raises(BadInputError, match=message) as raised:
        pack.unpack(path, Path("out"))
    assert "\n" not in str(raised.value)
    shutil.rmtree("out", ignore_errors=True)
    assert {file.relative_to(work) for file in work.rglob("*")} == beside


def test_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk has no room for it that is said before anything is written."""
    path = packed()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(BadInputError, match=r"has room for 0 MB\. Make room"):
        pack.unpack(path, Path("out"))
    assert not Path("out").exists()


@pytest.mark.parametrize("name", ["shop", "Schuhe 2", "Größen", "a.b", "x" * 64])
def test_model_name(name: str) -> None:
    """A name that is a folder's on every system may be a model's."""
    assert pack.check_model_name(name) == name


NO_NAMES = ("", ".", "..", "a/b", "a\\b", "NUL", "com1", "lpt9.x", "x ", "x.", "-x", "a:b", "x" * 65)


@pytest.mark.parametrize("name", NO_NAMES)
def test_no_model_name(name: str) -> None:
    """Any other is refused, on the systems too that would take it."""
    with pytest.raises(BadInputError, match="no name for a model on every system"):
        pack.check_model_name(name)
