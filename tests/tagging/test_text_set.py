"""A set of texts that keeps a hash each."""

from __future__ import annotations

import numpy as np
import pytest

from edgefashion.tagging import text_set
from edgefashion.tagging.text_set import TextSet


def test_what_was_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was added is there, once, and nothing else, over several sortings."""
    monkeypatch.setattr(text_set, "_RECENT", 1000)
    paths, count = TextSet(), 5500
    assert all(paths.add(f"{n}.jpg") for n in range(count))
    assert not any(paths.add(f"{n}.jpg") for n in range(0, count, 10))
    assert len(paths) == count
    assert all(f"{n}.jpg" in paths for n in range(count))
    assert not any(f"{n}.jpg" in paths for n in range(count, count + 1000))
    assert paths._sorted.dtype == np.uint64, "8 bytes each"


def test_as_text() -> None:
    """A set is the same once it was written and read, however often, and what is no set is refused."""
    texts = TextSet()
    for n in range(3000):
        texts.add(f"{n}.jpg")
    read = TextSet.from_base64(TextSet.from_base64(texts.as_base64()).as_base64())
    assert len(read) == 3000
    assert all(f"{n}.jpg" in read for n in range(3000))
    assert "3000.jpg" not in read
    assert not read.add("7.jpg")
    assert read.add("3000.jpg")
    assert "3000.jpg" in TextSet.from_base64(read.as_base64())
    assert len(TextSet.from_base64(TextSet().as_base64())) == 0
    for wrong in ("!", "AAAA"):
        with pytest.raises(ValueError, match=r"."):
            TextSet.from_base64(wrong)
