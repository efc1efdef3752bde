"""A model's history: one revision in force, changed in one step, and every other still there to go back to."""

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
from helpers.bundles import FACTS, content_of, fill, make, names
from helpers.crashes import calls_of, killed, with_full_disk

from edgefashion.bundles import current, draft, file_watch, places, probation, resolve, revisions
from edgefashion.bundles.facts import Facts
from edgefashion.errors import BadInputError
from edgefashion.packs import listing
from edgefashion.system import ownership

pytestmark = pytest.mark.usefixtures("work")

SHOP = Path("models/shop")


def add(content: str, model_dir: Path = SHOP, **origin: str) -> revisions.Revision:
    """A new revision of text files, recorded and not in force yet."""
    place = revisions.next_place(model_dir)
    make(place, content)
    return revisions.record(model_dir, place, revisions.Origin(**origin))


def go_live(content: str, model_dir: Path = SHOP) -> str:
    return revisions.switch(model_dir, add(content, model_dir).id).id


def in_force(model: str | Path = "shop") -> str:
    """The content of the bundle that MODEL names."""
    found = resolve.resolve(model).bundle
    assert found is not None
    found.verify_all()
    return found.verified("keras").read_text().split()[0]


def test_plain_bundle_becomes_the_first_revision() -> None:
    """A bundle without a history has one revision, and stays where it is, untouched, when a second goes live."""
    make(SHOP, "first")
    before = content_of(SHOP)
    assert [(each.id, each.current) for each in revisions.history(SHOP)] == [(".", True)]
    second = go_live("second")
    assert in_force() == "second"
    assert {name: text for name, text in content_of(SHOP).items() if name in before} == before
    assert [(each.id, each.current) for each in revisions.history(SHOP)] == [(".", False), (second, True)]
    assert revisions.history(SHOP)[1].origin.parent == "."


def test_model_that_begins_with_a_revision() -> None:
    """A model's folder without a bundle of its own is a model from its first revision on, and none before."""
    place = revisions.next_place(SHOP)
    make(place)
    assert not resolve.is_model("shop")
    revisions.switch(SHOP, revisions.record(SHOP, place, revisions.Origin()).id)
    assert resolve.is_model("shop")
    assert resolve.is_model(SHOP)
    assert in_force() == "first"
    assert "shop" in {current.folder_of(found.path).name for found in resolve.known()}


@pytest.mark.parametrize("model", ["shop", "models/shop", SHOP.absolute])
def test_every_revision_is_called_like_its_model(model: str | Callable[[], Path]) -> None:
    """The model's name is its folder's, whichever revision is in force and however it is given."""
    make(SHOP)
    second = go_live("second")
    found = resolve.resolve(model if isinstance(model, str) else model()).bundle
    assert found is not None
    assert (found.name, found.path.name) == ("shop", second)
    assert places.as_argument(found.path) == "shop"
    assert json.loads((found.path / "bundle.json").read_text())["name"] == "shop"
    revisions.rollback(SHOP)
    first = resolve.resolve("shop").bundle
    assert first is not None
    assert (first.name, first.path) == ("shop", SHOP)
    assert resolve.resolve(found.path).path == found.path  # an older one can still be named by its path


def test_rollback_follows_parents() -> None:
    """Going back leads to the revision that was in force before, also past one that was taken back already. One that is
    put in force again is no longer called taken back."""
    make(SHOP, "first")
    go_live("second")
    third = go_live("third")
    was, now = revisions.rollback(SHOP, why="it was worse")
    assert (was.id, in_force()) == (third, "second")
    go_live("fourth")
    assert revisions.rollback(SHOP)[1].id == now.id
    assert revisions.rollback(SHOP)[1].id == "."
    with pytest.raises(BadInputError, match=r"shop has no older revision to go back to\. See: edgefashion models show"):
        revisions.rollback(SHOP)
    assert {each.id: each.origin.taken_back for each in revisions.history(SHOP)}[third] == "it was worse"
    revisions.rollback(SHOP, to=third[:4])
    assert in_force() == "third"
    assert all(each.origin.taken_back is None for each in revisions.history(SHOP) if each.current)
    revisions.rollback(SHOP, why="worse again")
    revisions.switch(SHOP, third)
    assert all(each.origin.taken_back is None for each in revisions.history(SHOP) if each.current)


def test_older_revision_put_in_force_again() -> None:
    """Back leads to what was in force, by whatever way, and no pruning takes that away; a crash half way neither."""
    make(SHOP, "first")
    second, third = go_live("second"), go_live("third")
    revisions.switch(SHOP, second, probation_s=600)
    assert revisions.before(SHOP).id == third
    assert [each.id for each in revisions.prune(SHOP, keep=1)] == []
    assert revisions.rollback(SHOP)[1].id == third
    assert [revisions.rollback(SHOP)[1].id for _ in range(2)] == [second, "."]
    revisions.switch(SHOP, third)
    revisions.switch(SHOP, ".")
    assert revisions.before(SHOP).id == third
    (SHOP / "current").write_text(f"{third}\n")
    assert revisions.before(SHOP).id == "."
    for spoiled in (b"", b"\xff", b"../../etc\n", f"{second}\n".encode()):
        (SHOP / "previous").write_bytes(spoiled)
        assert revisions.before(SHOP).id == second


def test_newer_revision_is_no_way_back() -> None:
    """One that was kept back and is now put in force is on probation, and nothing is told of the one before; one that
    was in force before is a way back, however new it is."""
    make(SHOP)
    second = go_live("second")
    third = add("third").id
    assert [each.id for each in revisions.rollback(SHOP, to=third)] == [second, third]
    on = probation.running(SHOP)
    assert on is not None
    assert (on.revision, on.previous) == (third, second)
    assert all(each.origin.taken_back is None for each in revisions.history(SHOP))
    revisions.switch(SHOP, second, probation_s=600)
    revisions.rollback(SHOP, "it was worse", third)
    assert {each.id: each.origin.taken_back for each in revisions.history(SHOP)}[second] == "it was worse"
    ended = probation.last(SHOP)
    assert ended is not None
    assert (ended.revision, ended.state) == (second, "rolled back")


def test_rollback_without_history() -> None:
    """A model with nothing but a plain bundle cannot go back, and is not changed by the try."""
    make(SHOP)
    with pytest.raises(BadInputError, match="no older revision"):
        revisions.rollback(SHOP)
    assert in_force() == "first"


@pytest.mark.parametrize("said", ["", "0009-nothere0", "../../etc", "0002", "\x00\xff", ".. ", "x" * 5000])
def test_spoiled_current(said: str) -> None:
    """A file of another hand that names no revision is one line that says how to mend it; and so it is mended."""
    make(SHOP)
    second = go_live("second")
    (SHOP / "current").write_text(said)
    with pytest.raises(BadInputError):
        resolve.resolve("shop")
    assert {each.id for each in revisions.history(SHOP)} == {".", second}
    revisions.rollback(SHOP, to=second)
    assert in_force() == "second"


def test_draft_throws_no_history_away() -> None:
    """Nothing is written over a model that keeps revisions, as a whole; one revision may be converted anew in place."""
    make(SHOP)
    go_live("second")
    before = content_of(SHOP)
    with pytest.raises(BadInputError, match="models install DIR --name shop"):
        make(SHOP, "third")
    assert content_of(SHOP) == before
    bundle = resolve.resolve("shop").bundle
    assert bundle is not None
    with draft.draft(bundle.path, bundle) as making:
        fill(making, "again")
    assert in_force() == "again"
    assert len(revisions.history(SHOP)) == 2


def test_draft_throws_no_recorded_revision_away() -> None:
    """A revision that was recorded and never put in force is not thrown away either."""
    make(SHOP)
    second = add("second")
    with pytest.raises(BadInputError, match="models install DIR --name shop"):
        make(SHOP, "third")
    revisions.switch(SHOP, second.id)
    assert in_force() == "second"


def test_prune() -> None:
    """The newest are kept, and beside them what is in force, what one would go back to, and the plain bundle."""
    make(SHOP)
    made = [go_live(f"number{number}") for number in range(6)]
    revisions.rollback(SHOP, to=made[2])
    gone = revisions.prune(SHOP, keep=1)
    assert [each.id for each in gone] == [made[0], made[3], made[4]]
    assert [each.id for each in revisions.history(SHOP)] == [".", made[1], made[2], made[5]]
    kept = [name for one in (*made[1:3], made[5]) for name in (one, f"{one}.json")]
    assert names("models/shop/revisions") == {".lock", *kept}


def test_prune_clears_up_what_was_killed() -> None:
    """What a killed run has left goes once it is a day old; what another process may be writing stays."""
    make(SHOP)
    second = go_live("second")
    folder = SHOP / "revisions"
    for name in ("0003-00000000", ".0004-00000000.new-x", "0005-00000000"):
        make(folder / name if not name.startswith(".") else folder / "0004-00000000")
    (folder / "0004-00000000").rename(folder / ".0004-00000000.new-x")
    (folder / "0006-00000000.json").write_text("{}")
    for old in (folder / "0003-00000000", folder / ".0004-00000000.new-x", folder / "0006-00000000.json"):
        os.utime(old, (1e9, 1e9))
    revisions.prune(SHOP)
    assert names(str(folder)) == {".lock", second, f"{second}.json", "0005-00000000"}


@pytest.mark.parametrize("text", [None, "", "[]", "{", "[" * 9999], ids=["gone", "empty", "list", "half", "deep"])
def test_record_of_the_one_in_force_is_lost(text: str | None) -> None:
    """A revision in force of which nobody can read where it comes from is listed, survives every pruning, and one can
    go back to it."""
    make(SHOP)
    second = go_live("second")
    written, place = SHOP / "revisions" / f"{second}.json", SHOP / "revisions" / second
    written.unlink() if text is None else written.write_text(text)
    (listed,) = [each for each in listing.models() if each.model == "shop"]
    assert (listed.revision, listed.revisions, listed.age_days < 1) == (second, 2, True)
    os.utime(place, (1e9, 1e9))
    assert revisions.prune(SHOP) == []
    assert [(each.id, each.current) for each in revisions.history(SHOP)] == [(".", False), (second, True)]
    third = go_live("third")
    assert [each.id for each in revisions.history(SHOP)] == [".", second, third]
    assert revisions.rollback(SHOP)[1].id == second
    assert in_force() == "second"


def test_camera_sees_the_switch() -> None:
    """The watch over a network's files sees another revision put in force, from a plain bundle too, and back."""
    make(SHOP)
    watch = file_watch.FileWatch(SHOP / "int8.xml")
    second = go_live("second")
    assert [watch.is_replaced(1e9 + at) for at in (0, 5, 10)] == [False, True, False]
    watch = file_watch.FileWatch(SHOP / "revisions" / second / "int8.xml")
    revisions.rollback(SHOP)
    assert [watch.is_replaced(1e9 + at) for at in (0, 5, 10)] == [False, True, False]


def test_switch_while_it_is_loaded() -> None:
    """A revision put in force while another is being loaded is seen afterwards."""
    make(SHOP)
    second = go_live("second")
    said = file_watch.said_in_force(SHOP / "revisions" / second)
    revisions.rollback(SHOP)
    watch = file_watch.FileWatch(SHOP / "revisions" / second / "int8.xml", said)
    assert [watch.is_replaced(1e9 + at) for at in (0, 5)] == [False, True]


def test_two_at_once(work: Path) -> None:
    """While one process changes a model's revisions another is refused with one line, and let in afterwards."""
    make(SHOP)
    add("second")
    code = "import pathlib; from edgefashion.bundles import revisions; revisions.rollback(pathlib.Path('models/shop'))"
    with revisions.changing(SHOP):
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=work)
    assert "another process is changing the revisions of shop. Wait" in told.stderr
    go_live("third")


def test_shipped_model_is_not_changed() -> None:
    """A model that came with the package gets no revisions there."""
    edge = resolve.resolve("edge").path
    with pytest.raises(BadInputError, match="came with edgefashion"), revisions.changing(edge):
        pass
    assert not (edge / "revisions").exists()


@pytest.mark.linux_only("owners of files")
@pytest.mark.parametrize("models_are_there", [True, False])
def test_root_leaves_it_to_the_owner(work: Path, models_are_there: bool) -> None:
    """What root installs in a service's folder belongs to the service's account, which may then take it back."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    os.chown(work, 12345, 12345)
    if models_are_there:
        Path("models").mkdir()
        os.chown("models", 12345, 12345)
    make(SHOP)
    go_live("second")
    assert {path.stat().st_uid for path in (Path("models"), *Path("models").rglob("*"))} == {12345}


# --- Crashes ---------------------------------------------------------------------------------


@pytest.fixture
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing to the disk takes most of the time, and matters for a power cut only, which is not tried here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def small(place: Path, content: str) -> None:
    """A bundle of one file."""
    with draft.draft(place) as making:
        making.facts = Facts.from_json(FACTS)
        making.part("keras").write_text(f"{content} keras")


def going_live(model_dir: Path, content: str = "new") -> None:
    """All that putting a new revision in force does on the disk."""
    place = revisions.next_place(model_dir)
    small(place, content)
    revisions.record(model_dir, place, revisions.Origin())
    revisions.switch(model_dir, place.name, probation_s=600)
    revisions.prune(model_dir)


@pytest.mark.usefixtures("no_sync")
@pytest.mark.parametrize("start", ["plain", "with a history"])
def test_killed_at_every_step(work: Path, start: str) -> None:
    """Killed at any call that changes the disk, the model is the old one or the new one, whole; and the same done again
    completes. The same of going back."""
    small(Path("made/shop"), "old" if start == "plain" else "older")
    if start == "with a history":
        going_live(Path("made/shop"), "old")

    def fresh(name: str) -> Path:
        shutil.copytree("made", name)
        return Path(name, "shop")

    for number, step in enumerate((going_live, revisions.rollback) if start != "plain" else (going_live,)):
        steps = calls_of(work, lambda step=step, number=number: step(fresh(f"count{number}")))  # type: ignore[misc]
        seen = set()
        for at in range(steps):
            model_dir = fresh(f"try{number}-{at}")
            killed(work, lambda step=step, model_dir=model_dir: step(model_dir), at)  # type: ignore[misc]
            seen.add(in_force(model_dir))
            if step is going_live:
                going_live(model_dir)
                assert in_force(model_dir) == "new"
        assert seen == ({"old", "new"} if step is going_live else {"old", "older"})
        assert steps > 4


@pytest.mark.usefixtures("no_sync")
def test_full_disk_at_every_step(work: Path) -> None:
    """With no room left from any step on the old one stays in force, or the new one is whole; no half file stays."""
    small(Path("made/shop"), "old")
    shutil.copytree("made", "count")
    for at in range(calls_of(work, lambda: going_live(Path("count/shop")))):
        model_dir = Path(f"try{at}/shop")
        shutil.copytree("made/shop", model_dir)
        try:
            with_full_disk(work, lambda model_dir=model_dir: going_live(model_dir), at)  # type: ignore[misc]
        except (OSError, BadInputError) as error:
            assert "space" in str(error).lower()  # noqa: PT017
            assert in_force(model_dir) == "old"
        else:
            assert in_force(model_dir) == "new"
        assert not [name for name in content_of(model_dir) if ".new-" in name]


@pytest.mark.linux_only("what root writes is handed over on POSIX")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root alone can hand files over")
def test_what_root_writes_is_handed_over(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account of the folder above gets what root wrote there, and nothing else: no file with a second name, none
    behind a link, be it put in the place of a folder at that very moment."""
    theirs, ours = 4242, work / "ours"
    make(ours / "0002-aaaaaaaa")
    make(SHOP)
    os.chown("models", theirs, theirs)
    os.link(ours / "0002-aaaaaaaa" / "int8.bin", SHOP / "hard.bin")
    (SHOP / "soft").symlink_to(ours)
    second, chown = add("second").path, os.chown

    def swapped(path: int, *owner: int, **options: Any) -> None:
        if not (SHOP / "aside").exists() and os.path.samestat(os.fstat(path), folder):
            (SHOP / "revisions").rename(SHOP / "aside")
            (ours / "0002-aaaaaaaa").rename(ours / second.name)
            (SHOP / "revisions").symlink_to(ours)
        chown(path, *owner, **options)

    for path in (SHOP, *SHOP.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)
    folder = (SHOP / "revisions").stat()
    monkeypatch.setattr(os, "chown", swapped)
    ownership.hand_over(SHOP)
    assert {path.stat().st_uid for path in (ours, *ours.rglob("*"))} == {0}
    given = [path for path in (SHOP, *SHOP.rglob("*")) if path.name not in ("hard.bin", "soft", "revisions")]
    assert (SHOP / "aside" / second.name / "int8.bin") in given
    assert {path.lstat().st_uid for path in given} == {theirs}


# --- Probation -------------------------------------------------------------------------------


def test_probation_counts_for_its_revision_in_force() -> None:
    """A probation runs only while its revision is in force, and ends once."""
    make(SHOP)
    assert probation.last(SHOP) is None
    second = add("second").id
    revisions.switch(SHOP, second, probation_s=600)
    found = probation.running(SHOP)
    assert found is not None
    assert (found.revision, found.previous, found.seconds, found.state) == (second, ".", 600, "running")
    revisions.rollback(SHOP, "not sure too often")
    assert probation.running(SHOP) is None
    ended = probation.last(SHOP)
    assert ended is not None
    assert (ended.state, ended.why) == ("rolled back", "not sure too often")
    probation.end(SHOP, second, "passed", "")
    assert probation.last(SHOP) == ended


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"revision": 1}', "null"])
def test_spoiled_probation(text: str) -> None:
    """A probation nobody can read is none."""
    make(SHOP)
    (SHOP / probation.FILE).write_text(text)
    assert probation.last(SHOP) is None
    assert probation.running(SHOP) is None


def test_first_revision_is_on_no_probation() -> None:
    """A model's first revision has none to be compared with."""
    place = revisions.next_place(SHOP)
    make(place)
    revisions.switch(SHOP, revisions.record(SHOP, place, revisions.Origin()).id, probation_s=600)
    assert probation.last(SHOP) is None
