"""The networks a running camera can change between: by key, by precision, or because their files were replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from edgefashion.bundles import resolve
from edgefashion.bundles.file_watch import FileWatch
from edgefashion.camera.network_loading import Loaded, NetworkLoader, in_force_of, source_of
from edgefashion.camera.network_times import AB_PRECISIONS, NetworkTimes
from edgefashion.camera.server_fallback import Served
from edgefashion.errors import EdgeFashionError
from edgefashion.inference.remote import address
from edgefashion.system.addresses import shown
from edgefashion.system.text import is_url

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier

T = TypeVar("T")


class Networks:
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
        """Load the ``first`` to be used of ``names``; the others when they are asked for.

        ``fallback``: what answers while the server of a URL is away; see
        :func:`edgefashion.camera.server_fallback.local_name`. Raises as :func:`edgefashion.inference.load.load` does
        for the first, and for a name that is no model.
        """
        from edgefashion.inference.load import load as load_model

        self.names = tuple(names)
        for name in self.names:
            if is_url(name):
                address.parse(name)
            else:
                resolve.resolve(name)
        self._loader = NetworkLoader(load or load_model, fallback)
        self._place = first
        in_force = in_force_of(self.names[first])
        self._used = self._loader.open(self.names[first])
        self._files = FileWatch(source_of(self._used), in_force)
        self._times = NetworkTimes()
        self._comparing = False

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

    # --- Asked for by a key -------------------------------------------------------------------

    def choose(self, place: int) -> str:
        """Begin to change to the network at ``place``, from 0; returns what to tell."""
        if place >= len(self.names):
            return f"There is no network {place + 1}: this camera has {len(self.names)}"
        return self._begin(place, None, f"Network {place + 1}: {shown(self.names[place])}")

    def toggle_precision(self) -> str:
        """Begin to change between FP32 and INT8; returns what to tell."""
        name = self.names[self._place]
        if is_url(name):
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

    def _begin(self, place: int, precision: str | None, note: str) -> str:
        return self._loader.begin(place, self.names[place], precision, in_use=source_of(self._used), note=note)

    # --- Between two frames -------------------------------------------------------------------

    def poll(self, now_s: float) -> tuple[str, str]:
        """Put in force what has been loaded, and look whether files have changed.

        Returns a note for the screen and a fault, each empty where there is none.
        """
        loaded, fault = self._loader.poll()
        note = self._change_to(loaded) if loaded else ""
        if not note and isinstance(self._used, Served):
            note = self._used.poll()
        if not self._loader.busy and self._files.is_replaced(now_s):
            name = self.names[self._place]
            self._begin(self._place, self.classifier.precision, f"{name} was replaced and read anew")
        return note, fault

    def _change_to(self, loaded: Loaded) -> str:
        """Put a network in force; returns what to tell."""
        before = self._times.told(self._place) if loaded.place == self._place else ""
        self._let_go()
        self._place, self._used = loaded.place, loaded.network
        self._files.watch(source_of(self._used), loaded.stamp)
        self._comparing = not loaded.note
        if loaded.note:
            return loaded.note
        precision = self.classifier.precision
        self._times.begin(self._place, precision)
        return f"Now {precision.upper()}" + (f" ({before})" if before else "")

    # --- Their times --------------------------------------------------------------------------

    def took(self, latency_ms: float) -> None:
        """Note how long the network in use took for a frame; a server's time is not its network's alone."""
        if source_of(self._used) is not None:
            self._times.add(self._place, self.classifier.precision, latency_ms)

    def compared(self) -> str:
        """The times of FP32 and INT8, once, when both are known after one took the other's place; else empty."""
        if not self._comparing or isinstance(self._used, Served):
            return ""
        if not self._times.is_known(self._place, self.classifier.precision):
            return ""
        self._comparing = False
        return self._times.told(self._place)

    # --- The end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Wait a little for a network that is being loaded, and let go of the one in use."""
        self._loader.close()
        self._let_go()

    def _let_go(self) -> None:
        if isinstance(self._used, Served):
            self._used.close()
