"""`edgefashion review`: the page for a folder, from its start to its end."""

from __future__ import annotations

import errno
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.bundles import resolve
from edgefashion.bundles.bundle import INFO
from edgefashion.bundles.places import model_dirs
from edgefashion.data import collected
from edgefashion.data.collection import DELETED_S
from edgefashion.errors import BadInputError
from edgefashion.reviewing.watched_folder import WatchedFolder
from edgefashion.system.extras import need
from edgefashion.system.pages.address import check_token, from_outside, listen, names, parse

if TYPE_CHECKING:
    from types import TracebackType

WEB: Final = "127.0.0.1:8090"
"""Where the page is, unless another place is given: seen from this machine alone."""

MODEL: Final = "shop"
"""The model that is taught and put to use."""


class ReviewPage:
    """A page on which people say what is on the pictures of a folder. It is there until it is closed.

    Args:
        folder: the pictures, as :mod:`edgefashion.data.collected` lays them out. Folders of labelled photos, as
            ``train shop`` takes them, are such a folder, too.
        web: ``HOST:PORT``; port 0 takes a free one, which :attr:`url` tells.
        token: what a viewer must know; wanted where other machines reach the address.
        model: the model that is taught, by its name. It looks at the pictures, too, once it is in use.
        command: how a command of ours is begun; for tests.

    Raises:
        BadInputError: no such folder, one that cannot be written to, no such network, an address that is none or is in
            use, a token that is none or missing.
        MissingError: the extra ``web`` is not installed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        web: str = WEB,
        token: str | None = None,
        model: str = MODEL,
        command: tuple[str, ...] | None = None,
    ) -> None:
        place = parse(web)
        check_token(place, token)
        for module in ("starlette", "uvicorn"):
            need(module, "for the page")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", model):
            raise BadInputError(f"{model!r} can be no name of a folder in models/. Take letters and digits")
        if resolve.is_shipped(next((d / model / INFO for d in model_dirs() if (d / model / INFO).is_file()), Path())):
            raise BadInputError(
                f"{model} came with edgefashion and is not changed. Give the name of your own with --name, such as "
                f"--name {MODEL}"
            )
        if not folder.is_dir():
            raise BadInputError(f"{folder} is no folder. Give the one that --collect writes to")
        if not os.access(folder, os.W_OK):
            raise BadInputError(f"{folder} cannot be written to, and decisions are kept there. Change its permissions")
        from edgefashion.reviewing.app import application
        from edgefashion.reviewing.looking import Looking
        from edgefashion.reviewing.review import Review
        from edgefashion.reviewing.teaching import EDGEFASHION, Teaching
        from edgefashion.system.pages.server import Server

        collected.empty(folder, time.time() - DELETED_S)
        watched = WatchedFolder(folder)
        watched.now()
        self.looking = Looking(watched, model)
        self.review = Review(watched, self.looking)
        self.teaching = Teaching(folder, model, command or EDGEFASHION)
        try:
            sockets = listen(place)
        except BadInputError as error:
            if getattr(error.__cause__, "errno", None) != errno.EADDRINUSE:
                raise
            raise BadInputError(
                f"--web {web} cannot be opened: the port is in use. Perhaps a review page is open already: look there, "
                f"or take another port: --web {place.host}:{place.port + 1}"
            ) from error
        try:
            self.url, hosts = names(place, sockets)
            self.for_others = from_outside(place, sockets)
            """Where a phone finds it; empty where only this machine does, or it is the same address."""
            app = application(self.review, self.teaching, token=token, hosts=hosts)
            self._server = Server(app, sockets)
        except BaseException:
            for one in sockets:
                one.close()
            raise
        self.looking.start()
        self.review.doubts.start()

    @property
    def alive(self) -> bool:
        """True while it serves."""
        return self._server.alive

    def close(self) -> None:
        """End the page, what it has begun, and keep what was seen. May be called twice."""
        self._server.close()
        self.teaching.close()
        self.review.doubts.close()
        self.looking.close()

    def __enter__(self) -> ReviewPage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
