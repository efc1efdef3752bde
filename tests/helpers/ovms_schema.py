"""What OpenVINO Model Server lets a configuration say, in our own words, as JSON Schema.

The rules are those of MODELS_CONFIG_SCHEMA in src/schema.cpp of openvinotoolkit/model_server, as of commit
33903410c71f8daeacb4a5848f110cf086fda649: the same names, types and bounds wherever we write something, and nothing
allowed that it forbids. Pipelines, custom nodes, custom loaders and MediaPipe graphs are left out: we write none, so
here they are unknown names. To check against the server's own text, cut its JSON out of that file, and name the
result in EDGEFASHION_OVMS_SCHEMA.
"""

from __future__ import annotations

from typing import Any, Final


def _only(properties: dict[str, Any], required: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    closed = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**closed, "required": list(required), **more}


_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "boolean"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_NUMBER: Final = {"type": "integer", "minimum": 1}

# One text for all tensors, or a text a tensor.
_BY_TENSOR: Final = {"oneOf": [_TEXT, {"type": "object", "additionalProperties": _TEXT}]}

_VERSIONS: Final = {
    "oneOf": [
        _only({"all": _only({}, maxProperties=0)}, ("all",)),
        _only({"latest": _only({"num_versions": _NUMBER}, ("num_versions",))}, ("latest",)),
        _only({"specific": _only({"versions": {"type": "array", "items": _NUMBER}}, ("versions",))}, ("specific",)),
    ]
}

_MODEL: Final = _only(
    {
        "name": _TEXT,
        "base_path": _TEXT,
        "layout": _BY_TENSOR,
        "shape": _BY_TENSOR,
        "batch_size": {"type": ["integer", "string"], "minimum": 0},
        "nireq": _COUNT,
        "target_device": _TEXT,
        "allow_cache": _FLAG,
        "model_version_policy": _VERSIONS,
        "plugin_config": {"type": "object", "additionalProperties": {"type": ["string", "boolean", "number"]}},
    },
    # The path has been optional since graphs came; for a model it never is.
    ("name", "base_path"),
)

SCHEMA: Final = _only(
    {
        "model_config_list": {"type": "array", "items": _only({"config": _MODEL}, ("config",))},
        "monitoring": _only(
            {"metrics": _only({"enable": _FLAG, "metrics_list": {"type": "array", "items": _TEXT}}, ("enable",))},
            ("metrics",),
        ),
    },
    ("model_config_list",),
)
