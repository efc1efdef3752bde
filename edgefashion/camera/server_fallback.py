"""A served network in a running camera, and the local one that answers while its server is away.

The frame that finds the server away, hung or failing is answered by the local network within the same second. A thread
asks once a second whether the server answers again. A server that comes back only to fail again is asked less often.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from edgefashion.bundles import places, resolve
from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference.load import load as load_model
from edgefashion.inference.remote.address import parse
from edgefashion.inference.remote.client import Limits
from edgefashion.inference.remote.errors import AccountError, RefusedError, ServerError
from edgefashion.inference.remote.threads import leave_thread
from edgefashion.system.addresses import shown
from edgefashion.system.backoff import LOGIN_S, Backoff
from edgefashion.system.text import is_url

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier

CONNECT_S: Final = 0.3
ANSWER_S: Final = 0.4
"""What a frame may take on its way to a server and back: with the local answer after it well below a second."""

PROBE_S: Final = 1.0
"""Between two looks for a server that is away."""

PROBE_LONGEST_S: Final = 60.0
"""The longest wait before the first look for a server that keeps coming back and failing."""

STEADY_S: Final = 30.0
"""How long a server that came back must do well for its next absence to be the first again."""

NONE: Final = "none"
"""What the setting ``fallback`` says for no local network."""

T = TypeVar("T")


class AwayError(MissingError):
    """The server is away, and no local network stands in for it."""


def local_name(url: str, wanted: str | None) -> str | None:
    """The local network that stands in for the one at ``url``; None where none is wanted.

    It is ``wanted``, else the bundle of the served model's name, else the shipped photo network. Raises
    :class:`BadInputError` for a URL.
    """
    if wanted and is_url(wanted):
        raise BadInputError(f"fallback must be a model of this machine, not {shown(wanted)}")
    if wanted:
        return None if wanted == NONE else wanted
    name = parse(url).model
    return name if "/" not in name and resolve.is_model(name) else places.PHOTO_MODEL


class Served:
    """The network at a URL or, while its server is away, the local one.

    :meth:`ask` and :meth:`poll` are for one thread, the loop's.
    """

    def __init__(self, url: str, fallback: str | None, load: Callable[..., Classifier] = load_model) -> None:
        """Load the local network, then ask the server.

        A server that is away is no error where there is a local network. One that refuses, or that serves no such
        model, raises what :func:`edgefashion.inference.remote.engine.load` raises.
        """
        self.name = parse(url).model
        self._url = url
        local = local_name(url, fallback)
        self._local = None
        if local is not None:
            loaded = load(local)
            if loaded.finder is not None:
                loaded.finder.make_ready()  # the frame that finds the server away is answered within its second
            self._local = replace(loaded, name=f"{loaded.name} (local)")
        self.away = ""
        """Why the server's network is not in use; empty while it is."""
        self._backoff = Backoff(PROBE_S, PROBE_LONGEST_S, spread=(1, 1))
        self._wait_s, self._back_s = PROBE_S, -STEADY_S
        self._found: Classifier | None = None
        self._looking: threading.Thread | None = None
        self._stop = threading.Event()
        self._remote: Classifier | None = None
        self._lost: Classifier | None = None
        """The server's network that was in use last."""
        try:
            self._remote = self._load()
        except ServerError as error:
            if self._local is None:
                raise
            self._leave(error)

    @property
    def classifier(self) -> Classifier:
        """The network that answers now. Where none does, the server's as it was: whoever counts, shows or compares asks
        for names and labels all the time, and :meth:`ask` alone is to fail."""
        used = self._remote or self._local or self._lost
        assert used is not None  # a server that is away at the start ends it where there is no local network
        return used

    def ask(self, do: Callable[[Classifier], T]) -> T:
        """``do`` with the server's network and, if that fails, at once with the local one.

        Raises what the last one raised, and :class:`AwayError` where none is left.
        """
        if self._remote is not None:
            try:
                return do(self._remote)
            except (ServerError, RefusedError) as error:
                self._leave(error)
        if self._local is None:
            raise AwayError(self.away)
        return do(self._local)

    def poll(self) -> str:
        """Take the server's network again, if it answers; returns what to tell then."""
        looking = self._looking is not None and self._looking.is_alive()
        found, self._found = self._found, None
        if found is None:
            if self._remote is None and not looking:  # no thread was to be had when it was lost
                self._look_for_it()
            return ""
        self._remote, self.away, self._back_s = found, "", time.monotonic()
        return f"{self.name} is served again"

    def close(self) -> None:
        """End the looking for the server; its thread ends by itself, within a second."""
        self._stop.set()
        self._let_go(self._remote)

    # --- Away and back ------------------------------------------------------------------------

    def _load(self) -> Classifier:
        from edgefashion.inference.remote import engine

        found = engine.load(self._url, limits=Limits(CONNECT_S, ANSWER_S))
        if isinstance(found.run, engine.Remote):
            found.run.hang_up()  # who loads is not always who asks
        return found

    def _leave(self, error: ServerError | RefusedError) -> None:
        """From now on the local network answers, and the server is looked for."""
        self._lost, self._remote = self._remote, None
        self._let_go(self._lost)
        instead = f"; {self._local.name} answers" if self._local else ""
        self.away = f"{error.what}{instead}"
        if time.monotonic() - self._back_s >= STEADY_S:
            self._backoff.reset()
        self._wait_s = self._backoff.next_s()
        if isinstance(error, AccountError):
            self._wait_s = max(self._wait_s, LOGIN_S[0])
        self._look_for_it()

    def _look_for_it(self) -> None:
        self._looking = threading.Thread(target=self._look, args=(self._wait_s,), name="server", daemon=True)
        with contextlib.suppress(RuntimeError):  # more threads than may be: poll() tries again
            self._looking.start()

    def _look(self, wait_s: float) -> None:
        try:
            self._wait_for_it(wait_s)
        finally:
            leave_thread()

    def _wait_for_it(self, wait_s: float) -> None:
        logins = Backoff(*LOGIN_S)
        while not self._stop.wait(wait_s):
            try:
                self._found = self._load()
                return
            except AccountError:
                wait_s = logins.next_s()
            except Exception:  # an absent server in whatever shape; it is looked for as long as the camera runs
                wait_s = PROBE_S

    @staticmethod
    def _let_go(classifier: Classifier | None) -> None:
        from edgefashion.inference.remote import engine

        if classifier is not None and isinstance(classifier.run, engine.Remote):
            classifier.run.close()
