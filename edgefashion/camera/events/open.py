"""An event sink opened by what ``--events`` names: stdout, a file, a broker, a webhook."""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path

from edgefashion.camera.events.outbox import Outbox
from edgefashion.camera.events.sink import CAPACITY, Sink, Stream
from edgefashion.camera.settings import SECRET_VARIABLE, is_webhook
from edgefashion.errors import BadInputError
from edgefashion.system.addresses import shown
from edgefashion.system.extras import need
from edgefashion.system.text import is_url

_BROKERS = ("mqtt://", "mqtts://")


def open_sink(
    spec: str, *, wait: bool = False, capacity: int = CAPACITY, state: Path | None = None, secret: str | None = None
) -> Sink:
    """Open ``-`` (stdout), a file's path, ``mqtt://[user:password@]host[:port]/topic`` (``mqtts://`` with TLS), or a
    webhook's ``https://host/path``.

    ``state``: the folder of the outbox, by which events for another machine outlive this process; without one they end
    with it. ``secret``: what a webhook's events are signed with.

    Raises :class:`BadInputError` where nothing can ever be written to ``spec``, and :class:`MissingError` where the
    broker is not there, unless ``wait`` says that it will be.
    """
    if spec == "-":
        return Stream(_stdout(), "stdout", capacity)
    if spec.lower().startswith(_BROKERS):
        from edgefashion.camera.events import mqtt, mqtt_client

        broker = mqtt_client.parse(spec)
        need("paho", "for --events mqtt://")
        return mqtt.open_broker(broker, _outbox(str(broker), broker.user, state, capacity), wait=wait)
    if is_webhook(spec):
        from edgefashion.camera.events import webhook, webhook_client

        receiver = webhook_client.parse(spec, secret)
        if receiver.key is None:
            how = f"Set events_secret in the settings file, or {SECRET_VARIABLE}"
            print(f"edgefashion: events to {receiver} go unsigned: anybody could send such. {how}", file=sys.stderr)
        return webhook.Webhook(receiver, _outbox(receiver.target, receiver.user, state, capacity))
    if is_url(spec) or spec.lower().startswith(("mqtt:", "mqtts:", "http:", "https:")):
        # Not repeated: it may carry a password.
        raise BadInputError("--events is no file and no broker. Give -, a file, mqtt://host/topic or https://host/path")
    from edgefashion.camera.events import file

    return file.open_file(spec, capacity)


def shown_place(spec: str) -> str:
    """``spec`` as it may be shown: of a webhook only its host, as the path may be all its secret."""
    if not is_webhook(spec):
        return shown(spec)
    from edgefashion.camera.events.webhook_client import parse

    return str(parse(spec))


def _outbox(place: str, user: str | None, state: Path | None, capacity: int) -> Outbox:
    """The outbox for what ``user`` sends to ``place``, in ``state``. That no file can be had there, so far, is told."""
    if state is None:
        return Outbox(most=capacity)
    # By the user, as what waits for one is no other's. Without the password, which a hash must not help to guess; and a
    # new one changes no place.
    whose = f"{user}@{place}" if user else place
    name = f"outbox-{hashlib.sha256(whose.encode()).hexdigest()[:12]}.sqlite"
    outbox = Outbox(state / name, capacity)
    if outbox.fault:
        print(f"edgefashion: {outbox.fault}. They end with this process until that is mended", file=sys.stderr)
    return outbox


def _stdout() -> int:
    try:
        sys.stdout.flush()
        return sys.stdout.fileno()
    except (AttributeError, ValueError, io.UnsupportedOperation) as error:  # None under pythonw, for one
        raise BadInputError("--events - has no stdout to write to. Give a file") from error
