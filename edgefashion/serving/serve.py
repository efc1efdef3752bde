"""``edgefashion serve`` as a function: models for other machines, over the Open Inference Protocol."""

from __future__ import annotations

import contextlib
import functools
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

from edgefashion.bundles import places, resolve
from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.device import chosen
from edgefashion.inference.load import load
from edgefashion.serving.options import Addresses, ServeOptions
from edgefashion.serving.signals import Ending
from edgefashion.system.extras import need

BACKLOG: Final = 2048
"""Connections that wait to be accepted."""


def serve(
    models: Sequence[str] = (places.PHOTO_MODEL,),
    options: ServeOptions | None = None,
    on_ready: Callable[[Addresses], None] = lambda _: None,
    **given: Any,
) -> int | None:
    """Serve models to other machines over the Open Inference Protocol, until a signal ends it. For the main thread.

    Args:
        models: Names of bundles, or paths.
        options: How to serve.
        on_ready: Called once every model answers, with the server's addresses.
        given: Any field of ``options`` by its name: ``host``, ``http_port``, ``grpc_port`` (0 is a free one),
            ``precision``, ``workers``, ...

    Returns:
        The signal's number; None where the server ended by itself.

    Raises:
        BadInputError: A model, a name or an address that cannot be served.
        MissingError: KServe is not installed.

    Example:
        >>> import os, signal
        >>> from edgefashion import serve
        >>> def end(at):
        ...     print(sorted(at.models))
        ...     os.kill(os.getpid(), signal.SIGTERM)  # as Ctrl-C would
        >>> ended_by = serve(["edge"], http_port=0, grpc_port=0, on_ready=end)
        ['edge']
        >>> signal.Signals(ended_by).name
        'SIGTERM'
    """
    options = replace(options or ServeOptions(), **given)
    need("kserve", "to serve a model")
    chosen(options.device)  # one that is not here is told before a port is taken
    with (
        Ending() as ending,
        bound(options.host, options.http_port, "--port") as listening,
        ThreadPoolExecutor(1) as loader,
    ):
        # gRPC binds for itself, after the models are loaded. A port that it cannot have is told before.
        bound(options.host, options.grpc_port, "--grpc-port").close()
        names = [resolve.resolve(model).name for model in models]
        if len(set(names)) < len(names):
            raise BadInputError(f"two models are named alike: {', '.join(names)}. Name each once, or serve them apart")
        # The models load while KServe is imported, which takes longest of all here.
        loads = [functools.partial(_load, model, options) for model in models]
        loading = loader.submit(lambda: [load() for load in loads])
        with _no_arguments():
            from edgefashion.serving.server import Server

        firsts = loading.result()
        if ending.received:
            return ending.received
        server = Server(options)
        served = [server.model(first, load) for first, load in zip(firsts, loads, strict=True)]
        server.start(served, listening, on_ready, ending)
        return ending.received


def bound(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens on this address. Clients that connect wait until somebody accepts.

    Raises :class:`BadInputError` where the address cannot be had; ``option`` is the one to change then.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise BadInputError(f"--host {host}: no machine of that name is known here. Give an address") from error
    made = socket.socket(family, kind)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)  # already here: two servers may bind to one address, but only one may listen on it
    except OSError as error:
        made.close()
        raise BadInputError(
            f"{host}:{port} cannot be listened on: {error.strerror}. Choose another {option}"
        ) from error
    return made


@contextlib.contextmanager
def _no_arguments() -> Iterator[None]:
    """Leave the program's name alone in ``sys.argv``.

    KServe 0.21 parses the command line when it is imported, takes our options for its own where they begin alike, and
    ends the process over a value that it does not know. It has no setting against that.
    """
    arguments = sys.argv
    sys.argv = arguments[:1]
    try:
        yield
    finally:
        sys.argv = arguments


def _load(model: str, options: ServeOptions) -> Classifier:
    """A classifier for one thread, which computes with one core."""
    return load(model, engine="openvino", precision=options.precision, threads=1, device=options.device)
