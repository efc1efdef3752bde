"""What an IR says of itself in its rt_info, where somebody else wrote it."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

import openvino as ov
import pytest

from edgefashion.bundles.resolve import resolve
from edgefashion.bundles.rt_facts import rt_fact
from edgefashion.conversion.ovms import repository
from edgefashion.errors import BadInputError
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import OpenVinoRunner

LABELS = "".join(
    f"&quot;{name}&quot;, "
    for name in ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag")
)
NAMED = f'<labels value="[{LABELS}&quot;Ankle boot&quot;]"/>'


def _theirs(folder: Path, rt_info: str) -> Path:
    """Our network with another rt_info, in no bundle; a file that no guard has seen before."""
    whole = resolve("edge").path / "int8.xml"
    text = whole.read_text("utf-8")
    kept = text[: text.index("<rt_info>", text.rindex("</edges>"))]
    unlike = f'<of value="{secrets.token_hex()}"/>'
    (folder / "theirs.xml").write_text(f"{kept}<rt_info>{rt_info}{unlike}</rt_info></net>", "utf-8")
    shutil.copy(whole.with_suffix(".bin"), folder / "theirs.bin")
    return folder / "theirs.xml"


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ('<frame value="abc"/>', "frame"),
        ('<frame><x value="1"/></frame>', "frame"),
        (f'<frame value="{"[" * 100_000}"/>', "frame"),
        (f'<frame value="{"1" * 5000}"/>', "frame"),
        ('<labels value="abc"/>', "labels"),
        ('<labels value=""/>', "labels"),
        ("<labels/>", "labels"),
        (f'{NAMED}<thresholds value="abc"/>', "thresholds"),
        (f'{NAMED}<thresholds><accept value="0.5"/></thresholds>', "thresholds"),
    ],
)
def test_what_is_no_fact(told: str, key: str, tmp_path: Path) -> None:
    """A fact that is no JSON is refused in one line, by whoever reads it: the guard, and the engine where the guard
    has passed the file."""
    path = _theirs(tmp_path, f"<edgefashion>{told}</edgefashion>")
    says = f"what it says of its {key} cannot be read"
    with pytest.raises(ValueError, match=says):
        rt_fact(ov.Core().read_model(path), key, None)
    with pytest.raises(BadInputError, match=f"theirs.xml: {says}. Convert its model again"):
        OpenVinoRunner(path, "fp32", "latency", None)
    with pytest.raises(BadInputError, match=f"theirs.xml is refused: {says}. Convert the model again"):
        load(path)


def test_a_section_that_is_a_value(tmp_path: Path) -> None:
    """A value in the place of a whole section is refused where it is ours; Model API's is written anew for a server."""
    with pytest.raises(BadInputError, match="is refused: what it says of its labels"):
        load(_theirs(tmp_path, '<edgefashion value="3"/>'))
    path = _theirs(tmp_path, f'<edgefashion>{NAMED}</edgefashion><model_info value="3"/>')
    done = repository.export([path], tmp_path / "served")
    served = ov.Core().read_model(done.versions[0].path / "model.xml")
    assert served.get_rt_info(["model_info", "resize_type"]).astype(str) == "standard"
