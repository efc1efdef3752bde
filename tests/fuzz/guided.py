"""One target of scripts/fuzz, led by coverage: atheris looks which lines of ours an example reaches, and goes on from
those that reach new ones. Called by ``scripts/fuzz --guided``: TARGET MINUTES."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / ".hypothesis" / "guided"
INSTALL = "Run: .venv/bin/python -m pip install atheris (it has wheels for Linux, Python 3.11 to 3.13)"


def targets(name: str) -> list[str]:
    """``FILE::TEST`` of each target that has ``name`` in it."""
    only = ["--collect-only", "-m", "hypothesis", "-k", name, str(Path(__file__).parent)]
    listed = subprocess.run([sys.executable, "-m", "pytest", "-q", *only], cwd=ROOT, capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if "::" in line]


def main() -> None:
    """Fuzz the target until it fails or the minutes are over."""
    try:
        import atheris
    except ImportError:
        sys.exit(f"fuzz: atheris is not installed. {INSTALL}")
    found = targets(sys.argv[1])
    if len(found) != 1:
        sys.exit(
            f"fuzz: --guided takes one target, by a part of its name: {', '.join(found) or 'there is no such one'}"
        )
    file, _, test = found[0].partition("::")
    os.environ["EDGEFASHION_FUZZ_EXAMPLES"] = "1"
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "fuzz")]
    with atheris.instrument_imports(include=["edgefashion"]):
        module = importlib.import_module(Path(file).stem)
    corpus = CORPUS / f"{Path(file).stem}.{test}"
    corpus.mkdir(parents=True, exist_ok=True)
    limits = [
        f"-max_total_time={float(sys.argv[2]) * 60:.0f}",
        "-timeout=60",
        "-rss_limit_mb=4096",
        "-max_len=8192",
        "-len_control=0",
    ]
    kept = f"-artifact_prefix={corpus.parent}/{corpus.name}."
    # What fails is kept in hypothesis' own database, too.
    print(f"fuzz: {found[0]}. To repeat a fault: scripts/fuzz {test}", flush=True)
    atheris.Setup([sys.argv[0], *limits, kept, str(corpus)], getattr(module, test).hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
