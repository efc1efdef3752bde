"""The errors of a server that fails: one line each, and whether it may help to ask again."""

from __future__ import annotations

import re
from typing import Final

from edgefashion.errors import BadInputError, EdgeFashionError, MissingError
from edgefashion.inference.remote.address import Address
from edgefashion.system.text import reason_of

_MISSING: Final = ("404", "NOT_FOUND")
_FORBIDDEN: Final = ("401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED")
_REFUSED: Final = ("400", "405", "411", "413", "415", "422", "INVALID_ARGUMENT", "OUT_OF_RANGE", "UNIMPLEMENTED")
"""Statuses of a request that a server will never take. Any other may be different the next time."""
_EXHAUSTED: Final = "RESOURCE_EXHAUSTED"
"""What gRPC calls both a busy server, which is worth asking again, and a message that is too large for it."""
_TOO_LARGE: Final = re.compile(r"larger than|more than [\d.,]+ (?:[kM]B|bytes)")
"""What gRPC's library and servers say of such a message, for which gRPC has no status of its own."""


class _HintedError(EdgeFashionError):
    """An error that knows what happened apart from its ``hint``, which says what a person should look at."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what}. {hint}" if hint else what)
        self.what = what
        """What happened, without the hint."""


class ServerError(_HintedError, MissingError):
    """A model's server that is away, silent or failing."""


class RefusedError(_HintedError, BadInputError):
    """A server that refuses, and would refuse again: it lacks the model, the account or the kind of input."""


class AccountError(RefusedError):
    """A server that wants another account. It is asked again seldom: a few wrong logins may lock the account."""


def told(address: Address, error: Exception, limit_s: float) -> EdgeFashionError:
    """The error to raise for ``error``, which a request with the time limit ``limit_s`` has met."""
    import ssl

    from tritonclient.utils import InferenceServerException

    status, said = _status(error), reason_of(error)
    if isinstance(error, TimeoutError) or status == "DEADLINE_EXCEEDED":
        return ServerError(f"{address} gives no answer within {limit_s:g} s", "Is its server well?")
    if isinstance(error, ssl.SSLError):
        return ServerError(f"{address} cannot be trusted: {said}", "SSL_CERT_FILE may name another authority")
    if isinstance(error, InferenceServerException):
        said = reason_of(error.message() or error)
    if not isinstance(error, InferenceServerException) or status == "UNAVAILABLE":
        return ServerError(f"{address} cannot be reached: {said}", "Is its server running?")
    if status in _FORBIDDEN:
        return AccountError(f"{address} wants another account ({said})", "Write it as USER:PASSWORD@ before the host")
    if status in _MISSING:
        return unknown(address)
    if status in _REFUSED or (status == _EXHAUSTED and _TOO_LARGE.search(said)):
        return RefusedError(f"{address} refuses the request: {said}")
    return ServerError(f"{address} fails: {said}" + (f" ({status})" if status else ""))


def is_unknown(error: Exception) -> bool:
    """True if by ``error`` a server says that what is asked for is not there."""
    return _status(error) in _MISSING


def unknown(address: Address, has: str = "") -> RefusedError:
    """The error for a server without the model. ``has``: the names of the models it has, where they are known."""
    hint = f"It has: {has}" if has else "Check the name"
    return RefusedError(f"{address}: its server has no model {address.model!r}", hint)


def stranger(address: Address) -> RefusedError:
    """The error for a server of something else."""
    return RefusedError(
        f"{address}: what answers there is no server of the Open Inference protocol", "Check host and port"
    )


def _status(error: Exception) -> str:
    """The HTTP status, or the name of the gRPC status, of a server's error; empty for an error of another kind."""
    from tritonclient.utils import InferenceServerException

    return str(error.status() or "").rpartition(".")[2] if isinstance(error, InferenceServerException) else ""
