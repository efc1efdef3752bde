"""What this machine is: CPU, instruction sets, memory, versions. For bench and doctor."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

BUSY: Final = 0.1
"""Share of the CPU in others' use from which a machine is too busy to measure times on."""

PACKAGES: Final = (
    "openvino",
    "numpy",
    "opencv-python",
    "nncf",
    "tensorflow",
    "keras",
    "onnxruntime",
    "ai-edge-litert",
    "matplotlib",
)

# The instruction sets that decide how fast a quantized network runs, oldest first.
_ISA: Final = (
    "sse4_2",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
)


def versions() -> dict[str, str]:
    """Installed versions of Python, edgefashion and the packages it works with."""
    found = {"python": platform.python_version()}
    for package in ("edgefashion", *PACKAGES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def isa() -> list[str]:
    """The CPU's instruction sets that matter here, by Linux's names."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), "").split()
        return [name for name in _ISA if name in flags]
    # Elsewhere numpy has asked the CPU already; it knows the AVX family, not AMX.
    from numpy._core._multiarray_umath import __cpu_features__ as known  # type: ignore[import-not-found]

    by_numpy = {"sse4_2": "SSE42", "avx2": "AVX2", "avx512f": "AVX512F", "avx512_vnni": "AVX512VNNI"}
    return [name for name, theirs in by_numpy.items() if known.get(theirs)]


def isa_is_whole() -> bool:
    """True if :func:`isa` knows all it may name; without /proc/cpuinfo it knows the older half."""
    return Path("/proc/cpuinfo").is_file()


def cores() -> int:
    """Physical cores that this process may use, in a CPU set or a container too; logical ones where the system does not
    tell."""
    import psutil

    whole = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    if not hasattr(os, "sched_getaffinity"):
        return whole
    usable = os.sched_getaffinity(0)
    # Two hyper-threads of one core name the same siblings.
    files = [Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list") for number in usable]
    with contextlib.suppress(OSError):
        whole = min(whole, len({file.read_text() for file in files}))
    return max(1, min(whole, len(usable), _granted_cpus()))


def _granted_cpus() -> int:
    """CPUs whose time a container is granted at once (``docker run --cpus``); many where that has no limit."""
    try:
        granted_us, of_us = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return math.floor(int(granted_us) / int(of_us))
    except (OSError, ValueError):  # there is no such file, or it says "max"
        return sys.maxsize


def describe() -> dict[str, Any]:
    """The ``machine`` field of bench's JSON: cpu, isa, cores, ram_gb, os, versions."""
    import openvino as ov
    import psutil

    return {
        "cpu": str(ov.Core().get_property("CPU", "FULL_DEVICE_NAME")).strip(),
        "isa": isa(),
        "cores": cores(),
        "ram_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "os": platform.system(),
        "versions": versions(),
    }


class OthersLoad:
    """How much of the CPU others use, from when this is made until it is asked."""

    def __init__(self, pids: list[int]) -> None:
        """``pids``: the processes that are ours."""
        self._ours = dict.fromkeys(pids, 0.0)
        self._start = self._seconds()

    def share(self) -> float:
        """Of all cores' time, 0 to 1; what a virtual machine's host takes away counts in."""
        total, busy, ours = (now - then for now, then in zip(self._seconds(), self._start, strict=True))
        return min(1.0, max(0.0, (busy - ours) / total)) if total else 0.0

    def _seconds(self) -> tuple[float, float, float]:
        import psutil

        times = psutil.cpu_times()
        # What runs in a guest is counted as user's too.
        total = sum(times) - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0)
        idle = times.idle + getattr(times, "iowait", 0)
        for pid in self._ours:
            with contextlib.suppress(psutil.NoSuchProcess):  # one that has ended counts with what was last seen of it
                used = psutil.Process(pid).cpu_times()
                self._ours[pid] = used.user + used.system
        return total, total - idle, sum(self._ours.values())


def peak_rss_mb() -> float:
    """The most memory this process has held, in MiB."""
    status = Path("/proc/self/status")
    # Not getrusage: its maximum is inherited from the parent across exec. Not every sandbox's kernel tells it.
    told = status.read_text().splitlines() if status.is_file() else []
    if line := next((x for x in told if x.startswith("VmHWM")), ""):
        return int(line.split()[1]) / 1024
    import psutil

    memory = psutil.Process().memory_info()
    return float(getattr(memory, "peak_wset", memory.rss)) / 2**20
