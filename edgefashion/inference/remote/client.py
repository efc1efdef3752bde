"""A served model through tritonclient: every request has an end, and every failure is one line.

tritonclient's HTTP client is not for sharing among threads, so each thread has one of its own, and with it a connection
that is kept. Proxies that the environment names are not used: a shop's server is in the shop's own network.
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
from edgefashion.inference.remote.errors import ServerError, is_unknown, line, stranger, told, unknown

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
    # A channel of its own for every client: a shared one would share its backoff too.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True)
class Limits:
    """How long is waited for a server."""

    connect_s: float = 5.0
    """Until it says what the model takes; for the connection alone, of every later request."""
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

    def infer(self, images: NDArray[np.uint8], outputs: Sequence[str], *, first: bool = False) -> Answered:
        """Have uint8 (n, height, width, channels) images answered; raises as :meth:`metadata` does."""
        transport = self._transport
        given = transport.InferInput("images", list(images.shape), "UINT8")
        given.set_data_from_numpy(images)
        wanted = [transport.InferRequestedOutput(name) for name in outputs]
        parameters = {"facts": True}

        def request(client: Any, end: dict[str, Any]) -> Any:
            return client.infer(self.address.model, [given], outputs=wanted, parameters=parameters, **end)

        result = self._ask(request, first=first)
        try:
            tensors = {name: result.as_numpy(name) for name in outputs}
            facts = self._facts(result.get_response())
        except Exception as error:  # whatever a stranger's answer does to the parser
            raise ServerError(f"{self.address} answers what is no inference ({line(error)})") from error
        if missing := [name for name, found in tensors.items() if found is None or found.shape[:1] != (len(images),)]:
            raise ServerError(f"{self.address} answers {len(images)} images without {missing[0]} of each")
        return Answered(tensors, facts)

    def _facts(self, response: Any) -> str:
        if self._direct:
            return str(response.parameters["facts"].string_param) if "facts" in response.parameters else ""
        return str((response.get("parameters") or {}).get("facts", ""))

    def _ask(self, do: Callable[[Any, dict[str, Any]], Any], *, first: bool = False) -> Any:
        """``do`` with a client and what ends it, in the time there is for it."""
        limit_s = min(self.limits.connect_s, self.limits.answer_s) if first else self.limits.answer_s
        try:
            return self._over_grpc(do, limit_s) if self._direct else self._over_http(do, limit_s)
        except EdgeFashionError:
            raise
        except Exception as error:
            # Not in the middle of a run, which has other plans for its time.
            if first and not self._direct and is_unknown(error):
                raise self._who_is_there() from error
            raise told(self.address, error, limit_s) from error

    def _who_is_there(self) -> EdgeFashionError:
        """What to say where a server of HTTP knows nothing of the model: what it has, if it is a server of models."""
        import gevent
        from gevent.ssl import create_default_context
        from geventhttpclient import HTTPClient

        limit_s, url = self.limits.connect_s, f"{self.address.scheme}://{self.address.server}/v2/models"
        try:
            # Not in the protocol, which cannot list models; KServe's servers do so here.
            lists = HTTPClient.from_url(url, ssl_context_factory=create_default_context, connection_timeout=limit_s)
            with gevent.Timeout(limit_s), contextlib.closing(lists):
                names = json.loads(lists.get(urlsplit(url).path).read(_LISTED_BYTES))["models"]
            return unknown(self.address, ", ".join(str(name) for name in names) or "none")
        except (Exception, gevent.Timeout):
            try:
                # Not by _ask(), which would ask for the same again of a server that knows nothing of this either.
                self._over_http(lambda client, _: client.get_server_metadata(), limit_s)
            except Exception:
                return stranger(self.address)
            return unknown(self.address)

    def _over_grpc(self, do: Callable[[Any, dict[str, Any]], Any], limit_s: float) -> Any:
        with self._lock:
            if self._shared is None:
                # By its name the wait between attempts, and also how long each attempt to connect may take.
                channel = [*_CHANNEL, ("grpc.min_reconnect_backoff_ms", int(1000 * self.limits.connect_s))]
                self._shared = self._signed(
                    self._transport.InferenceServerClient(self.address.server, channel_args=channel)
                )
        return do(self._shared, {"client_timeout": limit_s})

    def _over_http(self, do: Callable[[Any, dict[str, Any]], Any], limit_s: float) -> Any:
        import gevent
        from geventhttpclient.response import HTTPConnectionClosed

        try:
            # One limit for all of it: geventhttpclient's own begin anew with every byte and every address of a host.
            with gevent.Timeout(limit_s):
                used = getattr(self._own, "client", None) is not None
                try:
                    return do(self._own_client(), {})
                except (ConnectionError, HTTPConnectionClosed):
                    if not used:
                        raise
                # The server may have ended an idle connection just now; asking twice changes nothing there.
                self._drop()
                return do(self._own_client(), {})
        except BaseException as error:
            from tritonclient.utils import InferenceServerException

            if not isinstance(error, InferenceServerException):
                self._drop()  # half an answer may still be on its way in that connection
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
        """Let go of this thread's own connection."""
        if not self._direct:
            self._drop()

    def close(self) -> None:
        """Let go of the connection that all threads share, or of this thread's own."""
        self.hang_up()
        with self._lock:
            client, self._shared = self._shared, None
        if client is not None:
            client.close()
