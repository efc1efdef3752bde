"""What OpenVINO Model Server does to a request, done here."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_the_server(encoded: Any) -> Any:
    """What the server makes of a file."""
    import cv2

    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
