"""Where one image's time goes: the operations that OpenVINO runs for it, and how long each takes."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier

_WARM_UP_CALLS: Final = 20
_REPEATS: Final = 5


def profile(classifier: Classifier, images: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """The operations of one image in the order they run, timed over ``images`` (n, h, w, c).

    Compiles the classifier's IR anew for one image, with its precision and threads, and has
    OpenVINO count (``PERF_COUNT``). Each operation is ``name``, ``type``, ``primitive`` (the kernel
    that was chosen), ``shape`` (of its first output) and ``latency_us``: the median of five means, since
    OpenVINO tells only means, which one interruption spoils. It counts whole microseconds; what it does not
    run, or what stays below one, is left out.
    """
    rounds = [_profile(classifier, images[part::_REPEATS]) for part in range(min(_REPEATS, len(images)))]
    found = rounds[0]
    for operation in found:
        same = [other["latency_us"] for each in rounds for other in each if other["name"] == operation["name"]]
        operation["latency_us"] = round(statistics.median(same), 1)
    return found


def _profile(classifier: Classifier, images: NDArray[np.uint8]) -> list[dict[str, Any]]:
    import openvino as ov

    from edgefashion.inference.openvino_engine import compile_config, read_ir

    assert classifier.source is not None  # the caller asks for networks in OpenVINO only
    model = read_ir(classifier.source)
    shape = (1, *tuple(model.input(0).shape)[1:])
    model.reshape(list(shape))
    config = compile_config(classifier.precision, "latency", classifier.settings["threads"], one_image=True)
    compiled = ov.Core().compile_model(model, "CPU", {**config, "PERF_COUNT": True})
    request = compiled.create_infer_request()
    dtype = compiled.input(0).element_type.to_dtype()

    def run(count: int) -> dict[str, Any]:
        for i in range(count):
            request.infer([images[i % len(images)].astype(dtype).reshape(shape)], share_inputs=True)
        return {info.node_name: info for info in request.profiling_info}

    # OpenVINO tells the mean of all calls since it compiled the network, and the first call is many times slower.
    before, calls = run(_WARM_UP_CALLS), len(images)
    after = run(calls)
    found = []
    for op in compiled.get_runtime_model().get_ordered_ops():
        name = op.get_friendly_name()
        if name not in after or not (mean_us := after[name].real_time.total_seconds() * 1e6):
            continue
        first_us = before[name].real_time.total_seconds() * 1e6 * _WARM_UP_CALLS
        # OpenVINO cuts off what is less than a microsecond: on average half of one.
        latency_us = (mean_us + 0.5) * (calls + _WARM_UP_CALLS) / calls - first_us / calls
        found.append(
            {
                "name": name,
                "type": after[name].node_type,
                "primitive": after[name].exec_type,
                "shape": [int(n) for n in op.output(0).shape],
                "latency_us": max(0.5, latency_us),
            }
        )
    return found
