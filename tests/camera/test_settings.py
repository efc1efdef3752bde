"""The configuration file: every mistake in one line with its place, and a flag wins over the file."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from edgefashion.bundles import resolve
from edgefashion.camera import settings, settings_file
from edgefashion.camera.events.webhook_client import key_of
from edgefashion.errors import BadInputError
from edgefashion.system.addresses import has_secret
from edgefashion.system.pages import address as page_address

if TYPE_CHECKING:
    from helpers.types import Run

# What the file holds, and the line it earns (its path left out).
MISTAKES = [
    pytest.param('\nsorce = "0"', ", line 2: no setting named 'sorce'. Did you mean source?", id="near key"),
    pytest.param("max-failures = 3", "Did you mean max_failures?", id="key spelt as the flag"),
    pytest.param("zzz = 1", "no setting named 'zzz'. `edgefashion service config` prints all", id="no near key"),
    pytest.param("source = 0", ', line 1: source must be a text, not 0. Write source = "0"', id="number for a text"),
    pytest.param("events = 5", ", line 1: events must be a list of texts, not 5", id="number for a list"),
    pytest.param('events = "a.jsonl"', "events must be a list of texts, not 'a.jsonl'", id="text for a list"),
    pytest.param("events = [1]", "events must be a list of texts, not [1]", id="numbers in a list"),
    pytest.param('events = ["-", "-"]', "events names '-' twice. Leave one out", id="twice"),
    pytest.param(f"models = {[str(n) for n in range(10)]}", "models takes at most 9, not 10", id="too many"),
    pytest.param('headless = "yes"', "headless must be true or false, not 'yes'", id="text for a switch"),
    pytest.param("wait = 1", "wait must be true or false, not 1", id="number for a switch"),
    pytest.param("max_failures = true", "max_failures must be a whole number, not True", id="switch for a number"),
    pytest.param("max_failures = 1.5", "max_failures must be a whole number, not 1.5", id="fraction"),
    pytest.param("max_failures = -1", "max_failures must be from 0 to 1,000,000, not -1", id="below"),
    pytest.param("max_failures = 1000001", "max_failures must be from 0 to 1,000,000", id="above"),
    pytest.param('record = ""', "record must be a text of printable characters, not ''", id="empty"),
    pytest.param('record = "a\\u0000b"', "record must be a text of printable characters", id="NUL"),
    pytest.param("headless = true\nfullscreen = true", ", line 2: fullscreen and headless exclude", id="both"),
    pytest.param('[camera]\nsource = "0"', ", line 1: the table 'camera' is no setting", id="table"),
    pytest.param("web.port = 8080", ", line 1: web must be a text, not {'port': 8080}", id="dotted"),
    pytest.param('source = "0"\nevents = = 1', ", line 2, column 10: no TOML: Invalid value", id="no TOML"),
    pytest.param("source", ", at its end: no TOML", id="cut off"),
    pytest.param('source = "0"\nsource = "1"', "no TOML: Cannot overwrite a value", id="same key"),
    pytest.param(
        "labels = 1", ", line 1: labels must be a table of names and what to show for them, not 1", id="labels"
    ),
    pytest.param(
        '\n[labels]\nTrousers = "Hose"', ", line 2: labels: no answer is named 'Trousers'. Did you mean Trouser?"
    ),
    pytest.param('[labels]\n"shirt" = "Hemd"', "no answer is named 'shirt'. Did you mean Shirt or T-shirt/top?"),
    pytest.param('[labels]\nzzz = "Hemd"', "no answer is named 'zzz'. Known: T-shirt/top, Trouser,"),
    pytest.param("[labels]\nShirt = 5", "labels: Shirt must be a text, not 5"),
    pytest.param('[labels]\nShirt = ""', "labels: Shirt must be a text of printable characters, not ''"),
    pytest.param('[labels]\nT-shirt/top = "Hemd"', ", line 2, column 8: no TOML"),
    pytest.param("a = " + "[" * 5000, "no TOML: it is nested too deep", id="deep"),
    pytest.param("max_failures = " + "9" * 5000, "no TOML: Exceeds the limit", id="endless number"),
    pytest.param("[" + '"a\\nb"' + "]", "the table 'a\\nb' is no setting", id="key of two lines"),
]


def write(folder: Path, text: str) -> Path:
    path = folder / settings.FILE_NAME
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("text", "says"), MISTAKES)
def test_mistakes(text: str, says: str, tmp_path: Path) -> None:
    """Each mistake is one line with the file, the line where it can be known, and what is wrong."""
    path = write(tmp_path, text)
    with pytest.raises(BadInputError) as error:
        settings_file.load(path)
    line = str(error.value)
    assert line.startswith(str(path))
    assert says in line
    assert "\n" not in line
    assert len(line) < len(str(path)) + 250


@pytest.mark.parametrize(
    "text", ["token = 123456789", 'token = ["123456789"]', 'events = "mqtt://me:123456789@broker/x"']
)
def test_a_password_is_never_repeated(text: str, tmp_path: Path) -> None:
    """A mistake about a token or an address with a password does not carry it into the log."""
    with pytest.raises(BadInputError) as error:
        settings_file.load(write(tmp_path, text))
    assert "123456789" not in str(error.value)


@pytest.mark.linux_only("POSIX's words for a missing file, a named pipe")
def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe, a huge file and one that is not UTF-8 end in a line; an empty one is fine."""
    made = {
        "No such file": tmp_path / "none.toml",
        "is no file": tmp_path,
        "no configuration is so long": tmp_path / "huge.toml",
        "line 2: not UTF-8": tmp_path / "latin.toml",
    }
    made["no configuration is so long"].write_bytes(b"#" * 1_000_001)
    made["line 2: not UTF-8"].write_bytes(b"headless = true\n# \xe9\n")
    if sys.platform != "win32":
        made["is no file. Give"] = tmp_path / "pipe"
        os.mkfifo(tmp_path / "pipe")
    for says, path in made.items():
        with pytest.raises(BadInputError, match=re.escape(says)):
            settings_file.load(path)
    assert settings_file.load(write(tmp_path, "")) == {}
    (tmp_path / settings.FILE_NAME).write_bytes(b"\xef\xbb\xbfheadless = true\r\n")  # as Notepad writes it
    assert settings_file.load(tmp_path / settings.FILE_NAME) == {"headless": True}


def test_where_the_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file given comes first, then the current folder's, the user's, the system's, and the one that screen.md has a
    service read; without one there are no settings."""
    home = tmp_path / "config"
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME"
    monkeypatch.setenv(variable, str(home))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "site"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(settings_file, "SERVICE_FILE", tmp_path / "etc" / settings.FILE_NAME)
    assert settings_file.load() == {}
    for folder, name in (("etc", "e"), ("site/edgefashion", "s"), ("config/edgefashion", "u"), ("here", "h")):
        if sys.platform == "win32" and name in "es":
            continue
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        write(tmp_path / folder, f'source = "{name}"')
        assert settings_file.load() == {"source": name}
    assert settings_file.load(write(tmp_path, 'source = "given"')) == {"source": "given"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no such modes")
@pytest.mark.parametrize(
    "text",
    [
        'token = "secret"',
        'events = ["mqtt://me:secret@broker/x"]',
        'source = "rtsp://admin:secret@10.0.0.5/live"',
        'source = "rtsp://admin:S3c/secret@10.0.0.5/live"',
        'source = "http://10.0.0.5/cgi?user=admin&pwd=secret"',
        'source = "rtsp://10.0.0.5/user=admin_password=secret_channel=1.sdp"',
        'model = "grpc://me:secret@shop:8001/edge"',
        'models = ["edge", "https://secret@shop/v2/models/edge"]',
        'fallback = "http://shop/x?key=secret"',
    ],
)
@pytest.mark.linux_only("Windows keeps no such modes")
def test_a_password_others_can_read(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with a token or a password that every account can read gets a warning, and one of its owner's none."""
    path = write(tmp_path, text)
    path.chmod(0o644)
    settings_file.load(path)
    warned = capsys.readouterr().err
    assert "others can read it. Run: chmod 600" in warned
    assert "secret" not in warned
    path.chmod(0o600)
    settings_file.load(path)
    assert capsys.readouterr().err == ""


def test_no_example_is_a_secret() -> None:
    """What stands for a token in the example, and has stood for one in a document, does not let anybody in."""
    for token in (str(settings.FIELDS["token"].metadata["example"]), *page_address.PUBLISHED, "YOUR-TOKEN"):
        with pytest.raises(BadInputError, match="Take, for instance, ") as refused:
            page_address.check_token(page_address.parse("127.0.0.1:8080"), token)
        assert token not in str(refused.value)
    with pytest.raises(BadInputError, match="Take, for instance, "):
        key_of(str(settings.FIELDS["events_secret"].metadata["example"]))
    assert not has_secret({name: each.metadata.get("example") for name, each in settings.FIELDS.items()})


def test_the_example_is_true(run: Run, tmp_path: Path) -> None:
    """The printed example parses to the defaults as it stands, and with every line set it still parses."""
    printed = run("service", "config").stdout
    assert settings.merge(settings_file.load(write(tmp_path, printed)), {}) == settings.DEFAULTS
    everything = settings_file.load(write(tmp_path, re.sub(r"^# (\w+ = )", r"\1", printed, flags=re.MULTILINE)))
    assert set(everything) == set(settings.FIELDS)


def test_names_to_be_shown(tmp_path: Path) -> None:
    """Every name that an answer may have, a group's and the reject labels too, may be shown otherwise, in letters of
    any language; without the table nothing is."""
    text = '[labels]\n"T-shirt/top" = "T-Shirt"\nFootwear = "Schuhe"\nSneaker = "スニーカー"\n"No garment" = "Nichts"\n'
    made = settings.merge(settings_file.load(write(tmp_path, "details = true\n" + text)), {})
    assert made.labels == {
        "T-shirt/top": "T-Shirt",
        "Footwear": "Schuhe",
        "Sneaker": "スニーカー",
        "No garment": "Nichts",
    }
    assert made.details
    assert (settings.DEFAULTS.labels, settings.DEFAULTS.details) == ({}, False)
    assert hash(made) != hash(settings.DEFAULTS)


def test_names_of_a_taught_network(tmp_path: Path) -> None:
    """A shop's own labels may be shown otherwise too, those of the model that the file names; others are refused."""
    facts = json.loads((resolve.resolve("kiosk").path / "bundle.json").read_text(encoding="utf-8"))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "bundle.json").write_text(
        json.dumps({**facts, "name": "shop", "labels": [*facts["labels"][:10], "Polo", *facts["labels"][10:]]})
    )
    file = tmp_path / "edgefashion.toml"
    file.write_text(f"model = {json.dumps(str(tmp_path / 'shop'))}\n[labels]\nPolo = 'Poloshirt'\nCoat = 'Mantel'\n")
    assert settings_file.load(file)["labels"] == {"Polo": "Poloshirt", "Coat": "Mantel"}
    file.write_text("[labels]\nPolo = 'Poloshirt'\n")
    with pytest.raises(BadInputError, match="no answer is named 'Polo'"):
        settings_file.load(file)


def _app(seen: dict[str, Any]) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    def camera(
        context: typer.Context,
        source: Annotated[str, settings.option("source")] = settings.DEFAULTS.source,
        headless: Annotated[bool, settings.option("headless")] = False,
        fullscreen: Annotated[bool, settings.option("fullscreen")] = False,
        events: Annotated[list[str] | None, settings.option("events")] = None,
        record: Annotated[Path | None, settings.option("record")] = None,
        max_failures: Annotated[int, settings.option("max_failures")] = settings.DEFAULTS.max_failures,
        config: Path | None = None,
    ) -> None:
        seen["settings"] = settings.merge(settings_file.load(config), settings.given(context))

    return app


# The flags, and what is in force then over FILE.
FILE = 'source = "7"\nheadless = true\nevents = ["a", "b"]\nmax_failures = 5\nrecord = "x.mp4"\n'
IN_FORCE = [
    pytest.param("", {"source": "7", "headless": True, "events": ("a", "b"), "max_failures": 5}, id="file"),
    pytest.param("--source 0", {"source": "0", "headless": True}, id="flag of the default's value"),
    pytest.param("--no-headless", {"headless": False}, id="no over the file's yes"),
    pytest.param("--no-headless --fullscreen", {"headless": False, "fullscreen": True}, id="the other of a pair"),
    pytest.param("--events c", {"events": ("c",)}, id="list"),
    pytest.param("--max-failures 0 --record y.avi", {"max_failures": 0, "record": Path("y.avi")}, id="number, path"),
]


@pytest.mark.parametrize(("flags", "force"), IN_FORCE)
def test_flags_win(flags: str, force: dict[str, Any], tmp_path: Path) -> None:
    """A flag that is given wins over the file, also with its default's value; what neither says is the default."""
    seen: dict[str, Any] = {}
    done = CliRunner().invoke(_app(seen), ["--config", str(write(tmp_path, FILE)), *flags.split()])
    assert done.exit_code == 0, done.output
    for name, value in {"mirror": False, "web": None, **force}.items():
        assert getattr(seen["settings"], name) == value, name


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--fullscreen", "headless in edgefashion.toml and --fullscreen exclude each other"),
        ("--events c --events c", "--events names 'c' twice"),
        ("--source ", "--source must be a text"),
    ],
)
def test_flags_that_cannot_be(flags: str, says: str, tmp_path: Path) -> None:
    """A flag out of its range, or against what the file says, is told of under the names that were written."""
    done = CliRunner().invoke(_app({}), ["--config", str(write(tmp_path, FILE)), *flags.split(" ")])
    assert isinstance(done.exception, BadInputError), done.output
    assert says in str(done.exception)


def test_help_carries_range_and_default() -> None:
    """Typer's help and range come from the settings' own."""
    runner: Callable[..., Any] = CliRunner().invoke
    assert settings.FIELDS["max_failures"].metadata["help"][:40] in " ".join(
        runner(_app({}), ["--help"]).output.split()
    )
    assert runner(_app({}), ["--max-failures", "-1"]).exit_code == 2
