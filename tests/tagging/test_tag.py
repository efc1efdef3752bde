"""Tagging with its model, its engine and its page for review as one function."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.tagging.formats import read_rows
from edgefashion.tagging.tag import tag


def test_a_model_or_a_classifier(classifier: Classifier, shop: Path, tmp_path: Path) -> None:
    """A model's name and a classifier write the same rows; paths may be texts or not."""
    by_name = tag([shop], tmp_path / "a.jsonl", model=classifier.name, workers=1, single=True)
    by_classifier = tag([str(shop)], str(tmp_path / "b.jsonl"), model=classifier, workers=1)
    assert by_name.pictures == by_classifier.pictures == 15
    rows = [{row.path: row for row in read_rows(tmp_path / name)} for name in ("a.jsonl", "b.jsonl")]
    assert rows[0] == rows[1]


def test_with_a_page(classifier: Classifier, shop: Path, tmp_path: Path) -> None:
    """The page for review is written once the table is whole, and what is done is told meanwhile."""
    told: list[tuple[int, int | None]] = []
    tag(
        [shop],
        tmp_path / "tags.csv",
        model=classifier,
        review=tmp_path / "tags.html",
        on_progress=lambda done, total, rate: told.append((done, total)),
    )
    assert "<img" in (tmp_path / "tags.html").read_text(encoding="utf-8")
    assert told[-1] == (15, 15)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"engine": "abacus"}, "no engine named 'abacus'. Known: local, ray"),
        ({"ray_address": "host:1"}, "--ray-address is for --engine ray"),
        (
            {"engine": "ray", "model": "grpc://me:secret@host:1/kiosk"},
            "//...@host:1/kiosk: --engine ray runs the model",
        ),
        ({"review": "page.pdf"}, "page.pdf"),
        ({"model": "nowhere"}, "no model 'nowhere'"),
    ],
)
def test_refused_before_the_work(options: dict[str, Any], says: str, shop: Path, tmp_path: Path) -> None:
    """What cannot be done is refused before a picture is read, without a password, and nothing is written."""
    with pytest.raises(BadInputError) as caught:
        tag([shop], tmp_path / "tags.csv", **options)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
