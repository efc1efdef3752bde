"""What Home Assistant takes for a device, written down from its own schema; and a receiver of retained messages.

Home Assistant's package cannot be a dependency of tests: it needs a newer Python than ours and pins a hundred others.
So this is its schema as of release 2026.11, as JSON Schema: ``DEVICE_DISCOVERY_SCHEMA`` and
``MQTT_ENTITY_COMMON_SCHEMA`` of ``homeassistant/components/mqtt/schemas.py``, ``PLATFORM_SCHEMA_MODERN`` of its
``sensor.py`` and ``binary_sensor.py``, the option names as https://www.home-assistant.io/integrations/mqtt/ has them.
It is narrower than the original: an option that Home Assistant would ignore is wrong here, and so is one it would not
need.
"""

from __future__ import annotations

import json
import re
import threading
from typing import Any, Self

import jsonschema
from helpers.camera import PATIENCE_S, wait_until

_TEXT = {"type": "string", "minLength": 1}
_WHOLE = {"type": "integer", "minimum": 0}
_TOPIC = {"type": "string", "pattern": r"^[^\x00-\x1f\x7f-\x9f#+]+$"}
_ID = {"type": "string", "pattern": r"^[a-zA-Z0-9_-]+$"}
_CATEGORY = {"const": "diagnostic"}  # a sensor cannot be added as a config entity
_TEMPLATE = {"type": "string", "pattern": r"^\{\{ value_json\.\w+ \}\}$"}

_ENTITY: dict[str, Any] = {
    "name": _TEXT,
    "unique_id": _TEXT,  # a device's component needs one
    "state_topic": _TOPIC,
    "value_template": _TEMPLATE,
    "availability_topic": _TOPIC,
    "enabled_by_default": {"type": "boolean"},
    "entity_category": _CATEGORY,
    "icon": {"type": "string", "pattern": r"^mdi:[a-z0-9-]+$"},
    "json_attributes_topic": _TOPIC,
    "json_attributes_template": _TEXT,
    "expire_after": _WHOLE,
    "force_update": {"type": "boolean"},
}

_SENSOR = _ENTITY | {
    "platform": {"const": "sensor"},
    # With neither device class nor options any unit is valid, and only measurement needs none of its own.
    "state_class": {"enum": ["measurement", "measurement_angle", "total", "total_increasing"]},
    "suggested_display_precision": _WHOLE,
    "unit_of_measurement": _TEXT,
}
_BINARY_SENSOR = _ENTITY | {
    "platform": {"const": "binary_sensor"},
    "device_class": {"enum": ["connectivity", "occupancy", "presence", "problem", "running", "safety"]},
    "off_delay": _WHOLE,
    "payload_on": _TEXT,
    "payload_off": _TEXT,
}

_ORIGIN = {"name": _TEXT, "sw_version": _TEXT, "support_url": _TEXT}
_DEVICE = {
    **dict.fromkeys(("name", "manufacturer", "model", "model_id", "sw_version", "hw_version"), _TEXT),
    **dict.fromkeys(("serial_number", "suggested_area", "via_device", "configuration_url"), _TEXT),
    "identifiers": {"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True},
}


def _only(options: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": options, "required": list(required), "additionalProperties": False}


_NEEDED = ("platform", "name", "unique_id")
DEVICE_DISCOVERY = _only(
    {
        "device": _only(_DEVICE, "identifiers", "name"),
        "origin": _only(_ORIGIN, "name"),
        "components": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": _ID,
            "additionalProperties": {"oneOf": [_only(_SENSOR, *_NEEDED), _only(_BINARY_SENSOR, *_NEEDED)]},
        },
        "availability_topic": _TOPIC,
        "payload_available": _TEXT,
        "payload_not_available": _TEXT,
        "state_topic": _TOPIC,
        "qos": {"enum": [0, 1, 2]},
        "encoding": _TEXT,
    },
    "device",
    "origin",
    "components",
    "state_topic",
)

TOPIC = re.compile(r"homeassistant/device/[a-zA-Z0-9_-]+/config")
"""``TOPIC_MATCHER`` of its ``discovery.py``, for a device."""


def check(topic: str, message: dict[str, Any]) -> None:
    """Raise for what Home Assistant would not take as a device."""
    assert TOPIC.fullmatch(topic), topic
    jsonschema.validate(message, DEVICE_DISCOVERY)
    names = [component["unique_id"] for component in message["components"].values()]
    assert len(set(names)) == len(names)


class Subscriber:
    """A client that keeps the newest message of every topic, as Home Assistant's would see them."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self.messages: dict[str, str] = {}
        self.count = 0
        self._there = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)

        def on_message(_client: Any, _: object, message: Any) -> None:
            self.messages[message.topic] = message.payload.decode()
            self.count += 1

        self._client.on_message = on_message
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._there.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def __enter__(self) -> Self:
        assert self._there.wait(PATIENCE_S)
        return self

    def __exit__(self, *error: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def devices(self) -> list[tuple[str, dict[str, Any]]]:
        """The topic and message of each device that is announced."""
        return [(topic, json.loads(told)) for topic, told in self.messages.items() if topic.endswith("/config")]

    def wait_for(self, topic: str, what: str) -> None:
        """Return once the newest message of ``topic`` holds ``what``."""
        wait_until(lambda: what in self.messages.get(topic, ""), f"{what} on {topic}")
