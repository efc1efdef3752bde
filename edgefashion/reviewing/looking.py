"""The network looks at every picture of the folder, in the background: what it says of each, and what it sees in it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import resolve
from edgefashion.bundles.bundle import INFO
from edgefashion.bundles.current import PLAIN, model_dir_of
from edgefashion.bundles.places import PHOTO_MODEL
from edgefashion.data.label_names import folder_of_label
from edgefashion.errors import BadInputError, EdgeFashionError
from edgefashion.inference import preprocess
from edgefashion.inference.collected_view import read_garment
from edgefashion.inference.features import BATCH, KEPT_IN, Features, Kept, key_of
from edgefashion.inference.load import load
from edgefashion.inference.predict import answer_of
from edgefashion.labels import NO_GARMENT, UNKNOWN
from edgefashion.system.files import sha256
from edgefashion.system.server_log import complain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgefashion.bundles.bundle import Bundle
    from edgefashion.data.collected import Facts, Picture
    from edgefashion.inference.classifier import Classifier
    from edgefashion.reviewing.watched_folder import WatchedFolder

ANSWERS_IN: Final = ".answers.npz"
"""The file in a folder of photos that keeps what the network said of them."""

AGAIN_S: Final = 2.0
"""Between two looks for new pictures."""

FAILED_S: Final = 10.0
"""Before it is tried again where it has failed."""

_SAVED_EVERY: Final = 40
"""Batches: so much is lost at most where the power fails."""


class Looking:
    """Looks at the pictures of a folder until it is closed, new ones too. Answers at once from what it has seen.

    What it sees is kept in the folder, and found again after a restart.

    Features are always those of the network that teaching starts from: so teaching finds them, too, and has nothing
    left to compute. What is said of a picture comes from the network that is in use; where another takes its place, all
    are looked at again.

    Args:
        folder: whose pictures.
        model: a bundle of a photo network, by name or path. Where there is none yet, the one that ships looks.

    Raises:
        BadInputError: a bundle of another kind of network.
    """

    def __init__(self, folder: WatchedFolder, model: str) -> None:
        self._folder, self._model = folder, model
        self._bundle = self._in_use()
        self.done = 0
        """Pictures looked at, of those that are there."""
        self.failure = ""
        """Why nothing is looked at; empty while it goes on."""
        self.unread: set[str] = set()
        """Keys of pictures that cannot be read."""
        self.changes = 0
        """Another number whenever another network looks."""
        self._features: Kept | None = None
        self._answers: Kept | None = None
        self._said: dict[str, tuple[str, float]] = {}
        self._rule: Any = None
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="looking", daemon=True)

    @property
    def labels(self) -> tuple[str, ...]:
        """What the network can say."""
        return self._bundle.labels

    def _in_use(self) -> Bundle:
        known = resolve.is_model(self._model) or len(Path(self._model).parts) > 1
        return _bundle_of(self._model if known else PHOTO_MODEL)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and keep what was seen."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(20)

    def says(self, picture: Picture) -> tuple[str, float] | None:
        """The name that the network gives a picture, as its label's folder is called, and how sure it is from 0 to 1.

        What the camera noted comes first, where it used the same network: it saw the garment longer. None while nobody
        has looked.
        """
        facts = self._folder.facts(picture)
        noted = (
            None if facts is None or not facts.model else (_folder_name(facts.label or NO_GARMENT), facts.confidence)
        )
        return noted if noted and self._is_of(facts) else self._own(picture) or noted

    def _is_of(self, facts: Facts | None) -> bool:
        """True if the network in use has noted this."""
        path = self._bundle.path
        in_use = PLAIN if model_dir_of(path) in (None, path) else path.name
        return facts is not None and facts.model == self._bundle.name and (facts.revision or PLAIN) == in_use

    def _own(self, picture: Picture) -> tuple[str, float] | None:
        key = _key(picture)
        if key not in self._said and (row := self._row(self._answers, key)) is not None:
            self._said[key] = self._named(row)
        return self._said.get(key)

    def top(self, picture: Picture) -> list[tuple[str, float]]:
        """The likeliest names with their shares, the likeliest first; empty while nobody has looked."""
        if (facts := self._folder.facts(picture)) is not None and facts.top and self._is_of(facts):
            return [(_folder_name(label), share) for label, share in facts.top]
        row = self._row(self._answers, _key(picture))
        if row is None:
            return []
        return [(_folder_name(self.labels[i]), float(row[i])) for i in row.argsort()[::-1][:3]]

    def seen(self, pictures: Sequence[Picture]) -> tuple[list[Picture], NDArray[np.float32]]:
        """Those of the pictures that were looked at, and their features float32 (n, d), each of length 1."""
        found = [
            (picture, row) for picture in pictures if (row := self._row(self._features, _key(picture))) is not None
        ]
        if not found:
            return [], np.empty((0, 0), np.float32)
        rows = np.stack([row for _, row in found])
        return [picture for picture, _ in found], rows / np.maximum(1e-9, np.linalg.norm(rows, axis=1, keepdims=True))

    def _named(self, row: NDArray[np.float32]) -> tuple[str, float]:
        """What probabilities (classes,) say: none of the labels, too, where that is likelier than any of them."""
        shares = dict(zip(self.labels, map(float, row), strict=True))
        answer = answer_of(row, self.labels, self._rule, 1)
        if answer is None:
            return NO_GARMENT, shares[NO_GARMENT]
        if answer.confidence < shares.get(UNKNOWN, 0.0):
            return UNKNOWN, shares[UNKNOWN]
        return _folder_name(answer.label), answer.confidence

    def _row(self, kept: Kept | None, key: str) -> NDArray[np.float32] | None:
        if kept is None:
            return None
        with self._lock:
            return kept[key] if key in kept else None  # noqa: SIM401  # it has no get()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self._look()
            except EdgeFashionError as error:
                self.failure = str(error)
            except Exception as error:  # a thread has nobody to raise to: the page says that it has ended
                self.failure = "the network cannot be run here: see the terminal"
                complain("looking at the pictures", error, "review")
            self._end.wait(FAILED_S)  # a network that is just being replaced is there soon

    def _look(self) -> None:
        features = Features(_bundle_of(PHOTO_MODEL))
        self._features = Kept(self._folder.path / KEPT_IN, features.network, features.size)
        while not self._end.is_set():
            bundle = self._in_use()
            classifier = load(bundle.path)
            self._take(bundle, classifier)
            while not self._look_at_all(features, classifier) and not self._end.wait(AGAIN_S):
                if not _is_same(self._in_use(), bundle):
                    break

    def _take(self, bundle: Bundle, classifier: Classifier) -> None:
        """Have another network's word count."""
        whose = f"{_stamp(bundle)} {classifier.precision}"
        answers = Kept(self._folder.path / ANSWERS_IN, whose, len(bundle.labels))
        with self._lock:
            self._bundle, self._rule, self._answers, self._said = bundle, classifier.rule, answers, {}
            self.changes += 1
            self.failure = ""

    def _look_at_all(self, features: Features, classifier: Classifier) -> bool:
        """Look at every picture that nobody has looked at; True where it was to end meanwhile."""
        assert self._features is not None
        assert self._answers is not None
        for number, part in enumerate(_parts(self._left())):
            if self._end.is_set():
                break
            views = [(key, view) for path, key in part if (view := self._view(path, key)) is not None]
            if views:
                pixels = np.stack([view for _, view in views])
                rows, answers = features(pixels), classifier(pixels)
                with self._lock:
                    for (key, _), row, answer in zip(views, rows, answers, strict=True):
                        self._features[key], self._answers[key] = row, answer
            self.done += len(part)
            if number % _SAVED_EVERY == _SAVED_EVERY - 1:
                self._save()
        self._save()
        return self._end.is_set()

    def _left(self) -> list[tuple[Path, str]]:
        """The pictures that nobody has looked at, with their keys."""
        assert self._features is not None
        assert self._answers is not None
        now, left = self._folder.now(), []
        for picture in (*now.undecided, *now.decided):
            key = _key(picture)
            with self._lock:
                if key and key not in self.unread and not (key in self._features and key in self._answers):
                    left.append((picture.path, key))
        self.done = len(now.undecided) + len(now.decided) - len(left)
        return left

    def _view(self, path: Path, key: str) -> NDArray[np.uint8] | None:
        try:
            return preprocess.view(read_garment(path))
        except BadInputError:
            if path.exists():  # else it was moved just now
                self.unread.add(key)
            return None

    def _save(self) -> None:
        for kept in (self._features, self._answers):
            if kept is not None:
                with self._lock:
                    kept.save()


def _bundle_of(model: str) -> Bundle:
    bundle = resolve.resolve(model).bundle
    if bundle is None or not bundle.takes_photos:
        raise BadInputError(f"{model} is no bundle of a photo network. Use {PHOTO_MODEL}, or one made from it")
    return bundle


def _stamp(bundle: Bundle) -> str:
    """What tells a network that was put in the place of another."""
    return sha256(bundle.path / INFO)


def _is_same(one: Bundle, other: Bundle) -> bool:
    return one.path == other.path and _stamp(one) == _stamp(other)


def _key(picture: Picture) -> str:
    """What its features are found by; empty where it is gone."""
    try:
        return key_of(picture.path)
    except OSError:
        return ""


def _folder_name(label: str) -> str:
    """A network's label as its folder is called. What can be no folder's name, as in a file that is not ours, is none
    of the labels."""
    try:
        return folder_of_label(label)
    except BadInputError:
        return UNKNOWN


def _parts(items: list[tuple[Path, str]]) -> list[list[tuple[Path, str]]]:
    return [items[at : at + BATCH] for at in range(0, len(items), BATCH)]
