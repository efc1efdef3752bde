"""An event sink opened by what ``--events`` names: stdout, a file, a broker."""

from __future__ import annotations

import io
import sys

from edgefashion.camera.events.sink import CAPACITY, Sink, Stream
from edgefashion.errors import BadInputError


def open_sink(spec: str, *, wait: bool = False, capacity: int = CAPACITY) -> Sink:
    """Open ``-`` (stdout), a file's path, or ``mqtt://[user:password@]host[:port]/topic`` (``mqtts://`` with TLS).

    Raises :class:`BadInputError` where nothing can ever be written to ``spec``, and :class:`MissingError` where the
    broker is not there, unless ``wait`` says that it will be.
    """
    if spec == "-":
        return Stream(_stdout(), "stdout", capacity)
    if spec.lower().startswith(("mqtt://", "mqtts://")):
        from edgefashion.camera.events import mqtt

        return mqtt.open_broker(spec, wait=wait, capacity=capacity)
    if "://" in spec or spec.lower().startswith(("mqtt:", "mqtts:")):
        # Not repeated: it may carry a password.
        raise BadInputError("--events is no file and no broker. Give -, a file or mqtt://host/topic")
    from edgefashion.camera.events import file

    return file.open_file(spec, capacity)


def _stdout() -> int:
    try:
        sys.stdout.flush()
        return sys.stdout.fileno()
    except (AttributeError, ValueError, io.UnsupportedOperation) as error:  # None under pythonw, for one
        raise BadInputError("--events - has no stdout to write to. Give a file") from error
