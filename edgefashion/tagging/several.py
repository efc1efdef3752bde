"""A picture of several garments: a finder looks at it, and the network names what it found, where it was decoded.

How often the network is asked is known only then, so such pictures do not wait for a batch. They are decoded at their
full size: a garment that is small in the picture has to be large enough for the network.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.bundles.bundle import Bundle, open_bundle
from edgefashion.data.images import perceptual_hash
from edgefashion.errors import MissingError
from edgefashion.inference import preprocess
from edgefashion.tagging.collecting import CollectOptions, Cut, cuts_of
from edgefashion.tagging.patience import patiently
from edgefashion.tagging.picture import TOP, Read
from edgefashion.tagging.row import Garment, Row

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier
    from edgefashion.inference.predict import Prediction

PATIENCE_S: Final = 25.0
"""A server of the model that is away or busy is asked again for so long. With one request more, which may take 30 s,
the process does not yet count as hanging."""


@dataclass(frozen=True)
class Named:
    """A picture with its row, and the seconds that this took."""

    row: Row
    reading_s: float = 0.0
    decoding_s: float = 0.0
    finding_s: float = 0.0
    inference_s: float = 0.0
    cuts: tuple[Cut, ...] = ()
    """Garments that may be kept for teaching."""


Network = dict[str, Any]
"""What another process of this machine loads a classifier by, as JSON."""

Networks = Callable[[], AbstractContextManager[Network]]
"""Gives it, for as long as its files are sure to be there."""


def needed(classifier: Classifier, *, single: bool) -> bool:
    """True if several garments are to be looked for."""
    return classifier.finder is not None and not single


def made_with(classifier: Classifier, *, single: bool) -> dict[str, str]:
    """What rows depend on besides, where several garments are looked for."""
    if classifier.finder is None or single:
        return {}
    known = json.dumps([classifier.finder.sha256, classifier.finder.floor])
    return {"finder": hashlib.sha256(known.encode()).hexdigest()}


def at_hand(classifier: Classifier, collect: CollectOptions | None = None) -> Networks:
    """A classifier with a finder where it is: its files stay there, or a server has it."""
    from edgefashion.inference.openvino_engine import OpenVinoRunner

    network: Network
    if classifier.source is None:
        from edgefashion.inference.remote.engine import Remote  # here: a process that decodes must start fast

        assert isinstance(classifier.run, Remote), "another machine serves it"
        network = {"url": classifier.run.url, "sha256": _hashes(classifier)}
    else:
        of, rule = _bundle_of(classifier), classifier.rule.as_json()
        device = classifier.run.device.name if isinstance(classifier.run, OpenVinoRunner) else None
        network = {"bundle": str(of.path), "sha256": of.sha256, "rule": rule, "device": device}
        network["precision"] = classifier.precision
    if collect is not None:
        network["collect"] = collect.wish()
    return lambda: contextlib.nullcontext(network)


def files_of(classifier: Classifier) -> list[Path]:
    """The files that another machine needs of its bundle."""
    return _bundle_of(classifier).ir_files()


def _bundle_of(classifier: Classifier) -> Bundle:
    assert classifier.source is not None, "a finder lies in a bundle"
    return open_bundle(classifier.source.absolute().parent)


def loaded(network: Network) -> Classifier:
    """The classifier, its finder loaded too, to be used by one process with one thread.

    Raises :class:`MissingError` where it is another one by now than when the run began: the table names that one.
    """
    from edgefashion.bundles.facts import Thresholds
    from edgefashion.inference import load
    from edgefashion.inference.decision import Rule

    if "url" in network:
        found = patiently(lambda: load.load(network["url"]), PATIENCE_S)
        if _hashes(found) != network["sha256"]:
            raise MissingError(f"{found.settings['server']} serves another model than when this began. Start again")
    else:
        device = network.get("device")
        found = load.load(network["bundle"], precision=network["precision"], threads=1, device=device)
        found = replace(found, rule=Rule.of(Thresholds.from_json(network["rule"])))
    assert found.finder is not None
    found.finder.make_ready()  # it is read now: its files may be gone later
    # At last, when everything is read. A copy that was sent from another machine is checked by its files.
    folder = network.get("bundle") if "sha256" in network else None
    if folder and open_bundle(Path(folder)).sha256 != network["sha256"]:
        raise MissingError(f"{folder} is another model than when this began. Start again")
    return found


def _hashes(served: Classifier) -> list[str]:
    """Of the networks of a server."""
    return [served.settings["sha256"], served.finder.sha256 if served.finder else ""]


def named(classifier: Classifier, name: str, read: Read, collect: dict[str, Any] | None = None) -> Named:
    """A picture's row, its garments named as ``predict`` names them. What is raised is the network's fault.

    ``collect``: what is to be cut out, as :meth:`~edgefashion.tagging.collecting.CollectOptions.wish` says.
    """
    from edgefashion.inference.predict import at_full_size, predict

    image, began_s = read.picture.image, time.thread_time()
    phash = f"{perceptual_hash(preprocess.view(image)[..., ::-1]):016x}"
    hashed_s = time.thread_time()
    found = patiently(lambda: predict(classifier, image, top=TOP), PATIENCE_S)
    seen = at_full_size(found, read.picture)
    inference_s = time.thread_time() - hashed_s
    cuts = cuts_of(name, image, found, classifier, collect) if collect else ()
    row = replace(row_of(name, seen), width=read.picture.width, height=read.picture.height, phash=phash)
    return Named(row, read.reading_s, read.decoding_s, hashed_s - began_s, inference_s, cuts)


def row_of(path: str, seen: Prediction) -> Row:
    """What was seen in a picture, as its row."""
    answers = [(each.answer, each.box) for each in seen.garments]
    if not answers:
        return Row(path)
    garments = tuple(Garment(answer.label, answer.confidence, answer.accepted, box) for answer, box in answers)
    main, box = answers[0]
    return Row(path, main.label, main.confidence, main.top, main.accepted, box, garments=garments)
