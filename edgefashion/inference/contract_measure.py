"""The contract of a model made elsewhere, measured on Fashion-MNIST's training images.

A network was trained to lessen its loss on these very images: of all the ways to feed it, its author's gives the least.
Every usual way is tried on a few images, the best on some more. What fits in none of them is not used, unless that is
asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError, GateError, MissingError
from edgefashion.inference import contract, told
from edgefashion.inference.contract import Contract, Feed, Quantized
from edgefashion.inference.contract_trial import (
    ALIKE_FIRST,
    LEAST_RIGHT,
    Trial,
    commonest,
    eased_losses,
    is_better,
    names_of,
    ranked,
    shown_order,
)
from edgefashion.inference.told import NOTHING, Told
from edgefashion.labels import LABELS
from edgefashion.system.text import whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_IMAGES: Final = 150
"""Training images on which every way is tried."""
MORE_IMAGES: Final = 1000
"""Further ones, for the best few."""
BEST: Final = 4

OVERCONFIDENT: Final = 0.2
"""By how much a model's confidence may be above its share of right answers."""


@dataclass(frozen=True)
class Network:
    """A model as its file has it, to be asked in its own numbers."""

    named: str
    """What errors and notes call it."""
    shape: tuple[int, ...]
    """Of one image."""
    dtype: np.dtype[Any]
    stored: Quantized
    ask: Callable[[NDArray[Any]], Mapping[str, NDArray[Any]]]
    """Answers pixels (n, *shape) of ``dtype`` by its outputs' names, as real numbers."""
    by_file: Feed
    """How it is fed where nothing can be measured, by what the file itself shows."""
    hinted: str
    """Where that comes from, as a phrase."""


def measure(network: Network, said: Told = NOTHING) -> Contract:
    """The contract of a network: what was ``said`` of it, and for the rest what training images show.

    Where Fashion-MNIST is not on this machine, the rest is the file's own hints. Raises :class:`GateError` for a
    network that fits in no way that was tried or has its labels in another order, :class:`BadInputError` for one that
    does not answer ten values, or is not what was said.
    """
    given = contract.told_feed(said)
    if given:
        contract.check_channels(given, network.shape, network.named)
    try:
        images, labels = fashion_mnist.load("train")
    except MissingError:
        return _unmeasured(network, said, given)
    usual = _feeds(network)
    # What is told is taken. The usual ways are tried beside it to say which would be right more often.
    feeds = [given, *(feed for feed in usual if feed.name != given.name)] if given else usual

    first, more = slice(0, FIRST_IMAGES), slice(FIRST_IMAGES, FIRST_IMAGES + MORE_IMAGES)

    def tried_on(images_of: slice, feed: Feed) -> list[Trial]:
        return _tried(network, said, feed, images[images_of], labels[images_of])

    tried = ranked([t for feed in feeds for t in tried_on(first, feed)], ALIKE_FIRST)

    def best_of(likely: Sequence[Trial]) -> Trial | None:
        pairs = {(t.feed, t.output) for t in likely[:BEST]}
        asked = dict.fromkeys(t.feed for t in likely[:BEST])
        again = [t for feed in asked for t in tried_on(more, feed) if (feed, t.output) in pairs]
        return commonest(again, feeds) if again else None

    found = best_of([t for t in tried if not given or t.feed == given])
    if not found:
        raise BadInputError(
            f"{network.named} answers no finite numbers to any of Fashion-MNIST's images. Export it anew"
        )
    others = [t for t in tried if t.feed.name != found.feed.name and t.output == found.output]
    next_best = best_of(others) if given else None
    _check_fit(network, said, found, tried, given, next_best)
    order = found.order
    if order and said.order() is None and (said.labels or "").strip().lower() != told.MEASURED:
        order = ()  # only with --anyway
    how = "as given" if given else "measured"
    if next_best:
        others = [t for t in others if t.feed == next_best.feed]
    beside = f", {others[0].right:.1%} of {FIRST_IMAGES} with {others[0].feed.name}" if others else ""
    right = found.right if order == found.order else found.right_as_is
    chosen = f"{how}: {right:.1%} of {MORE_IMAGES} training images right{beside}"
    if len({t.output for t in tried}) > 1 or said.output is not None:
        chosen = f"{chosen}; output {found.output}"
    made = _contract(network, found.feed, found.answer, order, found.output, chosen)
    return replace(made, doubt=_doubt(network, found, right, order, next_best))


def _doubt(network: Network, found: Trial, right: float, order: tuple[int, ...], other: Trial | None) -> str:
    """What training images contradict beyond doubt of the feed and the order that are taken, as sentences."""
    doubts = []
    if other and is_better(other, found):
        doubts.append(
            f"{network.named} fits pixels of {other.feed.name} better than {found.feed.name}, as given: of "
            f"{MORE_IMAGES} training images {other.right:.1%} are right with a loss of {other.loss:.2g}, not "
            f"{found.right:.1%} with {found.loss:.2g}. Leave --scale, --mean and --std out to have them measured"
        )
    if found.shown and found.shown != order:
        doubts.append(
            f"{network.named} shows its labels in another order than is taken: in {names_of(found.shown)} "
            f"{found.right_shown:.1%} of {MORE_IMAGES} training images are right, not {right:.1%}. Give --labels "
            f"{told.MEASURED} to take that"
        )
    return ". ".join(doubts)


def _feeds(network: Network) -> list[Feed]:
    """Every way worth a trial, the likeliest first."""
    own = contract.own_range(network.dtype, network.stored)
    if own and not network.stored[0]:
        return [own, own.inverted()]  # whole numbers of no scale: there is nothing between them
    usual = contract.usual(contract.channels_of(network.shape))
    front = [*([own, own.inverted()] if own else []), network.by_file]
    names = {feed.name for feed in front}
    return list({feed.name: feed for feed in [*front, *(f for f in usual if f.name not in names)]}.values())


def _ask(network: Network, feed: Feed, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """The answers of ten values each, by output."""
    as_fed = _contract(network, feed, contract.LOGITS, (), "", "")
    answers = network.ask(as_fed.pixels(images, as_fed.table(network.dtype, network.stored)))
    ten = {name: contract.rows(raw) for name, raw in answers.items() if np.size(raw) == len(images) * len(LABELS)}
    if not ten:
        shapes = ", ".join(f"{name} {list(np.shape(raw)[1:])}" for name, raw in answers.items())
        raise BadInputError(
            f"{network.named} answers {shapes} for an image, not one value for each of the {len(LABELS)} garments. "
            "Give a classifier of Fashion-MNIST"
        )
    return ten


def _outputs(network: Network, said: Told, answers: Mapping[str, Any]) -> list[str]:
    """Those outputs that may have the answers."""
    names = list(answers)
    if said.output is None:
        return names
    if said.output in answers:
        return [said.output]
    every = list(network.ask(np.zeros((1, *network.shape), network.dtype)))
    at = whole_number(said.output)
    if at is not None and at < len(every) and every[at] in answers:
        return [every[at]]
    raise BadInputError(
        f"--output {said.output} of {network.named} has no ten values. Those that have: {', '.join(names)}"
    )


def _tried(
    network: Network, said: Told, feed: Feed, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> list[Trial]:
    answers = _ask(network, feed, images)
    found = []
    for output in _outputs(network, said, answers):
        raw = answers[output]
        kind = contract.kind_of(raw)
        with np.errstate(all="ignore"):
            probabilities = contract.as_probabilities(raw, kind)
        if not np.isfinite(probabilities).all():
            continue
        told_order = said.order()
        as_is = float(np.mean(probabilities.argmax(1) == labels))
        shown = shown_order(probabilities, labels, told_order or ()) or ()
        right_shown = float(np.mean(contract.ordered(probabilities, shown).argmax(1) == labels))
        order = shown if told_order is None else told_order
        read = contract.ordered(probabilities, order)
        right = float(np.mean(read.argmax(1) == labels))
        losses = -np.log(np.maximum(read[np.arange(len(labels)), labels], 1e-7).astype(np.float64))
        order = () if order == tuple(range(len(LABELS))) else order
        sure = float(read.max(1).mean())
        eased = eased_losses(read, labels)
        found.append(Trial(feed, output, kind, order, right, as_is, shown, right_shown, sure, losses, eased))
    return found


def _check_fit(
    network: Network,
    said: Told,
    found: Trial,
    tried: Sequence[Trial],
    given: Feed | None,
    other: Trial | None,
) -> None:
    """Raise :class:`GateError` for a network that fits in no way."""
    if said.anyway:
        return
    if found.order and said.labels is None:
        raise GateError(
            f"{network.named} has its labels in another order: {found.right_as_is:.1%} of {MORE_IMAGES} training "
            f"images are right in Fashion-MNIST's, {found.right:.1%} in the order that its answers show. Give "
            f'--labels "{names_of(found.order)}", or --labels {told.MEASURED} to take what is shown'
        )
    if found.right >= LEAST_RIGHT and found.right >= found.confidence - OVERCONFIDENT:
        return
    if given:
        what = f"with pixels of {given.name}, as given,"
        best = f" ({other.right:.1%} with {other.feed.name})" if other and is_better(other, found) else ""
        step = f"Leave --scale, --mean and --std out to have them measured{best}, give --labels,"
    else:
        ways = list(dict.fromkeys(t.feed.name for t in tried if not t.feed.name.endswith(", inverted")))
        what = f"with pixels of {found.feed.name}, the best of {', '.join(ways)}, each also inverted,"
        step = "Say how it was trained with --scale, --mean, --std and --labels,"
    raise GateError(
        f"{network.named} does not fit Fashion-MNIST: {what} it names {found.right:.1%} of {MORE_IMAGES} training "
        f"images right, and claims {found.confidence:.1%}. {step} or go on as it is with --anyway"
    )


def _unmeasured(network: Network, said: Told, given: Feed | None) -> Contract:
    """By what was said and the file's own hints. Even without images it shows which kind of answers it gives."""
    noise = np.random.default_rng(0).integers(0, 256, (64, contract.SIDE_PX, contract.SIDE_PX, 1), np.uint8)
    noise[32:, :6], noise[32:, 22:] = 0, 0
    feed = given or network.by_file
    answers = _ask(network, feed, noise)
    outputs = _outputs(network, said, answers)
    if len(outputs) > 1:
        raise BadInputError(
            f"{network.named} has several outputs of ten values: {', '.join(outputs)}. Say which with --output"
        )
    how = "as given" if given else network.hinted
    chosen = f"{how}; not measured: Fashion-MNIST is not on this machine"
    order = said.order() or ()
    return _contract(network, feed, contract.kind_of(answers[outputs[0]]), order, outputs[0], chosen)


def _contract(network: Network, feed: Feed, answer: str, order: tuple[int, ...], output: str, chosen: str) -> Contract:
    order = () if order == tuple(range(len(LABELS))) else order
    return Contract(feed.name, feed.factor, feed.offset, network.shape, answer, order, output, 0, chosen)
