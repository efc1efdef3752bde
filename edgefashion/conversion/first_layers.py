"""The layers that see the images, rounded to 8 bits so that their errors cancel instead of adding up.

Without VNNI a CPU adds two products of 8 bits in 16, which overflows where pixels are bright. So NNCF gives the weights
of first convolutions seven bits, and rounds each to the nearest. In a bright picture the errors of a kernel's weights
add up, for all pixels are positive and much alike. Here the error of one weight is made up for by those that come after
it, by how much the calibration images say that they see the same (Frantar et al., "GPTQ", 2022). The network takes no
longer for it, and overflows no sooner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.inference.openvino_engine import compile_config

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEVEN_BITS: Final = (-64, 63)
_EIGHT_BITS: Final = (-127, 127)
_DAMPING: Final = 0.01
"""Of the pixels' mean square: what keeps pixels that are always black from deciding anything."""
_MOST_INPUTS: Final = 1024
"""A layer of which an output sees more stays as it is: each is weighed against each."""

_RANKS: Final = {"Convolution": 4, "MatMul": 2}
"""The layers that are rounded, and of how many dimensions their weights have to be."""
_LAYERS: Final = {
    *_RANKS,
    *("ConvolutionBackpropData", "GroupConvolution", "GroupConvolutionBackpropData"),
    *("LSTMSequence", "GRUSequence", "RNNSequence", "TensorIterator", "Loop"),
}


@dataclass(frozen=True)
class Seen:
    """What one output of a layer sees in the calibration images: the mean of each input, and of each product of two."""

    mean: NDArray[np.float64]
    products: NDArray[np.float64]


def statistics(model: Any, inputs: Sequence[NDArray[Any]]) -> dict[str, Seen]:
    """What each first layer of the FP32 ``openvino.Model`` sees of ``inputs``, by the layer's name.

    ``inputs`` are calibration images as the network takes them, a batch of one each.
    """
    return {layer.get_friendly_name(): _seen_by(layer, model, inputs) for layer in _first_layers(model)}


def round_to_images(quantized: Any, model: Any, seen: Mapping[str, Seen]) -> None:
    """Round the weights of the first layers of ``quantized`` anew, in place.

    ``model`` is what it was made from, and ``seen`` its :func:`statistics`. A layer that is not in 8 bits, has a zero
    point, or shares its weights with another stays as it is.
    """
    found = {op.get_friendly_name(): op for op in quantized.get_ordered_ops()}
    for layer in _first_layers(model):
        name = layer.get_friendly_name()
        stored = _stored(found[name]) if name in seen and name in found else None
        if stored is not None:
            _round(layer, stored, seen[name])


def _first_layers(model: Any) -> list[Any]:
    """The convolutions and matrix products of a manageable size that no other layer comes before."""
    after: set[str] = set()
    first = []
    for op in model.get_ordered_ops():
        kind, name = op.get_type_name(), op.get_friendly_name()
        behind = any(port.get_source_output().get_node().get_friendly_name() in after for port in op.inputs())
        if kind in _RANKS and not behind and _is_plain(op):
            first.append(op)
        if kind in _LAYERS or behind:
            after.add(name)
    return first


def _is_plain(layer: Any) -> bool:
    weights = layer.input_value(1).get_node()
    if weights.get_type_name() != "Constant" or len(weights.get_data().shape) != _RANKS[layer.get_type_name()]:
        return False
    transposed = layer.get_type_name() == "MatMul" and layer.get_attributes()["transpose_a"]
    return not transposed and _rows(layer, weights.get_data()).shape[1] <= _MOST_INPUTS


@dataclass(frozen=True)
class _Stored:
    """A quantized layer: its 8-bit constant, the steps between its values, and its bias if it has one."""

    constant: Any
    step: NDArray[np.float64]
    """Of each output channel."""
    bias: Any | None


def _stored(layer: Any) -> _Stored | None:
    """How NNCF keeps the weights of ``layer``: a constant of 8 bits, made floats of, times the step of its channel."""
    scaled = layer.input_value(1).get_node()
    floats = scaled.input_value(0).get_node() if scaled.get_type_name() == "Multiply" else scaled
    constant = floats.input_value(0).get_node() if floats.get_type_name() == "Convert" else floats
    if constant.get_type_name() != "Constant" or constant.get_element_type().get_type_name() != "i8":
        return None
    if floats is scaled or any(_is_shared(node) for node in (constant, floats, scaled)):
        return None
    step = np.broadcast_to(scaled.input_value(1).get_node().get_data(), constant.get_data().shape)
    return _Stored(constant, _rows(layer, step)[:, 0].astype(np.float64), _bias(layer))


def _is_shared(node: Any) -> bool:
    return len(node.output(0).get_target_inputs()) > 1


def _bias(layer: Any) -> Any | None:
    """The constant, one value an output channel, that is added to what ``layer`` answers."""
    adding = next(iter(layer.output(0).get_target_inputs())).get_node()
    if _is_shared(layer) or adding.get_type_name() != "Add":
        return None
    answer = layer.output(0).get_partial_shape()
    channel = 1 if layer.get_type_name() == "Convolution" else len(answer) - 1
    alone = [1] * len(answer)
    alone[channel] = answer[channel].get_length()
    constants = [adding.input_value(at).get_node() for at in (0, 1)]
    plain = [node for node in constants if node.get_type_name() == "Constant" and not _is_shared(node)]
    return next((node for node in plain if list(node.get_data().shape) == alone), None)


def _rows(layer: Any, weights: NDArray[Any]) -> NDArray[Any]:
    """Weights as (output channels, inputs)."""
    if layer.get_type_name() == "Convolution":
        return weights.reshape(len(weights), -1)
    return weights if layer.get_attributes()["transpose_b"] else weights.T


def _laid_out(layer: Any, rows: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """What :func:`_rows` made rows of, again in its ``shape``."""
    if layer.get_type_name() == "Convolution":
        return rows.reshape(shape)
    return rows if layer.get_attributes()["transpose_b"] else rows.T


def _seen_by(layer: Any, model: Any, inputs: Sequence[NDArray[Any]]) -> Seen:
    """Measured by running ``model`` up to ``layer``."""
    count, total, products = 0, np.zeros(1), np.zeros(1)
    for given in _inputs_of(layer, model, inputs):
        seen = _windows(layer, given).astype(np.float64)
        count, total, products = count + len(seen), total + seen.sum(0), products + seen.T @ seen
    return Seen(total / count, products / count)


def _inputs_of(layer: Any, model: Any, inputs: Sequence[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """What ``layer`` is given for each input of the network."""
    import openvino as ov

    before = ov.Model([layer.input_value(0)], model.get_parameters(), "before")
    request = ov.Core().compile_model(before, "CPU", compile_config("fp32", "latency", 0)).create_infer_request()
    for image in inputs:
        request.infer([image])
        yield request.get_output_tensor(0).data


def _windows(layer: Any, given: NDArray[Any]) -> NDArray[Any]:
    """What each output of ``layer`` sees of ``given``: (outputs, inputs of one)."""
    if layer.get_type_name() == "MatMul":
        return given.reshape(-1, given.shape[-1])
    told = layer.get_attributes()
    around = zip(told["pads_begin"], told["pads_end"], strict=True)
    padded = np.pad(given, ((0, 0), (0, 0), *around))
    kernel = layer.input_value(1).get_shape()[2:]
    reach = [(size - 1) * far + 1 for size, far in zip(kernel, told["dilations"], strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    (down, right), (far_down, far_right) = told["strides"], told["dilations"]
    picked = windows[:, :, ::down, ::right, ::far_down, ::far_right]
    return picked.transpose(0, 2, 3, 1, 4, 5).reshape(-1, given.shape[1] * kernel[0] * kernel[1])


def _round(layer: Any, stored: _Stored, seen: Seen) -> None:
    """Give the quantized layer weights rounded by what is ``seen``, and a bias that makes up for the rest."""
    weights = _rows(layer, layer.input_value(1).get_node().get_data()).astype(np.float64)
    was = stored.constant.get_data()
    limits = _SEVEN_BITS if np.abs(was.astype(np.int16)).max() <= -_SEVEN_BITS[0] else _EIGHT_BITS
    exact, bias, products = _bias(layer), stored.bias, seen.products
    if exact is not None and bias is not None:
        # The bias makes up for what is lost on average, whatever that is.
        products = products - np.outer(seen.mean, seen.mean)
    rounded = _rounded(weights, stored.step, products, limits)
    _replace(stored.constant, _laid_out(layer, rounded, was.shape).astype(np.int8))
    if exact is not None and bias is not None:
        lost = (weights - rounded * stored.step[:, None]) @ seen.mean
        kept = exact.get_data()
        _replace(bias, (kept + lost.reshape(kept.shape)).astype(bias.get_data().dtype))


def _rounded(
    weights: NDArray[np.float64], step: NDArray[np.float64], products: NDArray[np.float64], limits: tuple[int, int]
) -> NDArray[np.float64]:
    """Whole numbers that times ``step`` answer as ``weights`` (outputs, inputs) do."""
    order = np.argsort(-np.diag(products))
    damping = max(_DAMPING * float(np.diag(products).mean()), 1e-12)
    inverse = np.linalg.inv(products[np.ix_(order, order)] + np.eye(len(order)) * damping)
    shared = np.linalg.cholesky(inverse).T
    left, rounded = weights[:, order].copy(), np.empty(weights.shape)
    for at, place in enumerate(order):
        rounded[:, place] = np.clip(np.round(left[:, at] / step), *limits)
        lost = (left[:, at] - rounded[:, place] * step) / shared[at, at]
        left[:, at + 1 :] -= np.outer(lost, shared[at, at + 1 :])
    return rounded


def _replace(constant: Any, values: NDArray[Any]) -> None:
    import openvino as ov

    new = ov.opset13.constant(values)
    new.set_friendly_name(constant.get_friendly_name())
    for port in constant.output(0).get_target_inputs():
        port.replace_source_output(new.output(0))
