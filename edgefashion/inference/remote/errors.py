"""What is told of a server that fails: one line, and whether asking again may help."""

from __future__ import annotations

import re
from typing import Final

from edgefashion.errors import BadInputError, EdgeFashionError, MissingError
from edgefashion.inference.remote.address import Address

_SHOWN_CHARS: Final = 200
_MISSING: Final = ("404", "NOT_FOUND")
_FORBIDDEN: Final = ("401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED")
_REFUSED: Final = ("400", "405", "411", "413", "415", "422", "INVALID_ARGUMENT", "OUT_OF_RANGE", "UNIMPLEMENTED")
"""What a server answers to a request that will never do; anything else may pass."""
_EXHAUSTED: Final = "RESOURCE_EXHAUSTED"
"""What gRPC calls both a busy server, which is worth asking again, and a message that is too large for it."""
_TOO_LARGE: Final = re.compile(r"larger than|more than [\d.,]+ (?:[kM]B|bytes)")


class ServerError(MissingError):
    """A model's server that is away, silent or failing."""


class RefusedError(BadInputError):
    """A server that will not do what it is asked, however often: another model, account or input."""


def told(address: Address, error: Exception, limit_s: float) -> EdgeFashionError:
    """What to raise for ``error`` of a request that had ``limit_s``."""
    import ssl

    from tritonclient.utils import InferenceServerException

    status, said = _status(error), line(error)
    if isinstance(error, TimeoutError) or status == "DEADLINE_EXCEEDED":
        return ServerError(f"{address} gives no answer within {limit_s:g} s. Is its server well?")
    if isinstance(error, ssl.SSLError):
        return ServerError(f"{address} cannot be trusted: {said}. SSL_CERT_FILE may name another authority")
    if isinstance(error, InferenceServerException):
        said = line(error.message() or error)
    if not isinstance(error, InferenceServerException) or status == "UNAVAILABLE":
        return ServerError(f"{address} cannot be reached: {said}. Is its server running?")
    if status in _FORBIDDEN:
        return RefusedError(f"{address} wants another account ({said}). Write it as USER:PASSWORD@ before the host")
    if status in _MISSING:
        return unknown(address)
    if status in _REFUSED or (status == _EXHAUSTED and _TOO_LARGE.search(said)):
        return RefusedError(f"{address} refuses the request: {said}")
    return ServerError(f"{address} fails: {said}" + (f" ({status})" if status else ""))


def is_unknown(error: Exception) -> bool:
    """True if ``error`` is a server's word that what is asked for is not there."""
    return _status(error) in _MISSING


def unknown(address: Address, has: str = "") -> RefusedError:
    """For a server without the model; ``has``: the names of those it has, where that is known."""
    return RefusedError(
        f"{address}: its server has no model {address.model!r}. {f'It has: {has}' if has else 'Check the name'}"
    )


def stranger(address: Address) -> RefusedError:
    """For a server of something else."""
    return RefusedError(
        f"{address}: what answers there is no server of the Open Inference protocol. Check host and port"
    )


def line(error: object) -> str:
    """An error's first line, short enough for a log."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:_SHOWN_CHARS].rstrip(". ")


def _status(error: Exception) -> str:
    """What a server called it: a status of HTTP or the name of one of gRPC; empty of any other error."""
    from tritonclient.utils import InferenceServerException

    return str(error.status() or "").rpartition(".")[2] if isinstance(error, InferenceServerException) else ""
