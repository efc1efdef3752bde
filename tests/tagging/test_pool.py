"""A process that dies, hangs or cannot read costs no other picture its row."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from helpers import finding
from helpers.tagging import tag_here

from edgefashion import load
from edgefashion.bundles.bundle import open_bundle
from edgefashion.bundles.draft import draft
from edgefashion.errors import MissingError
from edgefashion.inference.classifier import Classifier
from edgefashion.tagging import inventory, pool, pool_worker, several

HOSTILE = """
import os, signal, sys, time
if "edgefashion.tagging.pool_worker" in sys.orig_argv:
    from edgefashion.tagging import picture
    real = picture.prepare
    def prepare(file, name, photos):
        if name.endswith("crash.jpg"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if name.endswith("hang.jpg"):
            time.sleep(600)
        if name.endswith("killed.jpg"):
            try:
                os.mkdir(name + ".once")
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return real(file, name, photos)
    picture.prepare = prepare
"""


def test_worker_that_dies_or_hangs(
    classifier: Classifier, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that its process dies of or hangs at has a row that says so, and every other one its answer; a
    process that was killed once is no fault of the picture's."""
    (tmp_path / "sitecustomize.py").write_text(HOSTILE)
    (tmp_path / "in").mkdir()
    for name in ("a", "crash", "e", "hang", "killed", "x"):
        (tmp_path / "in" / f"{name}.jpg").hardlink_to(shop / "00.jpg")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(pool, "PATIENCE_S", 4.0)
    rows, summary = tag_here(classifier, tmp_path / "tags.jsonl", tmp_path / "in")
    errors = {Path(path).stem: row.error for path, row in rows.items() if row.error}
    assert set(errors) == {"crash", "hang"}
    assert "SIGSEGV" in (errors["crash"] or "")
    assert "longer than 4 s" in (errors["hang"] or "")
    assert len(rows) == 6
    assert summary.errors == 2


FAILING = """
import sys
if "edgefashion.tagging.pool_worker" in sys.orig_argv:
    from edgefashion.tagging import several
    def fails(*_):
        raise ArithmeticError("so it is\\nand more")
    several.%s = fails
"""


@pytest.mark.parametrize("where", ["loaded", "named"])
def test_network_that_fails(where: str, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that fails in the processes that decode is no picture's fault: it ends the run, in one line."""
    (tmp_path / "sitecustomize.py").write_text(FAILING % where)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(
        MissingError, match=r"^the network failed where pictures are decoded: .* so it is\. Run: [^\n]*$"
    ):
        tag_here(load(finding.bundle_with_finder(tmp_path)), tmp_path / "tags.jsonl", shop)


DYING = """
import os, signal, sys
if "edgefashion.tagging.pool_worker" in sys.orig_argv:
    from edgefashion.tagging import several
    several.named = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("start", [1, 2])
def test_network_that_is_replaced(start: int, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle in whose place another one is put after a run began, before its first process loads it or before the
    one that follows a crash does, gives no rows: the table names the network that they are by. The run ends, in one
    line."""
    (tmp_path / "sitecustomize.py").write_text(DYING)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    model, starts = finding.bundle_with_finder(tmp_path), itertools.count(1)
    classifier = load(model)
    networks = several.at_hand(classifier)

    @contextlib.contextmanager
    def replaced() -> Iterator[several.Network]:
        with networks() as network:
            if next(starts) == start:
                with draft(model, open_bundle(model)) as making:
                    making.add_report("train", {"again": True})
            yield network

    monkeypatch.setattr(several, "at_hand", lambda *_: replaced)
    with pytest.raises(MissingError, match=r"^[^\n]* is another model than when this began\. Start again$"):
        tag_here(classifier, tmp_path / "tags.jsonl", shop)
    assert next(starts) == start + 1
    assert not (tmp_path / "tags.jsonl").exists()


def test_gone_from_memory(classifier: Classifier, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that this process cannot read has a row that says so, and those with it their answers."""
    files = fsspec.filesystem("memory")
    for name in ("a", "b", "c"):
        files.pipe(f"/tag-gone/{name}.jpg", (shop / "00.jpg").read_bytes())
    real = inventory.read_here

    def read_here(path: str) -> bytes | None:
        if path.endswith("b.jpg"):
            raise OSError(5, "Gone\n" + "x" * 10_000)
        return real(path)

    monkeypatch.setattr(inventory, "read_here", read_here)
    rows, _ = tag_here(classifier, tmp_path / "t.jsonl", "memory://tag-gone")
    told = rows["memory://tag-gone/b.jpg"].error or ""
    assert told.startswith("memory://tag-gone/b.jpg cannot be read: Gone xxx")
    assert len(told) < 500
    assert [bool(row.error) for _, row in sorted(rows.items())] == [False, True, False]


def test_workers_are_light() -> None:
    """A process that decodes pictures imports neither OpenVINO nor TensorFlow."""
    names = ", ".join(f"edgefashion.tagging.{name}" for name in ("pool_worker", "picture", "inventory"))
    code = f"import sys, {names}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "edgefashion.tagging.picture" in modules
    assert not {"openvino", "tensorflow", "pyarrow", "rich"} & set(modules)


def test_a_server_that_leads_in_a_circle() -> None:
    """A server that leads from address to address without an end is named so: it answered no status."""
    aiohttp = pytest.importorskip("aiohttp", reason="fsspec reads http with aiohttp")
    missing = FileNotFoundError("http://host/a.jpg")
    missing.__cause__ = aiohttp.TooManyRedirects(None, ())
    assert "leads from one address to the next" in pool_worker.why_not("http://host/a.jpg", missing)
