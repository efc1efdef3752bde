"""An IR's .xml looked through before OpenVINO parses it: its form, its limits, its references.

Cheap, without OpenVINO, one pass of a streaming parser. What it lets through is still tried in a
process of its own by :mod:`edgefashion.bundles.guard.check`; what it refuses it names better than OpenVINO does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn
from xml.parsers import expat

MAX_DEPTH: Final = 32
"""Ours are 6 levels deep."""
MAX_LAYERS: Final = 10_000
"""Our longest IR has 800. OpenVINO follows a chain by recursion: one of 100,000 ends its stack."""
MAX_EDGES: Final = 100_000
MAX_ELEMENTS: Final = 2**28
"""Numbers in one tensor: 1 GiB in float32."""
MAX_RANK: Final = 16
MAX_TAGS: Final = 500_000
"""Our longest IR has 10,000."""
ENDLESS: Final = frozenset({"If"})
"""Layers that may take longer for one picture than for another."""
BOUNDED: Final = frozenset({"Loop", "TensorIterator"})
"""Layers that run a body as often as their constants say, which the process that tries the file looks at."""
MAX_ROUNDS: Final = 1000
"""Of a loop. A recurrent network that reads an image row by row has 28, pixel by pixel 784."""
MAX_BODIES: Final = 3
"""Loops inside loops."""

_CHUNK_BYTES: Final = 2**18
"""Also the longest element: expat before 2.6 reads an unfinished one from its beginning with each piece."""
_INT64_DIGITS: Final = 18


RESTORE: Final = "Convert the model again, or get it anew from where it came"
"""What to do about a file that nobody can have meant so."""
SMALLER: Final = "Use a smaller network"
UNBRANCHED: Final = "Export it for inference, without the branch"
UNROLLED: Final = "Export it with its loops unrolled, or of a fixed number of rounds"
ONE_SIZE: Final = "Export it with fixed sizes"
ONE_INPUT: Final = "Export it with one input, the others fixed"
ONE_ROW: Final = "Export a classifier, which answers a row of probabilities for an image"
OTHERWISE: Final = "Export it in another form, a quantized one as QDQ, or get it anew from where it came"
NETWORK: Final = (
    "Of a neural network, exported with zipmap=False, keep the output of the probabilities alone with "
    "onnx.utils.extract_model"
)
STEPS: Final = (NETWORK, OTHERWISE, RESTORE, SMALLER, UNBRANCHED, UNROLLED, ONE_SIZE, ONE_INPUT, ONE_ROW)


class RefusedError(Exception):
    """Why a file is not used; the caller names the file. ``step``: what to do about it."""

    def __init__(self, reason: str, step: str = RESTORE) -> None:
        super().__init__(reason)
        self.step = step


def scan(path: Path, weights_bytes: int) -> None:
    """Raise :class:`RefusedError` unless ``path`` is a whole, sensible IR for a .bin of ``weights_bytes``."""
    reader = _Reader(weights_bytes)
    with path.open("rb") as file:
        chunk = file.read(_CHUNK_BYTES)
        if chunk.startswith((b"\xff\xfe", b"\xfe\xff")):  # a mark that overrules the parser's own encoding
            raise RefusedError("it is in UTF-16, not UTF-8")
        while chunk:
            if len(chunk) == _CHUNK_BYTES and b"<" not in chunk:
                raise RefusedError(f"an element of it is longer than {_CHUNK_BYTES:,} bytes")
            reader.feed(chunk)
            chunk = file.read(_CHUNK_BYTES)
    reader.feed(b"", final=True)
    reader.graph.check()


def check_shape(dims: list[int | None]) -> None:
    """Raise :class:`RefusedError` for a shape no tensor can have; None stands for an unknown dimension."""
    product = 1
    for dim in dims:
        if dim is not None and dim < 0:
            raise RefusedError(f"a dimension is {dim}")
        product *= 1 if dim is None else dim
    if len(dims) > MAX_RANK or product > MAX_ELEMENTS:
        raise RefusedError(f"a tensor of {_short(' x '.join('?' if d is None else str(d) for d in dims))} is too large")


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."


def _whole(text: str | None, what: str) -> int:
    """A number of plain digits: what int() and OpenVINO's own reading take besides, a hostile file plays with."""
    if text is None:
        raise RefusedError(f"{what} is missing")
    if not (text.isascii() and text.isdigit()) or len(text) > _INT64_DIGITS:
        raise RefusedError(f"{what} is {_short(text)!r}, not a number in range")
    return int(text)


def _dim(text: str) -> int | None:
    """One dimension: a number; None for ``?``, ``-1`` or a range, which the batch may be."""
    text = text.strip()
    if text in {"?", "-1"} or ".." in text:
        return None
    return -_whole(text[1:], "a dimension") if text.startswith("-") else _whole(text, "a dimension")


@dataclass
class _Graph:
    """The layers and edges seen so far, by id."""

    inputs: dict[int, set[int]] = field(default_factory=dict)
    """Layer -> its input ports; every layer is in here."""
    outputs: dict[int, set[int]] = field(default_factory=dict)
    edges: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    """(layer, input port) -> the (layer, output port) that feeds it."""

    def check(self) -> None:
        """Raise :class:`RefusedError` unless every edge joins two ports that are there, without a circle."""
        if not self.inputs:
            raise RefusedError("it has no layers")
        followers: dict[int, list[int]] = {layer: [] for layer in self.inputs}
        waiting = dict.fromkeys(self.inputs, 0)
        for (to, to_port), (source, from_port) in self.edges.items():
            for layer, port, ports in ((source, from_port, self.outputs), (to, to_port, self.inputs)):
                if layer not in self.inputs:
                    raise RefusedError(f"an edge names layer {layer}, which is not there")
                if port not in ports[layer]:
                    raise RefusedError(f"an edge names port {port} of layer {layer}, which is not there")
            followers[source].append(to)
            waiting[to] += 1
        ready = [layer for layer, count in waiting.items() if not count]
        for layer in ready:  # grows as it goes: layers in the order they could run in
            for follower in followers[layer]:
                waiting[follower] -= 1
                if not waiting[follower]:
                    ready.append(follower)
        if len(ready) < len(self.inputs):
            raise RefusedError("its layers run in a circle")


class _Reader:
    """Expat's callbacks; each raises :class:`RefusedError` at the first thing wrong."""

    def __init__(self, weights_bytes: int) -> None:
        self.graph = _Graph()
        self._weights_bytes = weights_bytes
        self._path: list[str] = []
        self._tags = 0
        self._layer = -1
        self._type = ""
        self._outer: list[tuple[_Graph, int, str]] = []
        """Of the body that is read: the graphs around it, each with the layer it stands in."""
        self._layers = 0
        self._dims: list[int | None] = []
        self._text: str | None = None
        # Named, or a file in UTF-16 would be read here and perhaps otherwise by OpenVINO's parser.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.XmlDeclHandler = self._declaration
        self._parser.StartDoctypeDeclHandler = self._document_type
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def feed(self, chunk: bytes, *, final: bool = False) -> None:
        try:
            self._parser.Parse(chunk, final)
        except expat.ExpatError as error:
            raise RefusedError(f"it is no whole XML in UTF-8 ({error})") from error

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:  # noqa: ARG002
        if encoding is not None and encoding.lower() not in {"utf-8", "utf8", "us-ascii", "ascii"}:
            raise RefusedError(f"its encoding is {_short(encoding)!r}, not UTF-8")

    def _document_type(self, *_: Any) -> NoReturn:
        raise RefusedError("it declares a document type, as entity bombs do and no IR does")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        self._tags += 1
        if self._tags > MAX_TAGS:
            raise RefusedError(f"it has more than {MAX_TAGS:,} elements")
        if len(self._path) > MAX_DEPTH:
            raise RefusedError(f"its elements are nested more than {MAX_DEPTH} deep")
        if len(self._path) == 1 and name != "net":
            raise RefusedError(f"it begins with <{_short(name)}>, not with <net>")
        if "rt_info" in self._path:
            return  # facts, of any form: no layers, no shapes
        if name == "body":
            self._start_body()
        elif "port_map" in self._path or "back_edges" in self._path:
            return  # which of a body's layers a loop feeds: OpenVINO checks it as it reads them
        elif name == "layer":
            self._start_layer(attributes)
        elif name == "data" and self._path[-2] == "layer":
            self._data(attributes)
        elif name == "port":
            self._dims = []
            ports = self.graph.outputs if self._path[-2] == "output" else self.graph.inputs
            ports.setdefault(self._layer, set()).add(_whole(attributes.get("id"), "a port's id"))
        elif name == "dim":
            self._text = ""
        elif name == "edge":
            self._edge(attributes)

    def _start_layer(self, attributes: dict[str, str]) -> None:
        self._layer = _whole(attributes.get("id"), "a layer's id")
        self._type = attributes.get("type", "")
        if self._layer in self.graph.inputs:
            raise RefusedError(f"two layers have the id {self._layer}")
        self._layers += 1
        if self._layers > MAX_LAYERS:
            raise RefusedError(f"it has more than {MAX_LAYERS:,} layers")
        if self._type in ENDLESS:
            raise RefusedError(
                f"it has a layer of type {self._type}, which may take longer for one picture than for another",
                UNBRANCHED,
            )
        self.graph.inputs[self._layer] = set()
        self.graph.outputs[self._layer] = set()

    def _start_body(self) -> None:
        """The body of a loop: a graph of its own, with ids of its own."""
        if self._type not in BOUNDED or len(self._outer) == MAX_BODIES:
            raise RefusedError(f"a layer of type {_short(self._type)!r} has a body, or is nested too deep")
        self._outer.append((self.graph, self._layer, self._type))
        self.graph = _Graph()

    def _data(self, attributes: dict[str, str]) -> None:
        if self._type in {"Const", "Parameter"} and attributes.get("shape"):
            check_shape([_dim(part) for part in attributes["shape"].split(",")])
        if self._type == "Const":
            start, size = (_whole(attributes.get(key), f"a constant's {key}") for key in ("offset", "size"))
            if start + size > self._weights_bytes:
                raise RefusedError(
                    f"layer {self._layer} reads up to byte {start + size:,} of a .bin of {self._weights_bytes:,}"
                )

    def _edge(self, attributes: dict[str, str]) -> None:
        source, from_port, to, to_port = (
            _whole(attributes.get(key), f"an edge's {key}")
            for key in ("from-layer", "from-port", "to-layer", "to-port")
        )
        if (to, to_port) in self.graph.edges:
            raise RefusedError(f"two edges lead to port {to_port} of layer {to}")
        if len(self.graph.edges) == MAX_EDGES:
            raise RefusedError(f"it has more than {MAX_EDGES:,} edges")
        self.graph.edges[to, to_port] = (source, from_port)

    def _characters(self, text: str) -> None:
        if self._text is not None and len(self._text) <= _INT64_DIGITS:
            self._text += text

    def _end(self, name: str) -> None:
        self._path.pop()
        if name == "body" and self._outer and "rt_info" not in self._path:
            self.graph.check()
            self.graph, self._layer, self._type = self._outer.pop()
        if name == "dim" and self._text is not None:
            self._dims.append(_dim(self._text))
            self._text = None
            if len(self._dims) > MAX_RANK:
                raise RefusedError(f"a tensor has more than {MAX_RANK} dimensions")
        elif name == "port":
            check_shape(self._dims)
            self._dims = []
