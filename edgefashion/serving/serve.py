"""``edgefashion serve`` as a function: models for other machines, over the Open Inference Protocol."""

from __future__ import annotations

import functools
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from edgefashion.bundles import resolve
from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.load import load
from edgefashion.serving.options import Addresses, ServeOptions
from edgefashion.serving.signals import Ending
from edgefashion.system.extras import need

BACKLOG: Final = 2048
"""Connections that wait to be accepted."""


def serve(
    models: list[str],
    options: ServeOptions,
    on_ready: Callable[[Addresses], None] = lambda _: None,
) -> int | None:
    """Serve ``models``, names or paths, until a signal ends it; the signal's number. For the main thread.

    ``on_ready`` is called once every model answers. Raises :class:`BadInputError` for a model, a name
    or an address that cannot be served, :class:`edgefashion.errors.MissingError` without KServe.
    """
    need("kserve", "to serve a model")
    with (
        Ending() as ending,
        bound(options.host, options.http_port, "--port") as listening,
        ThreadPoolExecutor(1) as loader,
    ):
        # gRPC binds for itself, and late: what stands in its way is told before the models are waited for.
        bound(options.host, options.grpc_port, "--grpc-port").close()
        names = [resolve.resolve(model).name for model in models]
        if len(set(names)) < len(names):
            raise BadInputError(f"two models are named alike: {', '.join(names)}. Name each once, or serve them apart")
        # Beside each other: importing KServe takes longer than anything else here.
        loads = [functools.partial(_load, model, options) for model in models]
        loading = loader.submit(lambda: [load() for load in loads])
        from edgefashion.serving.server import Server

        firsts = loading.result()
        if ending.received:
            return ending.received
        server = Server(options)
        served = [server.model(first, load) for first, load in zip(firsts, loads, strict=True)]
        server.start(served, listening, on_ready, ending)
        return ending.received


def bound(host: str, port: int, option: str) -> socket.socket:
    """A listening socket of this address; who connects waits until somebody accepts.

    Raises :class:`BadInputError` where it cannot be had."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise BadInputError(f"--host {host}: no machine of that name is known here. Give an address") from error
    made = socket.socket(family, kind)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)  # now: two servers may both bind, and one alone listen
    except OSError as error:
        made.close()
        raise BadInputError(
            f"{host}:{port} cannot be listened on: {error.strerror}. Choose another {option}"
        ) from error
    return made


def _load(model: str, options: ServeOptions) -> Classifier:
    """A classifier for one thread, which computes with one core."""
    return load(model, engine="openvino", precision=options.precision, threads=1)
