"""What Prometheus reads of the server."""

from __future__ import annotations

import pytest
from helpers.serve import ZEROS, Server, as_json


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_metrics(server: Server) -> None:
    """Prometheus finds requests by model and outcome, their latencies and the queue."""
    server.post(as_json(ZEROS))
    server.post(b"{}")
    server.post(as_json(ZEROS), "a-name-of-the-client's")
    status, text = server.get("/metrics")
    assert status == 200
    for line in (
        'edgefashion_requests_total{model="edge",outcome="ok",protocol="http"}',
        'edgefashion_requests_total{model="edge",outcome="invalid",protocol="http"}',
        'edgefashion_requests_total{model="",outcome="not_found",protocol="http"}',
        'edgefashion_request_seconds_bucket{le="0.02",model="edge",protocol="http"}',
        "edgefashion_queue_length 0.0",
        "edgefashion_requests_in_flight 0.0",
    ):
        assert line in text
    assert "a-name" not in text
