"""The device that OpenVINO runs a network on, as ``--device`` names it: read here, and looked for here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference.openvino_import import openvino

KINDS: Final = ("CPU", "GPU", "NPU")

KNOWN: Final = "CPU, GPU, NPU, AUTO, one of several as GPU.1, or in order of preference as GPU,CPU"
"""What a device may be, in words."""

_ONE: Final = re.compile(r"CPU|(GPU|NPU)(\.[0-9]{1,5})?")

_DRIVERS: Final = {
    "GPU": "For an Intel GPU install its driver (Debian, Ubuntu: apt-get install intel-opencl-icd)",
    "NPU": "For an Intel NPU install its driver (https://github.com/intel/linux-npu-driver/releases)",
}
"""What lets OpenVINO find a device, by its kind."""


@dataclass(frozen=True)
class Device:
    """A device, or several of which OpenVINO takes the best that is there."""

    members: tuple[str, ...]
    """In the order of preference; empty: whatever there is."""
    auto: bool = False
    """True where OpenVINO's AUTO chooses."""

    @property
    def name(self) -> str:
        """As OpenVINO takes it: ``GPU``, ``AUTO``, ``AUTO:GPU,CPU``."""
        listed = ",".join(self.members)
        return ":".join(filter(None, ("AUTO", listed))) if self.auto else listed

    @property
    def is_cpu(self) -> bool:
        """True for the CPU alone."""
        return self.name == "CPU"

    @property
    def may_be_cpu(self) -> bool:
        """True if the CPU is one of those that may be taken."""
        return "CPU" in self.members or not self.members

    def settings(self, of_cpu: dict[str, Any]) -> dict[str, Any]:
        """OpenVINO's settings for a device, of those ``of_cpu``, of which it takes only the hint for itself.

        Threads and pinning are the CPU's alone. A GPU and an NPU compute in FP16 unless the network is in INT8, which
        is what they are built for, and are left to it. Under AUTO the CPU still gets its own: without them it would
        compute in BF16 where it can.
        """
        if self.is_cpu:
            return of_cpu
        asked = {name: value for name, value in of_cpu.items() if name == "PERFORMANCE_HINT"}
        if not self.may_be_cpu:
            return asked
        return {**asked, "DEVICE_PROPERTIES": {"CPU": {k: v for k, v in of_cpu.items() if k not in asked}}}

    def compile(self, core: Any, model: Any, of_cpu: dict[str, Any]) -> Any:
        """Compile an ``openvino.Model`` for this device. Raises :class:`MissingError` where the device cannot run it;
        what the CPU cannot run raises OpenVINO's own ``RuntimeError``."""
        try:
            return core.compile_model(model, self.name, self.settings(of_cpu))
        except RuntimeError as error:
            if self.is_cpu:
                raise
            *_, reason = (line.strip() for line in str(error).splitlines() if line.strip())
            raise MissingError(
                f"{self.name} cannot run this network ({reason[:160]}). Update the device's driver, or use --device CPU"
            ) from error


CPU: Final = Device(("CPU",))
"""What is taken where none is named."""


def parse(text: str) -> Device:
    """The device that ``text`` names, upper or lower case. Raises :class:`BadInputError` for what is none."""
    prefix, colon, listed = text.upper().replace(" ", "").rpartition(":")
    if not colon and listed == "AUTO":
        return Device((), auto=True)
    members = tuple(dict.fromkeys(listed.split(",")))
    if prefix != "AUTO" * bool(colon) or not all(_ONE.fullmatch(each) for each in members):
        raise BadInputError(f"no device named {text[:40]!r}. Known: {KNOWN}")
    return Device(members, auto=bool(prefix) or len(members) > 1)


def chosen(text: str | None) -> Device:
    """The device that ``text`` names, which is here; the CPU for None.

    Raises :class:`BadInputError` for what names no device, :class:`MissingError` for one that this machine lacks.
    """
    device = parse(text) if text is not None else CPU
    if device.is_cpu or not device.members:
        return device
    here = available()
    if not any(_is_among(member, here) for member in device.members):
        raise MissingError(_absent(device, here))
    return device


def available() -> list[str]:
    """The devices that OpenVINO finds here, ``CPU`` first: of several GPUs ``GPU.0``, ``GPU.1`` and so on."""
    return list(openvino().Core().available_devices)


def how_to_get(kind: str) -> str:
    """What lets OpenVINO find a ``GPU`` or an ``NPU``, as a sentence without its full stop."""
    return _DRIVERS[kind]


def _is_among(member: str, here: list[str]) -> bool:
    """True if a device is here; of several of a kind the kind alone names the first."""
    kind, _, number = member.partition(".")
    return member in here or (kind in here and number == "0") or (not number and f"{kind}.0" in here)


def _absent(device: Device, here: list[str]) -> str:
    found = f"OpenVINO finds {', '.join(here)}"
    kinds = dict.fromkeys(member.partition(".")[0] for member in device.members)
    if any(each.partition(".")[0] in kinds for each in here):
        return f"there is no {' and no '.join(device.members)} here: {found}. Name one of these, or leave --device out"
    drivers = ". ".join(how_to_get(kind) for kind in kinds)
    return f"there is no {' and no '.join(device.members)} here: {found}. {drivers}, or use --device CPU"


def in_force(device: Device, compiled: Any) -> dict[str, Any]:
    """What a compiled network says of itself: ``device`` as it was named, ``ran_on`` (the devices that ran it),
    ``threads`` and ``streams`` (0 where the device does not tell), ``hint``."""
    ran_on = [str(each).strip("()") for each in _told(compiled, "EXECUTION_DEVICES") or device.members]
    of_it = (_told(compiled, "DEVICE_PROPERTIES") or {}).get(ran_on[0], {}) if device.auto and ran_on else {}

    def number(name: str) -> int:
        value = of_it[name] if name in of_it else _told(compiled, name)
        return int(value) if value is not None else 0

    return {
        "threads": number("INFERENCE_NUM_THREADS"),
        "streams": number("NUM_STREAMS"),
        "hint": str(_told(compiled, "PERFORMANCE_HINT") or "").rpartition(".")[2].lower(),
        "device": device.name,
        "ran_on": ran_on,
    }


def _told(compiled: Any, name: str) -> Any:
    """A property of a compiled network; None where its device has no such property."""
    try:
        return compiled.get_property(name)
    except RuntimeError:
        return None
