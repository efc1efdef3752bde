"""The times of a network's precisions, side by side."""

from __future__ import annotations

from edgefashion.camera.network_times import COMPARED, KEPT, NetworkTimes


def test_medians_of_what_was_used() -> None:
    """Each precision that was in use is told with its median, of this network alone, FP32 first."""
    times = NetworkTimes()
    assert times.told(0) == ""
    for latency_ms in (1.0, 2.0, 90.0):
        times.add(0, "int8", latency_ms)
    assert times.told(0) == "INT8 2.0 ms"
    times.add(0, "fp32", 5.04)
    times.add(1, "fp16", 7.0)
    assert times.told(0) == "FP32 5.0 ms, INT8 2.0 ms"
    assert times.told(1) == "FP16 7.0 ms"


def test_only_the_latest_count() -> None:
    """A network that has become slower is told with its times of late."""
    times = NetworkTimes()
    for number in range(3 * KEPT):
        times.add(0, "int8", 1.0 if number < 2 * KEPT else 3.0)
    assert times.told(0) == "INT8 3.0 ms"


def test_known_after_enough_frames() -> None:
    """A precision can be compared after enough frames, and is counted anew when it comes into use again."""
    times = NetworkTimes()
    for _ in range(COMPARED):
        assert not times.is_known(0, "int8")
        times.add(0, "int8", 2.0)
    assert times.is_known(0, "int8")
    times.begin(0, "int8")
    assert not times.is_known(0, "int8")
    assert times.told(0) == ""
