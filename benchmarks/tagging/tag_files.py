"""What the tables of ``edgefashion tag`` cost: time a row, and memory as their number grows.

    python benchmarks/tagging/tag_files.py --rows 100000 1000000

Each line is a process of its own: rows added to the journal 64 at a time, opened again as after a crash, finished,
opened once more as for further pictures, and read.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edgefashion.tagging.row import Row
from edgefashion.tagging.table import Ledger, read_rows

MADE_WITH = {"model": "edge"}
AT_ONCE = 64


def rows(start: int, count: int) -> Iterator[Row]:
    """Rows as long as real ones."""
    top = (("T-shirt/top", 0.5123412), ("Shirt", 0.251231), ("Dress", 0.1251231))
    for n in range(start, start + count):
        path = f"/srv/inventory/shop-{n % 97:02}/pictures/{n:08}-front.jpg"
        yield Row(path, top[0][0], top[0][1], top, True, (12, 34, 560, 780), 640, 853, f"{n * 2654435761:016x}")


def peak_mb() -> float:
    """The most memory this process has had, in MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024) / 1.024


def measure(suffix: str, count: int) -> None:
    """Print one line."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"tags{suffix}"
        times = [time.perf_counter()]
        with Ledger(out, MADE_WITH) as ledger:
            for start in range(0, count, AT_ONCE):
                ledger.add(rows(start, min(AT_ONCE, count - start)))
            times.append(time.perf_counter())
            journal_mb = Path(f"{out}.partial").stat().st_size / 1e6
        added_mb = peak_mb()
        times.append(time.perf_counter())
        with Ledger(out, MADE_WITH) as ledger:
            times.append(time.perf_counter())
            ledger.finish()
            times.append(time.perf_counter())
        with Ledger(out, MADE_WITH) as ledger:
            assert ledger.done == count
            times.append(time.perf_counter())
        assert sum(1 for _ in read_rows(out)) == count
        times.append(time.perf_counter())
        add, _, again, finish, further, read = ((b - a) / count * 1e6 for a, b in itertools.pairwise(times))
        print(
            f"{suffix:9}{count:>10,}{add:10.1f}{again:10.1f}{finish:10.1f}{further:10.1f}{read:10.1f}"
            f"{journal_mb:12.1f}{out.stat().st_size / 1e6:10.1f}{added_mb:12.0f}{peak_mb():10.0f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    counts = parser.parse_args().rows
    names = ("add us", "again us", "finish us", "open us", "read us")
    print(f"{'':9}{'rows':>10}{''.join(f'{name:>10}' for name in names)}{'journal MB':>12}{'file MB':>10}", end="")
    print(f"{'adding MB':>12}{'peak MB':>10}")
    for suffix in (".parquet", ".csv", ".jsonl"):
        for count in counts:
            process = multiprocessing.get_context("spawn").Process(target=measure, args=(suffix, count))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
