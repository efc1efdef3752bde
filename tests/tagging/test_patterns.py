"""Folders, patterns, archives, stores and ``file://`` URLs lead to the same pictures, whatever these are called."""

from __future__ import annotations

import os
import tarfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefashion.data.picture_walk import LeftOut
from edgefashion.errors import BadInputError
from edgefashion.tagging.inventory import check, open_picture, walk
from edgefashion.tagging.patterns import expanded

GIF = b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
PICTURES = ("a.jpg", "b.jfif", "c", "d.txt", "folder.jpg/e.png", "sub/deep/f.GIF", "sub/ü [1].jpg")
LEFT_OUT = {"hidden": 4, "system": 3, "no_picture": 3}
STRAYS = ("._a.jpg", ".hidden/x.jpg", "sub/.thumbnails/y.jpg", "sub/._f.GIF", "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
          "__MACOSX/._a.jpg", "sub/Thumbs.db")  # fmt: skip
TEXTS = ("notes.txt", "sub/list.csv", "no suffix")


def seen(*paths: str) -> tuple[list[str], dict[str, int]]:
    """The pictures behind paths, each of which can be opened, and what was left out."""
    left_out = LeftOut()
    check(paths)
    found = list(walk(paths, left_out))
    for path in found:
        with open_picture(path) as file:
            assert file.read(3)
    return found, left_out.as_json()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed")
    for name in (*PICTURES, *STRAYS, *TEXTS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"text" if name in TEXTS else GIF)
    return folder


def ways(shop: Path, aside: Path) -> dict[str, str]:
    """The ways that lead into one folder: each but the first makes a copy of it."""
    files = sorted(path for path in shop.rglob("*") if path.is_file())
    with zipfile.ZipFile(aside / "shop.zip", "w") as archive:
        for file in files:
            archive.write(file, file.relative_to(shop))
    with tarfile.open(aside / "shop.tgz", "w:gz") as packed:
        packed.add(shop, arcname=".")
    store = fsspec.filesystem("memory")
    for file in files:
        store.pipe(f"/walk-test/{file.relative_to(shop).as_posix()}", file.read_bytes())
    return {
        "folder": str(shop),
        "glob": f"{shop}/**/*",
        "glob of all": f"{shop}/**",
        "file": f"file://{shop}",
        "file glob": f"file://{shop}/**/*",
        "zip": f"zip://::{aside}/shop.zip",
        "zip glob": f"zip://**::{aside}/shop.zip",
        "tar": f"tar://::{aside}/shop.tgz",
        "store": "memory://walk-test",
        "store glob": "memory://walk-test/**",
    }


@pytest.mark.linux_only("file:// URLs are made of POSIX's paths")
def test_all_ways_are_one(shop: Path, tmp_path: Path) -> None:
    """A folder, a glob, an archive, a remote store and a URL give the same pictures and leave the same files out, told
    by the same reasons."""
    for way, path in ways(shop, tmp_path).items():
        found, left_out = seen(path)
        assert len(found) == len(PICTURES), way
        assert {Path(name.partition("::")[0]).name for name in found} == {Path(name).name for name in PICTURES}, way
        assert left_out == LEFT_OUT, way
    together, left_out = seen(str(shop), f"{shop}/**/*", f"{shop}/sub/*", f"{shop}/a.jpg")
    assert (len(together), left_out) == (len(PICTURES), LEFT_OUT)
    assert seen(str(shop), f"{shop}/._a.jpg")[0][-1] == f"{shop}/._a.jpg"  # named outright it is wanted


def test_a_servers_folders_are_one_way_more(shop: Path) -> None:
    """A folder that a web server lists gives the same pictures, though it writes their names escaped."""
    pytest.importorskip("aiohttp", reason="fsspec reads http with aiohttp")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(shop))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found, left_out = seen(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
    assert (len(found), left_out) == (len(PICTURES), LEFT_OUT)


NAMES = (
    "shop [2024]",
    "shop (1)",
    "50% off",
    "what? really*",
    "100%25",
    "größe ä",
    "{a,b}",
    "[!x]",
    "a#b",
    "~me",
    "c'd",
)


@pytest.mark.linux_only("such names and file:// URLs are POSIX's")
@pytest.mark.parametrize("name", NAMES)
def test_names_that_look_like_patterns(name: str, tmp_path: Path) -> None:
    """A folder or file whose name holds brackets, percent signs, blanks or umlauts is found by its path, by a pattern
    in it, and by its URL, written plainly or escaped."""
    picture = tmp_path / name / f"shirt {name}.jpg"
    picture.parent.mkdir()
    picture.write_bytes(GIF)
    folder = str(picture.parent)
    local = (folder, str(picture), f"{folder}/*.jpg", f"{tmp_path}/*/{picture.name}", f"{tmp_path}/**/*.jpg")
    for path in local:
        assert seen(path)[0] == [str(picture)], path
    for path in (*local, *map(quote, (folder, str(picture))), f"{quote(folder)}/*.jpg", f"localhost{quote(folder)}"):
        assert seen(f"file://{path}")[0] == [f"file://{picture}"], path
    store = fsspec.filesystem("memory")
    store.pipe(f"/name-test/{name}/shirt [front].jpg", GIF)
    for path in (f"memory://name-test/{name}", f"memory://name-test/{name}/*.jpg"):
        assert seen(path)[0] == [f"memory://name-test/{name}/shirt [front].jpg"], path
    store.rm("/name-test", recursive=True)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.text("ab[]!?*-. ", min_size=1, max_size=5), min_size=1, max_size=3))
def test_a_path_that_exists_leads_to_its_file(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """Whatever characters of patterns the names of a path hold, the path matches its file and no other."""
    names = [name.replace(".", "c") if set(name) <= {"."} else name for name in names]
    top = tmp_path_factory.mktemp("names")
    folder = Path(top, *names)
    folder.mkdir(parents=True)
    for file in ("x.gif", "[x].gif"):
        (folder / file).write_bytes(GIF)
        assert [found for found, _ in expanded(str(folder / file))] == [str(folder / file)]
    assert len(list(expanded(f"{folder}{os.sep}*.gif"))) == 2
    assert list(expanded(str(folder / "y*"))) == []


@pytest.mark.parametrize(
    ("pattern", "told"), [("notes.*", "1 file that is no picture (.txt)"), ("@eaDir/a*/._*", ""), ("*.webp", "")]
)
def test_a_pattern_without_a_picture_says_what_it_found(shop: Path, pattern: str, told: str) -> None:
    """A pattern that leads to no picture is refused, with what it did lead to."""
    with pytest.raises(BadInputError, match="holds no picture") as refused:
        seen(f"{shop}/{pattern}")
    assert f"(left out: {told})" in str(refused.value) if told else "left out" not in str(refused.value)


@pytest.mark.linux_only("file:// URLs are made of POSIX's paths")
@pytest.mark.parametrize(
    ("ending", "pictures", "folders"),
    [("/*", 4, 2), ("/sub*", 0, 1), ("/*.jpg", 1, 1), ("/**", 7, 0), ("/**/*", 7, 0), ("/sub/*", 1, 1)],
)
def test_folders_that_a_pattern_stops_at_are_told(
    ending: str, pictures: int, folders: int, shop: Path, tmp_path: Path
) -> None:
    """A pattern that names folders and does not go into them says so, on this machine, in an archive and in a store."""
    shops = ways(shop, tmp_path)
    for way in (str(shop), f"file://{shop}", shops["store"], "zip:/"):
        left_out = LeftOut()
        found = list(walk([f"{way}{ending}" + (f"::{tmp_path}/shop.zip" if way == "zip:/" else "")], left_out))
        assert (len(found), left_out.as_json().get("folder", 0)) == (pictures, folders), way
    left_out = LeftOut()
    list(walk([str(shop), f"{shop}/*"], left_out))
    assert "folder" not in left_out.as_json()  # it came


@pytest.mark.linux_only("pipes with names are POSIX's")
def test_a_pipe_by_its_name_is_refused(tmp_path: Path) -> None:
    """A pipe, which would be waited for without an end, is refused before any work."""
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(BadInputError, match="neither a file nor a folder"):
        check([str(tmp_path / "a.jpg")])
