"""The page (``--web``): what the camera sees and answers, live in a browser here or, with a token, elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgefashion.camera.page.board import Board
from edgefashion.errors import MissingError
from edgefashion.system.extras import need
from edgefashion.system.pages.address import check_token, listen, names, parse

if TYPE_CHECKING:
    from edgefashion.camera.moment import Moment


class Page:
    """An :class:`~edgefashion.camera.moment.Output` that serves a page of the moments it takes.

    ``/`` is the page, ``/events`` its answers as server-sent events, ``/picture.mjpg`` and ``/picture.jpg`` the
    picture with the garment's box, ``/healthz`` answers 200 while answers are of now and 503 with the reason
    else, ``/metrics`` is for Prometheus. It listens from the constructor on, in a thread of its own.

    Args:
        address: ``HOST:PORT``, a name or a number; port 0 takes a free one, which :attr:`url` tells.
        token: what a viewer must know; wanted where other machines reach the address.

    Raises:
        BadInputError: an address that is none, is not this machine's or is in use; a token that is none or missing.
        MissingError: the extra ``web`` is not installed.
    """

    name = "page"
    shows = True
    keeping = None

    def __init__(self, address: str, token: str | None = None) -> None:
        place = parse(address)
        check_token(place, token)
        for module in ("starlette", "uvicorn", "prometheus_client"):
            need(module, "for --web")
        from edgefashion.camera.page.app import application
        from edgefashion.system.pages.server import Server

        sockets = listen(place)
        self.url, hosts = names(place, sockets)
        """Where the page is, as it was given."""
        self._board = Board()
        try:
            app, self.hub = application(self._board, token=token, hosts=hosts)
            self._server = Server(app, sockets)
        except BaseException:
            for one in sockets:
                one.close()
            raise

    def take(self, moment: Moment) -> None:
        """Show ``moment`` from now on. Raises :class:`MissingError` if the server has ended by itself."""
        if not self._server.alive:
            raise MissingError(f"the page's server has ended: {self._server.failure or 'it was closed'}. Start it anew")
        self._board.take(moment)

    def keys(self) -> str:
        """None: whoever watches from elsewhere changes nothing."""
        return ""

    def close(self) -> None:
        """End the server and every stream, in a second or two. May be called twice."""
        self.hub.stopping = True
        self._server.close()
