"""A model that was replaced, or of which another revision was put in force, while the server runs.

The new one is loaded and run beside the old one, which answers meanwhile, and takes its place in one step: each request
is answered by one of the two alone. One that cannot be loaded is complained of, and the old one goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from edgefashion.bundles.file_watch import LOOK_S, FileWatch, said_in_force, stamp
from edgefashion.errors import EdgeFashionError
from edgefashion.system.server_log import complain

if TYPE_CHECKING:
    from kserve import ModelRepository

    from edgefashion.inference.classifier import Classifier
    from edgefashion.serving.model import Garments

_LOAD_S: Final = 5.0
"""How long the end waits for a model that is being loaded."""


class Reloading:
    """Looks after the files of a server's models, in a thread of its own."""

    def __init__(
        self,
        models: ModelRepository,
        served: Mapping[str, Callable[[], Classifier]],
        made: Callable[[Classifier, Callable[[], Classifier]], Garments],
        look_s: float = LOOK_S,
    ) -> None:
        """``served``: what loads each model, by its name; ``made`` makes one of a loaded classifier."""
        self._models, self._served, self._made, self._look_s = models, served, made, look_s
        self._watches = {name: FileWatch(model.first.source) for name, model in models.get_models().items()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="reloading", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def wait(self) -> None:
        """Wait a little for a model that is being loaded."""
        self._thread.join(timeout=_LOAD_S)

    def _look_after(self) -> None:
        while not self._stop.wait(self._look_s):
            for name, watch in self._watches.items():
                if watch.is_replaced(time.monotonic()):
                    self._reload(name, watch)

    def _reload(self, name: str, watch: FileWatch) -> None:
        load, old = self._served[name], self._models.get_model(name).first.source
        in_force = said_in_force(old.parent) if old else ""
        try:
            first = load()
            if first.name != name:
                raise EdgeFashionError(f"it is called {first.name} now")
            model = self._made(first, load)
            model.stand_by()
        except Exception as error:  # whatever a half-written file does to a parser: the old one stays
            complain(f"{name} was replaced and cannot be loaded; the one before goes on", error, "serve")
            return
        self._models.update(model)
        watch.watch(first.source, watch.seen if first.source == old else stamp(first.source, in_force))
        complain(f"{name} was replaced and is served anew: {model.running.as_json()}", None, "serve")
