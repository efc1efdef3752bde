"""The file helpers."""

from __future__ import annotations

from pathlib import Path

from edgefashion.system import files


def test_sha256(tmp_path: Path) -> None:
    """The hash is SHA-256 as everyone writes it (FIPS 180-2, appendix B.1)."""
    (tmp_path / "abc").write_text("abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.sha256(tmp_path / "abc") == expected
