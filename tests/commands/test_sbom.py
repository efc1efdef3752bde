"""The software bill of materials lists what is pinned and shipped, each once, and refuses what was altered."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TYPES = {"application", "library", "machine-learning-model", "file", "data"}


def sbom(root: Path, *arguments: str, epoch: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``scripts/sbom`` of the checkout ``root`` without anything that is installed."""
    environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
    if epoch is not None:
        environment["SOURCE_DATE_EPOCH"] = epoch
    command = [sys.executable, "-I", "-S", str(root / "scripts" / "sbom"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    done = sbom(ROOT)
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the bill is made of, to be changed."""
    for name in ("scripts", "models"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("pyproject.toml", "constraints.txt", "edgefashion/version.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    return tmp_path


def components(within: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every component, those inside others too."""
    for one in within.get("components", []):
        yield one
        yield from components(one)


def test_it_has_the_form_of_cyclonedx(bill: dict[str, Any]) -> None:
    """The document names its format and version, and every component has a type, a name and a reference of its own."""
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    product = bill["metadata"]["component"]
    assert product["purl"] == f"pkg:pypi/edgefashion@{product['version']}"
    every = [product, *components(bill)]
    assert all(one["type"] in TYPES and one["name"] for one in every)
    references = [one["bom-ref"] for one in every]
    assert len(set(references)) == len(references)
    for depends in bill["dependencies"]:
        assert {depends["ref"], *depends["dependsOn"]} <= set(references)
    for one in every:
        used = one.get("modelCard", {}).get("modelParameters", {}).get("datasets", [])
        assert {data["ref"] for data in used} <= set(references)
        assert all(re.fullmatch("[0-9a-f]{64}", digest["content"]) for digest in one.get("hashes", []))


def test_every_pinned_package_is_there_once(bill: dict[str, Any]) -> None:
    """The libraries are the lines of constraints.txt, name and version, and no other."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    assert len(pins) > 100
    listed = [f"{one['name']}=={one['version']}" for one in components(bill) if one["type"] == "library"]
    assert listed == pins


def test_who_asks_for_a_package_is_told(bill: dict[str, Any]) -> None:
    """A package of the base install is required, one of an extra optional, a development tool excluded; another one
    came with one of these."""
    told = {
        one["name"]: (one.get("scope"), one["properties"][0]["value"])
        for one in components(bill)
        if one["type"] == "library"
    }
    assert told["openvino"] == ("required", "base")
    assert told["paho-mqtt"] == ("optional", "mqtt")
    assert told["tensorflow"] == ("optional", "train, bench")
    assert told["pytest"] == ("excluded", "dev")
    assert told["absl-py"] == (None, "another package")


def test_every_file_of_every_bundle_is_there_once(bill: dict[str, Any]) -> None:
    """Each bundle is a model whose hash is its manifest's, and each file of it is listed with the hash of its bytes."""
    models = {one["name"]: one for one in bill["components"] if one["bom-ref"].startswith("model:") and "hashes" in one}
    folders = {manifest.parent.name: manifest for manifest in ROOT.glob("models/*/bundle.json")}
    assert {"edge", "kiosk"} <= set(folders)
    assert set(models) == set(folders)
    for name, manifest in folders.items():
        assert models[name]["hashes"][0]["content"] == hashlib.sha256(manifest.read_bytes()).hexdigest()
    found = [path for folder in folders.values() for path in folder.parent.rglob("*") if path.is_file()]
    wanted = {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if path.name != "bundle.json"
    }
    listed = [(one["name"], one["hashes"][0]["content"]) for one in components(bill) if one["type"] == "file"]
    assert sorted(listed) == sorted(wanted.items())


def test_a_model_tells_its_data_and_licences(bill: dict[str, Any]) -> None:
    """The photo network names Fashion-MNIST, the photos and the weights that it began from, with their licences."""
    by_reference = {one["bom-ref"]: one for one in components(bill)}
    depends = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert depends["model:edge"] == ["data:fashion-mnist"]
    pictures = ["data:photos", "data:street-photos", "data:studio-photos", "data:no-garment"]
    assert depends["model:kiosk"] == ["data:fashion-mnist", *pictures, "model:efficientnet-lite0-imagenet"]
    licences = {
        name: by_reference[name]["licenses"][0]["license"]["id"] for name in ("model:kiosk", *depends["model:edge"])
    }
    assert licences == {"model:kiosk": "Apache-2.0", "data:fashion-mnist": "MIT"}
    card = by_reference["model:kiosk"]["modelCard"]
    assert "Do not use it" in card["considerations"]["technicalLimitations"][0]
    assert "0 to 255" in card["modelParameters"]["inputs"][0]["format"]
    assert any("int8" in row["slice"] for row in card["quantitativeAnalysis"]["performanceMetrics"])


def test_the_same_checkout_gives_the_same_bytes(checkout: Path) -> None:
    """A copy elsewhere gives the same bytes, to a file as to stdout; a time is in it only where one is given."""
    first = sbom(ROOT)
    again = sbom(checkout, str(checkout / "sbom.json"))
    assert (again.returncode, again.stdout) == (0, ""), again.stderr
    assert (checkout / "sbom.json").read_text(encoding="utf-8") == first.stdout
    assert "timestamp" not in json.loads(first.stdout)["metadata"]
    dated = json.loads(sbom(checkout, epoch="1700000000").stdout)
    assert dated["metadata"].pop("timestamp") == "2023-11-14T22:13:20Z"
    assert dated["serialNumber"] != json.loads(first.stdout)["serialNumber"]


def test_what_is_altered_is_refused(checkout: Path) -> None:
    """An altered model file, a line that pins no version and a time that is none end in one line and exit code 2."""
    assert "SOURCE_DATE_EPOCH" in refusal(checkout, epoch="yesterday")
    constraints = checkout / "constraints.txt"
    pins = constraints.read_text(encoding="utf-8")
    constraints.write_text(pins + "something>=1\n", encoding="utf-8")
    assert "pins no version" in refusal(checkout)
    constraints.write_text(pins, encoding="utf-8")
    weights = checkout / "models" / "edge" / "int8.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert "int8.bin was altered" in refusal(checkout)
    weights.unlink()
    assert "int8.bin" in refusal(checkout)


def refusal(checkout: Path, epoch: str | None = None) -> str:
    """The one line of a refusal."""
    done = sbom(checkout, epoch=epoch)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr
