"""The camera's settings: each with its type, default, range and help in one place; flags win over the file."""

from __future__ import annotations

import contextlib
import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, get_type_hints

from edgefashion.bundles.places import PHOTO_MODEL
from edgefashion.bundles.probation import MINUTES, MOST_MINUTES
from edgefashion.errors import BadInputError
from edgefashion.inference import device
from edgefashion.labels import GROUPS, PHOTO_LABELS
from edgefashion.system.addresses import all_shown

FILE_NAME: Final = "edgefashion.toml"
SECRET_VARIABLE: Final = "EDGEFASHION_EVENTS_SECRET"  # noqa: S105 - its name, not its value
"""The environment's variable that gives ``events_secret`` where no file does."""
SECRETS: Final = ("token", "events_secret")
"""Settings that are shown in no message."""
_SHOWN_CHARS: Final = 40
_NAMES: Final = (*PHOTO_LABELS, *GROUPS)
"""The names that an answer may have, and that may be shown otherwise."""


def _setting(default: Any, help_: str, **facts: Any) -> Any:
    """A field; ``facts``: a number's ``low`` and ``high``, a list's ``most`` entries, ``example``, ``metavar``."""
    kept: Any = {"metadata": {"help": help_, **facts}}
    # A table has to be made anew for each; it is no part of the hash, which a dict has none of.
    return field(default_factory=dict, hash=False, **kept) if default == {} else field(default=default, **kept)


@dataclass(frozen=True)
class CameraSettings:
    """Everything ``edgefashion camera`` takes, ``config`` apart; a field's metadata holds its help and range. Only
    ``labels`` and ``events_secret`` have no flag: everybody on the machine can read a command line."""

    model: str = _setting(
        PHOTO_MODEL, "A bundle's name, a path to a bundle, SavedModel, .keras, .onnx, .tflite or IR .xml, or a URL."
    )
    source: str = _setting("0", "Camera number or /dev/v4l name, video, folder of images, or http/rtsp URL.")
    headless: bool = _setting(False, "No window; events as JSON Lines on stdout unless they go elsewhere.")
    events: tuple[str, ...] = _setting(
        (),
        "Where events go: a file, - for stdout, mqtt://HOST/TOPIC, or a webhook's https://HOST/PATH; repeatable.",
        most=8,
        example=["events.jsonl", "mqtt://localhost/shop/garments"],
        metavar="TO",
    )
    events_secret: str | None = _setting(
        None,
        f"What a webhook's events are signed with, 16 characters or more. Or set {SECRET_VARIABLE}.",
        example="<16 characters or more of your own>",
    )
    home_assistant: str | None = _setting(
        None,
        "Let Home Assistant find the camera, over its broker: mqtt://HOST/TOPIC.",
        example="mqtt://homeassistant.local/edgefashion/window",
        metavar="TO",
    )
    record: Path | None = _setting(None, "Record the drawn frames to an .mp4 or .avi.", example="clip.mp4")  # noqa: RUF009
    mirror: bool = _setting(False, "Flip the picture, as in a mirror.")
    fullscreen: bool = _setting(False, "Fill the screen.")
    fps: int = _setting(15, "Frames a second that are shown, at most; 30 is smoother and costs more.", low=1, high=60)
    web: str | None = _setting(None, "Show a page at this address.", example="127.0.0.1:8080", metavar="HOST:PORT")
    token: str | None = _setting(
        None,
        "The page's password, 16 characters or more; wanted beyond loopback.",
        example="<16 characters or more of your own>",
    )
    single: bool = _setting(False, "Name one garment, in the middle of the picture, instead of every one in view.")
    privacy: bool = _setting(False, "Blur everything outside the garments' boxes, on screen and in recordings.")
    wait: bool = _setting(False, "Wait for a camera that is absent at the start instead of ending.")
    max_failures: int = _setting(
        0, "End after so many failures of the source in a row; 0: never.", low=0, high=1_000_000
    )
    models: tuple[str, ...] = _setting(
        (), "Models for the keys 1 to 9; repeatable.", most=9, example=["kiosk", "edge"], metavar="MODEL"
    )
    fallback: str | None = _setting(
        None,
        "Model that answers while the server of a MODEL given as URL is away, or none. Default: the bundle of its name "
        "here, else kiosk.",
        example="kiosk",
        metavar="MODEL",
    )
    device: str | None = _setting(
        None,
        "What OpenVINO runs on: CPU, GPU, NPU, AUTO, one of several as GPU.1, or in order of preference as GPU,CPU. "
        "Default: CPU.",
        example="GPU,CPU",
        metavar="DEVICE",
    )
    snapshots: Path | None = _setting(None, "Folder for snapshots and clips.", example="snapshots")  # noqa: RUF009
    collect: Path | None = _setting(  # noqa: RUF009
        None,
        "Folder for pictures of garments the network is not sure of, to be looked through and taught.",
        example="shop",
        metavar="DIR",
    )
    collect_rate: float = _setting(
        0.05, "Share of the garments it is sure of that are collected too.", low=0.0, high=1.0
    )
    collect_whole: bool = _setting(False, "Collect the whole picture instead of the garment alone.")
    collect_most_an_hour: int = _setting(60, "Pictures collected an hour, at most.", low=1, high=10_000)
    collect_days: int = _setting(
        30, "Days after which a collected picture is removed if nobody has decided about it.", low=1, high=3_650
    )
    collect_mb: int = _setting(
        200, "Megabytes of collected pictures nobody has decided about; the oldest give way.", low=1, high=1_000_000
    )
    state: Path | None = _setting(  # noqa: RUF009
        None,
        "Folder for what outlasts a restart: events not yet delivered, and the figures of the days. Default: the "
        "account's own.",
        example="state",
    )
    details: bool = _setting(False, "Show the model's name, its precision and its milliseconds too.")
    require_signature: Path | None = _setting(  # noqa: RUF009
        None,
        "Install packs only with a signature of this public key, or of an authority's certificate (PEM).",
        example="/etc/edgefashion/shop.pub",
        metavar="KEY",
    )
    probation: int = _setting(
        MINUTES,
        "Minutes in which a new revision is compared with the one before; 0: not at all.",
        low=0,
        high=MOST_MINUTES,
    )
    probation_slower: int = _setting(
        50, "Percent by which a new revision's frames may take longer before it is taken back.", low=1, high=1000
    )
    probation_unsure: int = _setting(
        15, "Points by which a new revision's share of Not sure may rise before it is taken back.", low=1, high=100
    )
    labels: Mapping[str, str] = _setting(
        {},
        "Names to be shown in another language; events keep their own. Or a table [labels] at the file's end.",
        example={"T-shirt/top": "T-Shirt", "Trouser": "Hose", "Footwear": "Schuhe"},
    )


FIELDS: Final[dict[str, Field[Any]]] = {each.name: each for each in fields(CameraSettings)}
TYPES: Final = get_type_hints(CameraSettings)
DEFAULTS: Final = CameraSettings()
EXCLUSIVE: Final = (("headless", "fullscreen"),)
"""Settings of which only one may be on."""


def show(value: Any) -> str:
    """``value`` as an error shows it: short, without a URL's password."""
    # Errors end up in logs.
    text = repr(all_shown(value))
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def check(key: str, value: Any, name: str, model: Any = None) -> Any:
    """``value`` as the type of ``key``'s field; raises :class:`BadInputError` under ``name`` where it is none.

    ``model``: the setting of that name beside it, whose network may have labels of its own.
    """
    kind, facts = TYPES[key], FIELDS[key].metadata
    told = "what is given" if key in SECRETS else show(value)
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise BadInputError(f"{name} must be true or false, not {told}")
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadInputError(f"{name} must be a whole number, not {told}")
        if not facts["low"] <= value <= facts["high"]:
            raise BadInputError(f"{name} must be from {facts['low']:,} to {facts['high']:,}, not {told}")
        return value
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadInputError(f"{name} must be a number, not {told}")
        if not facts["low"] <= value <= facts["high"]:
            raise BadInputError(f"{name} must be from {facts['low']:g} to {facts['high']:g}, not {told}")
        return float(value)
    if kind == Mapping[str, str]:
        return _check_names(value, name, model)
    if kind == tuple[str, ...]:
        return _check_list(value, name, facts["most"])
    if not isinstance(value, str | Path):
        hint = f'. Write {key} = "{value}"' if type(value) is int and key not in SECRETS else ""
        raise BadInputError(f"{name} must be a text, not {told}{hint}")
    _check_text(str(value), name, told)
    if key == "device":
        _check_device(str(value), name)
    return Path(value) if kind == Path | None else str(value)


def _check_list(value: Any, name: str, most: int) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise BadInputError(f"{name} must be a list of texts, not {show(value)}")
    for each in value:
        _check_text(each, name, show(each))
    if len(value) > most:
        raise BadInputError(f"{name} takes at most {most}, not {len(value)}")
    if twice := next((each for each in value if value.count(each) > 1), None):
        raise BadInputError(f"{name} names {show(twice)} twice. Leave one out")
    return tuple(value)


def _check_names(value: Any, name: str, model: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise BadInputError(f"{name} must be a table of names and what to show for them, not {show(value)}")
    names = _NAMES if all(label in _NAMES for label in value) else _names_here(model)
    for label, shown in value.items():
        if label not in names:
            cased = {known.casefold(): known for known in names}
            near = [cased[found] for found in difflib.get_close_matches(str(label).casefold(), cased, 2, 0.5)]
            hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names)}"
            raise BadInputError(f"{name}: no answer is named {show(label)}. {hint}")
        if not isinstance(shown, str):
            raise BadInputError(f"{name}: {label} must be a text, not {show(shown)}")
        _check_text(shown, f"{name}: {label}", show(shown))
    return dict(value)


def _names_here(model: Any) -> tuple[str, ...]:
    """The names that the networks of this machine answer with: a shop's own among them."""
    from edgefashion.bundles import resolve  # here: most settings name no labels of a shop

    labels = [label for each in resolve.known() for label in each.labels]
    with contextlib.suppress(BadInputError):
        found = resolve.resolve(model).bundle if isinstance(model, str) and model else None
        labels += found.labels if found else ()
    return tuple(dict.fromkeys((*_NAMES, *labels)))


def _check_device(value: str, name: str) -> None:
    try:
        device.parse(value)
    except BadInputError as error:
        raise BadInputError(f"{name}: {error}") from error


def _check_text(value: str, name: str, told: str) -> None:
    if not value.strip() or not value.isprintable():
        raise BadInputError(f"{name} must be a text of printable characters, not {told}")


def exclude(first: str, second: str) -> BadInputError:
    """The error that two settings are on of which only one may be."""
    return BadInputError(f"{first} and {second} exclude each other. Leave one out")


def option(name: str) -> Any:
    """A setting as a Typer option with its help and range, to be put where ``typer.Option(...)`` would stand.

    A yes-or-no setting has its opposite too (``--no-headless``): a flag must be able to say no to the file's yes.
    """
    import typer

    facts, flag = FIELDS[name].metadata, name.replace("_", "-")
    declared = f"--{flag}/--no-{flag}" if TYPES[name] is bool else f"--{flag}"
    telling = TYPES[name] in (int, float) or (TYPES[name] is str and bool(getattr(DEFAULTS, name)))
    return typer.Option(
        declared,
        help=facts["help"],
        min=facts.get("low"),
        max=facts.get("high"),
        metavar=facts.get("metavar"),
        show_default=telling,
    )


def given(context: Any) -> dict[str, Any]:
    """Of a Typer context's parameters, the settings that were really given, be it with their default's value."""
    settings = {}
    for name, value in context.params.items():
        source = context.get_parameter_source(name)
        if name in FIELDS and source is not None and not source.name.startswith("DEFAULT"):
            settings[name] = value
    return settings


def merge(file: Mapping[str, Any], flags: Mapping[str, Any]) -> CameraSettings:
    """The settings in force: a flag, else the file, else the default.

    ``file`` is what :func:`edgefashion.camera.settings_file.load` gives, ``flags`` what :func:`given` does. Raises
    :class:`BadInputError` for a flag out of its range, and where what is in force excludes each other.
    """
    checked = {name: check(name, value, _flag(name)) for name, value in flags.items()}
    together = {**file, **checked}
    for pair in EXCLUSIVE:
        if all(together.get(name) for name in pair):
            first, second = (_flag(name) if name in checked else f"{name} in {FILE_NAME}" for name in pair)
            raise exclude(first, second)
    if together.get("token") and not together.get("web"):
        raise BadInputError("a token without --web protects nothing. Give --web HOST:PORT, or leave the token out")
    if not together.get("collect") and (idle := next((name for name in checked if name.startswith("collect_")), None)):
        raise BadInputError(f"{_flag(idle)} without --collect collects nothing. Give --collect DIR, or leave it out")
    if together.get("events_secret") and not any(is_webhook(to) for to in together.get("events", ())):
        raise BadInputError(
            "an events_secret signs a webhook's events only. Give --events https://..., or leave it out"
        )
    if (secret := os.environ.get(SECRET_VARIABLE)) and "events_secret" not in together:
        together["events_secret"] = check("events_secret", secret, SECRET_VARIABLE)
    if together.get("models") and "model" not in together:  # nobody chose another to begin with
        together["model"] = together["models"][0]
    return CameraSettings(**together)


def is_webhook(to: str) -> bool:
    """True where ``to``, one of ``events``, is a webhook's address."""
    return to.lower().startswith(("http://", "https://"))


def _flag(name: str) -> str:
    return "MODEL" if name == "model" else f"--{name.replace('_', '-')}"
