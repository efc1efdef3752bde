"""Is this machine ready? Each check says ok, or what to do."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgefashion.bundles import bundle, current, places, resolve
from edgefashion.bundles.running import running
from edgefashion.camera.app import ANSWERS_FPS
from edgefashion.camera.outputs import window
from edgefashion.data import fashion_mnist, images
from edgefashion.errors import EdgeFashionError
from edgefashion.inference import device
from edgefashion.system import machine
from edgefashion.system.extras import install_line, installed

_CAMERAS_TRIED: Final = 4
_SPEED_S: Final = 1.0
"""How long the camera's work is timed."""

_FRAME_WH: Final = (1280, 720)

_EXTRAS: Final = {
    "tensorflow": ("train networks, measure the original", "train"),
    "nncf": ("quantize to INT8", "convert --int8"),
    "matplotlib": ("draw charts", ""),
    "onnxruntime": ("measure ONNX Runtime beside OpenVINO", ""),
    "ai_edge_litert": ("measure LiteRT beside OpenVINO", ""),
    "starlette": ("show the camera's page", "camera --web"),
    "paho": ("send the camera's events to an MQTT broker", "camera --events mqtt://"),
    "pyarrow": ("tag pictures into a Parquet file", "tag"),
    "ray": ("tag pictures on several machines", "tag --engine ray"),
    "model_signing": ("sign packs of models and check their signatures", "models sign"),
    "kserve": ("serve a model to other machines", "serve"),
    "tritonclient": ("use a model that another machine serves", "models by URL"),
}
"""Import name -> what it is for, and the command that needs it; empty where the command does without."""


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    ok: bool
    detail: str
    """What was found, or what to do."""
    needed: bool = False
    """True if nothing works without it."""
    of: str = ""
    """The command that this is needed for; empty where it is for no one command."""


def checks() -> Iterator[Check]:
    """Run every check, one after the other, none of which can fail the next: a kiosk's first, the extras last."""
    yield from _guarded("cameras", _cameras)
    yield from _guarded("display", _display)
    yield from _guarded("CPU", _cpu, needed=True)
    yield from _guarded("speed", _speed)
    shipped = (places.PHOTO_MODEL, places.DEFAULT_MODEL)
    for model in shipped:
        yield from _guarded(f"model {model}", lambda model=model: _model(model), needed=True)  # type: ignore[misc]
    of_history = {current.folder_of(each.path) for each in resolve.known()}
    for folder in sorted(each for each in of_history if current.keeps_history(each) and each.name not in shipped):
        yield from _guarded(f"model {folder.name}", lambda folder=folder: _model(str(folder)))  # type: ignore[misc]
    yield from _devices()
    yield from _guarded("versions", _versions)
    yield from _guarded("dataset", _dataset, of="convert, evaluate, bench")
    for module, (purpose, command) in _EXTRAS.items():
        found = installed(module)
        detail = "installed" if found else f"to {purpose}: {install_line(module)}"
        yield Check(f"extra: {module}", found, detail, of=command)


def summary(found: Sequence[Check]) -> str:
    """The report in one line: what this machine is ready for, and what it lacks.

    ``found``: all that :func:`checks` gave.
    """
    well = {check.name: check.ok for check in found}
    if broken := [check.name for check in found if check.needed and not check.ok]:
        return f"Not ready: {_listed(broken)} must be mended first"
    camera = "camera" if well["display"] else "camera --headless"
    ready = [camera if well["cameras"] else f"{camera} (source: a video or a URL)", "predict"]
    ready += [check.of for check in found if check.of and check.ok]
    lacking = [_LACKS[name] for name in _LACKS if not well[name]]
    lacking += [check.name.removeprefix("extra: ") for check in found if check.of and not check.ok]
    missing = f"missing: {_listed(lacking)}" if lacking else "nothing is missing"
    return f"Ready for {', '.join(ready)}; {missing}"


_LACKS: Final = {"cameras": "a camera", "display": "a display", "speed": "a faster CPU for the camera"}


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _guarded(name: str, look: Callable[[], tuple[bool, str]], needed: bool = False, of: str = "") -> Iterator[Check]:
    try:
        ok, detail = look()
    except (EdgeFashionError, ImportError, OSError, RuntimeError) as error:
        ok, detail = False, str(error).strip() or type(error).__name__
    yield Check(name, ok, detail, needed, of)


def _versions() -> tuple[bool, str]:
    return True, ", ".join(f"{name} {v}" for name, v in machine.versions().items())


def _cpu() -> tuple[bool, str]:
    facts: dict[str, Any] = machine.describe()
    found = " ".join(facts["isa"]) or "no vector instructions"
    devices = ", ".join(device.available())
    detail = f"{facts['cpu']}, {facts['cores']} cores, {facts['ram_gb']} GB; {found}; OpenVINO devices: {devices}"
    if "avx2" not in facts["isa"]:
        return False, f"{detail}. OpenVINO wants AVX2: expect slow answers on this CPU"
    return True, detail


def _devices() -> Iterator[Check]:
    """The devices for ``--device``: each that OpenVINO finds, and what brings the kinds that it does not."""
    here = device.available()
    for name in here:
        yield from _guarded(f"device {name}", lambda name=name: _compiles(name))  # type: ignore[misc]
    for kind in device.KINDS:
        if not any(name.partition(".")[0] == kind for name in here):
            yield Check(f"device {kind}", False, f"OpenVINO finds none. {device.how_to_get(kind)}")


def _compiles(name: str) -> tuple[bool, str]:
    """Whether the shipped networks compile on a device; each is run once there, for that is what a driver fails at."""
    import numpy as np
    import openvino as ov

    from edgefashion.inference import load

    for model in (places.PHOTO_MODEL, places.DEFAULT_MODEL):
        classifier = load.load(model, device=name)
        classifier(np.zeros(classifier.input_shape, np.uint8)[None])
        if classifier.finder is not None:
            classifier.finder.make_ready()
    called = str(ov.Core().get_property(name, "FULL_DEVICE_NAME")).strip()
    return True, f"{called}: {places.PHOTO_MODEL} and {places.DEFAULT_MODEL} compile and run on it"


def _speed() -> tuple[bool, str]:
    """The camera's work on one frame, timed for a second: a frame of noise costs what any other does."""
    import numpy as np

    from edgefashion.inference import load, predict, preprocess

    classifier = load.load(places.PHOTO_MODEL)
    width, height = _FRAME_WH
    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    guide = preprocess.guide_box(width, height)
    frames_ms: list[float] = []
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < _SPEED_S or len(frames_ms) < 2:
        before_s = time.perf_counter()
        predict.predict(classifier, frame, within=guide)
        frames_ms.append((time.perf_counter() - before_s) * 1000)
    frame_ms = statistics.median(frames_ms)
    share = frame_ms * ANSWERS_FPS / 1000
    told = f"{places.PHOTO_MODEL} answers a frame in {frame_ms:.1f} ms"
    if share > 1:
        return False, f"{told}. The camera wants {ANSWERS_FPS:.0f} answers a second: it will lag on this CPU"
    return True, f"{told}: fast enough for the camera, whose {ANSWERS_FPS:.0f} a second take {share:.0%} of a core"


def _model(name: str) -> tuple[bool, str]:
    found = resolve.resolve(name).bundle
    assert found is not None
    found.verify_all()
    forms = ", ".join(p for p in bundle.IR_PRECISIONS if found.has(p))
    now = running(found.name, found.path / bundle.INFO)
    revision = f", revision {now.revision}" if now.revision else ""
    proving = "; on probation" if now.probation else f"; {now.taken_back}" if now.taken_back else ""
    told = f"at {found.path}: {len(found.files)} files verified; IRs: {forms}; hash {found.sha256[:12]}"
    return True, f"{told}{revision}{proving}"


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
