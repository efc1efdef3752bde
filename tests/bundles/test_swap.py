"""A bundle is put in the place of another: no crash, reader, link or mount on the way loses one."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.bundles import content_of, make, names

from edgefashion.bundles import bundle, draft, resolve, swap
from edgefashion.errors import BadInputError
from edgefashion.inference import load

pytestmark = pytest.mark.usefixtures("work")


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


@pytest.fixture(params=["in one step", "in two renames"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to replace a folder, where this system and this disk have both."""
    if request.param == "in two renames":
        monkeypatch.setattr(swap, "_exchanged", lambda *_: False)
    return str(request.param)


LINKS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "absolute": ("disk/mine", lambda work: work / "disk/mine"),
    "relative": ("disk/mine", lambda work: Path("../disk/mine")),
    "of another name": ("disk/other", lambda work: work / "disk/other"),
    "of a link": ("disk/mine", lambda work: work / "second"),
}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("kind", LINKS)
@pytest.mark.linux_only("Windows lets few accounts make links")
def test_a_link_stays_one(kind: str, work: Path) -> None:
    """A bundle at a link is written where the link leads, as often as one likes, and the link stays a link."""
    place, leads_to = LINKS[kind]
    make(place)
    (work / "second").symlink_to(work / "disk/mine")
    Path("models").mkdir()
    Path("models/mine").symlink_to(leads_to(work))
    for content in ("second", "third", "fourth"):
        make(content=content)
        assert Path("models/mine").is_symlink()
        assert bundle.open_bundle(Path(place)).verified("keras").read_text() == f"{content} keras"
    assert (names("models"), names("disk")) == ({"mine"}, {Path(place).name})


@pytest.mark.linux_only("Windows lets few accounts make links")
def test_a_crash_behind_a_link() -> None:
    """What a crash left beside the folder that a link leads to is put back by the next use of the link."""
    make("disk/mine")
    Path("models").mkdir()
    Path("models/mine").symlink_to(Path("disk/mine").absolute())
    Path("disk/mine").rename("disk/.mine.previous")
    resolve.resolve("mine")
    assert names("disk") == {"mine"}


@pytest.mark.linux_only("Windows lets few accounts make links")
def test_odd_links(work: Path) -> None:
    """A link to nothing or to itself is refused before the work; one that an older release left where the replaced
    bundle waits is cleared away."""
    Path("models").mkdir()
    Path("models/lost").symlink_to(work / "disk/lost")
    Path("models/ring").symlink_to("ring")
    for name in ("lost", "ring"):
        refused = pytest.raises(BadInputError, match=r"is a link to .*, which is not there")
        with refused, draft.draft(Path("models", name)):
            pytest.fail("the block was entered")
    make()
    Path("models/.mine.previous").symlink_to(make("disk/mine").path.absolute())
    assert make(content="second").verified("keras").read_text() == "second keras"
    assert names("models") == {"lost", "ring", "mine"}
    bundle.open_bundle(Path("disk/mine")).verify_all()


def test_a_reader_between_the_renames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that comes between the two renames and puts the old bundle back undoes nothing: the new one is put in
    its place all the same."""
    make()
    monkeypatch.setattr(swap, "_exchanged", lambda *_: False)
    plain = Path.replace
    seen: list[str] = []

    def replace(self: Path, target: Path) -> Path:
        done = plain(self, target)
        if target.name == ".mine.previous" and len(seen) < 3:
            seen.append(bundle.open_bundle(Path("models/mine")).verified("keras").read_text())
        return done

    monkeypatch.setattr(Path, "replace", replace)
    assert make(content="second").verified("keras").read_text() == "second keras"
    assert seen == ["first keras"] * 3
    assert names("models") == {"mine"}


@pytest.mark.parametrize("look", [lambda: bundle.open_bundle(Path("models/mine")), lambda: resolve.resolve("mine")])
def test_a_look_between_the_renames(look: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that looks in the instant in which no bundle is in the place looks again."""
    make()
    plain = swap.restore_interrupted
    missed: list[Path] = []

    def restore(target: Path, mark: str) -> None:
        if not missed and target == Path("models/mine"):  # as if the writer's first rename came just behind this
            missed.append(target.rename("models/.mine.previous"))
        else:
            plain(target, mark)

    for module in (bundle, resolve):
        monkeypatch.setattr(module, "restore_interrupted", restore)
    look()
    assert missed


@pytest.mark.usefixtures("way")
def test_replaced_while_it_is_read() -> None:
    """Of a bundle that was replaced since it was opened no file is called altered: it is said what happened."""
    old = make()
    make(content="second")
    for check in (lambda: old.verified("fp32"), old.verify_all):
        with pytest.raises(bundle.ReplacedError, match=r"was replaced while it was read\. Run it again"):
            check()


def test_a_bundle_that_is_replaced_is_loaded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network whose bundle is replaced between its opening and its loading is loaded from the new one."""
    plain = resolve.resolve
    opened: list[resolve.Model] = []

    def resolved(model: str | Path) -> resolve.Model:
        found = plain(model)
        assert found.bundle is not None
        opened.append(found)
        files = {**found.bundle.files, "int8.bin": "0" * 64} if len(opened) == 1 else found.bundle.files
        older = dataclasses.replace(found.bundle, files=files, sha256="0" * 64 if len(opened) == 1 else "")
        return dataclasses.replace(found, bundle=older)

    monkeypatch.setattr(resolve, "resolve", resolved)
    assert load.load("edge").precision == "int8"
    assert len(opened) == 2


@pytest.mark.linux_only("mounts")
@pytest.mark.parametrize(
    ("mount", "entered"), [("mount -t tmpfs none models/mine", False), ("mount --bind disk/mine models/mine", True)]
)
def test_a_mounted_folder_is_refused(mount: str, entered: bool) -> None:
    """A folder that is mounted at the bundle's place cannot be replaced, which is said with what to do: before the
    work, but for a folder of the same disk, of which nothing can be told before."""
    make("disk/mine")
    Path("models/mine").mkdir(parents=True)
    code = """
from pathlib import Path
from edgefashion.bundles import bundle, draft
from edgefashion.errors import BadInputError
try:
    with draft.draft(Path("models/mine"), bundle.open_bundle(Path("disk/mine"))):
        print("entered")
except BadInputError as error:
    print(error)
"""
    shell = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$0" -c "$1"', sys.executable, code]
    path = str(Path(swap.__file__).parents[2])
    done = subprocess.run(shell, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    if "denied" in done.stderr or "not permitted" in done.stderr:
        pytest.skip("this machine lets nobody mount")
    said = (
        "models/mine is where a disk or a container's volume is mounted, and cannot be replaced. Mount it at the "
        "folder above, or choose another --out"
    )
    assert done.stdout.splitlines() == [*(["entered"] if entered else []), said], done.stderr
    assert names("models") == {"mine"}
