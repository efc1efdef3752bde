"""Train the shipped photo network anew, from ImageNet's weights to the bundle with its IRs.

    python scripts/train_kiosk.py OUT --photos DIR [--photos DIR] [--work FOLDER]

Two rounds, each kept in the work folder and not repeated: photos with some Fashion-MNIST, then half as many
photos a step with twice the Fashion-MNIST. It trains on every photo; what it does on senders it never saw
is measured by ``benchmarks/photos.py folds``, whose answers also give the threshold and the card's figures.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from edgefashion import bundle, convert, finetune, photos, quantize
from edgefashion.originals import load_keras

FIGURES = Path(__file__).parents[1] / "benchmarks" / "results" / "photos.json"
ROUNDS = {
    "first": finetune.FinetuneOptions(epochs=14, fashion_images=48),
    "second": finetune.FinetuneOptions(epochs=20, batch_size=16, learning_rate=2e-4, fashion_images=96, seed=1),
}


def rounds(folders: list[Path], work: Path) -> finetune.Trained:
    """Train what the work folder does not hold yet."""
    found, skipped = photos.scan(*folders).photos, list[str]()
    model, history = None, list[dict[str, float]]()
    for name, options in ROUNDS.items():
        kept, rows = work / f"{name}.keras", work / f"{name}.json"
        if kept.exists():
            model = load_keras(kept)
        else:
            print(f"{name} round: {options}", flush=True)
            trained = finetune.train(found, options, skipped, start=model, on_epoch=lambda row: print(row, flush=True))
            model = trained.model
            rows.write_text(json.dumps(trained.history))
            model.save(kept)
        history += json.loads(rows.read_text())
    for number, row in enumerate(history, 1):
        row["epoch"] = number
    assert model is not None
    return finetune.Trained(model, history, len(found) - len(skipped))


def main() -> None:
    """Train, then write the bundle and its IRs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, action="append", required=True)
    parser.add_argument("--work", type=Path, default=Path("kiosk-training"))
    parser.add_argument("--train-only", action="store_true", help="stop before the bundle is written")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    trained = rounds(given.photos, given.work)
    print(f"trained in {time.perf_counter() - began:,.0f} s")
    if given.train_only:
        return
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))["kiosk"]
    found = photos.scan(*given.photos).photos
    made = finetune.write_bundle(
        given.out,
        trained,
        ROUNDS["second"],
        accept=(figures["accept_threshold"], figures["chosen_on"]),
        photo_figures={"held_out_senders": figures["held_out_senders"]},
        report={
            "start": finetune.IMAGENET,
            "rounds": {name: str(options) for name, options in ROUNDS.items()},
            "photos": len(found),
            "senders": len({photo.sender for photo in found}),
        },
    )
    converted = convert.convert(given.out, given.out)
    print(*converted.parity, sep="\n")
    made, measured = quantize.quantize(converted.bundle, quantize.QuantizeOptions(0.005, 300), given.photos)
    print(measured)
    with bundle.draft(given.out, made) as making:
        # `convert` makes both anew from the .keras; without them the bundle is small enough to be committed.
        making.drop("saved_model")
        making.drop("fp32")
        bundle.write_card(making)


if __name__ == "__main__":
    main()
