"""Train the shipped photo network: on every photo, then to the bundle with its IRs.

    python scripts/train_kiosk.py OUT --photos DIR [--photos DIR] [--start NETWORK.keras ...] [--epochs 14]

Without ``--start`` it begins from ImageNet's weights. Networks fine-tuned from one origin can be averaged,
weight by weight, and are better so than each is (Wortsman and others, "Model soups", 2022): the starts may be
the folds' networks. ``edgefashion train kiosk`` holds senders out to report on; this holds none out. What the
network does on senders it never saw is measured by ``benchmarks/networks/photos.py folds``, whose answers also give the
threshold and the card's figures. The trained network is kept as OUT.keras: run again, the bundle is made of it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgefashion.bundles import card, draft
from edgefashion.conversion import convert, quantize
from edgefashion.data import photo_folders
from edgefashion.inference.tensorflow_engine import load_keras
from edgefashion.training import finetune, photo_bundle, photo_fit
from edgefashion.training.options import FinetuneOptions

if TYPE_CHECKING:
    import keras

FIGURES = Path(__file__).parents[1] / "benchmarks" / "networks" / "results" / "photos.json"


def mean(starts: list[str]) -> keras.Model:
    """One network whose weights are the mean of those of several."""
    models = [load_keras(Path(start)) for start in starts]
    together = zip(*(model.get_weights() for model in models), strict=True)
    models[0].set_weights([sum(each) / len(models) for each in together])
    return models[0]


def main() -> None:
    """Train, then write the bundle and its IRs."""
    options = FinetuneOptions()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, action="append", required=True)
    parser.add_argument("--start", action="append", help="a photo network; of several the mean of the weights")
    parser.add_argument("--mean", action="append", default=[], help="ship the mean with this network's weights")
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--learning-rate", type=float, default=options.learning_rate)
    parser.add_argument("--batch-size", type=int, default=options.batch_size)
    parser.add_argument("--fashion-images", type=int, default=96)
    given = parser.parse_args()
    options = FinetuneOptions(
        epochs=given.epochs,
        batch_size=given.batch_size,
        learning_rate=given.learning_rate,
        fashion_images=given.fashion_images,
    )
    found = photo_folders.scan(*given.photos).photos
    kept, rows = given.out.with_suffix(".keras"), given.out.with_suffix(".json")
    if not kept.exists():
        start = mean(given.start) if given.start else None
        skipped: list[str] = []
        trained = photo_fit.train(found, options, skipped, start=start, on_epoch=lambda row: print(row, flush=True))
        print(*skipped, sep="\n")
        rows.write_text(json.dumps(trained.history))
        trained.model.save(kept)
    trained = photo_fit.Trained(mean([str(kept), *given.mean]), json.loads(rows.read_text()), len(found))

    figures = json.loads(FIGURES.read_text(encoding="utf-8"))["kiosk"]
    photo_bundle.write_bundle(
        given.out,
        trained,
        options,
        accept=(figures["accept_threshold"], figures["chosen_on"]),
        photo_figures={"held_out_senders": figures["held_out_senders"]},
        report={
            "averaged_with": [Path(network).stem for network in given.mean],
            "start": [Path(start).stem for start in given.start] if given.start else finetune.IMAGENET,
            "photos": len(found),
            "senders": len({photo.sender for photo in found}),
        },
    )
    converted = convert.convert(given.out, given.out)
    print(*converted.parity, sep="\n")
    made, measured = quantize.quantize(converted.bundle, quantize.QuantizeOptions(0.005, 300), given.photos)
    print(measured)
    with draft.draft(given.out, made) as making:
        # `convert` makes both anew from the .keras; without them the bundle is small enough to be committed.
        making.drop("saved_model")
        making.drop("fp32")
        card.write_card(making)


if __name__ == "__main__":
    main()
