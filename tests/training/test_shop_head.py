"""The head that a shop's labels are taught to: what it learns, and how it is gone on with."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from helpers.damaged import DAMAGED
from helpers.photos import put

from edgefashion.bundles import draft, resolve
from edgefashion.bundles.facts import Thresholds
from edgefashion.data.photo_folders import Photo
from edgefashion.data.senders import hashed
from edgefashion.errors import BadInputError
from edgefashion.inference.head import Head
from edgefashion.inference.taught import Taught
from edgefashion.labels import PHOTO_LABELS
from edgefashion.training import shop_head, shop_kinds, shop_material, shop_report, shop_rule
from edgefashion.training.shop_head import HeadOptions, Lessons, State
from edgefashion.training.shop_progress import Kept
from edgefashion.training.shop_school import School

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 16
OPTIONS = HeadOptions(epochs=20, batch_size=32, learning_rate=0.02)


def lessons(count: int, classes: int = 4) -> Lessons:
    """Pictures of so many classes, each with a feature of its own that is large."""
    rng = np.random.default_rng(0)
    names = np.arange(count) % classes
    features = rng.random((count, SIZE), np.float32)
    features[np.arange(count), names] += 2
    return Lessons(features, np.eye(classes, dtype=np.bool_)[names], np.ones(count, np.float32))


START = Head(np.zeros((SIZE, 4), np.float32), np.zeros(4, np.float32))


def test_it_learns_and_is_drawn_to_its_start() -> None:
    """A head learns what it is shown; the more a difference costs, the less it differs from its start."""
    of = lessons(120)
    apart = []
    for drawn in (0.001, 0.1, 10.0):
        head = shop_head.fit(START, of, OPTIONS.but(drawn=drawn)).head
        apart.append(float(np.abs(head.weights).sum()))
        if drawn == 0.001:
            assert (head(of.features).argmax(1) == of.right.argmax(1)).mean() > 0.98
    assert apart == sorted(apart, reverse=True)


def test_a_group_is_taught_as_the_sum_of_its_members() -> None:
    """Of a picture of which two labels are right, their sum becomes likely, and neither is pressed on it."""
    of = lessons(80)
    right = of.right.copy()
    right[:, 1] |= right[:, 0]
    right[:, 0] |= right[:, 1]
    head = shop_head.fit(START, Lessons(of.features, right, of.weight), OPTIONS).head
    likely = head(of.features)[of.right[:, 0]]
    assert likely[:, :2].sum(1).min() > 0.5


@pytest.mark.parametrize("stop", [1, 7, 19])
def test_a_training_that_goes_on_ends_as_an_unbroken_one(tmp_path: Path, stop: int) -> None:
    """Interrupted after any epoch, kept on disk and read again, it ends with the very same weights."""
    of = lessons(90)
    whole = shop_head.fit(START, of, OPTIONS).head
    kept = Kept.at(tmp_path / "shop", "run", resume=False)
    kept.state = State.begin(START)

    def interrupt(done: int, *_: Any) -> None:
        if done == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop_head.fit(START, of, OPTIONS, kept.state, interrupt)
    kept.heads.append(START)
    kept.save()
    again = Kept.at(tmp_path / "shop", "run", resume=True)
    assert again.state is not None
    assert (again.state.epoch, len(again.heads)) == (stop, 1)
    assert (shop_head.fit(START, of, OPTIONS, again.state).head.weights == whole.weights).all()


def test_what_cannot_be_gone_on_with(tmp_path: Path) -> None:
    """Another run's, or a broken file: each is refused in a sentence that says how to begin anew. Where nothing was
    kept it begins, and says so."""
    file = Kept.at(tmp_path / "shop", "run", resume=False).file
    file.parent.mkdir()
    misfits: dict[str, Any] = {"key": "run", "count": 1, "head0_weights": np.zeros((7, 3)), "head0_bias": np.zeros(4)}
    assert "it has begun at the beginning" in (Kept.at(tmp_path / "shop", "run", resume=True).note or "")
    for content in (*DAMAGED.values(), None):
        if content is None:
            np.savez(file, **misfits)
        else:
            file.write_bytes(content)
        with pytest.raises(BadInputError, match="Leave --resume out"):
            Kept.at(tmp_path / "shop", "run", resume=True)
    Kept.at(tmp_path / "shop", "run", resume=False).save()
    with pytest.raises(BadInputError, match="are others than those"):
        Kept.at(tmp_path / "shop", "another", resume=True)
    Kept.forget(tmp_path / "shop")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("senders", "labels", "epochs", "same"),
    [
        ("aabb", "PHPH", 20, True),
        ("ccdd", "PHPH", 20, True),  # others by name, parted alike
        ("abba", "PHPH", 20, False),  # sorted into day folders meanwhile
        ("aabc", "PHPH", 20, True),
        ("aaba", "PHPH", 20, False),  # all of H are of one day now
        ("aabb", "PHHP", 20, False),
        ("aabb", "PHPH", 21, False),
    ],
)
def test_what_makes_a_run_another(senders: str, labels: str, epochs: int, same: bool) -> None:
    """A run is gone on with where pictures, labels, options and what is held out are the same."""
    start = resolve.resolve("kiosk").bundle
    assert start is not None
    rows = np.random.default_rng(0).random((4, shop_material.VIEWS, 1280), np.float32)
    own = Taught.of(rows[:, 0], ["Coat"] * 4, held=True)

    def key(senders: str, labels: str, epochs: int) -> str:
        photos = [
            Photo(Path(f"{n}.jpg"), label, who) for n, (label, who) in enumerate(zip(labels, senders, strict=True))
        ]
        shop = shop_material.Shop(photos, rows, [])
        of = shop_material.network_labels(shop.labels)
        return School(start, shop, shop_material.folds_of(photos), own, of, OPTIONS.but(epochs=epochs)).key()

    assert (key(senders, labels, epochs) == key("aabb", "PHPH", 20)) is same


def test_a_new_label_begins_as_what_the_start_takes_it_for() -> None:
    """Its weights are the mixture of the labels that the start gives its pictures; the last two labels stay last."""
    rng = np.random.default_rng(0)
    start = Head(rng.random((SIZE, 4), np.float32), rng.random(4, np.float32))
    wide = shop_head.widened(start, np.array([[1, 0, 0, 0]], np.float32))
    assert wide.weights[:, 2] == pytest.approx(start.weights[:, 0])
    assert wide.bias[2] == pytest.approx(start.bias[0] - 1)
    assert (wide.weights[:, [0, 1, 3, 4]] == start.weights).all()


@pytest.mark.parametrize(
    ("senders", "always"),
    [
        ({"A": "abc", "B": "abc"}, []),
        ({"A": "abcdefg", "B": "ab"}, []),
        ({"A": "a", "B": "abc"}, ["A"]),
        ({"A": "ab", "B": "c", "C": "d"}, ["B", "C"]),
        ({"A": "ac", "B": "ab", "C": "bc"}, []),  # days that overlap: two of them have all photos of a label
        ({"A": "ab", "B": "ac", "C": "ad", "D": "bc", "E": "bd", "F": "cd", "G": "a"}, ["G"]),
        ({"A": "ab", "B": "abcdefg", "C": "cd", "D": "df", "E": "ae"}, []),
        ({"".join(two): "".join(two) for two in itertools.combinations("abcdefg", 2)}, []),
    ],
)
def test_what_is_held_out_is_held_out_by_sender(senders: dict[str, str], always: list[str]) -> None:
    """Of every sender all photos are in one fold, each fold has some, and a label of one sender always teaches. Every
    label teaches in every training, in the one that ships too."""
    photos = [Photo(Path(f"{n}.jpg"), label, who) for label, by in senders.items() for who in by for n in range(6)]
    folds = shop_material.folds_of(photos)
    assert folds.one_sender == always
    for who in "abcdefg":
        here = {int(f) for f, p in zip(folds.fold, photos, strict=True) if p.sender == who and p.label not in always}
        assert len(here) <= 1
    assert {int(f) for f in folds.fold if f >= 0} == set(range(folds.count))
    assert all((f == -1) == (p.label in always) for f, p in zip(folds.fold, photos, strict=True))
    for held in range(folds.count):
        assert {p.label for f, p in zip(folds.fold, photos, strict=True) if f != held} == {*senders}


class _Looks:
    """Stands for a network: of a picture it sees how bright its colours are."""

    network, size = "none", 3

    def __call__(self, views: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(views.mean((1, 2)), np.float32)


@pytest.mark.parametrize(
    ("folders", "count"), [(["shop"], 10), (["shop", "shop/"], 10), (["shop", "{here}/shop"], 10), ([".", "shop"], 20)]
)
def test_a_photo_teaches_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: list[str], count: int) -> None:
    """A photo has one row of features under each label, also where a folder is given twice or lies in another one."""
    monkeypatch.chdir(tmp_path)
    put(tmp_path, *(f"shop/{label}/{n}.png" for label in ("Polo", "Hoodie") for n in range(5)))
    network: Any = _Looks()
    shop = shop_material.gather([Path(name.format(here=tmp_path)) for name in folders], network)
    assert (len(shop.photos), shop.features.shape) == (count, (count, shop_material.VIEWS, 3))
    assert len({(photo.path.resolve(), photo.label) for photo in shop.photos}) == count


RULE = Thresholds(0.5, "961 garments", floors={"T-shirt/top": 0.6, "Coat": 0.7}, worn_floors={"T-shirt/top": 0.8})


@pytest.mark.parametrize(("count", "floor"), [(15, 0.6), (53, 0.6), (54, None), (200, None)])
def test_a_floor_is_chosen_on_enough_pictures_alone(count: int, floor: float | None) -> None:
    """With fewer than 54 held-out pictures a new label has the floor of what the start takes it for, and the rule says
    so with the numbers; with more it has its own. The others keep theirs, and the threshold stays."""
    labels = (*PHOTO_LABELS[:-2], "Polo", *PHOTO_LABELS[-2:])
    answers = np.full((count + 100, len(labels)), 0.001, np.float32)
    answers[:count, labels.index("Polo")] = np.linspace(0.5, 0.99, count)
    answers[count:, labels.index("Coat")] = 0.95
    truths = [("Polo",)] * count + [("Coat",)] * 100
    rule = shop_rule.choose(RULE, {"Polo": "T-shirt/top"}, labels, answers, truths, count)
    found = rule.thresholds
    assert found.floors is not None
    assert found.worn_floors is not None
    assert (found.accept, found.floors["Coat"], found.worn_floors["T-shirt/top"]) == (0.5, 0.7, 0.8)
    if floor is None:
        assert "chosen: Polo" in rule.words
        assert found.floors["Polo"] == 0.5  # all of them are right
    else:
        assert f"kept from the start: Polo {floor:g} ({count})" in rule.words
        assert (found.floors["Polo"], found.worn_floors["Polo"]) == (floor, 0.8)


@pytest.mark.parametrize("given", [{"epochs": 0}, {"epochs": 1001}, {"seed": -1}])
def test_options_out_of_range(given: dict[str, int]) -> None:
    """An option that cannot be is refused with its flag's name."""
    with pytest.raises(BadInputError, match=f"--{next(iter(given))}"):
        HeadOptions(**given)


class _School:
    """A school of one new label, whose photos the start takes for coats mostly."""

    labels = (*PHOTO_LABELS[:-2], "Blazer", *PHOTO_LABELS[-2:])
    new = ("Blazer",)
    means: ClassVar = {"Blazer": np.eye(12, dtype=np.float32)[4] * 0.7 + np.eye(12, dtype=np.float32)[10] * 0.3}

    def __init__(self, names: list[str]) -> None:
        none = np.zeros((len(names), 1), np.float32)
        self.pinned = Taught(none, names, np.ones(len(names), np.bool_))


@pytest.mark.parametrize(
    ("name", "called", "named", "left_out", "says"),
    [
        ("Coat", 3, True, 3, "Coat: 3 of 10 pictures are called Blazer now, which is right where it is a kind of Coat"),
        ("Coat", 6, True, 0, "most of them: that is a loss"),
        ("Dress", 3, True, 0, None),
        ("Unknown", 3, True, 3, "Unknown: 3 of 10"),
        ("Unknown", 3, False, 0, None),
        ("Coat", 0, True, 0, None),
    ],
)
def test_a_new_label_that_is_a_kind_of_an_old_one(
    name: str, called: int, named: bool, left_out: int, says: str | None
) -> None:
    """Of an old label's pictures those that get the name of a possible kind of it are told and not counted; of a label
    that it is no kind of, or where most are swallowed, they are losses."""
    school: Any = _School([name] * 10)
    answers = np.full((10, 13), 0.01, np.float32)
    answers[:, school.labels.index(name)] = 0.8
    answers[:called, school.labels.index("Blazer")] = 0.9
    which, told = shop_kinds.renamed(school, answers, np.full(10, named))
    assert int(which.sum()) == left_out
    assert [words for words in told if says and says in words] == told
    assert bool(told) == (says is not None)


def test_what_the_network_in_force_has_learned_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that it has learned from is told by its hash. It is the network at the path that is given, and no model
    of that name in ``./models``."""
    monkeypatch.chdir(tmp_path)
    start = resolve.resolve("kiosk").bundle
    assert start is not None
    told = {"start_sha256": start.sha256_of("fp16"), "learned_from": [hashed("till 2026-11-02")]}
    with draft.draft(Path("shop"), start) as making:
        making.facts = making.facts._replace(others={"taught": told})
    shutil.copytree(start.path, "models/shop")
    photos = [Photo(Path("a.jpg"), "Coat", sender) for sender in ("till 2026-11-02", "till 2026-11-03")]
    school: Any = SimpleNamespace(start=start, shop=SimpleNamespace(photos=photos), head=None)
    before = shop_report._Before.of(school, Path("shop"))
    assert (before.name, before.new_to_it.tolist()) == ("shop", [False, True])


@pytest.mark.parametrize(
    ("first", "second", "alike", "pairs"),
    [
        ("Polo", "Tie", True, 1),
        ("Polo", "Polo", True, 0),
        ("Polo", "Tie", False, 0),
        ("Footwear", "Sneaker", True, 0),
        ("Sandal", "Sneaker", True, 1),
        ("Unknown", "Polo", True, 1),
    ],
)
def test_one_picture_under_two_labels(first: str, second: str, alike: bool, pairs: int) -> None:
    """A picture that is there under another label too is found, once; a kind of shoe is a shoe."""
    photos = [Photo(Path(f"{label}.jpg"), label, "monday") for label in (first, second)]
    seen = np.ones((2, 1, 4), np.float32)
    seen[1, 0, :2] *= 1 if alike else -1
    found = shop_material.contradicted(shop_material.Shop(photos, seen, []))
    assert [(a.label, b.label) for a, b in found] == [(first, second)] * pairs
