"""Who competes in a bench: the rows a model gives, and why some are missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edgefashion.bench.peer_files import Spec, file_name, outcome
from edgefashion.bench.peers import PEERS
from edgefashion.bundles import resolve
from edgefashion.errors import BadInputError
from edgefashion.inference import classifier, load, onnx_litert_engine, openvino_engine
from edgefashion.inference.classifier import BATCH
from edgefashion.inference.remote.address import parse
from edgefashion.system import machine
from edgefashion.system.extras import install_line, installed, need
from edgefashion.system.processes import child_environment

ORIGINALS: Final = ("tensorflow", "keras")
BESIDE: Final = (*PEERS, *ORIGINALS)
"""What ``--vs`` may name."""

TITLES: Final = {
    "keras-predict": "Keras model.predict",
    "keras": "Keras call",
    "tensorflow": "TensorFlow SavedModel",
    **onnx_litert_engine.TITLES,
    "openvino": "OpenVINO",
    "remote": "Server",
}

ISA_CAPS: Final = {
    "avx2": ("AVX2", "avx2"),
    "avx2_vnni": ("AVX2_VNNI", "avx_vnni"),
    "avx512": ("AVX512_CORE", "avx512f"),
    "avx512_vnni": ("AVX512_CORE_VNNI", "avx512_vnni"),
    "amx": ("AVX512_CORE_AMX", "amx_int8"),
}
"""``--isa``'s names: oneDNN's own name of the cap, and what the CPU must have for it to be one."""

_CONVERSION_LIMIT_S: Final = 300
_IMPORT: Final = {
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "litert": "ai_edge_litert",
    "onnxruntime": "onnxruntime",
}


@dataclass(frozen=True)
class Contender:
    """One row to be: an engine, a precision and where its files are."""

    name: str
    model: str
    """What the engine loads; a peer's is the folder of its files, made before it starts."""
    engine: str
    precision: str
    threads: int | None
    size_bytes: int
    isa: str | None = None
    own: dict[str, Any] | None = None
    """How a file from elsewhere is fed in its own runtime, as :class:`edgefashion.inference.onnx_litert_engine.OwnRuntime` takes it."""

    @property
    def converted(self) -> bool:
        """True for a peer, whose files are made for the measurement."""
        return self.engine in PEERS and self.own is None

    @property
    def title(self) -> str:
        """The row's name with what tells it from its neighbours, for progress and notes."""
        threads = "" if self.threads is None else f" at {self.threads or 'all'} thread{'s' * (self.threads != 1)}"
        return f"{self.name}{threads}{f' under {self.isa}' if self.isa else ''}"


def contenders(
    model: str | Path,
    vs: tuple[str, ...] | None = None,
    threads: int | None = None,
    isa: tuple[str, ...] = (),
    own: onnx_litert_engine.Own | None = None,
) -> tuple[list[Contender], list[str]]:
    """The rows MODEL gives, and notes on those it could have given.

    ``vs`` names what to measure beside the IRs (any of :data:`BESIDE`); None means what is installed.
    ``threads``: one number for every row that can be told it; None gives a row at 1 and one at all, under a cap
    at 1 alone.
    ``isa``: instruction sets (of :data:`ISA_CAPS`) to cap OpenVINO at, a row for each.
    ``own``: the file from elsewhere that MODEL was made from; None for ``vs`` then means its runtime.
    Raises :class:`BadInputError` for an unknown one of either.
    """
    found = resolve.resolve(model)
    if unknown := set(vs or ()) - set(BESIDE):
        raise BadInputError(f"--vs: no engine named {min(unknown)!r}. Known: {', '.join(BESIDE)}")
    if unknown := set(isa) - set(ISA_CAPS):
        raise BadInputError(f"--isa: no instruction set named {min(unknown)!r}. Known: {', '.join(ISA_CAPS)}")
    if own and vs is None:
        vs = () if isa else (own.engine,)
    beside, notes = _installed(vs, isa, own)
    rows: list[Contender] = []
    each = (threads,) if threads is not None else (1, 0) if machine.cores() > 1 else (1,)

    def add(engine: str, precision: str, size_bytes: int, at: tuple[int | None, ...] = (None,), **more: Any) -> None:
        suffix = f" {precision.upper()}" if engine in ("openvino", *PEERS) else ""
        rows.extend(
            Contender(f"{TITLES[engine]}{suffix}", str(found.path), engine, precision, n, size_bytes, **more)
            for n in at
        )

    parts = found.bundle if found.kind == "bundle" else None
    if parts is not None:
        originals = {form: parts.size_bytes(form) for form in ("keras", "saved_model") if parts.has(form)}
        irs = {p: parts.size_bytes(p) for p in ("fp32", "int8") if parts.has(p)}
        if "int8" not in irs:
            notes.append("No INT8 row: this bundle has no INT8 IR. Run: edgefashion convert --int8")
    elif found.kind == "ir":
        stem = found.path.stem
        size = sum(p.stat().st_size for p in (found.path, found.path.with_suffix(".bin")))
        originals, irs = {}, {stem if stem in classifier.PRECISIONS else "fp32": size}
    else:
        files = [found.path] if found.path.is_file() else [p for p in found.path.rglob("*") if p.is_file()]
        originals, irs = {found.kind: sum(f.stat().st_size for f in files)}, {}
        need("tensorflow", f"to measure {found.path}")
    if "keras" in beside and "keras" in originals:
        add("keras-predict", "fp32", originals["keras"])
        add("keras", "fp32", originals["keras"])
    if "tensorflow" in beside and "saved_model" in originals:
        add("tensorflow", "fp32", originals["saved_model"])
    if own and own.engine in beside:
        add(own.engine, own.precision, own.path.stat().st_size, each)
        rows = [replace(row, model=str(own.path), own=own.fed) for row in rows]
    for peer in (peer for peer in PEERS if peer in beside and originals):
        for precision in ("fp32", "int8"):
            add(peer, precision, 0, each)
    for cap in isa or (None,):
        for precision, size in irs.items():
            add("openvino", precision, size, each if threads is not None or not cap else (1,), isa=cap)
            if precision == "fp32" and parts is not None and not isa and openvino_engine.cpu_has_bf16():
                add("openvino", "bf16", size, each)
    if parts is not None and not isa and not openvino_engine.cpu_has_bf16():
        notes.append("No BF16 row: this CPU cannot run it.")
    without = set(beside) - {row.engine.removesuffix("-predict") for row in rows}
    named = own.path if own else found.path
    notes.extend(
        f"No {TITLES[name]} row: {named} holds no SavedModel or .keras file for it." for name in sorted(without)
    )
    if not rows:
        raise BadInputError(f"{found.path} holds nothing to measure. Run: edgefashion convert {found.name}")
    return rows, notes


def served(
    url: str, vs: tuple[str, ...] | None, threads: int | None, isa: tuple[str, ...]
) -> tuple[list[Contender], list[str]]:
    """The row of the model at ``url``, and those of the IRs of this machine's models that ``vs`` names.

    Raises :class:`BadInputError` for what cannot be measured of a served model, and as
    :func:`edgefashion.inference.load.load` does.
    """
    if isa:
        raise BadInputError("--isa caps this machine's OpenVINO, not the server's. Leave it out")
    if threads is not None and not vs:
        raise BadInputError("--threads is for this machine, not the server's. Leave it out")
    if engine := next((name for name in vs or () if name in BESIDE), None):
        raise BadInputError(f"--vs: beside a served model stand models of this machine, not {engine}. Name one")
    found = load.load(url)
    protocol = {"grpc": "gRPC"}.get(parse(url).scheme, "HTTP")
    name = f"{TITLES['remote']}, {protocol} {found.precision.upper()}"
    rows = [Contender(name, url, "remote", found.precision, None, 0)]
    for name in vs or ():
        beside, _ = contenders(name, (), threads)
        rows += [replace(row, name=f"{row.name} of {name}" if len(vs or ()) > 1 else row.name) for row in beside]
    note = "The machine and the memory are those of the one that asks; its async is several requests at once."
    return rows, [note]


def _installed(
    vs: tuple[str, ...] | None, isa: tuple[str, ...], own: onnx_litert_engine.Own | None
) -> tuple[tuple[str, ...], list[str]]:
    """What of ``vs`` is installed, and a note on each that is not."""
    if vs is None:
        # What is asked for with --isa is how the IRs fare.
        return tuple(name for name in BESIDE if not isa and not _missing(name)), [
            f"The original was not measured: TensorFlow is not installed. Run: {install_line('tensorflow')}"
        ] * (not isa and bool(_missing("tensorflow")))
    missing = {name: module for name in vs if (module := _missing(name, own))}
    # A peer's extra brings all that its conversion takes.
    lines = {name: install_line(_IMPORT[name] if name in PEERS else module) for name, module in missing.items()}
    notes = [f"No {TITLES[name]} row: {m} is not installed. Run: {lines[name]}" for name, m in missing.items()]
    return tuple(name for name in vs if name not in missing), notes


def _missing(name: str, own: onnx_litert_engine.Own | None = None) -> str | None:
    """The first module that measuring ``name`` lacks here."""
    wanted = [_IMPORT[name]]
    if name in PEERS and not own:
        wanted += ["tensorflow", *(["tf2onnx"] if name == "onnxruntime" else [])]
    return next((module for module in wanted if not installed(module)), None)


def cappable(chosen: list[Contender]) -> tuple[list[Contender], list[str]]:
    """Without the rows whose cap lies above what this CPU has, and notes that say so."""
    known = set(machine.isa())
    if not machine.isa_is_whole():
        known |= {flag for _, flag in ISA_CAPS.values()}  # the row's kernels tell what it ran in
    above = {c.isa for c in chosen if c.isa and ISA_CAPS[c.isa][1] not in known}
    kept = [c for c in chosen if c.isa not in above]
    if not kept:
        raise BadInputError(f"--isa: this CPU has none of {', '.join(sorted(filter(None, above)))}")
    return kept, [f"No {cap} row: this CPU does not have it." for cap in ISA_CAPS if cap in above]


def with_files(
    chosen: list[Contender], folder: Path, batches: tuple[int, ...], step: Callable[[str], None]
) -> tuple[list[Contender], list[str]]:
    """The contenders with the peers' files made, without those whose files could not be, and why."""
    failed: dict[tuple[str, str], str] = {}
    for peer in dict.fromkeys(c.engine for c in chosen if c.converted):
        step(f"convert for {TITLES[peer]}")
        precisions = tuple(dict.fromkeys(c.precision for c in chosen if c.engine == peer))
        model = next(c.model for c in chosen if c.engine == peer)
        spec = Spec(model, peer, precisions, tuple(sorted({1, BATCH, *batches})), str(folder))
        failed |= {(peer, precision): reason for precision, reason in _convert(spec).items() if reason}
    rows, notes = [], []
    for c in chosen:
        if reason := failed.get((c.engine, c.precision)):
            notes.append(f"No {c.name} row: {reason}")
        elif c.converted:
            size = (folder / file_name(c.precision, 1, c.engine)).stat().st_size
            rows.append(replace(c, model=str(folder), size_bytes=size))
        else:
            rows.append(c)
    return rows, list(dict.fromkeys(notes))


def _convert(spec: Spec) -> dict[str, str]:
    """Make one peer's files in a process of its own; of each precision why that failed, or nothing."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "edgefashion.bench.peer_files", spec.as_json()],
            env=child_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=_CONVERSION_LIMIT_S,
        )
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        ended = f"it could not be converted ({last[:200]})"
    except subprocess.TimeoutExpired:
        ended = f"its conversion took longer than {_CONVERSION_LIMIT_S} s"
    reasons = {}
    for precision in spec.precisions:
        told = outcome(Path(spec.folder), spec.peer, precision)
        said = told.read_text(encoding="utf-8") if told.is_file() else None
        reasons[precision] = ended if said is None else f"it could not be converted ({said[:200]})" if said else ""
    return reasons
