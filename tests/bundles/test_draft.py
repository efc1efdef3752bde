"""A draft is written whole or not at all, with its facts and the hash of every file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from helpers.bundles import FACTS, content_of, fill, make, names

import edgefashion
from edgefashion.bundles import bundle, draft, resolve
from edgefashion.bundles.facts import Facts, Thresholds
from edgefashion.errors import BadInputError
from edgefashion.system import files

pytestmark = pytest.mark.usefixtures("work")


def test_draft_writes_manifest() -> None:
    """A finished draft holds its facts and the hash of every file in it, and nothing is left beside it."""
    made = make()
    info = json.loads((made.path / bundle.INFO).read_text())
    assert {key: info[key] for key in FACTS} == FACTS
    assert info["format"] == bundle.FORMAT
    assert info["files"] == made.files
    on_disk = {p.relative_to(made.path).as_posix() for p in made.path.rglob("*") if p.is_file()}
    assert set(made.files) == on_disk - {bundle.INFO}
    assert made.files["fp32.xml"] == files.sha256(made.path / "fp32.xml")
    made.verify_all()
    assert names("models") == {"mine"}


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("exception", [ValueError, KeyboardInterrupt])
def test_draft_that_fails(exception: type[BaseException], existing: bool, work: Path) -> None:
    """What is raised in the block comes out of it, nothing of the draft remains, an older bundle is as it was."""
    if existing:
        make()
    Path("models").mkdir(exist_ok=True)
    before = content_of(work)

    def fail_halfway() -> None:
        with draft.draft(Path("models/mine")) as making:
            fill(making, "second")
            raise exception

    with pytest.raises(exception):
        fail_halfway()
    assert content_of(work) == before
    assert names("models") == ({"mine"} if existing else set())


def test_draft_replaces() -> None:
    """A new bundle takes an old one's place whole: no file of the old one survives in it."""
    old = make()
    with draft.draft(old.path) as making:
        making.facts = Facts.from_json(FACTS)
        making.part("history").write_text("epoch")
    new = bundle.open_bundle(old.path)
    assert set(new.files) == {"history.csv"}
    assert {p.name for p in old.path.iterdir()} == {"history.csv", bundle.INFO}
    assert names("models") == {"mine"}


def test_draft_from_base() -> None:
    """A draft from a base starts with the base's files and facts, which stay untouched in the base itself."""
    base = make()
    before = content_of(base.path)
    with draft.draft(Path("models/other"), base) as making:
        assert making.facts.seed == 0
        making.facts = making.facts._replace(name="other", thresholds=Thresholds(0.9))
        making.part("int8").write_text("better")
        making.drop("saved_model")
        making.drop("fp32")
        making.drop("history")  # was never there
    made = bundle.open_bundle(Path("models/other"))
    assert made.verified("int8").read_text() == "better"
    assert (made.name, made.accept_threshold) == ("other", 0.9)
    assert set(made.files) == {"int8.xml", "int8.bin", "model.keras"}
    assert content_of(base.path) == before
    assert base.accept_threshold == 0.4321


def test_draft_leaves_out_what_base_does_not_list() -> None:
    """A file somebody dropped into the base does not travel on into a new bundle."""
    base = make()
    (base.path / "saved_model/evil.so").write_text("?")
    with draft.draft(Path("models/other"), base):
        pass
    assert not Path("models/other/saved_model/evil.so").exists()


def test_draft_refuses_altered_base() -> None:
    """A draft from a base that was altered is refused before a byte of it is used."""
    base = make()
    (base.path / "int8.bin").write_text("altered")
    with pytest.raises(BadInputError, match="was altered"), draft.draft(Path("models/other"), base):
        pytest.fail("the block was entered")
    assert names("models") == {"mine"}


@pytest.mark.parametrize("part", ["int8", "saved_model"])
@pytest.mark.parametrize("how", ["a base", "a part"])
def test_draft_refuses_what_is_altered_while_it_is_copied(how: str, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is altered between its check and its copy gets into no bundle."""
    base = make()
    plain = bundle.Bundle._check

    def check(self: bundle.Bundle, names: Iterable[str]) -> None:
        plain(self, names)
        (base.path / bundle.PARTS[part][-1] / ("saved_model.pb" if part == "saved_model" else "")).write_text("altered")

    monkeypatch.setattr(bundle.Bundle, "_check", check)
    of = base if how == "a base" else None
    with (
        pytest.raises(BadInputError, match="was altered while it was copied"),
        draft.draft(Path("models/other"), of) as making,
    ):
        making.take(base, part)
    assert names("models") == {"mine"}


def test_draft_lists_nested_info() -> None:
    """A file that happens to be called like the manifest, deeper down, is in the manifest like any other."""
    with draft.draft(Path("models/mine")) as making:
        fill(making)
        (making.part("saved_model") / bundle.INFO).write_text("an asset")
    assert bundle.open_bundle(Path("models/mine")).verified("saved_model").is_dir()


def test_draft_report() -> None:
    """What each stage reports is kept beside what the others did, and read back verified."""
    with draft.draft(Path("models/mine")) as making:
        fill(making)
        making.add_report("train", {"epochs": 3})
        making.add_report("convert", {"parity": 1e-6})
        making.add_report("train", {"epochs": 4})
    made = bundle.open_bundle(Path("models/mine"))
    assert made.report() == {"train": {"epochs": 4}, "convert": {"parity": 1e-6}}
    (made.path / "report.json").write_text("{}")
    with pytest.raises(BadInputError, match="was altered"):
        made.report()


ASKED: list[Callable[[bundle.Bundle, draft.Draft], object]] = [
    lambda made, _: made.report(),
    lambda _, making: making.drop_embedded(),
    lambda _, making: making.add_report("train", {}),
]


@pytest.mark.parametrize("text", ["", "[]", "no json", "7", '{"train": []}', "[" * 100_000, "\udcff"])
@pytest.mark.parametrize("ask", ASKED)
def test_a_report_that_is_none(text: str, ask: Callable[[bundle.Bundle, draft.Draft], object]) -> None:
    """A listed report that is no report is refused by its name in the bundle that it came with, whoever reads it."""
    with draft.draft(Path("models/mine")) as making:
        fill(making)
        making.part("report").write_bytes(text.encode(errors="surrogateescape"))
    made = bundle.open_bundle(Path("models/mine"))
    with (
        pytest.raises(BadInputError, match=r"^models/mine/report\.json cannot be read \(.*\); restore the bundle"),
        draft.draft(Path("models/other"), made) as making,
    ):
        ask(made, making)
    assert names("models") == {"mine"}


def _folder_of_photos() -> None:
    Path("target").mkdir()
    Path("target/holiday.jpg").write_text("precious")


def _file() -> None:
    Path("target").write_text("precious")


@pytest.mark.parametrize(
    ("prepare", "target", "message"),
    [
        (_folder_of_photos, "target", "is no bundle"),
        (_file, "target", "is no bundle"),
        (_file, "target/models/mine", "cannot be written"),
        (lambda: None, "x" * 300, "cannot be written"),
        (lambda: None, ".", "cannot be replaced from inside"),
        (lambda: None, "..", "cannot be replaced from inside"),
    ],
    ids=["a folder of something else", "a file", "below a file", "a name too long", "here", "above"],
)
def test_draft_refuses_target(prepare: Callable[[], None], target: str, message: str, work: Path) -> None:
    """A target that is something else, or that cannot be written, is refused before the block runs, untouched."""
    prepare()
    before = content_of(work)
    with pytest.raises(BadInputError, match=message), draft.draft(Path(target)):
        pytest.fail("the block was entered")
    assert content_of(work) == before


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        ("models/shop/revisions/0002-aaaaaaaa", True),
        ("models/shop/revisions/0009-bbbbbbbb", True),
        ("revisions/0002", False),
        ("models/other", False),
    ],
)
def test_a_revision_is_no_place_for_another_network(target: str, refused: bool) -> None:
    """A command that writes another network puts it neither over a revision nor among a model's revisions."""
    make(Path("models/shop/revisions/0002-aaaaaaaa"))
    if refused:
        with pytest.raises(BadInputError, match="a place of shop's revisions"):
            draft.check_new(Path(target))
    else:
        draft.check_new(Path(target))


def test_draft_takes_empty_folder() -> None:
    """An empty folder is nothing to protect: the bundle takes its place."""
    Path("models/mine").mkdir(parents=True)
    assert make().has("fp32")


def test_killed_while_drafting() -> None:
    """A process killed in the middle of a draft leaves the old bundle as it was, and its leavings are no bundle."""
    before = content_of(make().path)
    killed = (
        "import os; from pathlib import Path; from edgefashion.bundles import draft\n"
        "with draft.draft(Path('models/mine')) as making:\n"
        "    making.part('fp32').write_text('half')\n"
        "    os._exit(9)\n"
    )
    path = str(Path(edgefashion.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", killed], env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == 9
    assert len(names("models")) == 2
    assert content_of(Path("models/mine")) == before
    assert [found.path for found in resolve.known() if found.path.parent == Path("models")] == [Path("models/mine")]
    resolve.resolve("mine")
