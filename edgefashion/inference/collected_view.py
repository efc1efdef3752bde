"""A picture of a shop's folder as the network is to see it: the garment, also where the whole picture was kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgefashion.data import collected, images
from edgefashion.inference import scene

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_garment(path: Path) -> NDArray[np.uint8]:
    """A picture file, BGR uint8 (h, w, 3). One that a camera has collected is cut to its garment with the margin that
    the network sees garments with. Raises :class:`BadInputError` as :func:`edgefashion.data.images.read_image` does."""
    picture = images.read_image(path)
    facts = collected.read_facts(path)
    if facts is None or facts.box is None:
        return picture
    height, width = picture.shape[:2]
    x, y, w, h = facts.box
    if x < 0 or y < 0 or min(w, h) < scene.SMALLEST_PX or x + w > width or y + h > height:
        return picture  # another program has cut or turned it since
    left, top, across, down = scene.with_margin(facts.box, width, height)
    return picture[top : top + down, left : left + across]
