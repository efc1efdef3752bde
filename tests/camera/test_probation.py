"""A new revision proves itself before the camera: worse beyond chance it is taken back, otherwise it stays."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.bundles import make
from helpers.events import Heard
from helpers.hand_made import standing
from helpers.packs import edge

from edgefashion.bundles import current, file_watch, probation, revisions
from edgefashion.bundles.running import Running, running
from edgefashion.camera import answers, conduct, loop
from edgefashion.camera import probation as watching
from edgefashion.camera.conduct import Conduct, InView, Timer
from edgefashion.camera.networks import Networks
from edgefashion.camera.probation import Watch, back_after_failed_load
from edgefashion.camera.probation_bounds import Bounds, binomial_tail, hypergeometric_tail, worse
from edgefashion.camera.sources.source import Frame
from edgefashion.camera.standing import StandingAnswer
from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.predict import predict as predict_it

SHOP = Path("models/shop")


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- Better, worse, chance -------------------------------------------------------------------


def did(garments: int = 100, unsure: int = 20, ms: float = 10.0, faults: int = 0, minutes: float = 10.0) -> Conduct:
    """What a network did in some minutes."""
    blocks = [ms] * int(minutes * 12)
    return Conduct(minutes * 60, blocks, [1] * unsure + [0] * (garments - unsure), faults)


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (did(), did(), ""),
        (did(100, 60), did(100, 20), "not sure of 60% of 100 garments, before of 20% of 100"),
        (did(100, 30), did(100, 20), ""),  # within the bound
        (did(10, 6), did(100, 20), ""),  # chance
        (did(500, 180), did(500, 100), "not sure of 36%"),
        (did(100, 0), did(100, 90), ""),  # better
        (did(0, 0), did(100, 20), ""),
        (did(100, 100), did(0, 0), ""),
        (did(100, 100), did(100, 0, minutes=0.5), ""),  # too short a time to compare with
        (did(100, 100), None, ""),
        (did(ms=20.0), did(), "a frame took 20.0 ms, before 10.0 ms"),
        (did(ms=14.0), did(), ""),
        (did(ms=1.9), did(ms=1.0), ""),  # nobody feels a millisecond
        (did(ms=20.0, minutes=0.5), did(), ""),
        (did(faults=3), did(minutes=1000), "3 faults in 10 minutes, before 0 in 1000"),
        (did(faults=3), did(minutes=10), ""),  # of six as many here as there is no sign
        (did(faults=2), did(minutes=10_000), ""),
        (did(faults=30), did(faults=30), ""),
        (replace(did(), silent=30), None, "it gave no answer to 30 frames in a row"),
        (replace(did(), silent=29), did(), ""),
    ],
)
def test_worse(new: Conduct, old: Conduct | None, expected: str) -> None:
    """Worse is what is beyond the bound and beyond chance, and what cannot be compared is not worse."""
    assert worse(new, old, Bounds(), at_end=True).startswith(expected)
    assert bool(worse(new, old, Bounds(), at_end=True)) == bool(expected)


def test_other_work_of_the_computer() -> None:
    """Frames that take long for a while, not most of the time, are not the network's fault; nor before the end."""
    new = did()
    new.blocks_ms[:50] = [40.0] * 50
    assert worse(new, did(), Bounds(), at_end=True) == ""
    assert worse(did(ms=40.0), did(), Bounds(), at_end=False) == ""


def test_looks() -> None:
    """The share of those not named is compared after 20, 40, 80 ... garments, not after each: chance has few tries."""
    new = did(19, 19)
    assert worse(new, did(), Bounds(), at_end=False) == ""
    assert worse(did(20, 20), did(), Bounds(), at_end=False)
    assert worse(replace(did(39, 39), next_look=40), did(), Bounds(), at_end=False) == ""


def test_chance_alone_takes_nothing_back() -> None:
    """Of 400 probations of a network that is as good as before, with all their looks, none or nearly none is failed."""
    dice, failed = random.Random(0), 0
    for _ in range(400):
        old = did(60)
        old.unsure = [int(dice.random() < 0.3) for _ in range(60)]
        stream = [int(dice.random() < 0.3) for _ in range(160)]
        looks = [Conduct(600, [], stream[:count]) for count in (20, 40, 80, 160)]
        failed += any(worse(new, old, Bounds(unsure=0.01), at_end=True) for new in looks)
    assert failed <= 4


@pytest.mark.parametrize(
    ("hits", "n", "other_hits", "other_n", "p"),
    [(8, 10, 1, 6, 0.0245), (3, 4, 1, 4, 0.2429), (0, 5, 3, 5, 1.0), (5, 5, 0, 5, 1 / 252)],
)
def test_fisher(hits: int, n: int, other_hits: int, other_n: int, p: float) -> None:
    """The one-sided p of Fisher's exact test, the lady tasting tea's among them (1935)."""
    assert hypergeometric_tail(hits, n, other_hits, other_n) == pytest.approx(p, abs=1e-4)


def test_binomial() -> None:
    """The tail of the binomial distribution: three heads of three, and everything at all."""
    assert binomial_tail(3, 3, 0.5) == pytest.approx(0.125)
    assert binomial_tail(0, 50, 0.3) == pytest.approx(1)
    assert [binomial_tail(1, 3, 0.0), binomial_tail(3, 3, 1.0)] == [0, 1]
    assert binomial_tail(1000, 2000, 0.5) == pytest.approx(0.5089, abs=1e-4)
    assert binomial_tail(40_000, 50_000, 0.5) == pytest.approx(0)


# --- What is counted -------------------------------------------------------------------------


def one(state: str) -> StandingAnswer:
    """An answer where one garment at most is looked for."""
    return StandingAnswer(state, "Coat" if state == "garment" else None, 0.9, False)


def many(*named: tuple[int, bool], held: bool = True) -> StandingAnswer:
    """An answer with garments by their numbers, each named or not."""
    of_all = tuple(standing("Coat", (0, 0, 9, 9), accepted=accepted, id=id_, held=held) for id_, accepted in named)
    return StandingAnswer("garment", "Coat", 0.9, False, garments=of_all, several=True)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([one("none")] * 3, []),
        ([one("unknown")] * 50 + [one("none")], [1]),
        ([one("unknown"), one("garment"), one("unknown"), one("none")], [0]),
        ([one("garment"), one("none"), one("unknown"), one("none")], [0, 1]),
        ([one("garment")] * 5, []),  # in view still
        ([many((1, False), (2, True)), many((2, False)), many()], [1, 0]),
        ([many((1, False)), many((1, True)), many((2, False)), many()], [0, 1]),
        ([many((1, False), held=False), many()], []),
    ],
)
def test_each_garment_counts_once(answers: list[StandingAnswer], expected: list[int]) -> None:
    """However many frames a garment is in, it counts once, when it has gone: 1 where it was never named."""
    view = InView()
    assert [gone for answer in answers for gone in view.take(answer)] == expected


def test_timer() -> None:
    """Five seconds of frames are one figure, their median; a pause is no time in which frames were answered."""
    timer, mine = Timer(), Conduct()
    for number in range(60):
        timer.take(number / 10, 10.0 if number % 2 else 30.0, mine)
    assert mine.blocks_ms == [20.0] or mine.blocks_ms == [30.0]
    timer.take(1000.0, 10.0, mine)
    assert mine.seconds == pytest.approx(5.9 + conduct.LONGEST_STEP_S)


def test_record_there_and_back() -> None:
    """What is written is read again."""
    conduct.write(Path("x.json"), {".": did(5, 2)})
    assert conduct.read(Path("x.json")) == {".": did(5, 2)}


# --- Before the camera -----------------------------------------------------------------------


class Camera:
    """A watch over a model's networks, its clock turned by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.watch = Watch("0", clock=lambda: self.now_s)
        self.told: list[str] = []
        self._networks: dict[Path, Any] = {}
        self.take_up()

    def take_up(self) -> None:
        """Use what is in force, as the camera does."""
        place = current.place_of(SHOP)
        self.watch.use(self._networks.setdefault(place, SimpleNamespace(name="shop", source=place / "int8.xml")))

    def run(self, garments: int, *, unsure_every: int, ms: float = 10.0, seconds_each: float = 6.0) -> None:
        """So many garments are shown, of which every so-manieth is never named."""
        for number in range(garments):
            state = "unknown" if unsure_every and number % unsure_every == 0 else "garment"
            for answer in (one(state), one("none")):
                for _ in range(3):
                    self.now_s += seconds_each / 6
                    self.watch.answered(ms, answer)
            self.poll()

    def poll(self) -> None:
        thread = self.watch._thread
        if thread is not None:
            thread.join()
        if told := self.watch.poll():
            self.told.append(told)

    def settle(self) -> None:
        """Look at once, and take over what was found."""
        for _ in range(3):
            self.now_s += watching.CHECK_S
            self.poll()
        if self.watch._thread:
            self.watch._thread.join()
        self.poll()


def go_live(content: str, minutes: int = 10) -> str:
    place = revisions.next_place(SHOP)
    make(place, content)
    made = revisions.record(SHOP, place, revisions.Origin()).id
    return revisions.switch(SHOP, made, probation_s=60 * minutes).id


def in_force() -> str:
    return current.current_id(SHOP)


def test_worse_revision_is_taken_back() -> None:
    """A revision that is not sure far more often is taken back by itself, with the reason told once and kept."""
    make(SHOP)
    camera = Camera()
    camera.run(60, unsure_every=10)
    second = go_live("second")
    camera.take_up()
    camera.settle()
    assert (SHOP / "current").read_text() == f"{second}\n"
    camera.run(60, unsure_every=1)
    camera.settle()
    assert in_force() == "."
    assert len(camera.told) == 1
    assert f"{second} of shop is taken back, . is in force again: not sure of 100%" in camera.told[0]
    ended = probation.last(SHOP)
    assert ended is not None
    assert ended.state == "rolled back"
    camera.take_up()
    assert camera.watch.running.revision == "."
    assert f"{second} was taken back: not sure of 100%" in camera.watch.running.taken_back
    assert not camera.watch.running.probation
    assert camera.watch.rollbacks == 1


@pytest.mark.parametrize("minutes", [10])
def test_good_revision_passes(minutes: int) -> None:
    """A revision that does as well as the one before is on probation for ten minutes of the camera, and passes."""
    make(SHOP)
    camera = Camera()
    camera.run(60, unsure_every=10)
    second = go_live("second")
    camera.take_up()
    camera.run(95, unsure_every=8)
    assert camera.watch.running.probation
    camera.run(20, unsure_every=8)
    camera.settle()
    assert (in_force(), camera.told) == (second, [])
    ended = probation.last(SHOP)
    assert ended is not None
    assert (ended.state, camera.watch.running.probation) == ("passed", False)
    assert "not sure of" in ended.why


@pytest.mark.parametrize("minutes", [1, 720, probation.MOST_MINUTES])
def test_every_probation_ends(minutes: int) -> None:
    """However long a probation may be, it lasts so long and no longer, also where nobody looks as the time is up."""
    make(SHOP)
    camera = Camera()
    go_live("second", minutes)
    camera.take_up()
    camera.settle()
    camera.watch._conduct.seconds = 60.0 * minutes - 20.5
    camera.run(3, unsure_every=0)
    camera.settle()
    assert camera.watch.running.probation
    for _ in range(100_000):
        camera.watch._conduct.add(1.0)
    camera.run(1, unsure_every=0)
    camera.settle()
    ended = probation.last(SHOP)
    assert ended is not None
    assert (ended.state, camera.told) == ("passed", [])


def test_slower_revision_is_taken_back() -> None:
    """A revision whose frames take twice as long is taken back at the end of its ten minutes."""
    make(SHOP)
    camera = Camera()
    camera.run(60, unsure_every=10)
    go_live("second")
    camera.take_up()
    camera.run(115, unsure_every=10, ms=22.0)
    camera.settle()
    assert in_force() == "."
    assert "a frame took 22.0 ms, before 10.0 ms" in camera.told[0]


def test_across_a_restart() -> None:
    """What the old revision did, and the new one so far, is known after a restart of the camera too."""
    make(SHOP)
    first = go_live("first")
    before = Camera()
    before.run(60, unsure_every=10)
    before.watch.close()
    go_live("second")
    told = []
    for _ in range(3):
        camera = Camera()
        camera.settle()
        camera.run(15, unsure_every=1)
        camera.settle()
        camera.watch.close()
        told += camera.told
    assert len(told) == 1
    assert "not sure of 100% of " in told[0]
    assert in_force() == first


def test_earlier_stay_does_not_count() -> None:
    """A revision that was taken back and is installed again begins its probation anew."""
    make(SHOP)
    camera = Camera()
    camera.run(60, unsure_every=10)
    second = go_live("second")
    camera.take_up()
    camera.settle()
    camera.run(60, unsure_every=1)
    camera.settle()
    camera.take_up()
    camera.run(5, unsure_every=10)
    revisions.switch(SHOP, second, probation_s=600)
    camera.take_up()
    camera.settle()
    camera.run(60, unsure_every=10)
    camera.settle()
    assert (in_force(), len(camera.told)) == (second, 1)


def test_silent_network_is_taken_back() -> None:
    """A revision that answers no frame is taken back at once, whatever is known of the one before."""
    make(SHOP)
    go_live("second")
    camera = Camera()
    camera.settle()
    for number in range(30):
        camera.watch.silent(new=number == 0)
    camera.settle()
    assert "it gave no answer to 30 frames in a row" in camera.told[0]
    assert in_force() == "."


def test_revision_that_cannot_be_loaded() -> None:
    """While it runs and at its start: what is on probation and cannot be loaded is taken back; what is not, stays."""
    make(SHOP)
    camera = Camera()
    second = go_live("second")
    camera.watch.not_loaded("int8.xml was altered")
    camera.settle()
    assert "it cannot be loaded (int8.xml was altered)" in camera.told[0]
    assert in_force() == "."
    camera.watch.not_loaded("int8.xml was altered")
    camera.settle()
    assert len(camera.told) == 1
    revisions.switch(SHOP, second, probation_s=600)
    assert "it cannot be loaded (broken)" in back_after_failed_load("shop", BadInputError("broken"))
    assert in_force() == "."
    for model in ("shop", "nothing", "http://127.0.0.1:1/v2/models/shop"):
        assert back_after_failed_load(model, BadInputError("broken")) == ""


def test_revision_that_is_no_longer_in_force_is_not_taken_back() -> None:
    """What was found out about a revision says nothing of another that somebody has put in force meanwhile."""
    make(SHOP)
    go_live("second")
    on = probation.running(SHOP)
    assert on is not None
    third = go_live("third")
    assert watching._take_back(SHOP, on, "it was worse") == ("", False)
    assert in_force() == third


def test_nothing_is_written_beside_a_bundle_without_history() -> None:
    """Beside a plain bundle the camera writes no file."""
    make(SHOP)
    before = {path.name for path in SHOP.iterdir()}
    camera = Camera()
    camera.run(20, unsure_every=2)
    camera.watch.close()
    assert {path.name for path in SHOP.iterdir()} == before


def test_rollback_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk cannot be written the camera says so and goes on, and does it once it can."""
    make(SHOP)
    go_live("second")
    camera = Camera()
    camera.settle()
    camera.watch.silent(new=True)
    camera.watch._conduct.silent = 40

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(revisions, "write_whole", full)
        camera.settle()
    assert "cannot be taken back: No space left on device" in camera.told[0]
    camera.settle()
    assert in_force() == "."


def test_what_runs() -> None:
    """What runs is told by model, revision and hash; of what is no bundle of this machine its name alone."""
    make(SHOP)
    assert running("shop", SHOP / "int8.xml") == Running("shop", None, running("shop", SHOP / "int8.xml").sha256)
    second = go_live("second")
    found = running("shop", SHOP / "revisions" / second / "int8.xml")
    assert (found.revision, found.probation) == (second, True)
    assert found.as_json() == {"model": "shop", "revision": second, "sha256": found.sha256, "probation": True}
    assert running("shop", SHOP / "int8.xml").revision == "."
    assert running("far", None) == running("far", Path("loose.xml")) == Running("far")


# --- In the loop -----------------------------------------------------------------------------


class Endless:
    """A source of grey pictures, as many as are wanted."""

    live, state, reason, fps, apart, losses = False, "live", "", 30.0, False, 0

    def __init__(self) -> None:
        self.number = -1

    def read(self, timeout_s: float) -> Frame | None:
        self.number += 1
        time.sleep(0.002)
        return Frame(image=np.full((64, 64, 3), 128, np.uint8), number=self.number, time_s=time.monotonic())

    def reopen(self, reason: str) -> None:
        raise AssertionError("nobody asks for that")

    def close(self) -> None:
        pass


def test_before_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """A running camera takes a new revision up; one that answers nothing is taken back within moments, an event says
    why, and the camera goes on with the one before. Every event says what gave the answers."""
    edge(SHOP)
    for module, name in ((file_watch, "LOOK_S"), (file_watch, "SETTLE_S"), (watching, "CHECK_S")):
        monkeypatch.setattr(module, name, 0.05)
    stop, heard = threading.Event(), Heard()

    def predict(classifier: Classifier, *given: Any, **options: Any) -> Any:
        assert classifier.source is not None
        if classifier.source.parent != SHOP:
            raise RuntimeError("it is broken")
        return predict_it(classifier, *given, **options)

    monkeypatch.setattr(answers, "predict", predict)
    live: list[str] = []

    def on_answer(frame: Frame, _: object) -> None:
        if frame.number == 20:
            place = revisions.next_place(SHOP)
            edge(place, 2)
            live.append(revisions.record(SHOP, place, revisions.Origin()).id)
            revisions.switch(SHOP, live[0], probation_s=600)
        if any(event.reason == "revision: works again" for event in heard.events) or frame.number > 20_000:
            stop.set()

    watch = Watch("0")
    loop.run(Networks([str(SHOP)]), Endless(), stop=stop, events=[heard], on_answer=on_answer, probation=watch)
    assert in_force() == "."
    told = [event for event in heard.events if event.reason]
    taken_back = next(event for event in told if f"revision: {live[0]} of shop is taken back" in str(event.reason))
    assert "it gave no answer to" in str(taken_back.reason)
    assert taken_back.network is not None
    assert (taken_back.state, taken_back.network["revision"], taken_back.network["probation"]) == (
        "fault",
        live[0],
        False,
    )
    assert heard.events[0].network is not None
    assert heard.events[0].network["revision"] is None
    assert heard.events[-1].network is not None
    assert heard.events[-1].network["revision"] == "."
    assert watch.running.taken_back.startswith(f"{live[0]} was taken back: it gave no answer")
