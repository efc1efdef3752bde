"""Make pictures of no garment at all, as a photo folder to train and to measure on.

    npm pack @pmndrs/assets @webxr-input-profiles/assets   # 18 light probes of Poly Haven (CC0), a hand
    pip install OpenEXR trimesh
    python benchmarks/networks/no_garment.py pmndrs-assets-*.tgz webxr-input-profiles-assets-*.tgz OUT

Writes ``OUT/train/No garment`` and ``OUT/measure/No garment``: views into rooms and landscapes, walls, and
rendered hands before either. The places in the one are not in the other. Files are named after the place.
"""

from __future__ import annotations

import argparse
import base64
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edgefashion.data import drawn as drawn_module

EDGE = 192
MEASURE = {"lobby": 2, "workshop": 2, "studio": 2, "bridge": 1, "sunset": 1}
"""Places kept for measuring, and how often each is looked into."""
TRAIN_INDOORS = {"apartment": 3, "hall": 3, "lab": 3, "warehouse": 3}
SKIN_RGB = ((224, 190, 170), (198, 150, 120), (160, 110, 80), (110, 70, 50), (80, 50, 38), (235, 205, 190))


def light_probes(package: Path) -> dict[str, Any]:
    """Each place's equirectangular picture, linear BGR float32, by name."""
    import OpenEXR

    probes = {}
    with tarfile.open(package) as archive, tempfile.TemporaryDirectory() as scratch:
        for member in archive:
            if "/hdri/" not in member.name or not member.name.endswith(".exr.js"):
                continue
            opened = archive.extractfile(member)
            assert opened is not None
            encoded = opened.read().decode().split("base64,")[1]
            path = Path(scratch) / "probe.exr"
            path.write_bytes(base64.b64decode(encoded.split("'")[0].split('"')[0]))
            with OpenEXR.File(str(path)) as probe:
                channels = probe.channels()
                rgb = channels["RGB"].pixels if "RGB" in channels else np.stack([channels[c].pixels for c in "RGB"], -1)
            probes[Path(member.name).name.split(".")[0]] = np.asarray(rgb, np.float32)[..., ::-1]
    return probes


def hand_mesh(package: Path) -> tuple[Any, Any]:
    """The vertices of an open hand, centred and within 1, and its triangles."""
    import trimesh

    with tarfile.open(package) as archive, tempfile.TemporaryDirectory() as scratch:
        member = next(m for m in archive if m.name.endswith("generic-hand/right.glb"))
        opened = archive.extractfile(member)
        assert opened is not None
        path = Path(scratch) / "right.glb"
        path.write_bytes(opened.read())
        mesh = trimesh.load(path, force="mesh")
    vertices = mesh.vertices - mesh.vertices.mean(0)
    return vertices / np.abs(vertices).max(), mesh.faces


def view(probe: Any, rng: np.random.Generator) -> Any:
    """A camera's view into a place: random direction, 45 to 85 degrees wide, exposed for its median."""
    import cv2

    height, width = probe.shape[:2]
    reach = np.tan(np.deg2rad(rng.uniform(45, 85)) / 2)
    yaw, pitch = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.normal(0, 15))
    u, v = np.meshgrid(np.linspace(-reach, reach, EDGE), np.linspace(-reach, reach, EDGE))
    ray = np.stack([u, v, np.ones_like(u)], -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    y = ray[..., 1] * np.cos(pitch) - ray[..., 2] * np.sin(pitch)
    z = ray[..., 1] * np.sin(pitch) + ray[..., 2] * np.cos(pitch)
    longitude, latitude = np.arctan2(ray[..., 0], z) + yaw, np.arcsin(np.clip(y, -1, 1))
    at_x, at_y = (longitude / (2 * np.pi) % 1) * width, (latitude / np.pi + 0.5) * height
    seen = cv2.remap(probe, at_x.astype(np.float32), at_y.astype(np.float32), cv2.INTER_LINEAR, None, cv2.BORDER_WRAP)
    seen = seen * (rng.uniform(0.3, 0.6) / max(1e-3, np.median(seen.mean(-1)))) ** rng.uniform(0.6, 1)
    return (np.clip(seen, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def with_hand(behind: Any, hand: tuple[Any, Any], rng: np.random.Generator) -> Any:
    """A hand of random skin, pose, size and light before a picture."""
    import cv2

    vertices, faces = hand
    bent = vertices.copy()
    along = int(np.argmax(np.ptp(vertices, axis=0)))
    bent[:, (along + 1) % 3] += rng.uniform(-1.2, 1.2) * np.clip(bent[:, along], 0, None) ** 2 * 0.6
    if rng.random() < 0.5:
        bent[:, 0] *= -1
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    bent = bent @ turn.T
    normal = np.cross(bent[faces[:, 1]] - bent[faces[:, 0]], bent[faces[:, 2]] - bent[faces[:, 0]])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    light = rng.normal(size=3)
    shade = 0.65 + 0.35 * np.abs(normal @ (light / np.linalg.norm(light)))
    skin = np.array(SKIN_RGB[rng.integers(len(SKIN_RGB))])[::-1] * rng.uniform(0.8, 1.1)
    centre = EDGE * np.array([rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.75)])
    points = np.round(2 * (bent[:, :2] * rng.uniform(0.3, 0.75) * EDGE + centre)).astype(int)
    drawn = cv2.resize(behind, (2 * EDGE, 2 * EDGE))
    for triangle in np.argsort(bent[faces].mean(1)[:, 2]):  # the farthest first
        cv2.fillConvexPoly(drawn, points[faces[triangle]], tuple(float(c) for c in skin * shade[triangle]))
    return cv2.resize(cv2.GaussianBlur(drawn, (0, 0), 1.2), (EDGE, EDGE), interpolation=cv2.INTER_AREA)


def write(out: Path, probes: dict[str, Any], often: dict[str, int], hand: Any, count: int, seed: int) -> None:
    import cv2

    rng = np.random.default_rng(seed)
    folder = out / "No garment"
    folder.mkdir(parents=True, exist_ok=True)
    places = [name for name, times in often.items() for _ in range(times)]

    def save(place: str, kind: str, number: int, picture: Any) -> None:
        cv2.imwrite(str(folder / f"{place}-{kind}-{number:04}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])

    for number in range(count):
        place = places[rng.integers(len(places))]
        room = view(probes[place], rng)
        wall = cv2.resize(drawn_module.wall(rng), (EDGE, EDGE), interpolation=cv2.INTER_AREA)
        save(place, "room", number, room)
        save(place, "hand", number, with_hand(room if number % 2 else wall, hand, rng))
        if number % 2:
            save(place, "wall", number, wall)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("probes", type=Path)
    parser.add_argument("hand", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    all_probes, mesh = light_probes(given.probes), hand_mesh(given.hand)
    training = {name: TRAIN_INDOORS.get(name, 1) for name in all_probes if name not in MEASURE}
    write(given.out / "train", all_probes, training, mesh, 900, seed=0)
    write(given.out / "measure", all_probes, MEASURE, mesh, 300, seed=1)
