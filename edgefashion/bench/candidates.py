"""What a bench measures: the rows that a model gives, and why some are missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edgefashion.bench.peers import PEERS
from edgefashion.bundles import model_files, resolve
from edgefashion.bundles.places import as_argument
from edgefashion.errors import BadInputError
from edgefashion.inference import device, load, onnx_litert_engine, openvino_engine
from edgefashion.inference.remote.address import parse
from edgefashion.labels import LABELS
from edgefashion.system import machine
from edgefashion.system.extras import install_line, installed, need

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

_ANY: Final = "SavedModel or .keras file"
_READS: Final = {"tensorflow": "SavedModel", "keras": ".keras file"}
"""What each engine reads; a peer's file is converted from either."""

ISA_CAPS: Final = {
    "avx2": ("AVX2", "avx2"),
    "avx2_vnni": ("AVX2_VNNI", "avx_vnni"),
    "avx512": ("AVX512_CORE", "avx512f"),
    "avx512_vnni": ("AVX512_CORE_VNNI", "avx512_vnni"),
    "amx": ("AVX512_CORE_AMX", "amx_int8"),
}
"""``--isa``'s names: oneDNN's own name of the cap, and what the CPU must have for it to be one."""

_IMPORT: Final = {
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "litert": "ai_edge_litert",
    "onnxruntime": "onnxruntime",
}


@dataclass(frozen=True)
class Candidate:
    """One row to be measured: an engine, a precision and where its files are."""

    name: str
    model: str
    """What the engine loads; a peer's is the folder of its files, made before it starts."""
    engine: str
    precision: str
    threads: int | None
    size_bytes: int
    isa: str | None = None
    own: dict[str, Any] | None = None
    """How a file from elsewhere is fed in its own runtime, as
    :class:`edgefashion.inference.onnx_litert_engine.OwnRuntime` takes it."""
    labels: tuple[str, ...] = LABELS
    """What the network's answers stand for."""
    device: str = "CPU"
    """What OpenVINO runs on."""

    @property
    def converted(self) -> bool:
        """True for a peer, whose files are made for the measurement."""
        return self.engine in PEERS and self.own is None

    @property
    def title(self) -> str:
        """The row's name with what tells it from its neighbours, for progress and notes."""
        threads = "" if self.threads is None else f" at {self.threads or 'all'} thread{'s' * (self.threads != 1)}"
        return f"{self.name}{threads}{f' under {self.isa}' if self.isa else ''}"


def of_model(
    model: str | Path,
    vs: tuple[str, ...] | None = None,
    threads: int | None = None,
    isa: tuple[str, ...] = (),
    own: onnx_litert_engine.Own | None = None,
    devices: Sequence[str] | None = None,
) -> tuple[list[Candidate], list[str]]:
    """The rows MODEL gives, and notes on those it could have given.

    ``vs`` names what to measure beside the IRs (any of :data:`BESIDE`); None means what is installed.
    ``threads``: one number for every row that can be told it; None gives a row at 1 and one at all, under a cap
    at 1 alone.
    ``isa``: instruction sets (of :data:`ISA_CAPS`) to cap OpenVINO at, a row for each.
    ``own``: the file from elsewhere that MODEL was made from; None for ``vs`` then means its runtime.
    ``devices``: what OpenVINO runs on, rows for each; None means all that it finds.
    Raises :class:`BadInputError` for an unknown one of any, :class:`MissingError` for a device that is not here.
    """
    found = resolve.resolve(model)
    on = _devices(devices, isa)
    _check_known("--vs: no engine", vs or (), BESIDE)
    _check_known("--isa: no instruction set", isa, ISA_CAPS)
    if own and vs is None:
        vs = () if isa else (own.engine,)
    beside, notes = _installed(vs, isa, own)
    forms = _forms(found, own)
    if not forms.irs:
        need("tensorflow", f"to measure {found.path}")
    rows = _Rows(found, forms, threads, isa, on)
    rows.add_originals(beside)
    if own and own.engine in beside:
        rows.add_own(own)
    rows.add_peers(beside)
    rows.add_irs()
    if not rows.found:
        hint = f"Run: edgefashion convert {as_argument(found.path)}"
        raise BadInputError(f"{found.path} holds nothing to measure. {hint}")
    without = set(beside) - {row.engine.removesuffix("-predict") for row in rows.found}
    named = own.path if own else found.path
    missing = [f"No {TITLES[name]} row: {named} holds no {_READS.get(name, _ANY)} for it." for name in sorted(without)]
    lacking = _missing_irs(found, forms, isa) if "CPU" in on else []
    return rows.found, [*notes, *forms.notes, *lacking, *missing]


def of_server(
    url: str,
    vs: tuple[str, ...] | None,
    threads: int | None,
    isa: tuple[str, ...],
    devices: Sequence[str] | None = None,
) -> tuple[list[Candidate], list[str], bool]:
    """The row of the model at ``url``, and those of the IRs of this machine's models that ``vs`` names; notes; whether
    the model takes photos.

    Raises :class:`BadInputError` for what cannot be measured of a served model, and as
    :func:`edgefashion.inference.load.load` does.
    """
    if isa:
        raise BadInputError("--isa caps this machine's OpenVINO, not the server's. Leave it out")
    if threads is not None and not vs:
        raise BadInputError("--threads is for this machine, not the server's. Leave it out")
    if devices is not None and not vs:
        raise BadInputError("--device is for this machine: the server chooses its own. Leave it out")
    if engine := next((name for name in vs or () if name in BESIDE), None):
        raise BadInputError(f"--vs: beside a served model stand models of this machine, not {engine}. Name one")
    found = load.load(url)
    protocol = {"grpc": "gRPC"}.get(parse(url).scheme, "HTTP")
    name = f"{TITLES['remote']}, {protocol} {found.precision.upper()}"
    rows = [Candidate(name, url, "remote", found.precision, None, 0, labels=found.labels)]
    for name in dict.fromkeys(vs or ()):
        beside, _ = of_model(name, (), threads, devices=devices)
        rows += [replace(row, name=f"{row.name} of {name}" if len(vs or ()) > 1 else row.name) for row in beside]
    note = "The machine and the memory are those of the one that asks; its async is several requests at once."
    return rows, [note], found.takes_photos


def cappable(chosen: list[Candidate]) -> tuple[list[Candidate], list[str]]:
    """Without the rows whose cap lies above what this CPU has, and notes that say so."""
    known = set(machine.isa())
    if not machine.isa_is_whole():
        known |= {flag for _, flag in ISA_CAPS.values()}  # the row's kernels tell what it ran in
    above = {c.isa for c in chosen if c.isa and ISA_CAPS[c.isa][1] not in known}
    kept = [c for c in chosen if c.isa not in above]
    if not kept:
        raise BadInputError(f"--isa: this CPU has none of {', '.join(sorted(filter(None, above)))}")
    return kept, [f"No {cap} row: this CPU does not have it." for cap in ISA_CAPS if cap in above]


# --- What a model holds ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Forms:
    """What of a model can be measured, and its bytes on disk."""

    originals: dict[str, int]
    """By form: ``keras``, ``saved_model``."""
    irs: dict[str, int]
    """By precision."""
    quantized: str = ""
    """The IR that is called FP32 and computes in INT8, as one made of a quantized file does; empty where none is."""
    notes: tuple[str, ...] = ()


def _forms(found: resolve.Model, own: onnx_litert_engine.Own | None) -> _Forms:
    if found.kind == "bundle":
        parts = found.bundle
        assert parts is not None
        # The FP16 IR has the FP32 one's weights, rounded, and computes in FP32 too: it stands in where that is missing.
        whole = "fp32" if parts.has("fp32") else "fp16"
        originals = {form: parts.size_bytes(form) for form in ("keras", "saved_model") if parts.has(form)}
        irs = {precision: parts.size_bytes(precision) for precision in (whole, "int8") if parts.has(precision)}
        if parts.has(whole) and is_quantized(path := parts.verified(whole)):
            size = irs.pop(whole)
            notes = ("No FP32 row: this bundle's FP32 IR is in INT8 already, as the file that it was made of.",)
            return _Forms(originals, {"int8": size, **irs}, "" if "int8" in irs else str(path), notes)
        return _Forms(originals, irs)
    if found.precision is not None:  # an IR: ours of a file from elsewhere, or one that was given
        precision = own.ir_precision if own else found.precision
        return _Forms({}, {"int8" if is_quantized(found.path) else precision: model_files.size_bytes(found.path)})
    files = [found.path] if found.path.is_file() else [p for p in found.path.rglob("*") if p.is_file()]
    return _Forms({found.kind: sum(f.stat().st_size for f in files)}, {})


def is_quantized(ir: Path) -> bool:
    """True if an IR's arithmetic is in INT8, whatever the file is called."""
    return b'type="FakeQuantize"' in ir.read_bytes()


def _missing_irs(found: resolve.Model, forms: _Forms, isa: tuple[str, ...]) -> list[str]:
    """Notes on the rows that a bundle's IRs do not give."""
    if found.kind != "bundle" or found.bundle is None:
        return []
    notes = []
    if "int8" not in forms.irs:
        notes.append(f"No INT8 row: this bundle has no INT8 IR. {found.bundle.how_to_make('int8')}")
    if not isa and not openvino_engine.cpu_has_bf16():
        notes.append("No BF16 row: this CPU cannot run it.")
    elif not isa and "fp32" not in forms.irs:
        notes.append("No BF16 row: this bundle has no FP32 IR.")
    return notes


class _Rows:
    """A model's rows, in the order they are reported in."""

    def __init__(
        self, found: resolve.Model, forms: _Forms, threads: int | None, isa: tuple[str, ...], devices: Sequence[str]
    ) -> None:
        self.found: list[Candidate] = []
        self._of, self._forms, self._isa, self._devices = found, forms, isa, devices
        self._labels = found.bundle.labels if found.bundle is not None else LABELS
        self._each = (threads,) if threads is not None else (1, 0) if machine.cores() > 1 else (1,)
        self._capped = self._each if threads is not None else (1,)

    def _add(
        self, engine: str, precision: str, size_bytes: int, at: tuple[int | None, ...] = (None,), **more: Any
    ) -> None:
        """A row for each number of threads in ``at``; None: the engine is not told any."""
        suffix = f" {precision.upper()}" if engine in ("openvino", *PEERS) else ""
        suffix += f" on {more['device']}" if more.get("device", "CPU") != "CPU" else ""
        of = {"model": str(self._of.path), "labels": self._labels, **more}
        self.found += [
            Candidate(
                f"{TITLES[engine]}{suffix}", engine=engine, precision=precision, threads=n, size_bytes=size_bytes, **of
            )
            for n in at
        ]

    @property
    def _ir(self) -> dict[str, Any]:
        """The file to load where a bundle does not find it by its precision."""
        return {"model": self._forms.quantized} if self._forms.quantized else {}

    def add_originals(self, beside: tuple[str, ...]) -> None:
        originals = self._forms.originals
        if "keras" in beside and "keras" in originals:
            self._add("keras-predict", "fp32", originals["keras"])
            self._add("keras", "fp32", originals["keras"])
        if "tensorflow" in beside and "saved_model" in originals:
            self._add("tensorflow", "fp32", originals["saved_model"])

    def add_own(self, own: onnx_litert_engine.Own) -> None:
        """The file from elsewhere in the runtime it was made for."""
        size = own.path.stat().st_size
        self._add(own.engine, own.precision, size, self._each, model=str(own.path), own=own.fed)

    def add_peers(self, beside: tuple[str, ...]) -> None:
        for peer in (peer for peer in PEERS if peer in beside and self._forms.originals):
            for precision in ("fp32", "int8"):
                self._add(peer, precision, 0, self._each)

    def add_irs(self) -> None:
        bf16 = self._of.kind == "bundle" and not self._isa and openvino_engine.cpu_has_bf16()
        for cap in dict.fromkeys(self._isa) or (None,):
            for precision, size in self._forms.irs.items() if "CPU" in self._devices else ():
                self._add("openvino", precision, size, self._capped if cap else self._each, isa=cap, **self._ir)
                if precision == "fp32" and bf16:
                    self._add("openvino", "bf16", size, self._each)
        for other in (name for name in self._devices if name != "CPU"):
            for precision, size in self._forms.irs.items():
                self._add("openvino", precision, size, device=other, **self._ir)


# --- What is installed -----------------------------------------------------------------------


def _check_known(what: str, given: Collection[str], known: Collection[str]) -> None:
    if unknown := set(given) - set(known):
        raise BadInputError(f"{what} named {min(unknown)!r}. Known: {', '.join(known)}")


def _devices(given: Sequence[str] | None, isa: tuple[str, ...]) -> list[str]:
    """The devices to measure on, as OpenVINO takes them, each once."""
    if given is None:
        return ["CPU"] if isa else device.available()
    names = list(dict.fromkeys(device.chosen(each).name for each in given))
    if isa and names != ["CPU"]:
        raise BadInputError("--isa caps the CPU alone. Leave it out, or --device")
    return names


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
