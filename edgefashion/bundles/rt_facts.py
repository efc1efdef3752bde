"""The facts that an IR made here carries in its rt_info, read from a file that anybody may have written."""

from __future__ import annotations

import json
from typing import Any

from edgefashion.bundles.bundle import RT_INFO


def rt_fact(ir: Any, key: str, otherwise: Any) -> Any:
    """What an ``openvino.Model`` says of ``key`` (``"labels"``, ``"thresholds"``, ``"frame"``, ...); ``otherwise``
    where it says nothing. Raises ValueError for what is no JSON."""
    path = [RT_INFO, key]
    try:
        return json.loads(ir.get_rt_info(path).astype(str)) if ir.has_rt_info(path) else otherwise
    # A table in a value's place, and what is nested without an end.
    except (ValueError, RecursionError, RuntimeError) as error:
        raise ValueError(f"what it says of its {key} cannot be read") from error
