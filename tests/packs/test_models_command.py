"""`edgefashion models`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers.packs import edge

from edgefashion.bundles.draft import draft
from edgefashion.bundles.facts import PhotoFigures
from edgefashion.cli.common import new_table, print_table
from edgefashion.packs.compare import compare

if TYPE_CHECKING:
    from helpers.types import Run

pytestmark = pytest.mark.usefixtures("packs")


def test_the_whole_way(run_here: Run) -> None:
    """Install two packs, list, show, compare, go back, pass on, prune: each says what it did, and the same as JSON."""
    assert "shop: 0001-" in run_here("models", "install", "first.edgepack").stdout
    twin = run_here("models", "install", "first.edgepack", "--name", "SHOP")
    assert (twin.returncode, "there is shop already" in twin.stderr) == (2, True)
    shipped = run_here("models", "install", "edge", "--name", "mine", "--require-signature")
    assert shipped.returncode == 0, "what came with the program needs no signature"
    second = run_here("models", "install", "second.edgepack")
    assert "on probation for 10 minutes of a running camera" in second.stdout
    assert "edgefashion models rollback shop" in second.stdout
    found = json.loads(run_here("models", "list", "--json").stdout)["models"]
    shop = next(each for each in found if each["model"] == "shop")
    assert (shop["revisions"], shop["labels"], shop["probation"]) == (2, 10, "running")
    assert "shop" in run_here("models", "list").stdout
    shown = json.loads(run_here("models", "show", "shop", "--json").stdout)
    assert [each["current"] for each in shown["revisions"]] == [False, True]
    assert shown["probation"]["state"] == "running"
    assert "installed from second.edgepack" in run_here("models", "show", "shop").stdout
    assert json.loads(run_here("models", "diff", "shop", "--json").stdout)["labels_added"] == []
    assert "accuracy" in run_here("models", "diff", "shop").stdout
    assert "do not compare" not in run_here("models", "diff", "shop").stdout
    back = run_here("models", "rollback", "shop", "--why", "too dark", "--json")
    assert json.loads(back.stdout)["revision"] == shown["revisions"][0]["revision"]
    assert "taken back: too dark" in run_here("models", "show", "shop").stdout
    again = run_here("models", "rollback", "shop", "--to", "0002")
    assert "on probation for 10 minutes of a running camera" in again.stdout
    assert "taken back" not in run_here("models", "show", "shop").stdout
    run_here("models", "rollback", "shop")
    exported = json.loads(run_here("models", "export", "shop", "--json").stdout)
    assert Path(exported["pack"]).name == f"shop-{shown['revisions'][0]['revision']}.edgepack"
    assert run_here("models", "prune", "shop", "--keep", "1").stdout == "shop: nothing to remove\n"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("install", "gone.edgepack"), 2, "gone.edgepack does not exist"),
        (("install", "bare.edgepack"), 2, "Add --anyway"),
        (("install", "first.edgepack", "--require-signature"), 2, "Give --key FILE"),
        (("install", "first.edgepack", "--key", "gone.pub"), 2, "gone.pub cannot be read"),
        (("rollback", "kiosk"), 2, "kiosk came with edgefashion|no older revision"),
        (("rollback", "nothing"), 2, "no model 'nothing': no bundle of that name"),
        (("show", "nothing"), 2, "Known: "),
        (("diff", "kiosk"), 2, "no older revision"),
        (("export", "kiosk", "--revision", "7"), 2, "kiosk has no one revision '7'. Its revisions: ."),
        (("export", "kiosk", "--out", "x.zip"), 2, "does not end in .edgepack"),
        (("export", "edge", "--out", "gone/x.edgepack"), 2, "cannot be written"),
        (("sign", "first.edgepack", "--key", "gone.pem"), 2, "gone.pem cannot be read"),
        (("prune", "kiosk"), 2, "came with edgefashion"),
    ],
)
def test_bad_input(words: tuple[str, ...], code: int, message: str, run_here: Run) -> None:
    """One clear line and the exit code that says whose fault it is."""
    told = run_here("models", *words)
    assert told.returncode == code
    assert any(part in told.stderr for part in message.split("|"))
    assert told.stderr.count("\n") == 1


@pytest.mark.linux_only("a limit on the size of files")
def test_disk_fills_up_in_a_file(run: Run, work: Path) -> None:
    """Where the disk has no more room in the middle of a file that is one line, and the old revision is in force."""
    import resource

    edge(Path("models/shop"), 7)
    before = {path.as_posix() for path in Path("models").rglob("*") if path.name != ".lock"}

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    told = run("models", "install", "first.edgepack", preexec_fn=full)
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
    assert "File too large. Check the path, its permissions and the free space" in told.stderr
    after = {path.as_posix() for path in Path("models").rglob("*") if path.name not in (".lock", "revisions")}
    assert after == before


def test_required_by_the_settings(run_here: Run) -> None:
    """What the settings file requires of a pack holds for the command too."""
    Path("edgefashion.toml").write_text('require_signature = "gone.pub"\n')
    assert "gone.pub cannot be read" in run_here("models", "install", "first.edgepack").stderr
    assert not Path("models/shop").exists()


def test_probation_of_the_settings(run_here: Run) -> None:
    """How long a probation lasts is a setting, which a flag overrules."""
    Path("edgefashion.toml").write_text("probation = 3\n")
    run_here("models", "install", "first.edgepack")
    assert json.loads(run_here("models", "install", "second.edgepack", "--json").stdout)["probation_s"] == 180
    run_here("models", "rollback", "shop")
    again = run_here("models", "install", "second.edgepack", "--probation", "0", "--json")
    assert json.loads(again.stdout)["probation_s"] == 0


def test_compare(work: Path) -> None:
    """Labels, thresholds and sizes that are other are told; what is alike is left out."""
    first, second = edge(Path("models/shop"), 1), edge(Path("made/shop"), 2)
    assert first.labels == second.labels
    from edgefashion.bundles import draft
    from edgefashion.packs.install import install

    with draft.draft(Path("made/other"), second) as making:
        thresholds = making.facts.thresholds._replace(accept=0.9, floors={"Coat": 0.7})
        making.facts = making.facts._replace(thresholds=thresholds, labels=("Polo", *making.facts.labels[1:]))
    install("made/other", name="shop", anyway=True)
    found = compare("shop")
    assert (found.labels_added, found.labels_removed) == (("Polo",), ("T-shirt/top",))
    assert found.thresholds["accept"][1] == 0.9
    assert found.thresholds["floors.Coat"] == (None, 0.7)
    assert found.parts == {}
    assert found.accuracy[0] == found.accuracy[1]


def test_a_difference_can_be_read(run_here: Run) -> None:
    """Each row of a comparison keeps its name beside a threshold that is told in a long sentence; and where the two
    were measured on other pictures, it says so."""
    edge(Path("models/own"), 1)
    other = edge(Path("shop2"), 2)
    told = "photos of the shop's own, too few to choose by; " * 9
    figures = {"the shop's own": PhotoFigures(n=9, accuracy=0.5)}
    with draft(other.path, other) as making:
        thresholds = making.facts.thresholds._replace(chosen_on=told, accept=0.7)
        making.facts = making.facts._replace(thresholds=thresholds, photos=figures)
    assert run_here("models", "install", "shop2", "--name", "own", "--anyway").returncode == 0
    shown = run_here("models", "diff", "own")
    assert [line.split()[0] for line in shown.stdout.splitlines() if " 0.7 " in line] == ["accept"]
    assert told.strip() in shown.stdout
    assert "These are other pictures: do not compare the two" in shown.stdout
    found = json.loads(run_here("models", "diff", "own", "--json").stdout)
    assert (found["same_pictures"], found["measured_on"][1]) == (False, "the shop's own")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_table_on_a_narrow_screen(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a narrow screen a word of a table is broken and none is cut: a revision's name can be typed off."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    table = new_table("", "revision", "hash", "when", "who", "why", ">of")
    cells = (
        "*",
        "0002-c1bea8b2",
        "2789ae856fa5",
        "2026-11-27 07:03",
        "assistant@kiosk-17",
        "taught with 60 photos",
        "2",
    )
    table.add_row(*cells)
    print_table(table)
    shown = capsys.readouterr().out
    assert "\u2026" not in shown
    assert sorted("".join(cells).replace(" ", "")) == sorted("".join(shown.split("\u2500")[-1].split()))
