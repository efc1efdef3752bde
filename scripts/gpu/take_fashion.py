"""Make the bundle of what ``fashion.py`` or ``inception.py`` trained, as ``edgefashion train`` would, and its INT8.

python scripts/gpu/take_fashion.py models/edge-seed-0 OUT/edge-0.npz
python scripts/gpu/take_fashion.py models/dilated-inception-adam OUT/inception-adam-1-0.npz --max-drop 0.005
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgefashion.bundles import bundle
from edgefashion.conversion.convert import convert
from edgefashion.conversion.quantize import QuantizeOptions, quantize
from edgefashion.training.fashion_bundle import write_fashion_bundle
from edgefashion.training.options import options_for
from edgefashion.training.run import Run

MAX_DROP = 0.001
OPTIONS = ("seed", "epochs", "batch_size", "learning_rate", "settings", "optimizer", "augment")


def main() -> None:
    """Calibrate, write, convert and quantize."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--teacher", action="append", help="whose answers it learned; default: as the recipe has it")
    parser.add_argument("--max-drop", type=float, default=MAX_DROP, help="accuracy that INT8 may lose, 0 to 1")
    given = parser.parse_args()
    told = json.loads(given.weights.with_suffix(".json").read_text())
    given_options = {key: told[key] for key in OPTIONS if key in told}
    options = options_for(told.get("arch", "edge"), **given_options, teacher=given.teacher)
    # The teachers were asked when it was trained, and are not asked again: the run only writes what it is given.
    run = Run(replace(options, teacher=()))
    run.options = options
    stored = np.load(given.weights)
    run.model.set_weights([stored[str(at)] for at in range(len(stored.files))])
    history = [{key: row[key] for key in row if key != "val_accuracy_unaveraged"} for row in told["rows"]]
    write_fashion_bundle(given.out, run, history)
    made = convert(given.out, given.out).bundle
    print(quantize(made, QuantizeOptions(max_drop=given.max_drop))[1])
    print(bundle.open_bundle(given.out).facts.metrics)


if __name__ == "__main__":
    main()
