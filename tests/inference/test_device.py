"""The device that OpenVINO runs on: how it is named, what it is told, and the real CPU and AUTO."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.types import Arrays

from edgefashion import load
from edgefashion.bundles import resolve
from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference import device, openvino_engine
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.finder import FRAME_SHAPE
from edgefashion.inference.openvino_import import openvino


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *(
            ("CPU", "CPU"),
            ("cpu", "CPU"),
            (" Gpu ", "GPU"),
            ("GPU.1", "GPU.1"),
            ("npu", "NPU"),
            ("NPU.3720", "NPU.3720"),
        ),
        *(("AUTO", "AUTO"), ("auto", "AUTO"), ("AUTO:CPU", "AUTO:CPU"), ("AUTO:GPU,CPU", "AUTO:GPU,CPU")),
        *(("GPU,CPU", "AUTO:GPU,CPU"), ("npu, gpu.0 ,cpu", "AUTO:NPU,GPU.0,CPU"), ("CPU,CPU", "CPU")),
    ],
)
def test_names(text: str, name: str) -> None:
    """A device is named in upper or lower case, alone or several by preference, which is AUTO of these."""
    assert device.parse(text).name == name


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ":", ",", "CPU,", ",CPU", ":CPU", "AUTO:", "AUTO,CPU", "AUTO:AUTO", "AUTO:AUTO:CPU", "AUTO:-CPU"),
        *(
            "FOO",
            "CPU.0",
            "GPU.",
            "GPU.x",
            "GPU.-1",
            "GPU.\u0661",
            "GPU.999999",
            "GPU;CPU",
            "MULTI:CPU",
            "HETERO:GPU,CPU",
        ),
        *("BATCH:CPU", "CUDA", "GPU\n", "\ud800", "x" * 10_000),
    ],
)
def test_no_names(text: str) -> None:
    """What names no device is told in one short line, with what is known."""
    with pytest.raises(BadInputError, match=r"no device named .*Known: CPU, GPU, NPU, AUTO, ") as told:
        device.parse(text)
    assert len(str(told.value)) < 200
    assert str(told.value).isprintable()


@pytest.mark.parametrize(
    ("text", "here", "missing"),
    [
        ("CPU", [], None),
        ("AUTO", ["CPU"], None),
        ("GPU", ["CPU", "GPU"], None),
        ("GPU.0", ["CPU", "GPU"], None),
        ("GPU", ["CPU", "GPU.0", "GPU.1"], None),
        ("GPU.1", ["CPU", "GPU.0", "GPU.1"], None),
        ("GPU,CPU", ["CPU"], None),
        ("GPU,NPU", ["CPU", "NPU"], None),
        ("GPU", ["CPU"], "there is no GPU here: OpenVINO finds CPU. .*apt-get install intel-opencl-icd"),
        ("GPU", ["CPU", "NPU"], "there is no GPU here: OpenVINO finds CPU, NPU. .*intel-opencl-icd"),
        ("NPU", ["CPU", "GPU"], "there is no NPU here: .*linux-npu-driver"),
        ("NPU,GPU", ["CPU"], "there is no NPU and no GPU here: .*linux-npu-driver.*intel-opencl-icd"),
        ("GPU.1", ["CPU", "GPU"], "there is no GPU.1 here: OpenVINO finds CPU, GPU. Name one of these"),
        ("GPU.2", ["CPU", "GPU.0", "GPU.1"], "there is no GPU.2 here: .*Name one of these"),
    ],
)
def test_absent(text: str, here: list[str], missing: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An absent device is one line with what to install; of several by preference one that is there is enough."""
    monkeypatch.setattr(device, "available", lambda: here)
    if missing is None:
        assert device.chosen(text) == device.parse(text)
        return
    with pytest.raises(MissingError, match=missing) as told:
        device.chosen(text)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("one_image", [True, False])
def test_settings(one_image: bool) -> None:
    """The CPU alone is told threads, pinning and precision, under AUTO too; other devices get nothing but the hint."""
    of_cpu = openvino_engine.compile_config("fp32", "latency", 1, one_image=one_image)
    alone = {name: value for name, value in of_cpu.items() if name != "PERFORMANCE_HINT"}
    hint = {"PERFORMANCE_HINT": "LATENCY"}
    expected: dict[str, dict[str, Any]] = {
        "CPU": of_cpu,
        "GPU": hint,
        "GPU.1": hint,
        "NPU": hint,
        "AUTO:GPU,NPU": hint,
        "AUTO": {**hint, "DEVICE_PROPERTIES": {"CPU": alone}},
        "GPU,CPU": {**hint, "DEVICE_PROPERTIES": {"CPU": alone}},
    }
    assert {text: device.parse(text).settings(of_cpu) for text in expected} == expected


@pytest.mark.parametrize("name", ["AUTO", "AUTO:CPU", "GPU,CPU"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_auto_answers_as_the_cpu(name: str, precision: str, test_set: Arrays) -> None:
    """AUTO answers what the CPU alone answers, one image or many, in the precision and threads that were asked for."""
    images = test_set[0][:70]
    alone, auto = (load("edge", precision=precision, device=each) for each in ("CPU", name))
    for part in (images[:1], images[1:2], images):
        assert np.abs(alone(part) - auto(part)).max() < 1e-6
    assert auto.runtime_precision == alone.runtime_precision
    assert (auto.settings["device"], auto.settings["ran_on"]) == (device.parse(name).name, ["CPU"])
    for same in ("threads", "streams", "hint", "kernels"):
        assert auto.settings[same] == alone.settings[same]


def test_auto_in_throughput(test_set: Arrays) -> None:
    """A network for throughput has its queue under AUTO too."""
    images = test_set[0][:200]
    alone, auto = (load("edge", purpose="throughput", device=name) for name in ("CPU", "AUTO"))
    assert np.abs(alone(images) - auto(images)).max() < 1e-6


def test_the_finder_is_run_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo network, its mask and its finder are compiled for the device that was named."""
    compiled = []
    real = device.Device.compile

    def counted(self: device.Device, *arguments: Any) -> Any:
        compiled.append(self.name)
        return real(self, *arguments)

    monkeypatch.setattr(device.Device, "compile", counted)
    photo = np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)
    frame = np.zeros((1, *FRAME_SHAPE), np.uint8)
    answers = []
    for name in ("CPU", "AUTO"):
        found = load("kiosk", device=name)
        assert found.finder is not None
        answers.append([*found.look(photo), found.finder.run(frame), *found.look(255 - photo)])
    assert compiled == ["CPU", "CPU", "AUTO", "AUTO"]
    for one, other in zip(*answers, strict=True):
        assert np.abs(one - other).max() < 1e-5
    assert np.abs(answers[1][0] - answers[1][3]).max() > 1e-6  # the second answer is not the first one's


def test_a_device_that_cannot_run_it() -> None:
    """A device on which a network does not compile is one line that names it and what to do."""
    model = openvino_engine.read_ir(resolve.resolve("edge").path / "fp32.xml")
    with pytest.raises(MissingError, match=r"^GPU cannot run this network \(.*use --device CPU$") as told:
        device.parse("GPU").compile(openvino().Core(), model, {})
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        (
            "http://127.0.0.1:9/v2/models/kiosk",
            {"device": "CPU"},
            "its server chooses engine, precision, threads and device",
        ),
        ("grpc://127.0.0.1:9/kiosk", {"device": "AUTO"}, "its server chooses engine, precision, threads and device"),
        ("edge", {"device": "AUTO", "engine": "keras"}, "keras is not run on AUTO here: only OpenVINO's IRs are"),
        ("edge", {"device": "AUTO", "engine": "tensorflow"}, "tensorflow is not run on AUTO here"),
        ("edge", {"device": "FOO"}, "no device named 'FOO'"),
    ],
)
def test_not_ours_to_choose(model: str, options: dict[str, Any], says: str) -> None:
    """Of a served model the server chooses the device, and only OpenVINO's networks have one to choose."""
    with pytest.raises(BadInputError, match=says):
        load(model, **options)


def test_bf16_is_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """BF16 is refused for devices among which there is no CPU."""
    monkeypatch.setattr(device, "available", lambda: ["CPU", "GPU"])
    with pytest.raises(BadInputError, match="BF16 is for the CPU, not for GPU"):
        load("edge", precision="bf16", device="GPU")


def test_none_named_is_the_cpu() -> None:
    """Without a device the CPU is taken, and its settings are those of before."""
    found: Classifier = load("edge")
    assert (found.settings["device"], found.settings["ran_on"], found.settings["threads"]) == ("CPU", ["CPU"], 1)
