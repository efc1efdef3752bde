"""A model that another machine serves, as a Classifier like one of this machine.

The server says what the model takes and answers, and its labels, threshold and precision.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles.facts import Thresholds
from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.decision import Rule
from edgefashion.inference.finder import CELLS_SHAPE, Finder
from edgefashion.inference.finite import is_finite
from edgefashion.inference.remote.address import Address, parse
from edgefashion.inference.remote.client import Answered, Client, Limits
from edgefashion.inference.remote.errors import RefusedError, ServerError
from edgefashion.inference.remote.threads import Askers
from edgefashion.labels import fault_of
from edgefashion.system.extras import need

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

ENGINE: Final = "remote"
IMAGES: Final = "images"
PROBABILITIES: Final = "probabilities"
SLACK: Final = 1e-3
"""By how much a probability may lie beyond 0 and 1: rounding."""
MASK: Final = "mask"
FRAMES: Final = "frames"
CELLS: Final = "cells"

MOST_IMAGES: Final = 256
MOST_BYTES: Final = 2 << 20
"""Of one request. Servers take more (gRPC's own limit is 4 MB), and the cost of a request itself counts for nothing."""

LARGEST_PX: Final = 1024
"""Side of an image that a server may want. A network of ours takes 28 or 160; an image of what a stranger asks for
would have to fit into memory."""

CELL_PX: Final = 8
"""Side of a mask's cell."""

IN_FLIGHT: Final = 4
"""Requests at once for ``purpose`` throughput."""


class ChangedError(ServerError):
    """A server that serves another model than the one that was loaded."""


@dataclass(frozen=True)
class ServedFacts:
    """What a server says of its model."""

    labels: tuple[str, ...]
    rule: Rule
    precision: str
    input_shape: tuple[int, ...]
    sha256: str
    """SHA-256 of its files; empty where the server does not say it."""
    max_images: int = field(default=MOST_IMAGES, compare=False)
    """Of one request. It is the server's limit: it may change while the model stays the same."""
    finder_floor: float | None = None
    """Score from which its finder takes something for found; None where it has none, or is older than finders are."""
    finder_sha256: str = ""

    @classmethod
    def read(cls, text: str, address: Address) -> ServedFacts:
        """Read a server's JSON. Raises :class:`BadInputError` if it is none or lacks a field."""
        try:
            told = json.loads(text)
            facts = cls(
                tuple(str(label) for label in told["labels"]),
                _rule(told),
                str(told["precision"]),
                tuple(int(n) for n in told["input_shape"]),
                str(told.get("sha256", "")),
                int(told.get("max_images") or MOST_IMAGES),
                None if told.get("finder_floor") is None else float(told["finder_floor"]),
                str(told.get("finder_sha256", "")),
            )
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise BadInputError(
                f"{address} does not tell its labels and threshold. Serve the model with: edgefashion serve"
            ) from error
        finite = math.isfinite(facts.rule.threshold) and math.isfinite(facts.finder_floor or 0)
        if fault_of(facts.labels) or not finite or facts.max_images < 1:
            raise BadInputError(
                f"{address} tells no sound labels, threshold or limit. Serve the model with: edgefashion serve"
            )
        return facts


def _rule(told: Mapping[str, Any]) -> Rule:
    """Older servers tell a threshold alone. Raises ValueError, KeyError or TypeError."""
    fields = {name: told[name] for name in ("floors", "kind_floor", "worn_floors") if told.get(name) is not None}
    return Rule.of(Thresholds.from_json({"accept": float(told["accept_threshold"]), **fields}))


class Remote:
    """A served model as a Runner. May be called from any thread."""

    def __init__(self, client: Client, purpose: str) -> None:
        """Ask the server what its model is; raises as :func:`load` does."""
        if purpose not in ("latency", "throughput"):
            raise BadInputError(f"no purpose named {purpose!r}. Known: latency, throughput")
        self._client = client
        self.input_shape, self._has_mask = _contract(client.metadata(), client.address)
        blank = np.zeros((1, *self.input_shape), np.uint8)
        first = client.infer(blank, [PROBABILITIES], first=True)
        self._told = first.facts
        self.facts = ServedFacts.read(first.facts, client.address)
        if wrong := self._wrong(first, blank):
            raise BadInputError(f"{client.address} answers {wrong}. Serve it anew")
        self.runtime_precision = self.facts.precision
        self._in_flight = IN_FLIGHT if purpose == "throughput" else 1
        self._askers: Askers | None = None
        self.settings: dict[str, Any] = {
            "purpose": purpose,
            "server": str(client.address),
            "sha256": self.facts.sha256,
            "batch": self._most(self.input_shape),
            "threads": 0,  # not known here
            "in_flight": self._in_flight,
        }

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._answer(images, [PROBABILITIES])[0]

    def look(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities (n, classes) and masks (n, rows, columns)."""
        if not self._has_mask:
            raise RefusedError(f"{self._client.address} gives no mask", "Serve a photo network's IR")
        probabilities, masks = self._answer(images, [PROBABILITIES, MASK])
        return probabilities, masks.reshape(len(masks), *masks.shape[1:3])

    def cells(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the server's finder answers to frames (n, 192, 192, 3): float32 (n, rows, columns, channels)."""
        return self._request(images, [CELLS], FRAMES).tensors[CELLS]

    @property
    def url(self) -> str:
        """By what another process loads the same, password and all: never to be shown."""
        return self._client.address.with_account

    def hang_up(self) -> None:
        """Close this thread's connection. For a thread that loads a model and then asks nothing more."""
        self._client.hang_up()

    def close(self) -> None:
        """Close the connections."""
        if self._askers is not None:
            self._askers.close()
        self._client.close()

    def _most(self, shape: Sequence[int]) -> int:
        """Images of a request at most, a power of two."""
        most = min(MOST_IMAGES, self.facts.max_images)
        return 1 << (max(1, min(most, MOST_BYTES // max(1, math.prod(shape)))).bit_length() - 1)

    def _answer(self, images: NDArray[np.uint8], outputs: list[str]) -> list[NDArray[np.float32]]:
        most = self._most(images.shape[1:])
        parts = [images[at : at + most] for at in range(0, len(images), most)]
        if not parts:  # answered here, as by any engine, without a request
            shapes = {PROBABILITIES: (0, len(self.facts.labels)), MASK: (0, *(n // CELL_PX for n in images.shape[1:3]))}
            return [np.empty(shapes[name], np.float32) for name in outputs]
        if len(parts) == 1 or self._in_flight == 1:
            answers = [self._request(part, outputs) for part in parts]
        else:
            if self._askers is None:
                self._askers = Askers(self._in_flight, self._client.hang_up)
            answers = self._askers.map(lambda part: self._request(part, outputs), parts)
        joined = [np.concatenate([answer.tensors[name] for answer in answers]) for name in outputs]
        return [np.asarray(tensor, np.float32) for tensor in joined]

    def _request(self, part: NDArray[np.uint8], outputs: list[str], name: str = IMAGES) -> Answered:
        answered = self._client.infer(np.ascontiguousarray(part), outputs, name=name)
        if answered.facts != self._told:
            self._hear(answered.facts)
        if wrong := self._wrong(answered, part):
            raise ServerError(f"{self._client.address} answers {wrong}", "Is its server well?")
        return answered

    def _hear(self, told: str) -> None:
        """Take over what the server now says of its model. Raises :class:`ChangedError` if it is another model."""
        try:
            facts = ServedFacts.read(told, self._client.address)
        except BadInputError:
            facts = None
        if facts != self.facts:
            raise ChangedError(f"{self._client.address} serves another model than when this began", "Start again")
        self.facts, self._told = facts, told

    def _wrong(self, answered: Answered, images: NDArray[np.uint8]) -> str:
        """What is wrong with the tensors, as a phrase; empty if nothing is."""
        rows, columns = (side // CELL_PX for side in images.shape[1:3])
        shapes: dict[str, list[tuple[int, ...]]] = {
            PROBABILITIES: [(len(self.facts.labels),)],
            MASK: [(rows, columns), (rows, columns, 1)],
            CELLS: [CELLS_SHAPE],
        }
        for name, tensor in answered.tensors.items():
            if tensor.dtype != np.float32 or tensor.shape not in [(len(images), *shape) for shape in shapes[name]]:
                return f"{name} {tensor.dtype}{list(tensor.shape)} for {len(images)} images"
            if not is_finite(tensor):
                return f"{name} that are no numbers"
            if name == PROBABILITIES and tensor.size and (tensor.min() < -SLACK or tensor.max() > 1 + SLACK):
                return f"{name} from {tensor.min():g} to {tensor.max():g}, which are none"
        return ""


def _contract(metadata: dict[str, Any], address: Address) -> tuple[tuple[int, ...], bool]:
    """The shape of one image and whether there is a mask; raises :class:`BadInputError` for another's model."""
    try:
        taken = {str(each["name"]): each for each in metadata["inputs"]}
        given = {str(each["name"]) for each in metadata["outputs"]}
        images = taken.get(IMAGES, {})
        shape = tuple(int(n) for n in images.get("shape", ()))[1:]
        ours = images.get("datatype") == "UINT8" and len(shape) == 3 and min(shape) > 0 and shape[-1] in (1, 3)
        ours = ours and max(shape) <= LARGEST_PX
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        taken, given, ours, shape = {}, set(), False, ()
    if not ours or PROBABILITIES not in given:
        has = (
            ", ".join(f"{name} {each.get('datatype')}{each.get('shape')}" for name, each in taken.items()) or "nothing"
        )
        raise BadInputError(
            f"{address} is no model of edgefashion: it takes {has[:200]}, not images UINT8. "
            "Serve one with: edgefashion serve"
        )
    return shape, MASK in given


def load(url: str, *, purpose: str = "latency", limits: Limits | None = None) -> Classifier:
    """The model at ``url`` as a Classifier; ``purpose`` throughput keeps several requests in flight.

    Raises :class:`MissingError` without tritonclient and, as :class:`ServerError`, for a server that is away, silent
    or failing; :class:`BadInputError` for a URL, server or model that cannot be used.
    """
    address = parse(url)
    for module in ("tritonclient", "grpc" if address.scheme == "grpc" else "geventhttpclient"):
        need(module, "to ask a model that another machine serves")
    client = Client(address, limits or Limits())
    try:
        run = Remote(client, purpose)
    except BaseException:
        client.close()
        raise
    return Classifier(
        name=address.model,
        labels=run.facts.labels,
        engine=ENGINE,
        precision=run.facts.precision,
        rule=run.facts.rule,
        source=None,
        run=run,
        finder=_finder(run),
    )


def _finder(run: Remote) -> Finder | None:
    floor = run.facts.finder_floor
    return None if floor is None else Finder(lambda: run.cells, floor, run.facts.finder_sha256)
