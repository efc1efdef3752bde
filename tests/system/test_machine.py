"""What is said of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from edgefashion.system import machine


def test_others_load_is_seen() -> None:
    """A process that is not ours and works is seen in the share of the CPU that others use."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            load = machine.OthersLoad([os.getpid()])
            time.sleep(0.5)
            assert load.share() > 0.1 / (os.cpu_count() or 1)
        finally:
            other.kill()
