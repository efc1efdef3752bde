"""Model files that are cut, tampered with or made to harm, each a mutation of a real IR of ours.

:func:`cases` gives them all; a case writes its files into an empty folder and names the one to load.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from helpers.hostile_networks import (
    an_image_out,
    answers_of,
    as_many_as_bright,
    divided_by_nothing,
    dynamic_image,
    edge,
    either,
    endless_loop,
    for_one_image_only,
    network,
    no_inputs,
    saved,
    small,
    spread,
    squares,
    two_inputs,
    where_bright,
    write,
)
from helpers.onnx_by_hand import field, honest_onnx, onnx, weights_bytes


@dataclass(frozen=True)
class Case:
    """One hostile file."""

    name: str
    make: Callable[[Path], Path]
    """Writes the files into a folder; returns the path to load."""
    says: str | None
    """What the refusal says; None where the mutation may happen to be harmless."""
    child: bool = False
    """True if only the child can tell."""
    seconds: int = 60
    """The child's time limit."""


# --- Ways to harm one ------------------------------------------------------------------------


def _text(name: str, change: Callable[[str], str | bytes], says: str | None, *, child: bool = False) -> Case:
    """The small network with its .xml changed."""

    def make(folder: Path) -> Path:
        text, weights = small()
        changed = change(text)
        assert changed != text, f"{name} changes nothing"
        return write(folder, changed, weights)

    return Case(name, make, says, child)


def _put(old: str, new: str) -> Callable[[str], str]:
    """The first match of the pattern ``old`` replaced by ``new`` as it stands."""
    return lambda text: re.sub(old, lambda _: new, text, count=1, flags=re.DOTALL)


def _const(text: str, key: str, value: object) -> str:
    """The text with ``key`` of the last constant, the 784 x 10 weights, set to ``value``."""
    at = text.rindex('type="Const"', 0, text.index('type="MatMul"'))
    return text[:at] + re.sub(rf'\b{key}="[^"]*"', f'{key}="{value}"', text[at:], count=1)


def _weights(name: str, value: float, says: str | None) -> Case:
    """The small network with one weight set to ``value``."""

    def make(folder: Path) -> Path:
        text, weights = small()
        raw = bytearray(weights)
        raw[-4:] = np.float32(value).tobytes()
        return write(folder, text, bytes(raw))

    return Case(name, make, says, child=True)


def _built(name: str, body: Callable[[Any], Any], says: str | None, *, child: bool = True) -> Case:
    """A network that OpenVINO itself wrote, with a harmful part."""
    return Case(name, lambda folder: write(folder, *saved(network(body))), says, child)


def _cut(part: str, share: float) -> Case:
    def make(folder: Path) -> Path:
        text, weights = edge()
        if part == "xml":
            return write(folder, text.encode()[: int(len(text) * share)], weights)
        return write(folder, text, weights[: int(len(weights) * share)])

    return Case(f".{part} cut at {share:.1%}", make, "no whole XML" if part == "xml" else "reads up to byte")


def _flipped(part: str, seed: int) -> Case:
    """The shipped network with 8 random bits of its .xml or .bin turned over."""

    def make(folder: Path) -> Path:
        text, weights = edge()
        text_bytes, rng = bytearray(text.encode()), np.random.default_rng(seed)
        raw = text_bytes if part == "xml" else (raw_weights := bytearray(weights))
        for at in rng.integers(0, len(raw), 8):
            raw[at] ^= 1 << int(rng.integers(8))
        return write(folder, bytes(text_bytes), weights if part == "xml" else bytes(raw_weights))

    return Case(f".{part} flipped, seed {seed}", make, None, child=part == "bin")


def _odd_digit(seed: int) -> Case:
    """The shipped network with one number of its .xml changed: well-formed, often wrong."""

    def make(folder: Path) -> Path:
        text, weights = edge()
        rng = np.random.default_rng(seed)
        numbers = list(re.finditer(r'(?<=[">,])\d+(?=[",<])', text[: text.index("<rt_info>", len(text) * 9 // 10)]))
        chosen = numbers[int(rng.integers(len(numbers)))]
        other = str(int(rng.choice([0, 1, 2, 3, 7, 255, 65_537, 2**31 - 1])))
        return write(folder, text[: chosen.start()] + other + text[chosen.end() :], weights)

    return Case(f"a number changed, seed {seed}", make, None, child=True)


def _chain(count: int) -> Callable[[str], str]:
    """So many ReLUs, one after the other, before the softmax."""

    def change(text: str) -> str:
        shape = "<dim>1</dim><dim>10</dim>"
        port = f'<port id="{{}}" precision="FP32">{shape}</port>'
        edge_of = '<edge from-layer="{}" from-port="{}" to-layer="{}" to-port="0"/>'
        softmax = re.search(r'<layer id="(\d+)"[^>]*type="SoftMax"', text)
        assert softmax
        into = re.search(rf'<edge from-layer="(\d+)" from-port="(\d+)" to-layer="{softmax[1]}" to-port="0" />', text)
        assert into
        layers = "".join(
            f'<layer id="{1000 + i}" name="r{i}" type="ReLU" version="opset1"><input>{port.format(0)}</input>'
            f"<output>{port.format(1)}</output></layer>"
            for i in range(count)
        )
        edges = [edge_of.format(into[1], into[2], 1000), edge_of.format(999 + count, 1, softmax[1])]
        edges += [edge_of.format(1000 + i, 1, 1001 + i) for i in range(count - 1)]
        return text.replace(into[0], "".join(edges)).replace("</layers>", f"{layers}</layers>", 1)

    return change


def _no_file(folder: Path) -> Path:
    path = write(folder, *small())
    path.with_suffix(".bin").unlink()
    return path


def _link_to_itself(folder: Path, suffix: str) -> Path:
    path = write(folder, *small())
    link = path.with_suffix(suffix)
    link.unlink()
    link.symlink_to(link)
    return path


def _pipe(folder: Path, suffix: str) -> Path:
    path = write(folder, *small())
    path.with_suffix(suffix).unlink()
    os.mkfifo(path.with_suffix(suffix))
    return path


def _folder_as(folder: Path, suffix: str) -> Path:
    path = write(folder, *small())
    path.with_suffix(suffix).unlink()
    path.with_suffix(suffix).mkdir()
    return path


def _sparse(folder: Path, suffix: str, size_bytes: int) -> Path:
    path = write(folder, *small())
    os.truncate(path.with_suffix(suffix), size_bytes)
    return path


# --- ONNX ---------------------------------------------------------------------------------------


def _onnx(folder: Path, content: bytes) -> Path:
    path = folder / "m.onnx"
    path.write_bytes(content)
    return path


def _onnx_elsewhere(folder: Path, location: str) -> Path:
    """Its weights in another file, which is there: a file that is no part of what was looked at."""
    (folder / "other").write_bytes(weights_bytes())
    entry = field(13, field(1, "location") + field(2, location))
    return _onnx(folder, onnx(entry + field(14, 1)))


def _other_formats() -> list[Case]:
    nan = onnx(field(9, weights_bytes()[:-4] + np.float32("nan").tobytes()))
    whole = honest_onnx()
    return [
        Case("ONNX with a NaN", lambda f: _onnx(f, nan), "not a number", child=True),
        Case("ONNX cut", lambda f: _onnx(f, whole[: len(whole) // 2]), "", child=True),
        Case("ONNX with weights elsewhere", lambda f: _onnx_elsewhere(f, "other"), "", child=True),
        Case("ONNX with weights in the system's files", lambda f: _onnx_elsewhere(f, "/etc/passwd"), "", child=True),
        Case("ONNX that is an IR", lambda f: _onnx(f, small()[0].encode()), "", child=True),
        Case("empty ONNX", lambda f: _onnx(f, b""), "m.onnx is empty"),
        Case("TFLite of junk", lambda f: _onnx(f, bytes(5000)).rename(f / "m.tflite"), "no TFLite file"),
        Case(
            "TFLite of junk behind its mark",
            lambda f: _onnx(f, b"\x1c\0\0\0TFL3" + np.random.default_rng(0).bytes(5000)).rename(f / "m.tflite"),
            "",
            child=True,
        ),
    ]


# --- All of them -----------------------------------------------------------------------------

BILLION_LAUGHS: Final = (
    '<!DOCTYPE net [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>\n"
)


def cases() -> list[Case]:
    """Every hostile file, its refusal's words, and who finds it."""
    deep = "<a>" * 100_000 + "</a>" * 100_000
    external = '<!DOCTYPE net [<!ENTITY e SYSTEM "file:///etc/hostname">]>\n<net'
    first_dim = r"<dim>28</dim>"
    last_layer = r"</layer>\s*</layers>"
    return [
        # Cut
        *[_cut("xml", share) for share in (0.001, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999)],
        *[_cut("bin", share) for share in (0.001, 0.1, 0.5, 0.9, 0.999)],
        # Flipped
        *[_flipped("xml", seed) for seed in range(12)],
        *[_flipped("bin", seed) for seed in range(3)],
        *[_odd_digit(seed) for seed in range(4)],
        # The XML itself
        _text("100,000 levels", _put("<layers>", f"{deep}<layers>"), "nested more than"),
        _text("100,000 levels in rt_info", _put("<rt_info>", f"<rt_info>{deep}"), "nested more than"),
        _text("never closed", lambda text: text.replace("</net>", "<a>" * 100_000), "nested more than"),
        _text("entity bomb", _put("<net", f"{BILLION_LAUGHS}<net"), "document type"),
        _text("entity bomb, used", lambda t: t.replace("<net", f"{BILLION_LAUGHS}<net").replace("small", "&i;"), "doc"),
        _text("external entity", _put("<net", external), "document type"),
        _text("external DTD", _put("<net", '<!DOCTYPE net SYSTEM "http://127.0.0.1:9/x.dtd">\n<net'), "document type"),
        _text("not UTF-8", lambda text: text.encode() + b"<!-- \xff\xfe -->", "UTF-8"),
        _text("UTF-16", lambda t: t.replace("1.0", '1.0" encoding="UTF-16', 1).encode("utf-16"), "UTF-8"),
        _text("UTF-16 by mark alone", lambda t: t.encode("utf-16"), "UTF-8"),
        _text("says it is in EBCDIC", lambda t: t.replace('"1.0"', '"1.0" encoding="cp037"', 1), "not UTF-8"),
        _text("a NUL in a name", _put('name="images"', 'name="im\0ages"'), "no whole XML"),
        _text("two roots", lambda text: text + text[text.index("<net") :], "no whole XML"),
        _text("another root", lambda text: text.replace("<net", "<html", 1).replace("</net>", "</html>"), "not with"),
        _text("a huge attribute", _put('name="images"', f'name="{"x" * 3_000_000}"'), "an element of it is longer"),
        _text(
            "a million attributes",
            _put('name="images"', " ".join(f'a{i}="1"' for i in range(1_000_000))),
            "an element of it is longer",
        ),
        _text("no layers", _put("<layers>.*</layers>", "<layers></layers>"), "no layers"),
        _text("nothing at all", lambda _: "<net></net>", "no layers"),
        _text("binary junk", lambda _: np.random.default_rng(0).bytes(5000), "no whole XML"),
        _text("a picture", lambda _: b"\x89PNG\r\n\x1a\n" + bytes(100), "no whole XML"),
        # Sizes
        _text("a huge dimension", _put(first_dim, "<dim>99999999999</dim>"), "too large"),
        _text("a dimension beyond int64", _put(first_dim, f"<dim>{10**30}</dim>"), "not a number in range"),
        _text("a negative dimension", _put(first_dim, "<dim>-28</dim>"), "a dimension is -28"),
        _text("a thousand dimensions", _put(first_dim, "<dim>1</dim>" * 1000), "more than 16 dimensions"),
        _text("a dimension in words", _put(first_dim, "<dim>many</dim>"), "not a number"),
        _text("a dimension of digits without end", _put(first_dim, f"<dim>{'9' * 100_000}</dim>"), "in range"),
        _text("an image of 2^40 pixels", _put('shape="1,28,28,1"', 'shape="1,1048576,1048576,1"'), "too large"),
        _text("dimensions whose product overflows", _put('shape="1,28,28,1"', f'shape="{2**33},{2**31},1,1"'), "large"),
        _text("an image of no size", _put('shape="1,28,28,1"', 'shape="?,?,?,?"'), "images of one size", child=True),
        _text("an image without pixels", _put('shape="1,28,28,1"', 'shape="1,0,28,1"'), "", child=True),
        _text("an image of another size", _put('shape="1,28,28,1"', 'shape="1,29,28,1"'), "", child=True),
        # The weights
        _text("an offset past the end", lambda t: _const(t, "offset", 1_000_000), "reads up to byte"),
        _text("an offset beyond int64", lambda t: _const(t, "offset", 2**64 - 8), "not a number in range"),
        _text("a negative offset", lambda t: _const(t, "offset", -4), "not a number in range"),
        _text("a size past the end", lambda t: _const(t, "size", 31_361 + 10**6), "reads up to byte"),
        _text("offset and size whose sum overflows", lambda t: _const(t, "size", 2**64 - 1), "in range"),
        _text("a negative size", lambda t: _const(t, "size", -1), "not a number in range"),
        _text("an offset in hexadecimal", lambda t: _const(t, "offset", "0x10"), "not a number in range"),
        _text("no offset", lambda t: re.sub(r' offset="\d+"', "", t), "offset is missing"),
        _text("a size that is not the shape's", lambda t: _const(t, "size", 40), "", child=True),
        _text("another element type", lambda t: _const(t, "element_type", "i64"), "", child=True),
        _text("an unknown element type", lambda t: _const(t, "element_type", "f99"), "", child=True),
        _text("weights of text", lambda t: _const(t, "element_type", "string"), "", child=True),
        _weights("a NaN", float("nan"), "not a number"),
        _weights("an infinite weight", float("-inf"), "not a finite number"),
        _weights("a weight of 3e38", 3e38, None),
        # The graph
        _text("two layers of one id", _put(r'<layer id="1"', '<layer id="0"'), "two layers have the id 0"),
        _text("an id in words", _put(r'<layer id="1"', '<layer id="one"'), "a layer's id"),
        _text("an id beyond int64", _put(r'<layer id="1"', f'<layer id="{2**70}"'), "a layer's id"),
        _text("an edge from nowhere", _put(r'from-layer="0"', 'from-layer="77"'), "names layer 77"),
        _text("an edge to nowhere", _put(r'to-layer="1"', 'to-layer="77"'), "names layer 77"),
        _text("a wrong port", _put(r'(?<=<edge from-layer="0" )from-port="0"', 'from-port="9"'), "names port 9"),
        _text("two edges to one port", lambda t: re.sub(r"(<edge [^>]*/>)", r"\1\1", t, count=1), "two edges lead"),
        _text("an edge missing", lambda t: re.sub(r"<edge [^>]*/>", "", t, count=1), "", child=True),
        _text("a circle", _circle, "in a circle"),
        _text(
            "half a million layers", _put(last_layer, f"</layer>{_many(500_000)}</layers>"), "more than 10,000 layers"
        ),
        _text("400,000 edges", _put("<edges>", "<edges>" + _many_edges(400_000)), "more than 100,000 edges"),
        _text("a chain of 100,000 layers, which ends OpenVINO's stack", _chain(100_000), "more than 10,000 layers"),
        _text("a chain of 300 layers", _chain(300), None, child=True),
        # OpenVINO 2026.4 ends with a segmentation fault on these two.
        _text(
            "a variable that nobody declares",
            _put('SoftMax" version="opset8"', 'ReadValue" version="opset6"'),
            "",
            child=True,
        ),
        _text("a layer without its input", _put('type="Parameter"', 'type="MaxPool"'), "", child=True),
        _text("an unknown layer", _put('type="SoftMax"', 'type="Teleport"'), "", child=True),
        _text("an unknown opset", _put('version="opset1"', 'version="opset999"'), "", child=True),
        _text("an extension's layer", _put('version="opset1"', 'version="extension"'), "", child=True),
        _text("a newer IR", _put(r'version="11"', 'version="99"'), "", child=True),
        _text("a word for an axis", _put('axis="1"', 'axis="north"'), "", child=True),
        _text("an axis of 10^18", _put('axis="1"', f'axis="{10**18}"'), "", child=True),
        _text("a word for a flag", _put('transpose_a="false"', 'transpose_a="perhaps"'), None, child=True),
        # What it answers
        _text("labels that are none", _put(r"\[&quot;T-shirt/top", "{&quot;T-shirt/top"), "", child=True),
        _text("a label that moves the cursor", _put("Trouser", r"\u001b[2J"), "labels", child=True),
        _text("labels that name one thing twice", _put("Trouser", "Dress"), "labels name one thing twice", child=True),
        _text("labels nested without end", _put(r"\[&quot;T-shirt", "[" * 100_000 + "&quot;T-shirt"), "", child=True),
        _text("a threshold in words", _put("0.5}", "&quot;high&quot;}"), "threshold", child=True),
        _text("a threshold that is none", _put("0.5}", "NaN}"), "threshold", child=True),
        _text(
            "a floor that is none", _put("0.5}", "0.5, &quot;floors&quot;: {&quot;Bag&quot;: 2}}"), "floors", child=True
        ),
        Case("two inputs", answers_of(two_inputs), "2 inputs", child=True),
        Case("no input", answers_of(no_inputs), "0 inputs", child=True),
        Case("an image for an answer", answers_of(an_image_out), "not one row", child=True),
        Case("images of any size", answers_of(dynamic_image), "images of one size", child=True),
        _built("NaN for an answer", divided_by_nothing, "not a finite number"),
        _built("no batches", for_one_image_only, None),
        # Time and memory
        _built("an endless loop", endless_loop, "an open number of rounds"),
        _built("a branch", either, "type If", child=False),
        _built("work as the picture is bright", as_many_as_bright, "depends on the picture"),
        _built("answers as the picture is bright", where_bright, "depends on the picture"),
        replace(_built("hours of work", squares(4096, 2000), "took more than 3 s"), seconds=3),
        _built("more memory than there is", spread(16_384, 2), "memory"),
        _built("a tensor of 2^60 numbers", squares(2**30, 1), ""),
        # The files
        Case("no .bin", _no_file, "m.bin is missing"),
        Case("an empty .xml", lambda f: write(f, "", small()[1]), "m.xml is empty"),
        Case("an empty .bin", lambda f: write(f, small()[0], b""), "m.bin is empty"),
        Case("a folder as .xml", lambda f: _folder_as(f, ".xml"), "no regular file"),
        Case("a folder as .bin", lambda f: _folder_as(f, ".bin"), "no regular file"),
        Case("a link to itself as .xml", lambda f: _link_to_itself(f, ".xml"), "cannot be read"),
        Case("a link to itself as .bin", lambda f: _link_to_itself(f, ".bin"), "cannot be read"),
        Case("a pipe as .xml", lambda f: _pipe(f, ".xml"), "no regular file"),
        Case("a pipe as .bin", lambda f: _pipe(f, ".bin"), "no regular file"),
        Case("a .bin of 2 GiB", lambda f: _sparse(f, ".bin", 2**31), "more than 1,073,741,824"),
        Case("an .xml of 1 GiB", lambda f: _sparse(f, ".xml", 2**30), "more than 33,554,432"),
        *_other_formats(),
    ]


def _circle(text: str) -> str:
    """The softmax fed by itself."""
    softmax = re.search(r'<layer id="(\d+)"[^>]*type="SoftMax"', text)
    assert softmax
    into = re.compile(rf'from-layer="\d+" from-port="\d+" (?=to-layer="{softmax[1]}")')
    return into.sub(f'from-layer="{softmax[1]}" from-port="1" ', text, count=1)


def _many(count: int) -> str:
    return "".join(f'<layer id="{i}" name="{i}" type="ReLU"/>' for i in range(100, 100 + count))


def _many_edges(count: int) -> str:
    return "".join(
        f'<edge from-layer="{i}" from-port="0" to-layer="{i}" to-port="0"/>' for i in range(100, 100 + count)
    )
