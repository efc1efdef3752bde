"""Which files a network is read from, and their hash."""

from __future__ import annotations

from pathlib import Path

from edgefashion.bundles import model_files


def test_an_ir_is_two_files(tmp_path: Path) -> None:
    """An IR is its .xml and the .bin beside it, and as large as both; any other file is one."""
    xml, weights = tmp_path / "mine.v2.xml", tmp_path / "mine.v2.bin"
    xml.write_text("12345")
    weights.write_text("123")
    assert model_files.weights_of(xml) == weights
    assert model_files.files_of(xml) == [xml, weights]
    assert model_files.size_bytes(xml) == 8
    assert model_files.files_of(tmp_path / "mine.onnx") == [tmp_path / "mine.onnx"]


def test_the_hash_is_of_every_file(tmp_path: Path) -> None:
    """A model's hash changes with either file of an IR and with any file of a folder, and not with an IR's name."""
    hashes = []
    for name, xml, weights in (("a", "x", "w"), ("b", "x", "w"), ("c", "y", "w"), ("d", "x", "v")):
        (tmp_path / f"{name}.xml").write_text(xml)
        (tmp_path / f"{name}.bin").write_text(weights)
        hashes.append(model_files.sha256_of(tmp_path / f"{name}.xml"))
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3
    before = model_files.sha256_of(tmp_path)
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper/e.txt").write_text("?")
    assert model_files.sha256_of(tmp_path) != before
