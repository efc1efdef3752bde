"""What is a picture: by its bytes, whatever it is called; and what is left out of a folder is told."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefashion.data import picture_kinds
from edgefashion.data.images import decode_image
from edgefashion.data.picture_kinds import HEAD_BYTES, kind_of
from edgefashion.data.picture_walk import FolderWalk, LeftOut
from edgefashion.errors import BadInputError, NoDecoderError


def picture(kind: str = "JPEG") -> bytes:
    from PIL import Image

    made = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 40, 90)).save(made, kind)
    return made.getvalue()


JPEG = picture()
TEXT = b"BM and II are how a text may begin"
FILES: dict[str, tuple[bytes, str | None]] = {
    # Pictures by their names, or by their bytes alone; None: it comes.
    "a.jpg": (JPEG, None),
    "b.JFIF": (JPEG, None),
    "c.jpe": (JPEG, None),
    "d.HEIC": (JPEG, None),
    "e.pjpeg": (JPEG, None),
    "f.gif": (picture("GIF"), None),
    "g.apng": (picture("PNG"), None),
    "h.avif": (picture("AVIF"), None),
    "i.jp2": (picture("JPEG2000"), None),
    "j": (JPEG, None),
    "k.txt": (picture("PNG"), None),
    "l.jpg.download": (picture("WEBP"), None),
    "m.2024-05-01": (picture("TIFF"), None),
    "n.dat": (picture("BMP"), None),
    "o.jpg/inside.bin": (picture("PPM"), None),
    "p/q r/ä.jpg": (JPEG, None),
    # Called pictures, which they are not: that is an error of theirs, and told with their row.
    "r.jpg": (TEXT, None),
    "s.png": (b"", None),
    # No pictures.
    "notes.txt": (TEXT, "no_picture"),
    "empty": (b"", "no_picture"),
    "film.mp4": (b"\0\0\0\x18ftypmp42" + bytes(60), "no_picture"),
    "shop.zip": (b"PK\3\4" + bytes(60), "no_picture"),
    "sound.wav": (b"RIFF\0\0\0\0WAVE" + bytes(60), "no_picture"),
    "logo.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no_picture"),
    # Pictures that are not read here.
    "raw.cr2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(60), "not_read"),
    "raw.NEF": (picture("TIFF"), "not_read"),
    "raw.cr3": (b"\0\0\0\x18ftypcrx " + bytes(60), "not_read"),
    "light.exr": (b"v/1\x01" + bytes(60), "not_read"),
    "new.jxl": (b"\xff\x0a" + bytes(60), "not_read"),
    "poster.psd": (b"8BPS" + bytes(60), "not_read"),
    # What systems leave.
    "._a.jpg": (b"\0\5\x16\7" + bytes(60), "hidden"),
    ".hidden.jpg": (JPEG, "hidden"),
    ".DS_Store": (TEXT, "hidden"),
    ".thumbnails/1.jpg": (JPEG, "hidden"),
    ".Trash-1000/files/old.jpg": (JPEG, "hidden"),
    "sub/.cache/deep/x.jpg": (JPEG, "hidden"),
    "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg": (JPEG, "system"),
    "__MACOSX/._a.jpg": (TEXT, "system"),
    "#recycle/a.jpg": (JPEG, "system"),
    "@Recycle/a.jpg": (JPEG, "system"),
    "$RECYCLE.BIN/S-1/a.jpg": (JPEG, "system"),
    "Thumbs.db": (TEXT, "system"),
    "desktop.ini": (TEXT, "system"),
}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    for name, (content, _) in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def walked(folder: Path) -> tuple[list[str], LeftOut]:
    left_out = LeftOut()
    found = FolderWalk(left_out).below(str(folder))
    return [Path(name).relative_to(folder).as_posix() for name in found], left_out


def counts(files: dict[str, tuple[bytes, str | None]] = FILES) -> dict[str, int]:
    reasons = [reason for _, reason in files.values() if reason]
    return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}


def test_every_file_comes_or_is_counted(mixed: Path) -> None:
    """A folder gives what is a picture or is called one, each once, and counts the rest by its reason."""
    found, left_out = walked(mixed)
    assert sorted(found) == sorted(name for name, (_, reason) in FILES.items() if reason is None)
    assert left_out.as_json() == counts()
    assert "hidden files" in left_out.told()
    assert ".txt" in left_out.told()


@pytest.mark.linux_only("links, a pipe and a folder that may not be read are POSIX's")
def test_what_is_no_file(tmp_path: Path) -> None:
    """A link to nothing, one to itself and a pipe are counted and never opened; a circle of folders ends; a folder that
    may not be read comes itself."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / ".latest").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    found, left_out = walked(tmp_path)
    assert found == ["a.jpg"]
    assert left_out.as_json() == {"no_file": 3}


def test_pillow_agrees() -> None:
    """What the first bytes say is what Pillow finds in a whole file, and the picture is read under any name."""
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM"):
        raw = picture(kind)
        assert kind_of(raw[:HEAD_BYTES]) == kind
        assert decode_image(io.BytesIO(raw), "it").image.shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("brand", "more", "kind"),
    [
        (b"heic", b"mif1heic", "HEIF"),
        (b"mif1", b"mif1heic", "HEIF"),
        (b"mif1", b"mif1avif", "AVIF"),
        (b"avis", b"avismsf1", "AVIF"),
        (b"msf1", b"hevc", "HEIF"),
        (b"mif1", b"miaf", "HEIF"),
        (b"qt  ", b"qt  ", None),
        (b"isom", b"isomavc1", None),
        (b"M4A ", b"mp42", None),
    ],
)
def test_brands(brand: bytes, more: bytes, kind: str | None) -> None:
    """Of the files that share a container the pictures are known, and films and sounds are none."""
    head = (16 + len(more)).to_bytes(4, "big") + b"ftyp" + brand + bytes(4) + more
    assert kind_of(head) == kind


def test_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    """HEIC is read with its library, and without it the message is the line that installs it."""
    head = b"\0\0\0\x18ftypheic" + bytes(4) + b"mif1heic" + bytes(40)
    with monkeypatch.context() as patched:
        patched.setattr(picture_kinds, "installed", lambda module: False)
        with pytest.raises(NoDecoderError, match=r'^it is HEIC.*pip install "edgefashion\[heif\]"$') as caught:
            decode_image(io.BytesIO(head), "it")
        assert isinstance(caught.value, BadInputError)
        assert caught.value.exit_code == 3
    pytest.importorskip("pillow_heif", reason='pillow-heif is not installed (pip install "edgefashion[heif]")')
    picture_kinds.decoder_of("HEIF", "it")
    image = decode_image(io.BytesIO(picture("HEIF")), "it").image
    assert image.shape == (16, 16, 3)
    assert abs(int(image[8, 8, 2]) - 200) < 10


@settings(deadline=None, derandomize=True, max_examples=150)
@given(
    st.binary(max_size=80), st.sampled_from([b"", *(raw[:32] for raw in map(picture, ("PNG", "GIF", "TIFF", "AVIF")))])
)
def test_any_bytes_are_read_or_refused(tail: bytes, head: bytes) -> None:
    """Whatever bytes a file holds, it is read, or refused in one line that says what to do."""
    try:
        decode_image(io.BytesIO(head + tail), "it")
        refused = ""
    except BadInputError as error:
        refused = str(error)
    assert refused == "" or (refused.startswith("it ") and "\n" not in refused)


def test_nothing_is_told_of_a_plain_folder(tmp_path: Path) -> None:
    """Where nothing is left out nothing is said."""
    (tmp_path / "a.jpg").write_bytes(JPEG)
    left_out = walked(tmp_path)[1]
    assert (left_out.told(), left_out.as_json()) == ("", {})
