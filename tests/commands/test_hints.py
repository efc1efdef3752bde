"""What a message tells to run is a line that works, about the model that the user gave."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgefashion.bundles import draft, resolve
from edgefashion.data.images import write_png
from edgefashion.errors import BadInputError
from edgefashion.inference.load import load

if TYPE_CHECKING:
    from helpers.types import Run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes bundles that have been trained and not converted, and goes into their folder."""
    monkeypatch.chdir(tmp_path)

    def make(path: str, base: str = "edge") -> None:
        with draft.draft(Path(path), resolve.resolve(base).bundle) as making:
            for part in ("fp32", "fp16", "int8"):
                making.drop(part)

    return make


# Where the bundle lies, how it is named, and how a hint is to name it.
NAMED = [
    pytest.param("models/m1", "m1", "m1", id="by name"),
    pytest.param("models/m1", "models/m1", "m1", id="by the path that its name leads to"),
    pytest.param("made/m1", "made/m1", "made/m1", id="by path"),
    pytest.param("m1", "./m1", "./m1", id="by a path of one word"),
    pytest.param("my models/m 1", "my models/m 1", "'my models/m 1'", id="by path with spaces"),
    pytest.param("models/m 1", "m 1", "'m 1'", id="by name with a space"),
]


@pytest.mark.parametrize(("path", "model", "hint"), NAMED)
def test_a_hint_names_the_users_own_model(
    path: str, model: str, hint: str, bare: Callable[[str], None], tmp_path: Path
) -> None:
    """What to run where a bundle lacks an IR is the line that makes it of this bundle, as a shell takes it."""
    bare(path)
    for precision, flags in (("fp32", ""), ("int8", " --int8"), ("fp16", "")):
        with pytest.raises(BadInputError) as caught:
            load(model, precision=precision)
        assert str(caught.value).endswith(f" has no {precision}. Run: edgefashion convert {hint}{flags}")
        words = shlex.split(str(caught.value).partition("edgefashion convert ")[2])
        found = resolve.resolve(words[0]).bundle
        assert found is not None
        assert found.path.absolute() == tmp_path / path


def test_a_hint_about_a_shipped_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shipped bundle is named by its name; where a bundle of the user's has that name, by its path."""
    monkeypatch.chdir(tmp_path)
    shipped = resolve.resolve("kiosk").path
    with pytest.raises(BadInputError, match=re.escape("kiosk has no fp32. Run: edgefashion convert kiosk")):
        load("kiosk", precision="fp32")
    shutil.copytree(resolve.resolve("edge").path, tmp_path / "models" / "kiosk")
    with pytest.raises(BadInputError, match=re.escape(f"Run: edgefashion convert {shipped.absolute()}")):
        load(shipped.absolute(), precision="fp32")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("predict ./photo x.png --json", "Run: edgefashion convert ./photo"),
        ("bench ./small --vs none", "Run: edgefashion convert ./small"),
        ("bench ./small --baseline none.json", "Make it with: edgefashion bench ./small --json > none.json"),
        ("evaluate ./small --precision int8", "Run: edgefashion convert ./small --int8"),
        ("evaluate ./photo --precision int8", "Run: edgefashion convert ./photo --int8 --photos DIR"),
        ("evaluate 'm 1.onnx' --precision int8", "Run: edgefashion convert 'm 1.onnx' --int8"),
    ],
)
def test_no_hint_names_another_model(
    command: str, says: str, bare: Callable[[str, str], None], run: Run, tmp_path: Path
) -> None:
    """A command's hint is about the model that the command was given."""
    bare("small", "edge")
    bare("photo", "kiosk")
    write_png(tmp_path / "x.png", np.full((50, 50, 3), 200, np.uint8))
    (tmp_path / "m 1.onnx").write_bytes(b"x")
    done = run(*shlex.split(command))
    assert done.returncode in (2, 3)
    assert says in done.stderr


def test_every_hint_to_convert_names_a_model() -> None:
    """No message of the package says `edgefashion convert` or `bench --json` and leaves the model out."""
    source = re.compile(r"(?:Run|with|one|here): edgefashion (?:convert|bench)(?! \{| MODEL)[^\n]*")
    found = [
        f"{path.relative_to(ROOT)}: {line[0]}"
        for path in sorted((ROOT / "edgefashion").rglob("*.py"))
        for line in source.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []
