"""What Home Assistant is told of the camera: the device, its entities, and their states.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload: one retained message for the whole device,
which Home Assistant has read since its release 2024.11.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from edgefashion.camera.figures import MEASURES
from edgefashion.version import __version__

if TYPE_CHECKING:
    from edgefashion.camera.moment import Moment

PREFIX: Final = "homeassistant"
"""Home Assistant's own default for what its discovery topics begin with."""

BEAT_S: Final = 60
"""The states are told anew this often, while the camera's loop goes on."""
EXPIRE_S: Final = 3 * BEAT_S
"""Without one for so long Home Assistant calls them unavailable: the program is there, and its loop hangs."""

MAKER: Final = "edgefashion"


def device_id(topic: str) -> str:
    """A name of letters, digits, dashes and underscores, the same at every start, and another for another topic."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "-", topic).strip("-")[:40]
    return f"{MAKER}-{readable}-{hashlib.sha256(topic.encode()).hexdigest()[:6]}"


def discovery_topic(topic: str) -> str:
    """Where the device is announced."""
    return f"{PREFIX}/device/{device_id(topic)}/config"


def availability_topic(topic: str) -> str:
    """Where it is told whether the camera is there: ``online`` or ``offline``."""
    return f"{topic}/available"


def state_topic(topic: str) -> str:
    """Where the states are told, all in one message."""
    return f"{topic}/state"


def discovery(topic: str) -> dict[str, Any]:
    """The message that announces the device whose own topics are below ``topic``."""
    name = device_id(topic)
    percent = {"unit_of_measurement": "%", "state_class": "measurement", "suggested_display_precision": 0}
    problem = {"device_class": "problem", "json_attributes_topic": state_topic(topic)}
    entities: dict[str, tuple[str, str, dict[str, Any]]] = {
        "garment": ("sensor", "Last garment", {"icon": "mdi:tshirt-crew"}),
        "confidence": ("sensor", "Confidence", {"icon": "mdi:gauge", **percent}),
        "problem": ("binary_sensor", "Problem", problem),
        "drift": ("binary_sensor", "Drift", {**problem, "entity_category": "diagnostic"}),
        "not_sure": ("sensor", "Not sure today", {"icon": "mdi:help", "entity_category": "diagnostic", **percent}),
    }
    return {
        "device": {
            "identifiers": [name],
            "name": f"{MAKER} {topic}",
            "manufacturer": MAKER,
            "model": "Garment camera",
            "sw_version": __version__,
        },
        "origin": {"name": MAKER, "sw_version": __version__},
        "availability_topic": availability_topic(topic),
        "state_topic": state_topic(topic),
        "components": {
            key: {
                "platform": platform,
                "name": words,
                "unique_id": f"{name}-{key}",
                "value_template": f"{{{{ value_json.{key} }}}}",
                "expire_after": EXPIRE_S,
                **more,
            }
            for key, (platform, words, more) in entities.items()
        },
    }


def state(moment: Moment, before: dict[str, Any]) -> dict[str, Any]:
    """The states at ``moment``; ``before`` those last told, of which the last garment stays. None is unknown."""
    health, figures = moment.health, moment.figures
    named = health.well and moment.shows == "garment" and moment.label is not None
    confidence = None if moment.confidence is None else round(100 * moment.confidence)
    share = figures.day.value("not_sure") if figures else None
    departing = figures.departing if figures else ()
    reasons = [health.reason or health.condition] * (not health.well) + [f"{what} fails" for what in health.failing]
    return {
        "garment": moment.label if named else before.get("garment"),
        "confidence": confidence if named else before.get("confidence"),
        "problem": "ON" if reasons else "OFF",
        "reason": "; ".join(reasons) or None,
        "drift": "ON" if departing else "OFF",
        "drift_of": ", ".join(MEASURES[measure].words for measure in departing) or None,
        "not_sure": None if share is None else round(100 * share),
        "model": moment.model or None,
    }
