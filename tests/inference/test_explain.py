"""One picture shows an answer."""

from __future__ import annotations

from pathlib import Path

from helpers.types import Run

from edgefashion.data.images import read_image


def test_explain(run: Run, tmp_path: Path, photo_folder: Path) -> None:
    """``--explain`` writes one readable picture for one photo, by either kind of model, and refuses many."""
    photo = next((photo_folder / "Coat").iterdir())
    widths = []
    for model in ("kiosk", "edge"):
        done = run("predict", model, photo, "--explain", f"{model}.png")
        assert done.returncode == 0, done.stderr
        widths.append(read_image(tmp_path / f"{model}.png").shape[1])
    assert widths[0] > widths[1] > 800  # the photo network has a mask to show
    refused = run("predict", photo_folder / "Coat", "--explain", "x.png")
    assert refused.returncode == 2
    assert "draws one picture" in refused.stderr
