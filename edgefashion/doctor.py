"""Is this machine ready? Each check says ok, or what to do."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgefashion.bundles import bundle, resolve
from edgefashion.camera.outputs import window
from edgefashion.data import fashion_mnist, images
from edgefashion.errors import EdgeFashionError
from edgefashion.system import machine
from edgefashion.system.extras import install_line, installed

_CAMERAS_TRIED: Final = 4


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    ok: bool
    detail: str
    """What was found, or what to do."""
    needed: bool = False
    """True if nothing works without it."""


def checks() -> Iterator[Check]:
    """Run every check, one after the other, none of which can fail the next."""
    yield from _guarded("versions", _versions)
    yield from _guarded("CPU", _cpu, needed=True)
    for model in (resolve.DEFAULT_MODEL, resolve.PHOTO_MODEL):
        yield from _guarded(f"model {model}", lambda model=model: _model(model), needed=True)  # type: ignore[misc]
    yield from _guarded("dataset", _dataset)
    for module, purpose in (
        ("tensorflow", "train networks, measure the original"),
        ("nncf", "quantize to INT8"),
        ("matplotlib", "draw charts"),
        ("onnxruntime", "measure ONNX Runtime beside OpenVINO"),
        ("ai_edge_litert", "measure LiteRT beside OpenVINO"),
        ("starlette", "show the camera's page"),
        ("paho", "send the camera's events to an MQTT broker"),
        ("pyarrow", "tag pictures into a Parquet file"),
        ("ray", "tag pictures on several machines"),
        ("kserve", "serve a model to other machines"),
        ("tritonclient", "use a model that another machine serves"),
    ):
        found = installed(module)
        yield Check(f"extra: {module}", found, "installed" if found else f"to {purpose}: {install_line(module)}")
    yield from _guarded("cameras", _cameras)
    yield from _guarded("display", _display)


def _guarded(name: str, look: Callable[[], tuple[bool, str]], needed: bool = False) -> Iterator[Check]:
    try:
        ok, detail = look()
    except (EdgeFashionError, ImportError, OSError, RuntimeError) as error:
        ok, detail = False, str(error).strip() or type(error).__name__
    yield Check(name, ok, detail, needed)


def _versions() -> tuple[bool, str]:
    return True, ", ".join(f"{name} {v}" for name, v in machine.versions().items())


def _cpu() -> tuple[bool, str]:
    import openvino as ov

    facts: dict[str, Any] = machine.describe()
    found = " ".join(facts["isa"]) or "no vector instructions"
    devices = ", ".join(ov.Core().available_devices)
    detail = f"{facts['cpu']}, {facts['cores']} cores, {facts['ram_gb']} GB; {found}; OpenVINO devices: {devices}"
    if "avx2" not in facts["isa"]:
        return False, f"{detail}. OpenVINO wants AVX2: expect slow answers on this CPU"
    return True, detail


def _model(name: str) -> tuple[bool, str]:
    found = resolve.resolve(name).bundle
    assert found is not None
    found.verify_all()
    forms = ", ".join(p for p in bundle.IR_PRECISIONS if found.has(p))
    return True, f"at {found.path}: {len(found.info['files'])} files verified; IRs: {forms}"


def _dataset() -> tuple[bool, str]:
    return True, f"Fashion-MNIST verified at {fashion_mnist.verify()}"


def _cameras() -> tuple[bool, str]:
    import cv2

    if platform.system() == "Linux" and not list(Path("/dev").glob("video*")):
        return False, "none found. Plug one in, or give --source a video, a folder or a URL"
    found = []
    with images.quiet_cv2():
        for number in range(_CAMERAS_TRIED):
            capture = cv2.VideoCapture(number)
            if capture.isOpened():
                size = f"{capture.get(cv2.CAP_PROP_FRAME_WIDTH):.0f}x{capture.get(cv2.CAP_PROP_FRAME_HEIGHT):.0f}"
                found.append(f"{number} ({size})")
            capture.release()
    if not found:
        return False, "there are video devices, but none opens. Is another program using the camera?"
    return True, "camera " + ", ".join(found)


def _display() -> tuple[bool, str]:
    if window.display_works():
        return True, os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or "a window can be opened"
    return False, "no window can be opened here. Run the camera with --headless, or from a desktop session"
