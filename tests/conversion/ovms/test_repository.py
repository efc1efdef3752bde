"""A repository for OpenVINO Model Server: laid out by its rules, changed in one step or not at all."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from helpers.events import small_disk
from helpers.ovms_schema import SCHEMA

from edgefashion.bundles import bundle, draft, resolve
from edgefashion.conversion.ovms.repository import export
from edgefashion.conversion.ovms.served_ir import Served
from edgefashion.errors import BadInputError
from edgefashion.inference.load import load
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.types import Run


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_repository_is_laid_out_as_the_server_wants(made: Path) -> None:
    """A folder a model, below it the version 1 with one .xml and its .bin, the labels beside them; nothing is left
    of the making."""
    network = {f"{name}/1/{file}" for name in ("edge", "kiosk") for file in ("model.xml", "model.bin", "labels.txt")}
    assert set(_files(made)) == network | {"config.json", "README.md", "inferenceservice.yaml", "edgefashion.json"}
    assert (made / "edge/1/labels.txt").read_text().splitlines() == list(LABELS)
    assert (made / "kiosk/1/labels.txt").read_text().splitlines() == list(load("kiosk").labels)
    assert [p.name for p in made.parent.iterdir()] == ["served"]
    assert os.name == "nt" or made.stat().st_mode & 0o777 == 0o755  # the server runs as another user


def test_the_configuration_is_valid(made: Path) -> None:
    """config.json obeys the server's published schema, and every model's path is one it resolves beside the file."""
    config = json.loads((made / "config.json").read_text())
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(config, SCHEMA, jsonschema.Draft7Validator)
    if own := os.environ.get("EDGEFASHION_OVMS_SCHEMA"):
        published = json.loads(Path(own).read_text(encoding="utf-8"))
        jsonschema.validate(config, published, jsonschema.Draft7Validator)
    for entry in config["model_config_list"]:
        model = entry["config"]
        assert (made / model["base_path"] / "1/model.xml").is_file()
        # What keeps the graph's arithmetic whole on CPUs that have BF16.
        assert model["plugin_config"]["INFERENCE_PRECISION_HINT"] == "f32"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c["model_config_list"][0]["config"].update(nirec=4),
        lambda c: c["model_config_list"][0]["config"].pop("name"),
        lambda c: c["model_config_list"][0]["config"].update(layout=["NHWC"]),
        lambda c: c["model_config_list"][0]["config"]["plugin_config"].update(HINT={"a": 1}),
        lambda c: c["model_config_list"][0].update(name="edge"),
        lambda c: c["monitoring"]["metrics"].update(enable="yes"),
        lambda c: c.update(models=[]),
        lambda c: c.pop("model_config_list"),
    ],
)
def test_the_schema_finds_mistakes(made: Path, spoil: Callable[[Any], object]) -> None:
    """The schema is one that can fail: a misspelt, missing, mistyped or superfluous entry is refused."""
    config = json.loads((made / "config.json").read_text())
    spoil(config)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, SCHEMA, jsonschema.Draft7Validator)


@pytest.mark.usefixtures("quick")
def test_exporting_again_adds_a_version(repository: Path) -> None:
    """A second export adds 2 to the models it names, whole, and leaves every byte of the rest; a removed number
    is not given again while a higher one is there; folders that are no versions do not count."""
    before = _files(repository)
    done = export(["edge"], repository)
    assert [(v.path, v.number) for v in done.versions] == [(repository / "edge/2", 2)]
    after = _files(repository)
    assert {name for name in after if name not in before} == {
        f"edge/2/{file}" for file in ("model.xml", "model.bin", "labels.txt")
    }
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"README.md", "edgefashion.json"}  # the README names the newest labels
    shutil.rmtree(repository / "edge/1")
    (repository / "edge/old").mkdir()
    (repository / "edge/7x").mkdir()
    assert export(["edge"], repository).versions[0].number == 3
    assert 'Path("edge/3/labels.txt")' in (repository / "README.md").read_text()


@pytest.mark.usefixtures("quick")
def test_a_version_appears_at_once(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a version is made nothing new is below the model's folder, where a server looks; then all of it is."""
    seen: list[set[str]] = []
    rename = Path.rename

    def watched(self: Path, target: Path) -> Path:
        seen.append({p.name for p in (repository / "edge").iterdir()})
        assert {p.name for p in self.iterdir()} == {"model.xml", "model.bin", "labels.txt"}
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)
    export(["edge"], repository)
    assert seen == [{"1"}]
    assert {p.name for p in (repository / "edge").iterdir()} == {"1", "2"}


@pytest.mark.usefixtures("quick")
def test_two_exports_at_once_both_get_a_number(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that another export has published meanwhile is not replaced: the next number is taken."""
    rename = Path.rename
    first: list[Path] = []

    def late(self: Path, target: Path) -> Path:
        if not first:
            first.append(target)
            shutil.copytree(repository / "edge/1", target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    assert export(["edge"], repository).versions[0].number == 3
    assert {p.name for p in (repository / "edge").iterdir()} == {"1", "2", "3"}


@pytest.mark.usefixtures("quick")
def test_a_model_may_be_added_later(made: Path, tmp_path: Path) -> None:
    """A model the repository lacked gets version 1 and an entry, and README and YAML tell of both."""
    folder = tmp_path / "served"
    export(["kiosk"], folder)
    assert [e["config"]["name"] for e in json.loads((folder / "config.json").read_text())["model_config_list"]] == [
        "kiosk"
    ]
    export(["edge"], folder)
    config = json.loads((folder / "config.json").read_text())
    jsonschema.validate(config, SCHEMA, jsonschema.Draft7Validator)
    assert [e["config"]["name"] for e in config["model_config_list"]] == ["kiosk", "edge"]
    assert "### kiosk" in (folder / "README.md").read_text()
    assert "name: edge" in (folder / "inferenceservice.yaml").read_text()


@pytest.mark.usefixtures("quick")
def test_what_was_edited_stays(repository: Path) -> None:
    """Settings added to config.json, an edited YAML and files of others outlive an export, which tells of them;
    what was not edited is brought up to date, with the storage given at first."""
    config = json.loads((repository / "config.json").read_text())
    config["model_config_list"][0]["config"]["nireq"] = 8
    (repository / "config.json").write_text(json.dumps(config))
    (repository / "README.md").write_text("ours")
    (repository / "notes.txt").write_text("theirs")
    assert export(["edge"], repository, storage="s3://shop/models").kept == ("README.md",)
    assert export(["edge"], repository).kept == ("README.md",)
    assert json.loads((repository / "config.json").read_text()) == config
    assert (repository / "README.md").read_text() == "ours"
    assert (repository / "notes.txt").read_text() == "theirs"
    assert '"s3://shop/models/edge"' in (repository / "inferenceservice.yaml").read_text()


@pytest.mark.usefixtures("quick")
def test_what_a_killed_export_left_goes(repository: Path) -> None:
    """An hour later the next export removes what a killed one worked in; what is younger may be another's."""
    old, young = repository / ".served.new-old", repository / ".served.new-young"
    for left in (old, young):
        (left / "model-0").mkdir(parents=True)
    os.utime(old, (0, 0))
    export(["edge"], repository)
    assert not old.exists()
    assert young.exists()


@pytest.mark.linux_only("SIGKILL is POSIX's")
def test_killed_in_the_middle(repository: Path, made: Path) -> None:
    """Killed at any write or rename, an export leaves every version a server sees whole, a configuration it takes,
    and a repository into which the next export goes."""
    code = f"""
import json, os, shutil, signal, sys
from pathlib import Path
from edgefashion.conversion.ovms import repository, served_ir
facts = json.loads(Path({str(made / "edgefashion.json")!r}).read_text())["models"]
def write_ir(model, precision, path):
    for suffix in (".xml", ".bin"):
        shutil.copyfile(Path({str(made)!r}, "edge/1/model").with_suffix(suffix), path.with_suffix(suffix))
    return served_ir.Served(**dict(facts["edge"], name="new"))
repository.write_ir = write_ir
steps = int(sys.argv[1])
def fatal(event, arguments):
    global steps
    if event in ("open", "os.rename", "os.mkdir") and {str(repository)!r} in str(arguments):
        if event == "open" and arguments[1] in ("r", "rb"):
            return
        steps -= 1
        if steps < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(fatal)
repository.export(["edge"], Path({str(repository)!r}))
"""
    whole = {"model.xml", "model.bin", "labels.txt"}
    ended = []
    for steps in range(0, 60, 5):
        ended.append(subprocess.run([sys.executable, "-c", code, str(steps)], capture_output=True, check=False))
        config = json.loads((repository / "config.json").read_text())
        jsonschema.validate(config, SCHEMA, jsonschema.Draft7Validator)
        for name in ("edge", "kiosk", "new"):
            for version in (repository / name).glob("*"):
                assert {p.name for p in version.iterdir()} == whole
        if ended[-1].returncode == 0:
            break
    assert ended[0].returncode < 0
    assert ended[-1].returncode == 0, ended[-1].stderr
    assert len(ended) > 4
    assert {"edge", "kiosk", "new"} == {e["config"]["name"] for e in config["model_config_list"]}
    assert "### new" in (repository / "README.md").read_text()


@pytest.mark.linux_only("a small file system is mounted")
def test_a_full_disk_changes_nothing(made: Path, tmp_path: Path) -> None:
    """Without room for the model, or for a version more, one line says so, and what was there is whole."""
    with small_disk(tmp_path / "small", "300k") as disk:
        with pytest.raises(BadInputError, match=r"cannot be written.*make room"):
            export(["edge"], disk / "served")
        assert not list(disk.iterdir())
    with small_disk(tmp_path / "disk", "6m") as disk:
        folder = Path(shutil.copytree(made, disk / "served"))
        before = _files(folder)
        with pytest.raises(BadInputError, match=r"cannot be written.*make room"):
            export(["kiosk"], folder)
        assert _files(folder) == before


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["README.md", "inferenceservice.yaml", "edgefashion.json", "config.json"])
def test_no_room_for_a_text_changes_nothing(repository: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Where the disk is full by the time the texts are written, no version has appeared."""
    (repository / "edgefashion.json").write_text(
        json.dumps({**json.loads((repository / "edgefashion.json").read_text()), "files": {}})
    )
    config = json.loads((repository / "config.json").read_text())
    config["model_config_list"] = config["model_config_list"][:1]
    (repository / "config.json").write_text(json.dumps(config))
    for each in ("README.md", "inferenceservice.yaml"):
        (repository / each).unlink()
    before, opened = _files(repository), Path.open

    def full(self: Path, mode: str = "r", *more: Any, **options: Any) -> Any:
        if "w" in mode and name in self.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(self, mode, *more, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(BadInputError, match=r"cannot be written: No space.*make room"):
        export(["edge", "kiosk"], repository)
    assert _files(repository) == before


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "edgefashion.json").unlink(), "is no repository of ours"),
        (lambda f: (f / "edgefashion.json").write_text("{"), r"edgefashion\.json cannot be read"),
        (lambda f: (f / "edgefashion.json").write_text('{"format": 2}'), "newer edgefashion"),
        (lambda f: (f / "edgefashion.json").write_text('{"format": 1, "models": {"edge": {}}}'), "not as it was made"),
        (lambda f: (f / "edgefashion.json").write_text("[1]"), "no format"),
        (lambda f: (f / "config.json").unlink(), r"config\.json cannot be read"),
        (lambda f: (f / "config.json").write_text('{"model_config_list": [7]}'), "not as it was made"),
    ],
    ids=["not ours", "broken mark", "newer", "other facts", "a list", "no config", "other config"],
)
def test_a_folder_of_something_else_is_refused(repository: Path, spoil: Callable[[Path], object], says: str) -> None:
    """A folder that is not, or no longer, a repository of ours is refused, and keeps every byte."""
    spoil(repository)
    before = _files(repository)
    with pytest.raises(BadInputError, match=says):
        export(["edge"], repository)
    assert _files(repository) == before


def _put(told: Any, path: str, value: Any) -> Any:
    """``told`` with ``value`` at ``path``, whose steps are names, or numbers of a list's entries."""
    *steps, last = (int(step) if step.isdecimal() else step for step in path.split("/"))
    at = told
    for step in steps:
        at = at[step]
    at[last] = value
    return told


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("value", [None, [], [7], {}, {"x": None}, 7, -1.5, True, "", "../x", float("nan")], ids=repr)
@pytest.mark.parametrize(
    ("name", "path"),
    [
        *(("edgefashion.json", path) for path in ("storage", "files", "files/README.md", "models", "models/edge")),
        *(("edgefashion.json", f"models/edge/{fact.name}") for fact in dataclasses.fields(Served)),
        ("edgefashion.json", "models/edge/outputs/probabilities"),
        ("edgefashion.json", "models/edge/labels/0"),
        ("edgefashion.json", "models/edge/floors/Coat"),
        ("config.json", "model_config_list"),
        ("config.json", "model_config_list/0"),
        ("config.json", "model_config_list/0/config"),
        ("config.json", "model_config_list/0/config/name"),
    ],
)
def test_a_value_that_is_damaged(repository: Path, name: str, path: str, value: Any) -> None:
    """Whatever stands in the place of a value, a repository is added to, or refused in one line as it is."""
    told = _put(json.loads((repository / name).read_text()), path, value)
    (repository / name).write_text(json.dumps(told))
    before, refused = _files(repository), ""
    try:
        export(["kiosk"], repository)
    except BadInputError as error:
        refused = str(error)
    if refused:
        assert re.fullmatch(r".* is not as it was made\. Mend it, or give another folder", refused)
        assert _files(repository) == before


@pytest.mark.usefixtures("quick")
def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    """A folder that is there but empty becomes the repository."""
    (tmp_path / "served").mkdir()
    export(["edge"], tmp_path / "served")
    assert (tmp_path / "served/edge/1/model.xml").is_file()


BAD_INPUT = [
    pytest.param("export ovms full", "full exists and is no repository of ours", id="something else"),
    pytest.param("export ovms full/x", "full/x exists and is no repository", id="a file"),
    pytest.param(
        "export ovms /dev/null/x",
        "/dev/null/x",
        id="unwritable",
        marks=pytest.mark.linux_only("/dev/null is no folder on POSIX, and an ordinary path on Windows"),
    ),
    pytest.param("export ovms ..", "cannot be made from inside", id="from inside"),
    pytest.param("export ovms a/b --model nowhere", "no model 'nowhere'", id="unknown model"),
    pytest.param("export ovms a --model bare", "bare has no fp32", id="no IR"),
    pytest.param("export ovms a --model edge --model edge", "two models are called edge", id="twice"),
    pytest.param("export ovms a --precision bf16", "bf16 cannot be served", id="bf16"),
    pytest.param("export ovms a --precision int4", "no precision named 'int4'", id="unknown precision"),
]


@pytest.mark.parametrize(("command", "says"), BAD_INPUT)
def test_bad_input(command: str, says: str, run_here: Run, tmp_path: Path) -> None:
    """Bad input gets one clear line and exit code 2, and nothing is written, nor any folder made."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("mine")
    bare = Path(shutil.copytree(resolve.resolve("edge").path.resolve(), tmp_path / "bare"))
    with draft.draft(bare, bundle.open_bundle(bare)) as making:
        for part in ("int8", "fp32", "fp16"):
            making.drop(part)
    before = _files(tmp_path)
    folders = {p for p in tmp_path.rglob("*") if p.is_dir()}
    done = run_here(*command.replace("--model bare", "--model ./bare").split())
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    assert done.stdout == ""
    assert _files(tmp_path) == before
    assert {p for p in tmp_path.rglob("*") if p.is_dir()} == folders
