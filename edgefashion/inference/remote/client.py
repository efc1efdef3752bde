"""A served model, asked through tritonclient: every request has a time limit, and every failure is told in one line.

Threads cannot share tritonclient's HTTP client. Each thread has one of its own, with a connection that is kept open.
Proxies that the environment names are not used: a shop's server is in the shop's own network.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from edgefashion.errors import EdgeFashionError
from edgefashion.inference.remote.address import Address
from edgefashion.inference.remote.errors import ServerError, is_unknown, stranger, told, unknown
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LISTED_BYTES: Final = 100_000
_CHANNEL: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    # Its own waits between attempts to connect grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A channel of its own for every client: clients that share one share its waits between attempts.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True)
class Limits:
    """How long is waited for a server."""

    connect_s: float = 5.0
    """For the first request: until the server says what the model takes. For later ones: until it is connected."""
    answer_s: float = 30.0
    """For a whole request: connecting, sending, answering."""


@dataclass(frozen=True)
class Answered:
    """What a server answered to one request."""

    tensors: dict[str, NDArray[np.float32]]
    facts: str
    """What it says of the model, as JSON; empty where it says nothing."""


class Client:
    """One model on one server. May be called from any thread."""

    def __init__(self, address: Address, limits: Limits) -> None:
        self.address, self.limits = address, limits
        self._direct = address.scheme == "grpc"
        self._own = threading.local()
        self._shared: Any = None
        self._lock = threading.Lock()
        if self._direct:
            from tritonclient import grpc as transport
        else:
            from tritonclient import http as transport
        self._transport = transport

    # --- Asking -------------------------------------------------------------------------------

    def metadata(self) -> dict[str, Any]:
        """The model's inputs and outputs, each with name, datatype and shape.

        Raises :class:`ServerError`, and :class:`RefusedError` for a server of another protocol or without the model.
        """
        more = {"as_json": True} if self._direct else {}
        facts = self._ask(lambda client, end: client.get_model_metadata(self.address.model, **more, **end), first=True)
        if not isinstance(facts, dict):
            raise stranger(self.address)
        return facts

    def infer(
        self, images: NDArray[np.uint8], outputs: Sequence[str], *, name: str = "images", first: bool = False
    ) -> Answered:
        """Have uint8 (n, height, width, channels) images answered, as the input ``name``; raises as :meth:`metadata`
        does."""
        transport = self._transport
        given = transport.InferInput(name, list(images.shape), "UINT8")
        given.set_data_from_numpy(images)
        wanted = [transport.InferRequestedOutput(name) for name in outputs]
        parameters = {"facts": True}

        def request(client: Any, end: dict[str, Any]) -> Any:
            return client.infer(self.address.model, [given], outputs=wanted, parameters=parameters, **end)

        result = self._ask(request, first=first)
        try:
            tensors = {name: result.as_numpy(name) for name in outputs}
            facts = self._facts(result.get_response())
        except Exception as error:  # tritonclient raises of all kinds for an answer that is malformed
            raise ServerError(f"{self.address} answers what is no inference ({reason_of(error)})") from error
        if missing := [name for name, found in tensors.items() if found is None or found.shape[:1] != (len(images),)]:
            raise ServerError(f"{self.address} answers {len(images)} images without {missing[0]} of each")
        return Answered(tensors, facts)

    def _facts(self, response: Any) -> str:
        if self._direct:
            return str(response.parameters["facts"].string_param) if "facts" in response.parameters else ""
        return str((response.get("parameters") or {}).get("facts", ""))

    def _ask(self, do: Callable[[Any, dict[str, Any]], Any], *, first: bool = False) -> Any:
        """Call ``do`` with a client and the arguments that limit its time, and return its result."""
        limit_s = min(self.limits.connect_s, self.limits.answer_s) if first else self.limits.answer_s
        try:
            return self._over_grpc(do, limit_s) if self._direct else self._over_http(do, limit_s)
        except EdgeFashionError:
            raise
        except Exception as error:
            # Only at the start: in the middle of a run nobody waits for the server's other models.
            if first and not self._direct and is_unknown(error):
                raise self._who_is_there() from error
            raise told(self.address, error, limit_s) from error

    def _who_is_there(self) -> EdgeFashionError:
        """The error for an HTTP server that does not know the model, with the models it has if it is a model server."""
        import gevent
        from gevent.ssl import create_default_context
        from geventhttpclient import HTTPClient

        limit_s, url = self.limits.connect_s, f"{self.address.scheme}://{self.address.server}/v2/models"
        try:
            # The protocol itself cannot list models. KServe's servers do so at this path.
            lists = HTTPClient.from_url(url, ssl_context_factory=create_default_context, connection_timeout=limit_s)
            with gevent.Timeout(limit_s), contextlib.closing(lists):
                names = json.loads(lists.get(urlsplit(url).path).read(_LISTED_BYTES))["models"]
            return unknown(self.address, ", ".join(str(name) for name in names) or "none")
        except (Exception, gevent.Timeout):
            try:
                # Not by _ask(), which would come back here for a server that does not know this path either.
                self._over_http(lambda client, _: client.get_server_metadata(), limit_s)
            except Exception:
                return stranger(self.address)
            return unknown(self.address)

    def _over_grpc(self, do: Callable[[Any, dict[str, Any]], Any], limit_s: float) -> Any:
        with self._lock:
            if self._shared is None:
                # Despite its name it is also the time that each attempt to connect may take.
                channel = [*_CHANNEL, ("grpc.min_reconnect_backoff_ms", int(1000 * self.limits.connect_s))]
                self._shared = self._signed(
                    self._transport.InferenceServerClient(self.address.server, channel_args=channel)
                )
        return do(self._shared, {"client_timeout": limit_s})

    def _over_http(self, do: Callable[[Any, dict[str, Any]], Any], limit_s: float) -> Any:
        import gevent
        from geventhttpclient.response import HTTPConnectionClosed

        try:
            # One limit for the whole request: geventhttpclient's own start again with every byte and every address.
            with gevent.Timeout(limit_s):
                used = getattr(self._own, "client", None) is not None
                try:
                    return do(self._own_client(), {})
                except (ConnectionError, HTTPConnectionClosed):
                    if not used:
                        raise
                # The server may have closed the idle connection just now. It does no harm to ask twice.
                self._drop()
                return do(self._own_client(), {})
        except BaseException as error:
            from tritonclient.utils import InferenceServerException

            if not isinstance(error, InferenceServerException):
                self._drop()  # the rest of an answer may still come on that connection
            if isinstance(error, gevent.Timeout):
                raise TimeoutError from error
            raise

    def _own_client(self) -> Any:
        if getattr(self._own, "client", None) is None:
            from gevent.ssl import create_default_context

            self._own.client = self._signed(
                self._transport.InferenceServerClient(
                    self.address.server,
                    connection_timeout=self.limits.connect_s,
                    network_timeout=self.limits.answer_s,
                    ssl=self.address.scheme == "https",
                    ssl_context_factory=create_default_context,
                )
            )
        return self._own.client

    def _signed(self, client: Any) -> Any:
        """``client``, sending the URL's account with every request."""
        if self.address.user:
            from tritonclient.grpc.auth import BasicAuth as GrpcAuth
            from tritonclient.http.auth import BasicAuth as HttpAuth

            client.register_plugin((GrpcAuth if self._direct else HttpAuth)(self.address.user, self.address.password))
        return client

    # --- Ending -------------------------------------------------------------------------------

    def _drop(self) -> None:
        client, self._own.client = getattr(self._own, "client", None), None
        if client is not None:
            with contextlib.suppress(Exception):
                client.close()

    def hang_up(self) -> None:
        """Close this thread's own connection."""
        if not self._direct:
            self._drop()

    def close(self) -> None:
        """Close the connection that all threads share, or this thread's own."""
        self.hang_up()
        with self._lock:
            client, self._shared = self._shared, None
        if client is not None:
            client.close()
