"""What the tests of data share."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefashion.data import fashion_mnist


@pytest.fixture(scope="module")
def real() -> Path:
    """The folder the whole session's Fashion-MNIST is in."""
    return fashion_mnist.find()
