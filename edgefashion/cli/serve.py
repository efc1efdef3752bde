"""`edgefashion serve`: parse, call :func:`edgefashion.serving.serve.serve`, print."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from edgefashion.bundles.places import PHOTO_MODEL
from edgefashion.cli.common import DeviceOption
from edgefashion.cli.made_elsewhere import made_elsewhere

if TYPE_CHECKING:
    from edgefashion.serving.options import Addresses

PRECISION_HELP = "fp32, fp16, bf16 or int8. Default: the best the bundle has."


@made_elsewhere()
def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...", help="Models to serve, by name or path. Default: kiosk.", show_default=False
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on; there is no authentication.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="For HTTP; 0: a free one.")] = 8080,
    grpc_port: Annotated[int, typer.Option(min=0, max=65535, help="For gRPC; 0: a free one.")] = 8081,
    precision: Annotated[str | None, typer.Option(help=PRECISION_HELP, show_default=False)] = None,
    device: DeviceOption = None,
    workers: Annotated[int, typer.Option(min=0, max=256, help="Requests computed at once; 0: one a core.")] = 0,
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait beside them; more are told 503.")] = 256,
    timeout: Annotated[
        float, typer.Option(min=0.01, max=86400, help="Seconds a request may be sent, and be computed.")
    ] = 10,
    drain_timeout: Annotated[
        float, typer.Option(min=0, max=86400, help="Seconds that requests in flight have after SIGTERM.")
    ] = 10,
    max_request_mb: Annotated[float, typer.Option(min=0.001, max=2000, help="Size of a request, in MB.")] = 32,
    max_images: Annotated[int, typer.Option(min=1, help="Images in one request.")] = 256,
    max_megapixels: Annotated[float, typer.Option(min=0.01, max=134, help="Size of one picture.")] = 64,
) -> None:
    """Serve models to other machines: Open Inference Protocol, HTTP and gRPC.

    Example: edgefashion serve kiosk edge
    """
    from edgefashion.serving.options import ServeOptions
    from edgefashion.serving.serve import serve as run

    if not _is_loopback(host):
        print(
            f"edgefashion: {host} can be reached from other machines, and anyone there may ask: "
            "authentication and TLS are a proxy's task",
            file=sys.stderr,
        )
    options = ServeOptions(
        host=host,
        http_port=port,
        grpc_port=grpc_port,
        precision=precision,
        device=device,
        workers=workers,
        queue=queue,
        timeout_s=timeout,
        drain_timeout_s=drain_timeout,
        max_request_mb=max_request_mb,
        max_images=max_images,
        max_megapixels=max_megapixels,
    )
    received = run(models or [PHOTO_MODEL], options, _tell)
    if received:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        # Not typer.Exit: the interpreter would wait for a thread that is still at a picture nobody waits for.
        os._exit(128 + received)


def _tell(found: Addresses) -> None:
    print(found.as_json())
    for name, url in found.models.items():
        print(f"{name}: {url}  {found.grpc}/{name}")
    print(f"metrics: {found.http}/metrics", flush=True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
