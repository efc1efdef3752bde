"""The place that a picture which tag keeps for teaching comes from: by it, teaching holds pictures out together."""

from __future__ import annotations

import ntpath
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgefashion.tagging import collecting
from edgefashion.tagging.collecting import place_of


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders of one name, and a link to one; it is the current one."""
    for name in ("photos", "old/photos"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.jpg").touch()
    (tmp_path / "link").symlink_to("photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.linux_only("links")
@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ("a.jpg", ["b.jpg", "./b.jpg", "photos/../b.jpg", "{here}/b.jpg", "file://{here}/b.jpg"], "photos/b.jpg"),
        ("photos/a.jpg", ["photos/b.jpg", "link/b.jpg", "{here}/photos/b.jpg"], "old/photos/a.jpg"),
        ("photos/\udcff.jpg", ["photos/a b#?.jpg", "photos/....jpg"], "photos/below/a.jpg"),
        ("/dev/stdin", ["/dev/stdin"], "/a.jpg"),
        ("zip://a.jpg::shop.zip", ["zip://b.jpg::{here}/shop.zip", "zip://b.jpg::./shop.zip"], "zip://a.jpg::2.zip"),
        ("zip://x/a.jpg::{here}/s.zip", ["zip://x/b.jpg::file://{here}/s.zip"], "zip://y/a.jpg::{here}/s.zip"),
        ("tar://x/a.jpg::s3://shop/d/s.tar", ["tar://x/b.jpg::s3://shop/d/s.tar"], "tar://x/a.jpg::s3://shop/s.tar"),
        ("zip://a.jpg::https://h/s.zip?token=1", ["zip://b.jpg::https://u:p@h/s.zip?token=2"], "zip://a.jpg::https://h/t.zip"),
        ("s3://shop/new/a.jpg", ["s3://shop/new/b?c#d.jpg"], "s3://shop/a.jpg"),
        ("s3://shop/a.jpg", ["s3://shop/b.jpg"], "s3://other/a.jpg"),
        ("https://h/d/a.jpg", ["https://h/d/b.jpg?of=/x/1", "https://h/d/b.jpg#/2"], "https://h/e/a.jpg"),
        ("https://h/show?picture=/d/1.jpg", ["https://h/show?picture=/d/2.jpg&token=a/b"], "https://h/d/show"),
        ("ftp://me:s3/cr@et@h/d/a.jpg", ["ftp://me:other@h/d/b.jpg", "ftp://h/d/b.jpg"], "ftp://me:s3/cr@et@h/a.jpg"),
        ("memory://d/a.jpg", ["memory://d/b.jpg"], "memory://a.jpg"),
    ],
)  # fmt: skip
def test_one_folder_is_one_place(shop: Path, one: str, same: list[str], other: str) -> None:
    """Pictures of one folder are of one place, in whichever way they are given, and those of another of another. A
    place tells no account, no secret, and no folder of this machine but the picture's own."""
    one, other, *same = (each.replace("{here}", str(shop)) for each in (one, other, *same))
    found = place_of(one)
    assert {place_of(each) for each in same} == {found}
    assert place_of(other) != found
    for each in (one, other, *same):
        assert not [secret for secret in (str(shop.parent), "s3/cr", "token", "me:", "u:p") if secret in place_of(each)]
        assert place_of(each) == place_of(each).strip()
        assert place_of(each).isprintable()


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("photos\\a.jpg", "photos\\b.jpg", True),
        ("photos\\a.jpg", "photos/b.jpg", True),
        ("a.jpg", ".\\b.jpg", True),
        ("C:\\x\\photos\\a.jpg", "C:/x/photos/b.jpg", True),
        ("C:\\x\\photos\\a.jpg", "C:\\y\\photos\\b.jpg", False),
        ("photos\\a.jpg", "a.jpg", False),
    ],
)
def test_on_windows(monkeypatch: pytest.MonkeyPatch, one: str, other: str, is_same: bool) -> None:
    """So it is by the rules of Windows's paths."""
    import os

    monkeypatch.setattr(collecting, "os", SimpleNamespace(path=ntpath, fsencode=os.fsencode))
    assert (place_of(one) == place_of(other)) is is_same
