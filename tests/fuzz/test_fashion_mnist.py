"""Any bytes in place of Fashion-MNIST's files are refused."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace

import numpy as np
import pytest
from helpers.fuzzing import check_refusal, fuzz, mutations, scratch
from hypothesis import example, given
from hypothesis import strategies as st

from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError

FOLDER = scratch()
RAW = b"\0\0\x08\x01\0\0\0\x14" + bytes(range(10)) * 2
PACKED = gzip.compress(RAW, mtime=0)
FILE = replace(fashion_mnist.FILES["test", "labels"], sha256=hashlib.sha256(RAW).hexdigest(), shape=(20,))
BOMB = gzip.compress(bytes(2**27), compresslevel=1)


@fuzz(80)
@given(st.binary() | mutations([PACKED], [b"\x1f\x8b\x08", b"\0", b"\xff"]))
@example(PACKED)
@example(PACKED + b"\0\0")
@example(gzip.compress(RAW[:9]) + gzip.compress(RAW[9:]))
@example(b"")
def test_any_packed_bytes(raw: bytes) -> None:
    """What is read out of a packed file are the very bytes that were published; all else is refused."""
    path = FOLDER / f"{FILE.name}.gz"
    path.write_bytes(raw)
    try:
        assert fashion_mnist.read_verified(path, FILE) == RAW
    except BadInputError as error:
        check_refusal(error)


@fuzz(20)
@given(mutations([RAW]))
def test_any_plain_bytes(raw: bytes) -> None:
    """The same holds for a file that is not packed."""
    path = FOLDER / FILE.name
    path.write_bytes(raw)
    try:
        assert fashion_mnist.read_verified(path, FILE) == raw == RAW
    except BadInputError as error:
        check_refusal(error)


def test_a_bomb() -> None:
    """A file that unpacks to a hundred times its place is refused without unpacking it."""
    import tracemalloc

    path = FOLDER / f"bomb-{FILE.name}.gz"
    path.write_bytes(BOMB)
    tracemalloc.start()
    try:
        with pytest.raises(BadInputError, match="is not Fashion-MNIST's"):
            fashion_mnist.read_verified(path, FILE)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_what_passes() -> None:
    """The file that the mutations begin with passes: else they would prove nothing."""
    path = FOLDER / f"whole-{FILE.name}.gz"
    path.write_bytes(PACKED)
    assert np.frombuffer(fashion_mnist.read_verified(path, FILE), np.uint8, offset=8).tolist() == [*range(10)] * 2
