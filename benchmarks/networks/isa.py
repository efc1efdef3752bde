"""Where INT8 pays: FP32 and INT8 under the instruction sets of other CPUs, one image and one thread.

    python benchmarks/networks/isa.py

Writes ``benchmarks/networks/results/isa.json`` and prints the table. A cap is OpenVINO's alone (ONEDNN_MAX_CPU_ISA), of
what this CPU has: it shows another CPU's instructions, not its clock or its caches.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from edgefashion.bench import run
from edgefashion.bench.candidates import ISA_CAPS
from edgefashion.bundles import resolve

RESULTS = Path(__file__).parent / "results" / "isa.json"
NETWORKS = ("edge", "cnn-242k")
ROUNDS = 7


def main() -> None:
    options = run.BenchOptions(rounds=ROUNDS, batches=(64,), cold_starts=0)
    # A network that is not trained here keeps what was measured of it.
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for name in NETWORKS:
        if resolve.is_model(name):
            found[name] = run.bench(name, isa=tuple(ISA_CAPS), options=options).as_json()
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("| network | cap | FP32 | INT8 | INT8 / FP32 | quartiles |\n|---|---|---|---|---|---|")
    for name, report in found.items():
        for cap in ISA_CAPS:
            row = {r["precision"]: r for r in report["rows"] if r["isa"] == cap}
            if {"fp32", "int8"} <= row.keys():
                rounds = (row[p]["latency_p50_rounds_us"] for p in ("int8", "fp32"))
                ratios = [a / b for a, b in zip(*rounds, strict=True)]
                low, _, high = statistics.quantiles(ratios, n=4)
                print(
                    f"| {name} | {cap} | {row['fp32']['latency_us']['p50']:,.0f} us "
                    f"| {row['int8']['latency_us']['p50']:,.0f} us | {statistics.median(ratios):.2f} "
                    f"| {low:.2f} to {high:.2f} |"
                )


if __name__ == "__main__":
    main()
