"""The networks a running camera can change between, and what happens when their files change under it."""

from __future__ import annotations

import collections
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from edgefashion.bundles import bundle, resolve
from edgefashion.camera.server_fallback import Served
from edgefashion.errors import EdgeFashionError
from edgefashion.inference.remote import address
from edgefashion.inference.remote.threads import leave_thread
from edgefashion.system import text
from edgefashion.system.text import without_password

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier

LOOK_S: Final = 2.0
"""How often the files of the network in use are looked at."""

SETTLE_S: Final = 1.0
"""Files that changed are read once they have been left alone for this long."""

AB_PRECISIONS: Final = (("fp32", "fp16"), ("int8",))
"""What the key changes between: of each side the first that a bundle has."""
_KEPT_LATENCIES: Final = 100
_COMPARED: Final = 30
"""Frames after which a network's time is told beside the other's."""

T = TypeVar("T")
Stamp = tuple[tuple[str, int, int], ...]
"""Name, time of change and size of the files a network is read from."""


class Lineup:
    """The network in use, and others that are loaded beside the loop and then take its place.

    Nothing here waits: a network is loaded in a thread of its own, and :meth:`poll` puts it in force between two
    frames. One that cannot be loaded changes nothing.
    """

    def __init__(
        self,
        names: Sequence[str],
        first: int = 0,
        load: Callable[..., Classifier] | None = None,
        fallback: str | None = None,
    ) -> None:
        """Load the ``first`` to be used of ``names``; the others when they are asked for. Raises as
        :func:`edgefashion.inference.load.load` does for that one, and for a name that is no model.

        ``fallback``: what answers while the server of a URL is away; see :func:`edgefashion.camera.server_fallback.local_name`."""
        from edgefashion.inference.load import load as load_model

        self._load, self._fallback = load or load_model, fallback
        self.names = tuple(names)
        for name in self.names:
            if text.is_url(name):
                address.parse(name)
            else:
                resolve.resolve(name)
        self._used = self._open(self.names[first])
        self._place = first
        self._stamp = stamp(self._source)
        self._looked_s = time.monotonic()
        self._changed: tuple[Stamp, float] | None = None
        self._loading: threading.Thread | None = None
        self._loaded: tuple[int, Classifier | Served, Stamp, str] | None = None
        self._failed = ""
        self._comparing = False
        self._latencies: dict[tuple[int, str], collections.deque[float]] = {}

    @property
    def classifier(self) -> Classifier:
        """The network in use: of a served one whose server is away the local one."""
        return self._used.classifier if isinstance(self._used, Served) else self._used

    @property
    def away(self) -> str:
        """Why the server of the network in use is not; empty where it answers, or there is none."""
        return self._used.away if isinstance(self._used, Served) else ""

    def ask(self, do: Callable[[Classifier], T]) -> T:
        """``do`` with the network in use, and again with the local one where that finds its server away."""
        return self._used.ask(do) if isinstance(self._used, Served) else do(self._used)

    def _open(self, name: str, precision: str | None = None) -> Classifier | Served:
        if not text.is_url(name):
            return self._load(name, precision=precision) if precision else self._load(name)
        return Served(name, self._fallback, self._load)

    @property
    def _source(self) -> Path | None:
        """Where the network in use was read from, if its files are to be watched."""
        return None if isinstance(self._used, Served) else self._used.source

    def choose(self, place: int) -> str:
        """Begin to change to the network at ``place``, from 0; returns what to tell."""
        if place >= len(self.names):
            return f"There is no network {place + 1}: this camera has {len(self.names)}"
        return self._begin(place, None, f"Network {place + 1}: {without_password(self.names[place])}")

    def toggle_precision(self) -> str:
        """Begin to change between FP32 and INT8; returns what to tell."""
        name = self.names[self._place]
        if text.is_url(name):
            return "The server of this network chooses its precision"
        wanted = AB_PRECISIONS[self.classifier.precision != "int8"]
        try:
            found = resolve.resolve(name)
        except EdgeFashionError as error:  # its folder is away for the moment
            return str(error)
        has = found.bundle.has if found.kind == "bundle" and found.bundle else lambda _: False
        precision = next((one for one in wanted if has(one)), None)
        if precision is None:
            return f"{name} comes without {wanted[0].upper()}"
        return self._begin(self._place, precision, "")

    def took(self, latency_ms: float) -> None:
        """Note how long the network in use took for a frame."""
        if self._source is None:
            return
        key = (self._place, self.classifier.precision)
        self._latencies.setdefault(key, collections.deque(maxlen=_KEPT_LATENCIES)).append(latency_ms)

    def compared(self) -> str:
        """The times of FP32 and INT8, once, when both are known after one took the other's place; else empty."""
        if not self._comparing or isinstance(self._used, Served):
            return ""
        if len(self._latencies.get((self._place, self.classifier.precision), ())) < _COMPARED:
            return ""
        self._comparing = False
        return self.latencies()

    def latencies(self) -> str:
        """The median times of the network's precisions, each as far as it has been used."""
        known = [
            f"{precision.upper()} {statistics.median(kept):.1f} ms"
            for precision in (one for side in AB_PRECISIONS for one in side)
            if (kept := self._latencies.get((self._place, precision)))
        ]
        return ", ".join(known)

    def poll(self, now_s: float) -> tuple[str, str]:
        """Put in force what has been loaded, and look whether files have changed.

        Returns a note for the screen and a fault, each empty where there is none.
        """
        note, fault = "", ""
        if self._loading is not None and not self._loading.is_alive():
            self._loading = None
            fault, self._failed = self._failed, ""
            if self._loaded is not None:
                before = self.latencies()
                self._let_go()
                place, self._used, self._stamp, note = self._loaded
                same, self._place, self._loaded = place == self._place, place, None
                self._comparing = not note
                if not note:
                    note = f"Now {self.classifier.precision.upper()}" + (f" ({before})" if same and before else "")
                    self._comparing = True
                    self._latencies.pop((place, self.classifier.precision), None)  # of now, not of last week
        if not note and isinstance(self._used, Served):
            note = self._used.poll()
        if now_s - self._looked_s >= LOOK_S and self._loading is None:
            self._looked_s = now_s
            self._look(now_s)
        return note, fault

    def _look(self, now_s: float) -> None:
        seen = stamp(self._source)
        if seen == self._stamp:
            self._changed = None
        elif self._changed is None or self._changed[0] != seen:
            self._changed = (seen, now_s)
        elif now_s - self._changed[1] >= SETTLE_S:
            self._changed = None
            self._stamp = seen  # tried once; what cannot be used is tried again when it changes again
            self._begin(self._place, self.classifier.precision, f"{self.names[self._place]} was replaced and read anew")

    def _begin(self, place: int, precision: str | None, note: str) -> str:
        if self._loading is not None:
            return "A network is being loaded already"
        name = self.names[place]
        used = self._source
        # Taken before it is read: files that change meanwhile are read again.
        before = stamp(used)

        def work() -> None:
            try:
                loaded = self._open(name, precision)
                source = None if isinstance(loaded, Served) else loaded.source
                self._loaded = (place, loaded, before if source == used else stamp(source), note)
            except EdgeFashionError as error:
                self._failed = str(error)
            except Exception as error:  # whatever a half-written file does to a parser: the old network stays
                self._failed = f"{without_password(name)} cannot be loaded: {error}"
            finally:
                leave_thread()

        loading = threading.Thread(target=work, name="network", daemon=True)
        try:
            loading.start()
        except RuntimeError as error:  # no more threads are to be had just now
            return f"{without_password(name)} cannot be loaded: {error}"
        self._loading = loading
        return f"Loading {without_password(name)}{f' in {precision.upper()}' if precision else ''} ..."

    def close(self) -> None:
        """Wait a little for a network that is being loaded."""
        if self._loading is not None:
            self._loading.join(timeout=2)
        self._let_go()

    def _let_go(self) -> None:
        if isinstance(self._used, Served):
            self._used.close()


def stamp(source: Path | None) -> Stamp:
    """What tells whether a network's files have been replaced; empty while they are away, and for a served one."""
    if source is None:
        return ()
    files = [source, source.with_suffix(".bin"), source.parent / bundle.INFO]
    found = []
    for file in files:
        try:
            facts = file.stat()
        except OSError:
            continue
        found.append((file.name, facts.st_mtime_ns, facts.st_size))
    return tuple(found)
