"""Tagging with its model, its engine and its page for review as one function."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefashion.bundles import model_files
from edgefashion.cli import tag as cli_tag
from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.tagging import ray_engine
from edgefashion.tagging.formats import read_rows
from edgefashion.tagging.run import Summary
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


def test_errors_are_told_again(classifier: Classifier, shop: Path, tmp_path: Path) -> None:
    """A run repeated tells of the pictures that an earlier one could not read, whatever the table, and both tell what
    they left out."""
    (tmp_path / "in").mkdir()
    for name in ("00.jpg", "cut.jpg", "notes.txt"):
        (tmp_path / "in" / name).hardlink_to(shop / name)
    (tmp_path / "in" / "._00.jpg").write_bytes(b"\0\5\x16\7")
    for suffix in (".csv", ".parquet"):
        runs = [tag([tmp_path / "in"], tmp_path / f"tags{suffix}", model=classifier, workers=1) for _ in range(2)]
        assert [(run.pictures, run.errors, run.errors_before, run.done_before) for run in runs] == [
            (2, 1, 0, 0),
            (2, 0, 1, 2),
        ]
        assert all("cut.jpg is not a whole" in run.first_error for run in runs)
        assert all(run.left_out == {"hidden": 1, "no_picture": 1} for run in runs)


@pytest.mark.parametrize(
    ("pictures", "errors", "done_before", "errors_before", "says"),
    [
        (3, 0, 0, 0, ""),
        (3, 1, 0, 0, "1 of 3 could not be read. The first: a.jpg"),
        (3, 0, 3, 1, "1 of 3 could not be read. The first: a.jpg"),
        (5, 1, 3, 1, "2 of 5 could not be read. The first: a.jpg"),
        (3, 3, 0, 0, "none of the 3 pictures could be read. The first: a.jpg"),
        (5, 2, 3, 0, "none of the 2 pictures could be read. The first: a.jpg"),
        (3, 0, 3, 3, "none of the 3 pictures could be read. The first: a.jpg"),
    ],
)
def test_how_errors_are_told(
    pictures: int, errors: int, done_before: int, errors_before: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command tells how many pictures have no answer, in this run or for good; none that has one is an error."""
    summary = Summary(pictures, errors, done_before, 1.0, first_error="a.jpg", errors_before=errors_before)
    told = None
    try:
        cli_tag._tell_errors(summary)
    except BadInputError as error:
        told = str(error)
    assert (told or capsys.readouterr().err.strip()) == says
    assert (told is not None) == says.startswith("none")


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


def _files(folder: Path) -> list[Path]:
    """An ONNX file, a .tflite file and an IR that say nothing of how they are fed."""
    import openvino as ov
    from openvino import opset13 as ops

    images = ops.parameter([1, 784], ov.Type.f32)
    answer = ops.softmax(ops.matmul(images, np.ones((784, 10), np.float32), False, False), 1)
    ov.save_model(ov.Model([answer], [images]), folder / "theirs.xml")
    for name in ("theirs.onnx", "theirs.tflite"):
        (folder / name).touch()
    return [folder / "theirs.onnx", folder / "theirs.tflite", folder / "theirs.xml"]


def test_ray_takes_no_model_made_elsewhere(classifier: Classifier, tmp_path: Path) -> None:
    """How a file made elsewhere is fed is found out where it is loaded, so that it is not sent to other machines, which
    might find another way: it is to be converted. An IR of ours says itself how, in its bundle or outside."""
    for path in _files(tmp_path):
        with pytest.raises(BadInputError, match=r"theirs\..* Convert the model first, and give the bundle"):
            ray_engine._job(replace(classifier, source=path), None, 1, every=False)
    assert classifier.source is not None
    for path in model_files.files_of(classifier.source):
        shutil.copy(path, tmp_path)
    for source in (classifier.source, tmp_path / classifier.source.name):
        assert len(ray_engine._job(replace(classifier, source=source), None, 1, every=False)["files"]) == 2
