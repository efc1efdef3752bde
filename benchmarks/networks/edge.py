"""Our own network: measure it against the published CNN of its size, and train its teachers.

    python benchmarks/networks/seeds.py edge-seed-0 edge-seed-1 edge-seed-2    # train it with three seeds: hours
    python benchmarks/networks/edge.py measure              # accuracy, calibration, INT8, operations, latency
    python benchmarks/networks/edge.py ship                 # seed 0's becomes models/edge, the bundle that ships
    python benchmarks/networks/edge.py teach                # its two teachers anew: hours more

``measure`` writes ``benchmarks/networks/results/edge.json``; the time is measured beside that of ``cnn-242k``, both
untrained, for weights do not decide it. ``teach`` leaves the teachers in ``models/edge-teacher-N``, and as one
network, INT8 alone, in ``models/edge-teachers``, the bundle that comes with the repository.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from seeds import trained

from edgefashion.bundles import bundle, card, draft
from edgefashion.conversion.ensemble import convert_ensemble
from edgefashion.conversion.int8_latency import in_int8, ratio
from edgefashion.conversion.quantize import QuantizeOptions, quantize
from edgefashion.data import fashion_mnist
from edgefashion.evaluation.metrics import expected_calibration_error
from edgefashion.inference.load import load
from edgefashion.system import machine
from edgefashion.training.zoo.registry import architecture

TEACHERS = Path("models/edge-teachers")
SHIPPED = Path("models/edge")
# One is shown images partly hidden, the other images mixed: what they get wrong differs more so.
TEACHER_RUNS: tuple[dict[str, Any], ...] = ({"seed": 0}, {"seed": 1, "augment": "crop-flip-mix"})
SEEDS = (0, 1, 2)
PEER = "cnn-242k"
RESULTS = Path(__file__).parent / "results" / "edge.json"
MAX_DROP = 0.001


def main() -> None:
    if sys.argv[1:] == ["teach"]:
        _teach()
    elif sys.argv[1:] == ["ship"]:
        _ship()
    elif sys.argv[1:] == ["measure"]:
        RESULTS.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
        print(RESULTS.read_text(encoding="utf-8"))
    else:
        sys.exit(__doc__)


def _path(seed: int) -> Path:
    return Path("models") / f"edge-seed-{seed}"


def _teach() -> None:
    paths = [Path("models") / f"edge-teacher-{number}" for number in range(len(TEACHER_RUNS))]
    for path, given in zip(paths, TEACHER_RUNS, strict=True):
        trained("edge-teacher", path, MAX_DROP, given)
    made, gate = quantize(convert_ensemble(paths, TEACHERS).bundle, QuantizeOptions(max_drop=MAX_DROP))
    print(gate)
    with draft.draft(TEACHERS, made) as making:
        for part in ("fp32", "fp16"):  # a teacher is only ever asked, and the repository stays small
            making.drop(part)
            making.facts = making.facts.without_measured(part)
        card.write_card(making)


def _ship() -> None:
    """Seed 0's, whatever the others reach: the test images choose nothing."""
    with draft.draft(SHIPPED, bundle.open_bundle(_path(0))) as making:
        making.facts = making.facts._replace(name=SHIPPED.name)
        card.write_card(making)


def measure() -> dict[str, Any]:
    images, labels = fashion_mnist.load("test")
    seeds: dict[str, Any] = {}
    for seed in SEEDS:
        path = _path(seed)
        if not (path / bundle.INFO).is_file():
            continue
        made = bundle.open_bundle(path)
        facts: dict[str, Any] = {key: made.report()["train"][key] for key in ("epochs", "wall_time_s", "temperature")}
        for precision in ("fp32", "int8"):
            if not made.has(precision):
                continue
            probabilities = load(path, precision=precision, purpose="throughput")(images)
            facts[precision] = {
                "accuracy": float(np.mean(probabilities.argmax(1) == labels)),
                "calibration_error": expected_calibration_error(probabilities, labels),
            }
        facts["int8_gate"] = made.report().get("int8")
        seeds[str(seed)] = facts
    mean = {
        precision: float(np.mean([facts[precision]["accuracy"] for facts in seeds.values() if precision in facts]))
        for precision in ("fp32", "int8")
    }
    return {"machine": machine.describe(), "seeds": seeds, "mean_accuracy": mean, "latency": _latency()}


def _latency() -> dict[str, Any]:
    """INT8's time for one image on one thread as a share of the published network's, and what each graph runs."""
    networks = {name: in_int8(architecture(name).network({})) for name in ("edge", PEER)}
    operations = {name: _operations(classify) for name, classify in networks.items()}
    return {"beside": PEER, "ratio": ratio(*networks.values()), "operations": operations}


def _operations(classify: Any) -> list[str]:
    """What the compiled INT8 graph runs; not its inputs, constants, reshapes and result."""
    graph = classify.run.request.get_compiled_model().get_runtime_model()
    kinds = [op.get_rt_info()["layerType"].astype(str) for op in graph.get_ordered_ops()]
    # A reshape here is of a constant, or a change of view: the profile gives it no time.
    return [kind for kind in kinds if kind not in ("Input", "Const", "Output", "Reshape")]


if __name__ == "__main__":
    main()
