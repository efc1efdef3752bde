"""A served network in a camera: how often its server is asked again, by what it said."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from helpers.camera import wait_until

from edgefashion.camera import server_fallback
from edgefashion.camera.server_fallback import Served
from edgefashion.errors import EdgeFashionError
from edgefashion.inference.remote.errors import AccountError, ServerError


class _Network:
    """A network that nobody asks anything."""

    run = None
    finder = None


@pytest.mark.parametrize(("error", "soon"), [(ServerError("it is away"), True), (AccountError("another"), False)])
def test_a_refused_account_is_asked_for_seldom(
    monkeypatch: pytest.MonkeyPatch, error: EdgeFashionError, soon: bool
) -> None:
    """A server that is away is looked for all the time; one that refuses the account is not, as it may lock it."""
    asked: list[int] = []

    def load(_: Served) -> Any:
        asked.append(1)
        if len(asked) > 1:
            raise error
        return _Network()

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(server_fallback, "PROBE_S", 0.01)
    monkeypatch.setattr(server_fallback, "LOGIN_S", (0.3, 1000.0))
    monkeypatch.setattr(Served, "_load", load)
    served = Served("http://127.0.0.1:9/v2/models/edge", "none")
    with pytest.raises(EdgeFashionError):
        served.ask(fail)
    wait_until(lambda: len(asked) >= (5 if soon else 2), "the server to be asked again")
    if not soon:
        threading.Event().wait(0.1)
        assert len(asked) <= 3
    served.close()
