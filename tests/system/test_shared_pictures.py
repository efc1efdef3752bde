"""Pictures that one process hands to another."""

from __future__ import annotations

import subprocess
import sys

import pytest

TIGHT = """
import resource, numpy as np
from edgefashion.system.shared_pictures import PictureMemory, PictureReader
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
memory = PictureMemory()
reader = PictureReader(memory.descriptor)
for level, side in enumerate([100, 500, 600, 500, 2000, 50]):
    try:
        put = memory.put(np.full((side, side, 3), level, np.uint8))
    except OSError as error:
        print(level, "refused", end=" ")
    else:
        seen = reader.get(put)
        print(level, seen.shape == (side, side, 3) and (seen == level).all(), end=" ")
"""


@pytest.mark.linux_only("RLIMIT_FSIZE is POSIX's")
def test_memory_for_pictures() -> None:
    """The memory grows with the pictures; where the system has no more of it that is an error, not the end of
    the process, and pictures that fit still get through."""
    done = subprocess.run([sys.executable, "-c", TIGHT], capture_output=True, text=True, check=True)
    assert done.stdout == "0 True 1 True 2 refused 3 True 4 refused 5 True "
