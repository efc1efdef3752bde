"""`edgefashion review`: parse, open :class:`edgefashion.reviewing.page.ReviewPage`, print where it is."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer


def review(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder that --collect writes to.", show_default=False)
    ],
    web: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the page is; port 0: a free one.")] = (
        "127.0.0.1:8090"
    ),
    token: Annotated[
        str | None,
        typer.Option(
            envvar="EDGEFASHION_TOKEN",
            help="What others must know to see the page; wanted beyond this machine.",
            show_default=False,
            show_envvar=True,
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="The model that is taught and put to use.")] = "shop",
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
) -> None:
    """Say in a browser what is on a shop's pictures, and have a network taught with them.

    Example: edgefashion review shop/
    """
    from edgefashion.errors import MissingError
    from edgefashion.reviewing.page import ReviewPage

    with ReviewPage(folder, web=web, token=token, model=name) as page:
        print(page.url, flush=True)
        if page.for_others:
            print(f"From a phone or another PC: {page.for_others}?token=TOKEN", file=sys.stderr)
        print("Ctrl-C ends it", file=sys.stderr, flush=True)
        if browser and token is None:  # a token in an address would be seen by all in the list of processes
            _open(page.url)
        while page.alive:
            time.sleep(0.5)
    raise MissingError("the page's server has ended by itself. Start it anew")


def _open(url: str) -> None:
    """Show the page, where there is a screen to show it on."""
    import os
    import webbrowser

    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    webbrowser.open(url)
