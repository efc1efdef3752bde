"""Search shapes of ``edge`` that are right and quick: validation accuracy against OpenVINO's INT8 latency.

    python benchmarks/networks/front.py STUDY        # goes on with the study kept in this folder

Each trial learns its teachers' answers to a part of the training images for a few epochs, and its INT8 is timed beside
that of the default shape, which is the next trial to be made wherever the study stands. What no other trial beats in
both is the front. Writes
``benchmarks/networks/results/front.json`` and ``front.png``. The test images are not looked at. Needs the extra
``train`` and a machine left alone for two hours.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgefashion.conversion.int8_latency import Int8Latency
from edgefashion.system import machine
from edgefashion.training.tune import TuneOptions, tune
from edgefashion.training.tune_study import study
from edgefashion.training.zoo.registry import architecture

RESULTS = Path(__file__).parent / "results"
OPTIONS = TuneOptions("edge", trials=30, epochs=8, limit=30_000)
"""Four epochs on 12,000 images were too few: no network got above 87 %, and the smallest looked the best."""


def main() -> None:
    """Search, and write what was found."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)

    def tell(number: int, _: int, chosen: dict[str, Any], accuracy: float | None) -> None:
        print(number, f"{accuracy:.4f}" if accuracy else "cut short", json.dumps(chosen), flush=True)

    out, shipped = Path(sys.argv[1]), architecture("edge")
    out.mkdir(parents=True, exist_ok=True)
    searched = study(f"sqlite:///{out / 'study.db'}", OPTIONS.study, OPTIONS.meaning, latency=True)
    default = {name: shipped.settings[name] for name in OPTIONS.space}
    searched.enqueue_trial(default, skip_if_exists=True)
    done = tune(OPTIONS, out, tell, Int8Latency(shipped.network({})))
    shutil.copy(done.plot, RESULTS / "front.png")
    found = {
        "machine": machine.describe(),
        "options": asdict(OPTIONS),
        "shipped": default,
        "front": [trial.number for trial in done.front],
        "trials": [asdict(trial) for trial in done.trials],
    }
    (RESULTS / "front.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
