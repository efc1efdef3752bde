"""What is told beside the models works as it is written."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import re
import shutil
import subprocess
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers.ovms import as_the_server

from edgefashion.conversion.ovms import served_ir, texts
from edgefashion.conversion.ovms.served_ir import Reader
from edgefashion.data import drawn
from edgefashion.inference.classifier import Classifier

if TYPE_CHECKING:
    from helpers.types import Arrays, Run


@pytest.mark.linux_only("the lines are a POSIX shell's, with POSIX's paths")
@pytest.mark.usefixtures("quick")
def test_the_command_prints_how_to_start(run_here: Run, tmp_path: Path) -> None:
    """The command prints what it wrote and both lines that start the server, which are those in the README."""
    done = run_here("export", "ovms", "my models", "--model", "edge")
    assert done.returncode == 0, done.stderr
    assert "edge int8" in done.stdout
    lines = texts.start_lines(tmp_path / "my models")
    readme = (tmp_path / "my models/README.md").read_text()
    for line in lines.values():
        assert line in done.stdout
        assert line in readme
    assert f"'{tmp_path}/my models:/models:ro'" in lines["docker"]
    (tmp_path / "my models/README.md").write_text("ours")
    assert "README.md was edited" in run_here("export", "ovms", "my models", "--model", "edge").stderr


@pytest.mark.linux_only("the lines are a POSIX shell's")
@pytest.mark.skipif(os.name == "nt", reason="the lines are a shell's")
@pytest.mark.parametrize("size", [37 * 256 + 37, 70_001])
def test_the_readmes_curl_lines_send_the_picture(made: Path, tmp_path: Path, size: int) -> None:
    """The README's lines for curl post a request that Triton's own decoder reads as the picture, byte for byte."""
    from tritonclient.utils import deserialize_bytes_tensor

    (lines,) = re.findall(r"```sh\n(.*?)```", (made / "README.md").read_text(), re.DOTALL)
    picture = np.random.default_rng(0).bytes(size)
    (tmp_path / "photo.jpg").write_bytes(picture)
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\ncat > body\nprintf "%s\\n" "$@" > words\n')
    curl.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["sh", "-ec", lines], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)
    words = (tmp_path / "words").read_text().splitlines()
    header = next(word for word in words if word.startswith("Inference-Header"))
    name, _, length = header.partition(": ")
    assert name == "Inference-Header-Content-Length"
    assert words[-1] == "http://localhost:8000/v2/models/edge/infer"
    body = (tmp_path / "body").read_bytes()
    head, tensor = json.loads(body[: int(length)]), body[int(length) :]
    assert head["inputs"][0].pop("parameters") == {"binary_data_size": len(tensor)}
    assert head == {"inputs": [{"name": "pictures", "shape": [1], "datatype": "BYTES"}]}
    assert deserialize_bytes_tensor(tensor).tolist() == [picture]


def test_the_readmes_python_lines_work(
    made: Path,
    readers: dict[str, tuple[Reader, Classifier]],
    test_set: Arrays,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The README's lines for Python send the file's bytes through tritonclient, and print the label that the model
    gives them."""
    import cv2
    import tritonclient.http as http

    (lines,) = re.findall(r"```python\n(.*?)```", (made / "README.md").read_text(), re.DOTALL)
    folder = Path(shutil.copytree(made, tmp_path / "served"))
    shot = drawn.shot_of(test_set[0][0], np.random.default_rng(1), (240, 200))
    (folder / "photo.jpg").write_bytes(cv2.imencode(".jpg", shot)[1].tobytes())

    def infer(self: Any, model_name: str, inputs: list[Any]) -> Any:
        assert (model_name, inputs[0].name(), inputs[0].shape()) == ("edge", "pictures", [1])
        raw = inputs[0]._get_binary_data()
        assert int.from_bytes(raw[:4], "little") == len(raw) - 4
        probabilities = readers["edge"][0](as_the_server(raw[4:]))["probabilities"]

        class Result:
            def as_numpy(self, name: str) -> Any:
                assert name == "probabilities"
                return probabilities[None]

        return Result()

    monkeypatch.setattr(http.InferenceServerClient, "infer", infer)
    monkeypatch.chdir(folder)
    exec(compile(lines, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("Ankle boot 0.")


def test_the_readme_tells_the_whole_rule(made: Path, tmp_path: Path) -> None:
    """Whoever decides on the probabilities by hand finds the threshold, each name's floor and from where a kind is
    told; of a network without floors nothing is said of them."""
    facts = json.loads((made / "edgefashion.json").read_text())["models"]
    plain = served_ir.Served(**facts["kiosk"])
    ruled = replace(plain, floors={"Coat": 0.75, "Bag": 0.5}, kind_floor=0.9)
    said = texts.readme([ruled], {"kiosk": 1}, tmp_path)
    assert f"{plain.accept_threshold} or more together" in said
    assert "besides: Coat 0.75, Bag 0.5." in said
    assert "where that has 0.9 or more of the three's sum" in said
    unsaid = texts.readme([replace(plain, floors={}, kind_floor=None)], {"kiosk": 1}, tmp_path)
    assert "besides:" not in unsaid
    assert "Which kind of shoe it is, it does not tell." in unsaid


def _of_kserve(kind: str, value: Any) -> Any:
    """A document as the object KServe's own package makes of it; raises AssertionError for a field it does not
    know."""
    import kserve
    import kubernetes.client as kubernetes

    if found := re.fullmatch(r"list\[(.+)\]", kind):
        return [_of_kserve(found[1], each) for each in value]
    made_of = getattr(kserve, kind, None) or getattr(kubernetes, kind, None)
    if kind in ("str", "int", "bool", "object") or kind.startswith("dict(") or made_of is None:
        return value
    fields = {name: field for field, name in made_of.attribute_map.items()}
    assert set(value) <= set(fields), f"{kind} has no {set(value) - set(fields)}"
    return made_of(**{fields[k]: _of_kserve(made_of.openapi_types[fields[k]], v) for k, v in value.items()})


KINDS = {"ServingRuntime": "V1alpha1ServingRuntime", "InferenceService": "V1beta1InferenceService"}


def test_kserve_takes_the_yaml(made: Path) -> None:
    """KServe's own classes take every field of the YAML; each service uses the runtime that is in it, and passes the
    server what config.json says."""
    # By a process of its own: once KServe's messages of gRPC are in one, tritonclient's cannot be any more.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        other.submit(_check_yaml, made).result()


def _check_yaml(made: Path) -> None:
    import yaml

    documents = list(yaml.safe_load_all((made / "inferenceservice.yaml").read_text()))
    assert [d["kind"] for d in documents] == ["ServingRuntime", "InferenceService", "InferenceService"]
    runtime, *services = (_of_kserve(KINDS[d["kind"]], d) for d in documents)
    assert [s.metadata.name for s in services] == ["edge", "kiosk"]
    config = json.loads((made / "config.json").read_text())["model_config_list"]
    for service, entry in zip(services, config, strict=True):
        model = service.spec.predictor.model
        assert model.runtime == runtime.metadata.name
        assert model.model_format.name in [each.name for each in runtime.spec.supported_model_formats]
        assert model.protocol_version in runtime.spec.protocol_versions
        assert model.storage_uri == f"pvc://models/{service.metadata.name}"
        given = dict(arg.removeprefix("--").split("=", 1) for arg in model.args)
        assert json.loads(given["plugin_config"]) == entry["config"]["plugin_config"]
        assert given["layout"] == entry["config"]["layout"]
    for document in documents:
        wrong = copy.deepcopy(document)
        wrong["spec"]["storageURL"] = "x"
        with pytest.raises(AssertionError, match="storageURL"):
            _of_kserve(KINDS[document["kind"]], wrong)


@pytest.mark.parametrize(
    ("name", "expected"), [("edge", "edge"), ("My_Shop.v2", "my-shop-v2"), ("a-", "a"), ("7", "model-7")]
)
def test_kubernetes_names(name: str, expected: str) -> None:
    """A model's name becomes one Kubernetes takes."""
    assert texts.kubernetes_name(name) == expected
