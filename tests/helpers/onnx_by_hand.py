"""An ONNX file written by hand: its package is no part of a kiosk."""

from __future__ import annotations

import numpy as np


def field(number: int, value: bytes | str | int) -> bytes:
    """One field of a protobuf message."""

    def digits(n: int) -> bytes:
        return bytes([n & 127 | (128 if n > 127 else 0)]) + (digits(n >> 7) if n > 127 else b"")

    if isinstance(value, int):
        return digits(number << 3) + digits(value)
    raw = value.encode() if isinstance(value, str) else value
    return digits(number << 3 | 2) + digits(len(raw)) + raw


def onnx(weights: bytes, *, last: str = "Softmax", whose: str = "", names: bool = False) -> bytes:
    """A softmax of 784 x 10 weights in ONNX; ``weights`` are the fields of the tensor that hold them.

    ``last`` is its last operator and ``whose`` that one's domain; with ``names`` it answers a text for each label, too.
    """

    def port(name: str, *dims: int) -> bytes:
        shape = b"".join(field(1, field(1, dim)) for dim in dims)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))

    def node(kind: str, out: str, *of: str) -> bytes:
        return field(1, b"".join(field(1, name) for name in of) + field(2, out) + field(4, kind))

    tensor = field(1, 784) + field(1, 10) + field(2, 1) + field(8, "w") + weights
    graph = node("Flatten", "flat", "image") + node("MatMul", "sum", "flat", "w")
    graph += field(1, b"".join((field(1, "sum"), field(2, "answer"), field(4, last), field(7, whose))))
    graph += field(2, "small") + field(5, tensor)
    graph += field(11, port("image", 1, 28, 28, 1)) + field(12, port("answer", 1, 10))
    if names:
        graph += node("ArgMax", "at", "answer") + node("Gather", "said", "names", "at")
        texts = b"".join(field(6, f"name {n}") for n in range(10))
        graph += field(5, field(1, 10) + field(2, 8) + texts + field(8, "names"))
        graph += field(12, field(1, "said") + field(2, field(1, field(1, 8))))
    learns = field(8, field(1, "ai.onnx.ml") + field(2, 1))  # which some exporters write into every file
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13)) + learns


def weights_bytes() -> bytes:
    return np.random.default_rng(0).normal(0, 0.01, (784, 10)).astype("<f4").tobytes()


def honest_onnx() -> bytes:
    return onnx(field(9, weights_bytes()))
