"""A network that is loaded beside the running loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.bundles import resolve
from edgefashion.bundles.file_watch import Stamp, said_in_force, stamp
from edgefashion.camera.server_fallback import Served
from edgefashion.errors import EdgeFashionError
from edgefashion.inference.remote.threads import leave_thread
from edgefashion.system.addresses import shown, without_secrets
from edgefashion.system.text import is_url

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier

CLOSE_LIMIT_S: Final = 2.0
"""How long closing waits for a network that is being loaded."""


@dataclass(frozen=True)
class Loaded:
    """A network that is ready to be put in force."""

    place: int
    """Its key's, from 0."""
    network: Classifier | Served
    stamp: Stamp
    """Of its files, before they were read: files that change meanwhile are read again."""
    note: str
    """What to tell; empty where it is another precision of the one in use."""


class NetworkLoader:
    """Loads networks, one at a time, in a thread. What cannot be loaded is told and changes nothing."""

    def __init__(self, load: Callable[..., Classifier], fallback: str | None) -> None:
        """``load`` loads a local network; ``fallback`` stands in for a served one, see :class:`Served`."""
        self._load, self._fallback = load, fallback
        self._thread: threading.Thread | None = None
        self._loaded: Loaded | None = None
        self._failed = ""

    @property
    def busy(self) -> bool:
        """True from :meth:`begin` until :meth:`poll` has told what has become of it."""
        return self._thread is not None

    def open(self, name: str, precision: str | None = None) -> Classifier | Served:
        """Load a network in this thread. Raises what :func:`edgefashion.inference.load.load` raises."""
        if is_url(name):
            return Served(name, self._fallback, self._load)
        loaded = self._load(name, precision=precision) if precision else self._load(name)
        if loaded.finder is not None:
            loaded.finder.make_ready()
        return loaded

    def begin(self, place: int, name: str, precision: str | None, *, in_use: Path | None, note: str) -> str:
        """Begin to load the network ``name``; returns what to tell of it.

        ``in_use``: where the network in use was read from, which may be the same.
        """
        if self.busy:
            return "A network is being loaded already"
        before = stamp(in_use)

        def work() -> None:
            try:
                in_force = in_force_of(name)
                network = self.open(name, precision)
                source = source_of(network)
                self._loaded = Loaded(place, network, before if source == in_use else stamp(source, in_force), note)
            except EdgeFashionError as error:
                self._failed = str(error)
            except Exception as error:  # whatever a half-written file does to a parser: the old network stays
                self._failed = f"{shown(name)} cannot be loaded: {without_secrets(str(error), name)}"
            finally:
                leave_thread()

        thread = threading.Thread(target=work, name="network", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads are to be had just now
            return f"{shown(name)} cannot be loaded: {error}"
        self._thread = thread
        return f"Loading {shown(name)}{f' in {precision.upper()}' if precision else ''} ..."

    def poll(self) -> tuple[Loaded | None, str]:
        """Take over what has been loaded, once; and what failed, empty where nothing did."""
        if self._thread is None or self._thread.is_alive():
            return None, ""
        loaded, failed = self._loaded, self._failed
        self._thread, self._loaded, self._failed = None, None, ""
        return loaded, failed

    def close(self) -> None:
        """Wait a little for a network that is being loaded."""
        if self._thread is not None:
            self._thread.join(timeout=CLOSE_LIMIT_S)


def source_of(network: Classifier | Served) -> Path | None:
    """Where a network was read from, if its files are to be watched."""
    return None if isinstance(network, Served) else network.source


def in_force_of(name: str) -> str:
    """Which revision of the network ``name`` is in force, to be asked before it is loaded: it may change meanwhile."""
    found = None if is_url(name) else resolve.resolve(name).bundle
    return said_in_force(found.path) if found else ""
