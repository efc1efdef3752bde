"""What the keys do, and the line that says so."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
from helpers.camera import wait_until

from edgefashion.camera import keys
from edgefashion.camera.keys import NOTE_S, Keys
from edgefashion.camera.moment import Health, Moment
from edgefashion.camera.outputs.clips import BUSY, OnDemand

MOMENT = Moment(0.0, Health())


def with_keys(folder: Path | None = None, networks: Any = None) -> tuple[Keys, OnDemand]:
    on_demand = OnDemand(folder)
    return Keys(networks, on_demand, mirror=False), on_demand


def test_switches() -> None:
    """M and h change a thing and change it back, q ends, and a key of no meaning does nothing."""
    pressed, _ = with_keys()
    for expected in (True, False):
        for key in "mh?0":
            pressed.press(key, MOMENT)
        assert (pressed.mirror, pressed.help, pressed.quit) == (expected, expected, False)
    pressed.press("q", MOMENT)
    assert pressed.quit
    assert pressed.note == ""


def test_networks_are_chosen_by_number() -> None:
    """1 is the first network, and what is said of the change is the note."""
    asked = types.SimpleNamespace(choose=lambda place: f"place {place}", toggle_precision=lambda: "the other one")
    pressed, _ = with_keys(networks=asked)
    for key, note in (("1", "place 0"), ("9", "place 8"), ("p", "the other one")):
        pressed.press(key, MOMENT)
        assert pressed.note == note


def test_a_note_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A note stands for its time, or until the next one."""
    clock = types.SimpleNamespace(s=0.0)
    monkeypatch.setattr(keys, "time", types.SimpleNamespace(monotonic=lambda: clock.s))
    pressed, _ = with_keys()
    pressed.say("first")
    clock.s = NOTE_S - 0.1
    pressed.say("second")
    clock.s += NOTE_S - 0.1
    assert pressed.note == "second"
    clock.s += 0.2
    assert pressed.note == ""


def test_nothing_is_kept_without_a_folder() -> None:
    """Without a folder s and r say that nothing is kept."""
    pressed, on_demand = with_keys()
    for key in "sr":
        pressed.press(key, MOMENT)
        assert pressed.note == "Nothing is kept here: no folder was given for it"
    assert on_demand.take(MOMENT) == ("", None)


def test_one_thing_at_a_time(tmp_path: Path) -> None:
    """While the disk is still at one thing the next is refused; what came of it is told once, with what failed."""
    pressed, on_demand = with_keys(tmp_path / "kept")
    pressed.press("s", MOMENT)
    pressed.press("r", MOMENT)
    assert pressed.note == BUSY
    told: list[tuple[str, str | None]] = []

    def news() -> bool:
        told.append(on_demand.take(MOMENT))
        return told[-1] != ("", None)

    wait_until(news, "the snapshot's failure")
    reason = "There is no picture yet. Take the snapshot once the camera shows one"
    assert told[-1] == (f"Not kept: {reason}", reason)
    assert on_demand.take(MOMENT) == ("", None)
    pressed.press("r", MOMENT)
    wait_until(news, "the clip's beginning")
    assert told[-1] == (f"Recording to {on_demand.keeping}", "")
    pressed.press("r", MOMENT)
    assert pressed.note.startswith("Kept as edgefashion-")
    assert not on_demand.keeping
    on_demand.close()
