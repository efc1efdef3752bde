"""How sure is `bench --baseline`? The same bench several times over, every run judged against every other.

    python benchmarks/networks/noise.py RUNS.json [--runs 6] [--model edge]    # measure on an otherwise idle machine
    python benchmarks/networks/noise.py RUNS.json --judge                      # judge what is stored already

Counts how often one of two equal runs is called worse, and how often one whose OpenVINO rows are made slower,
by a fifth and by a tenth, is.
"""

from __future__ import annotations

import argparse
import copy
import json
from itertools import permutations
from pathlib import Path
from typing import Any

from edgefashion.bench import baseline, run
from edgefashion.system import files

Report = dict[str, Any]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("stored", type=Path)
    arguments.add_argument("--runs", type=int, default=6)
    arguments.add_argument("--model", default="edge")
    arguments.add_argument("--judge", action="store_true")
    given = arguments.parse_args()
    if not given.judge:
        options = run.BenchOptions(cold_starts=1)
        runs = []
        for number in range(given.runs):
            runs.append(run.bench(given.model, vs=("tensorflow",), options=options).as_json())
            print(f"run {number + 1} of {given.runs} done", flush=True)
        with files.written_aside(given.stored) as aside:
            aside.write_text(json.dumps(runs), encoding="utf-8")
    judge(json.loads(given.stored.read_text(encoding="utf-8")))


def judge(runs: list[Report]) -> None:
    """Print, for equal runs and for made-up slowdowns, how many of the compared quantities are called worse."""
    for times in (1.0, 1.1, 1.2):
        compared = worse = 0
        for old, new in permutations(runs, 2):
            changes = [c for c in baseline.compare(slower(new, times), old) if c.row.startswith("OpenVINO")]
            timed = [c for c in changes if c.quantity in ("latency p50", "throughput")]
            compared += len(timed)
            worse += sum(c.verdict == "worse" for c in timed)
        print(f"{times - 1:4.0%} slower: {worse} of {compared} called worse ({worse / compared:.1%})")


def slower(report: Report, times: float) -> Report:
    """The report with every time of its OpenVINO rows multiplied."""
    changed = copy.deepcopy(report)
    for row in changed["rows"]:
        if row["engine"] == "openvino":
            row["latency_p50_rounds_us"] = [us * times for us in row["latency_p50_rounds_us"]]
            row["throughput_rounds_fps"] = [fps / times for fps in row["throughput_rounds_fps"]]
    return changed


if __name__ == "__main__":
    main()
