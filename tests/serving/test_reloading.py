"""A server takes up another revision of its model while it answers, and never mixes two."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.camera import wait_until
from helpers.packs import edge
from helpers.serve import ZEROS, Server, as_json

from edgefashion.bundles import draft, revisions
from edgefashion.bundles.bundle import open_bundle
from edgefashion.bundles.file_watch import FileWatch
from edgefashion.errors import BadInputError
from edgefashion.serving.reloading import Reloading


def add(model_dir: Path, label: str) -> str:
    """A revision whose first label is ``label``, in force."""
    place, base = revisions.next_place(model_dir), open_bundle(model_dir)
    with draft.draft(place, base) as making:
        making.facts = making.facts._replace(labels=(label, *base.labels[1:]))
    return revisions.switch(model_dir, revisions.record(model_dir, place, revisions.Origin()).id, probation_s=60).id


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_another_revision(tmp_path: Path) -> None:
    """Requests are answered all the while, each by one of the two alone; then the new one is told, with its hash."""
    shop = tmp_path / "models" / "shop"
    edge(shop)
    server = Server(str(shop))
    refused: list[Any] = []
    stop = threading.Event()

    def ask() -> dict[str, Any]:
        status, answer = server.post(as_json(ZEROS, parameters={"facts": True}), "shop")
        if status != 200:
            refused.append(answer)
        facts: dict[str, Any] = json.loads(answer["parameters"]["facts"])
        return facts

    def keep_asking() -> None:
        while not stop.wait(0.02):
            ask()

    thread = threading.Thread(target=keep_asking)
    try:
        assert ask()["revision"] is None
        thread.start()
        second = add(shop, "Polo")
        wait_until(lambda: ask()["revision"] == second, "the second revision")
        told = ask()
        assert (told["labels"][0], told["bundle_sha256"]) == ("Polo", revisions.find(shop, second).sha256)
        metrics = server.get("/metrics")[1]
        of_it = f'model="shop",revision="{second}",sha256="{told["bundle_sha256"]}"'
        assert f"edgefashion_model_info{{{of_it}}} 1.0" in metrics
        assert 'edgefashion_on_probation{model="shop"} 1.0' in metrics
    finally:
        stop.set()
        if thread.ident:
            thread.join()
        server.process.terminate()
        errors = server.process.communicate()[1]
    assert refused == []
    assert server.process.returncode == 143
    assert "shop was replaced and is served anew" in errors


class Models(dict[str, Any]):
    """As much of KServe's repository as is asked of it."""

    get_model = dict.__getitem__

    def get_models(self) -> dict[str, Any]:
        return self


@pytest.mark.parametrize("fails", [BadInputError("int8.xml was altered"), RuntimeError("no room"), "another"])
def test_that_cannot_be_loaded(fails: Exception | str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be loaded, or is called otherwise now, is complained of, and the model that answers stays."""

    def load() -> Any:
        if isinstance(fails, Exception):
            raise fails
        return SimpleNamespace(name=fails)

    models: Any = Models(shop=SimpleNamespace(first=SimpleNamespace(source=None)))
    before = models["shop"]
    reloading = Reloading(models, {"shop": load}, lambda *_: pytest.fail("nothing is made of it"))
    reloading._reload("shop", FileWatch(None))
    assert models["shop"] is before
    # The same complaint is made once a minute, so that a log does not fill a disk.
    assert "shop was replaced and cannot be loaded; the one before goes on" in capsys.readouterr().err
