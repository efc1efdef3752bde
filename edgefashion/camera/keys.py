"""What the keys of a window do, and the line on the screen that says what one just did."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from edgefashion.camera.outputs.clips import CLIP, SNAPSHOT

if TYPE_CHECKING:
    from edgefashion.camera.moment import Moment
    from edgefashion.camera.networks import Networks
    from edgefashion.camera.outputs.clips import OnDemand

NOTE_S: Final = 3.0
"""How long a line about a key stays on the screen."""


class Keys:
    """Does what a key asks for."""

    def __init__(self, networks: Networks, on_demand: OnDemand, *, mirror: bool) -> None:
        self._networks, self._on_demand = networks, on_demand
        self.mirror = mirror
        """Whether the picture is shown as in a mirror."""
        self.help = False
        """Whether the keys are listed on the screen."""
        self.quit = False
        """True once the camera is to end."""
        self._note, self._note_until_s = "", 0.0

    @property
    def note(self) -> str:
        """The line for the screen; empty once it has stood for :data:`NOTE_S`."""
        return self._note if time.monotonic() < self._note_until_s else ""

    def say(self, note: str) -> None:
        """Put ``note`` on the screen in place of an earlier one."""
        self._note, self._note_until_s = note, time.monotonic() + NOTE_S

    def press(self, key: str, moment: Moment) -> None:
        """Do what ``key`` asks for; a snapshot is taken of ``moment``."""
        if key == "q":
            self.quit = True
        elif key == "m":
            self.mirror = not self.mirror
        elif key == "h":
            self.help = not self.help
        elif key == "p":
            self.say(self._networks.toggle_precision())
        elif key.isdigit() and key != "0":
            self.say(self._networks.choose(int(key) - 1))
        elif key == SNAPSHOT:
            self.say(self._on_demand.snapshot(moment))
        elif key == CLIP:
            self.say(self._on_demand.start_or_stop_clip())
