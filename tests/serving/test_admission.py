"""Requests are taken, refused and given up as the limits say."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from edgefashion.errors import BadInputError
from edgefashion.serving.admission import Gate, most_calls
from edgefashion.serving.statuses import RefusedError


@pytest.mark.parametrize(("mebibytes", "calls"), [(1, 576), (32, 64), (2000, 8)])
def test_many_messages_at_once(mebibytes: int, calls: int) -> None:
    """So many gRPC calls are taken as fit into the memory that is for them, or eight."""
    assert most_calls(576, mebibytes << 20) == calls


def test_given_up_work_counts() -> None:
    """Work that nobody waits for any more takes its thread, and counts as inside, until it ends."""
    gate, end = Gate(workers=1, queue=0, timeout_s=0.05), threading.Event()

    async def ask() -> None:
        with pytest.raises(RefusedError) as late:
            await gate.run(lambda _: end.wait(30))
        assert late.value.refusal.outcome == "timeout"
        assert gate.inside == 1
        with pytest.raises(RefusedError) as busy:
            await gate.run(lambda _: None)
        assert busy.value.refusal.outcome == "overloaded"
        end.set()
        while gate.inside:
            await asyncio.sleep(0.001)
        assert await gate.run(lambda _: "answer") == "answer"

    asyncio.run(ask())
    gate.abandon()


def test_cause_of_a_failed_start() -> None:
    """Where a model cannot be loaded in one thread, that is told, and not that the others waited for it."""
    gate, turns = Gate(workers=3, queue=0, timeout_s=1), itertools.count()

    def third_fails() -> None:
        if next(turns) == 2:
            raise BadInputError("no memory")

    with pytest.raises(BadInputError, match="no memory"):
        gate.run_in_each(third_fails)
    gate.abandon()
