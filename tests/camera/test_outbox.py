"""What waits to be delivered outlives the process, within its bounds, and loses no order."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.camera import wait_until
from helpers.events import event, fill, small_disk

from edgefashion.camera.events import outbox as module
from edgefashion.camera.events.message import Message
from edgefashion.camera.events.outbox import Outbox


def put(outbox: Outbox, numbers: range) -> None:
    for number in numbers:
        outbox.put(event(number))


def frames(messages: list[Message]) -> list[int]:
    return [json.loads(message.line)["frame"] for message in messages]


def reopened(outbox: Outbox, path: Path, **bounds: int) -> Outbox:
    outbox.close(5)
    return Outbox(path, **bounds)


def test_outlives(tmp_path: Path) -> None:
    """What was put and not delivered is there after a start, taken or not, with its name; what was delivered is not."""
    path = tmp_path / "new folder" / "o.sqlite"
    first = Outbox(path)
    put(first, range(6))
    taken = first.take(4)
    first.delivered(taken[0])
    first.give_back(taken[3])
    assert frames(first.take(1)) == [3]
    first.delivered(taken[2])
    second = reopened(first, path)
    assert (first.lost, len(second)) == (0, 4)
    second.put(event(6))
    messages = second.take(10)
    assert frames(messages) == [1, 3, 4, 5, 6]
    assert [m.id for m in messages] == [*(f"{first.run}-{n}" for n in (2, 4, 5, 6)), f"{second.run}-1"]
    for message in messages:
        second.delivered(message)
    third = reopened(second, path)
    assert (third.empty, len(third)) == (True, 0)
    third.close(5)


@pytest.mark.parametrize("bounds", [{"most": 5}, {"most_bytes": 5 * 220}], ids=["number", "bytes"])
def test_bounded(tmp_path: Path, bounds: dict[str, int]) -> None:
    """Beyond its bounds the oldest are dropped. A fault event in their place says how many, over a start too, is told
    once, and goes on counting while it is on its way; the file does not grow."""
    path = tmp_path / "o.sqlite"
    outbox = Outbox(path, **bounds)
    put(outbox, range(100, 300))
    kept = len(outbox)
    assert 2 < kept <= 6
    outbox = reopened(outbox, path, **bounds)
    gap, *rest = outbox.take(3)
    assert f"{200 - kept} events dropped" in gap.line
    assert (json.loads(gap.line)["state"], gap.dropped) == ("fault", 200 - kept)
    assert frames(rest) == list(range(300 - kept, 302 - kept))
    put(outbox, range(300, 310))
    outbox.delivered(gap)
    (later,) = outbox.take(1)
    assert later.dropped > 0
    assert later.id != gap.id
    outbox.give_back(later)
    assert outbox.take(1)[0].dropped == later.dropped
    outbox.delivered(later)
    assert frames(outbox.take(1))[0] >= 302 - kept
    for _ in range(20):
        put(outbox, range(100))
    outbox.close(5)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 200_000


def test_in_memory() -> None:
    """Without a file it works alike, and what is left is lost."""
    outbox = Outbox(most=3)
    put(outbox, range(5))
    outbox.close(5)
    assert (len(outbox), outbox.lost, outbox.take(1)[0].dropped) == (3, 5, 2)


def test_shared(tmp_path: Path) -> None:
    """Two cameras that send to the same place have a file each; who starts next takes what waits in those that nobody
    uses, a camera's that ended while its successor had begun among them, and not what is another's."""
    path = tmp_path / "o.sqlite"
    outboxes = [Outbox(path), Outbox(path)]
    for number, outbox in enumerate(outboxes):
        outbox.put(event(number))
        outbox.close(5)
    assert [outbox.path.name for outbox in outboxes if outbox.path] == ["o.sqlite", "o-2.sqlite"]
    again = [Outbox(path), Outbox(path)]
    assert [frames(outbox.take(9)) for outbox in again] == [[0, 1], []]
    again[1].put(event(2))
    third = Outbox(path)
    assert third.empty, "a file in use is another's"
    for outbox in (*again, third):
        outbox.close(5)
    last = Outbox(path)
    assert frames(last.take(9)) == [0, 1, 2]
    assert [found.name for found in tmp_path.glob("*.sqlite")] == ["o.sqlite"]
    last.close(5)


def _overwrite(path: Path) -> None:
    path.write_bytes(b"no database" * 500)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def _with(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with sqlite3.connect(path) as file:
            for statement in statements:
                file.execute(statement)
        file.close()

    return change


SOUND = """'{"time": 0, "frame": 1}'"""
DEEP = "'" + "[" * 100_000 + "'"
DAMAGES = [
    _overwrite,
    _cut,
    *(
        _with(f"INSERT INTO {row}")
        for row in (
            "events VALUES (99, 'run', 1, 'no event')",
            "events VALUES (99, 'run', 1, '{}')",
            "events VALUES (99, 'run', 1, '[]')",
            f"events VALUES (99, 'run', 1, {DEEP})",
            "events VALUES (99, 'run', 1, NULL)",
            "events VALUES (99, 'run', 1, x'7b7d')",
            "events VALUES (99, 'run', 1, CAST(x'ff' AS TEXT))",
            f"events VALUES (99, 'run', 'one', {SOUND})",
            f"events VALUES (99, NULL, 1, {SOUND})",
            f"events VALUES (99, 'run', NULL, {SOUND})",
            f"events VALUES ({2**63 - 1}, 'run', 1, {SOUND})",
            f"dropped VALUES (99, 'run', 1, {SOUND}, 'many')",
            f"dropped VALUES (99, 'run', 1, {SOUND}, -3)",
            "dropped VALUES (99, 'run', 1, 'no event', 3)",
        )
    ),
    _with("DROP TABLE events", "CREATE TABLE events(name TEXT)"),
    _with("DROP TABLE dropped", "CREATE TABLE dropped(number INTEGER PRIMARY KEY)"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged(tmp_path: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged file is put aside, which is told, and a new one begun: a kiosk starts."""
    path = tmp_path / "o.sqlite"
    outbox = Outbox(path)
    put(outbox, range(20))
    outbox.close(5)
    damage(path)
    outbox = Outbox(path)
    assert "was damaged, and is kept as o.sqlite.damaged" in capsys.readouterr().err
    outbox.put(event(1))
    outbox = reopened(outbox, path)
    assert frames(outbox.take(9)) == [1]
    outbox.close(5)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_beside(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Of a file that another camera has left nothing is taken where something in it is damaged, at no start."""
    path = tmp_path / "o.sqlite"
    other = Outbox(tmp_path / "o-2.sqlite")
    put(other, range(20))
    other.close(5)
    damage(tmp_path / "o-2.sqlite")
    for _ in range(2):
        outbox = Outbox(path)
        assert (outbox.empty, outbox.fault) == (True, "")
        outbox.close(5)


@pytest.mark.parametrize("older", [0, 4, 9])
@pytest.mark.parametrize("left", [0, 2])
@pytest.mark.parametrize("delivered", [0, 1, 3])
@pytest.mark.parametrize("most", [1000, 6])
def test_file_comes_late(
    tmp_path: Path, older: int, left: int, delivered: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no file can be had at the start, events wait in memory, which is a fault, and go on their way; as soon as
    one can be had, they are in it, what had waited there before them, and each goes on under its name."""
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    there, state = tmp_path / "there", tmp_path / "state"
    for name, numbers in (("o.sqlite", range(older)), ("o-2.sqlite", range(50, 50 + left))):
        before = Outbox(there / name)
        put(before, numbers)
        before.close(5)
    state.touch()
    outbox = Outbox(state / "o.sqlite", most=most)
    assert outbox.path is None
    assert outbox.fault.startswith("events wait in memory alone: ")
    put(outbox, range(100, 105))
    for message in outbox.take(delivered):
        outbox.delivered(message)
    on_its_way = outbox.take(1)
    state.unlink()
    there.rename(state)
    wait_until(lambda: not outbox.fault and not outbox._is_unsaved, "the file")
    names = [f"{outbox.run}-{number}" for number in range(delivered + 1, 6)]
    outbox.give_back(on_its_way[0])
    outbox = reopened(outbox, state / "o.sqlite", most=most)
    assert (outbox.path, sorted(each.name for each in state.iterdir() if each.suffix == ".sqlite")) == (
        state / "o.sqlite",
        ["o.sqlite"],
    )
    expected = [*range(older), *range(50, 50 + left), *range(100 + delivered, 105)]
    lost = max(0, len(expected) - most)
    messages = outbox.take(1000)
    assert sum(message.dropped for message in messages) == lost
    assert frames([message for message in messages if not message.dropped]) == expected[lost:]
    assert [message.id for message in messages[-len(names) :]] == names
    assert [message.number for message in messages] == sorted({message.number for message in messages})
    outbox.close(5)


@pytest.mark.parametrize("comes", [True, False])
def test_file_comes_with_the_end(tmp_path: Path, comes: bool) -> None:
    """What waits in memory is written at the end where a file can be had by then, and counted as lost where none
    can."""
    state = tmp_path / "state"
    state.touch()
    outbox = Outbox(state / "o.sqlite")
    put(outbox, range(5))
    outbox.delivered(outbox.take(1)[0])
    if comes:
        state.unlink()
    outbox.close(5)
    assert (outbox.kept, outbox.lost) == ((4, 0) if comes else (0, 4))


@pytest.mark.linux_only("a small file system is mounted")
def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk events wait in memory, which is told, and can be delivered; once there is room, what is left is
    written."""
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    with small_disk(tmp_path / "disk", "400k") as disk:
        outbox = Outbox(disk / "o.sqlite")
        put(outbox, range(3))
        wait_until(lambda: not outbox._is_unsaved, "the first events")
        ballast = fill(disk)
        put(outbox, range(3, 200))
        wait_until(lambda: "full" in outbox.fault, "the fault")
        for message in outbox.take(100):
            outbox.delivered(message)
        ballast.unlink()
        wait_until(lambda: not outbox.fault and not outbox._is_unsaved, "the fault's end")
        outbox = reopened(outbox, disk / "o.sqlite")
        assert frames(outbox.take(1000)) == list(range(100, 200))
        fill(disk)
        put(outbox, range(200, 203))
        outbox.close(5)
        assert (outbox.kept, outbox.lost) == (100, 3)


@pytest.mark.linux_only("a small file system is mounted")
def test_full_disk_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full as the camera starts is a fault, and costs no event of the outbox once there is room."""
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    with small_disk(tmp_path / "disk", "200k") as disk:
        ballast = fill(disk)
        outbox = Outbox(disk / "state" / "o.sqlite")
        put(outbox, range(3))
        wait_until(lambda: "memory alone" in outbox.fault, "the fault")
        ballast.unlink()
        wait_until(lambda: not outbox.fault and not outbox._is_unsaved, "the file")
        outbox = reopened(outbox, disk / "state" / "o.sqlite")
        assert frames(outbox.take(9)) == [0, 1, 2]
        outbox.close(5)


@pytest.mark.parametrize("seed", range(40))
def test_every_event_is_accounted_for(seed: int, tmp_path: Path) -> None:
    """Whatever the order in which events are put, taken, given back, delivered and left to the next start: each is
    delivered, or counted by a word of dropped ones; none is delivered twice, and those delivered in the order in which
    they were taken are in the order in which they were put."""
    dice = random.Random(seed)
    path = tmp_path / "o.sqlite" if seed < 8 else None
    outbox, told, delivered, dropped = Outbox(path, most=6), 0, list[int](), 0
    taken: list[Message] = []
    for _ in range(150):
        what = dice.choice(("put", "put", "put", "take", "deliver", "give back", *(["start"] if path else [])))
        if what == "put":
            outbox.put(event(told))
            told += 1
        elif what == "take" and not taken:
            taken = outbox.take(dice.randint(1, 3))
        elif what == "deliver" and taken:
            message = taken.pop(0)
            outbox.delivered(message)
            dropped += message.dropped
            delivered += frames([message]) * (not message.dropped)
        elif what == "give back":
            while taken:
                outbox.give_back(taken.pop())
        elif what == "start" and path and dice.random() < 0.1:
            taken = []
            outbox = reopened(outbox, path, most=6)
    for message in [*taken, *outbox.take(100)]:
        outbox.delivered(message)
        dropped += message.dropped
        delivered += frames([message]) * (not message.dropped)
    # What is dropped to make room for what is given back is told last.
    dropped += sum(message.dropped for message in outbox.take(100))
    assert delivered == sorted(set(delivered))
    assert len(delivered) + dropped == told
    outbox.close(5)
