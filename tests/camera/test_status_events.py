"""What the loop says of itself: each change once, to every sink."""

from __future__ import annotations

import json

import pytest
from helpers.events import Heard
from helpers.hand_made import standing

from edgefashion.camera.events.sink import line
from edgefashion.camera.status_events import StatusEvents


def told(*heard: Heard) -> list[tuple[str, str | None]]:
    """States and reasons that were told, the same to each."""
    first, *others = [[(event.state, event.reason) for event in each.events] for each in heard]
    assert all(other == first for other in others)
    return first


def test_a_condition_is_told_once() -> None:
    """A condition is told when it begins and when its reason is new; a stale source's reason, which counts seconds,
    once."""
    heard, other = Heard(), Heard()
    events = StatusEvents([heard, other], live=True)
    assert (events.state, events.reason) == ("starting", "")
    assert not events.change("starting", "")
    assert not events.change("live", "")
    assert events.change("stale", "no picture for 1 s")
    assert not events.change("stale", "no picture for 2 s")
    assert events.change("reconnecting", "refused")
    assert not events.change("reconnecting", "timed out")
    assert not events.change("reconnecting", "refused")
    assert not events.change("live", "")
    assert events.change("reconnecting", "refused")
    assert told(heard, other) == [
        ("live", None),
        ("stale", "no picture for 1 s"),
        ("reconnecting", "refused"),
        ("reconnecting", "timed out"),
        ("live", None),
        ("reconnecting", "refused"),
    ]


def test_the_end_is_told_by_who_ends_it() -> None:
    """A source that has ended makes answers void; the event is the loop's last word."""
    heard = Heard()
    events = StatusEvents([heard], live=False)
    assert events.change("ended", "the file has ended")
    assert told(heard) == []


def test_a_fault_is_told_once_and_when_it_is_over() -> None:
    """A fault is told and counted when it is new or another, and its end is told; what has not failed is silent."""
    heard = Heard()
    events = StatusEvents([heard], live=True)
    assert not events.fail("clip", "")
    assert events.fail("clip", "full")
    assert not events.fail("clip", "full")
    assert events.is_failing("clip")
    assert not events.is_failing("page")
    assert events.fail("clip", "gone")
    assert events.fail("clip", "")
    assert not events.is_failing("clip")
    assert events.faults == 2
    assert told(heard) == [("fault", "clip: full"), ("fault", "clip: gone"), ("fault", "clip: works again")]


def test_figures_are_rounded() -> None:
    """An event carries the last frame's number, three digits of confidence and one of milliseconds."""
    heard = Heard()
    events = StatusEvents([heard], live=True)
    events.frame = 7
    events.tell("garment", "Bag", 0.98765, 4.06)
    (event,) = heard.events
    assert (event.frame, event.label, event.confidence, event.latency_ms) == (7, "Bag", 0.988, 4.1)
    assert event.garments is None


def test_garments_come_last_but_the_network() -> None:
    """An answer's event carries every garment, behind all but the network, with figures of three digits; a
    condition's carries none."""
    heard = Heard()
    events = StatusEvents([heard], live=True)
    garment = standing("Bag", (1, 2, 3, 4), confidence=0.98765, worn=0.12345)
    events.tell("garment", "Bag", 0.98765, 4.06, garments=[garment.as_json()])
    events.tell("live")
    answer, condition = (json.loads(line(event)) for event in heard.events)
    assert list(answer)[-2:] == ["garments", "network"]
    assert answer["garments"] == [
        {"label": "Bag", "confidence": 0.988, "accepted": True, "box": [1, 2, 3, 4], "worn": 0.123, "id": 1}
    ]
    assert condition["garments"] is None


@pytest.mark.parametrize("gone", [(), (False,), (True,), (True, False), (True, True)])
def test_nobody_listens(gone: tuple[bool, ...]) -> None:
    """Nobody listens any more once every sink's reader has left; where there are no sinks nobody was meant to."""
    sinks = [Heard(gone=each) for each in gone]
    assert StatusEvents(sinks, live=True).check_sinks() == (bool(gone) and all(gone))


def test_a_sink_that_fails_is_told_to_the_others() -> None:
    """A sink's fault is an event, under its number where there are several."""
    heard, failing = Heard(), Heard(failing="disk full")
    StatusEvents([heard, failing], live=True).check_sinks()
    assert told(heard) == [("fault", "events 2: disk full")]
    alone = Heard(failing="disk full")
    StatusEvents([alone], live=True).check_sinks()
    assert told(alone) == [("fault", "events: disk full")]
