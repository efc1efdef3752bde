"""The gRPC side has the limits of the HTTP side."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.serve import MAX_IMAGES, Server, infer
from tritonclient.utils import InferenceServerException


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_too_large(server: Server) -> None:
    """A message over the limit is refused, and then it goes on."""
    large = np.zeros((MAX_IMAGES, 160, 160, 3), np.uint8)
    with pytest.raises(InferenceServerException, match="RESOURCE_EXHAUSTED"):
        infer(server.client("grpc"), "kiosk", large)
    assert server.get("/v2/health/ready")[0] == 200
