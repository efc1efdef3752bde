"""A shop's folder of drawn garments, and what the review page's tests ask of it."""

from __future__ import annotations

import functools
import json
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgefashion.bundles import resolve
from edgefashion.bundles.bundle import INFO
from edgefashion.data import collected, drawn, fashion_mnist, images
from edgefashion.data.collected import Facts, Picture
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from edgefashion.reviewing.page import ReviewPage

CONFIDENCE = {"Pullover": 0.31, "Coat": 0.62, "Bag": 0.97}
"""What the camera was how sure of."""


GOOD: dict[str, Any] = {
    "bundle": "models/shop/revisions/0002-ab12cd34",
    "revision": "0002-ab12cd34",
    "in_force": True,
    "verdict": "better",
    "words": "It got better: of 40 pictures that it had not learned from 36 are done right, before 12",
    "before": {"n": 40, "good": 0.3},
    "after": {"n": 40, "good": 0.9},
    "per_label": {"Polo": {"taught": True, "before": {"n": 40, "good": 0.3}, "after": {"n": 40, "good": 0.9}}},
    "not_taught": {"before": {"n": 200, "good": 0.91}, "after": {"n": 200, "good": 0.9}},
    "notes": ["All pictures of Polo are of two days."],
}
"""What `train shop --json` prints where a network is better."""

_STUB = """
import json, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
told = {told}
print(' '.join(sys.argv[1:]), file=sys.stderr, flush=True)
print('epoch 1 of 2\\r\\x1b[32mepoch 2 of 2\\x1b[0m rtsp://admin:secret@camera/', file=sys.stderr, flush=True)
try:
    time.sleep(told.get('sleep', 0))
except (KeyboardInterrupt, SystemExit):
    if not told.get('deaf'):
        print('stopped; what was learned is kept', file=sys.stderr)
        raise
print(json.dumps(told.get('json')))
sys.exit(told.get('exit', 0))
"""


def two_revisions(at: Path, in_force: str = "0002-ab12cd34", *, whole: bool = False) -> Path:
    """The model ``shop`` below ``at``, whose two revisions are the shipped network: the first one, and that of
    :data:`GOOD`. Returns the file that says which is in force. Not ``whole``: they cannot be run."""
    shipped, model = resolve.resolve("kiosk").bundle, at / "models" / "shop"
    assert shipped is not None
    for place in (model, model / "revisions" / GOOD["revision"]):
        place.mkdir(parents=True)
        for file in shipped.path.iterdir():
            if file.is_file() and (whole or file.name == INFO):
                shutil.copy(file, place)
    (model / "revisions" / f"{GOOD['revision']}.json").write_text('{"parent": "."}')
    (model / "current").write_text(f"{in_force}\n")
    return model / "current"


def stub_command(folder: Path, **told: Any) -> tuple[str, ...]:
    """A command in the place of ours. It says two lines, works for ``sleep`` seconds, prints ``json`` and ends with
    ``exit``; ``deaf``: it finishes though it is stopped."""
    script = folder / ".stub.py"
    script.write_text(_STUB.replace("{told}", repr(told)))
    return sys.executable, str(script)


@functools.cache
def drawing(label: str, number: int) -> tuple[bytes, int]:
    """A drawn garment as a JPEG, and its perceptual hash."""
    pictures, classes = fashion_mnist.load("test")
    of_label = np.flatnonzero(classes == LABELS.index(label))
    picture = drawn.photo_of(pictures[of_label[number]], np.random.default_rng(number), (180, 240))
    return bytes(cv2.imencode(".jpg", picture)[1].tobytes()), images.perceptual_hash(picture)


def collect(folder: Path, label: str, number: int = 0, *, said: str | None = None, day: int = 20) -> Picture:
    """A picture of a drawn garment of ``label``, collected on that day of November; the camera took it for ``said``."""
    jpeg, phash = drawing(label, number)
    facts = Facts(
        time=f"2026-11-{day:02}T10:{number:02}:00+00:00",
        camera="front",
        why="unsure",
        label=said or label,
        confidence=CONFIDENCE.get(said or label, 0.5) - number / 1000,
        top=((said or label, 0.5), ("Shirt", 0.2)),
        model="kiosk",
    )
    return collected.write(folder, jpeg, facts, phash)


def shop(folder: Path, each: int = 3) -> Path:
    """A folder with pictures to decide: ``each`` pullovers, coats and bags."""
    folder.mkdir()
    for label in CONFIDENCE:
        for number in range(each):
            collect(folder, label, number)
    return folder


def there(folder: Path) -> dict[str, int]:
    """How many pictures there are by label; to decide under ``to review``, deleted ones under ``.deleted``."""
    counts: dict[str, int] = {}
    for file in folder.rglob("*.jpg"):
        first = file.relative_to(folder).parts[0]
        counts[first] = counts.get(first, 0) + 1
    return counts


def ask(page: ReviewPage, path: str, told: Any = None, **headers: str) -> tuple[int, Any]:
    """The status and the JSON, or the text, that the page answers with; with ``told`` it is a POST."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    body = None if told is None else told if isinstance(told, bytes) else json.dumps(told).encode()
    request = urllib.request.Request(f"{page.url}{path}", body, sent)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, _read(answer)
    except urllib.error.HTTPError as error:
        return error.code, _read(error)


def _read(answer: Any) -> Any:
    content = answer.read()
    kind = answer.headers.get_content_type()
    if kind == "application/json":
        return json.loads(content)
    return content.decode() if kind.startswith("text/") else content
