"""What the camera opens before its loop: where it keeps what outlasts a restart, and what its secret signs."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from edgefashion.camera import app, settings, settings_file
from edgefashion.camera.events.open import open_sink
from edgefashion.camera.events.outgoing import Outgoing
from edgefashion.errors import BadInputError


def test_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder that is given is made; one that cannot be written is refused. Where the account's own cannot be
    written, the camera starts all the same and says what that costs."""
    assert app._state_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "below", Path("nul\0")):
        with pytest.raises(BadInputError, match=r"^--state .* cannot be written: .*\. Give another folder$"):
            app._state_folder(wrong)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("platformdirs.user_state_path", lambda *_, **__: tmp_path / "file" / "own")
    assert app._state_folder(None) is None
    assert "events that wait and the figures of the days end with this process" in capsys.readouterr().err


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT"])
def test_full_disk(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk, or an account's share of one, that is full at the start is no reason to do without the folder."""

    def full(**_: object) -> None:
        raise OSError(getattr(errno, code), "full")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    assert app._state_folder(tmp_path) == tmp_path


def outbox_of(spec: str, state: Path) -> str:
    sink = open_sink(spec, wait=True, state=state)
    sink.close()
    assert isinstance(sink, Outgoing)
    assert sink._outbox.path is not None
    return sink._outbox.path.name


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://127.0.0.1:9/a", "https://127.0.0.1:9/a", True),
        ("https://anna:OLD@127.0.0.1:9/a", "https://anna:NEW@127.0.0.1:9/a", True),
        ("https://anna:A@127.0.0.1:9/a", "https://bert:A@127.0.0.1:9/a", False),
        ("https://anna:A@127.0.0.1:9/a", "https://127.0.0.1:9/a", False),
        ("https://127.0.0.1:9/a", "https://127.0.0.1:9/b", False),
        ("mqtt://anna:OLD@127.0.0.1:9/a", "mqtt://anna:NEW@127.0.0.1:9/a", True),
        ("mqtt://anna:A@127.0.0.1:9/a", "mqtt://bert:A@127.0.0.1:9/a", False),
        ("mqtt://anna:A@127.0.0.1:9/a", "mqtt://127.0.0.1:9/a", False),
    ],
)
def test_whose_outbox(one: str, other: str, same: bool, tmp_path: Path) -> None:
    """What waits for one user of a place is never delivered as another's; a new password changes nothing."""
    if one.startswith("mqtt"):
        pytest.importorskip("paho.mqtt", reason='paho-mqtt is not installed (pip install "edgefashion[mqtt]")')
    names = outbox_of(one, tmp_path), outbox_of(other, tmp_path)
    assert (names[0] == names[1]) == same


@pytest.mark.parametrize(
    ("text", "variable", "words"),
    [
        ('events_secret = "SECRET of the shop"', "", "signs a webhook's events only"),
        ('events_secret = "SECRET of the shop"\nevents = ["a.jsonl"]', "", "signs a webhook's events only"),
        ('events_secret = ""\nevents = ["https://host/"]', "", "events_secret must be a text of printable characters"),
        ('events_secret = 5\nevents = ["https://host/"]', "", "events_secret must be a text, not what is given"),
        ('events = ["https://host/"]', "SECRET\n", "EDGEFASHION_EVENTS_SECRET must be a text of printable characters"),
    ],
)
def test_bad_secret(text: str, variable: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that signs nothing, or is none, is refused without being shown."""
    monkeypatch.setenv(settings.SECRET_VARIABLE, variable)
    path = tmp_path / settings.FILE_NAME
    path.write_text(text)
    path.chmod(0o600)

    def read() -> None:
        settings.merge(settings_file.load(path), {})

    with pytest.raises(BadInputError, match=words) as caught:
        read()
    assert "SECRET of" not in str(caught.value)


def test_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's secret is taken where no file gives one, and is no mistake where nothing is signed."""
    monkeypatch.setenv(settings.SECRET_VARIABLE, "from the environment")
    assert settings.merge({}, {}).events_secret == "from the environment"
    given = {"events": ("https://host/",), "events_secret": "from the settings file"}
    assert settings.merge(given, {}).events_secret == "from the settings file"


def test_unsigned_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A webhook without a secret is said to be unsigned, with what to do, and without its path."""
    open_sink("https://host/HIDDEN").close()
    told = capsys.readouterr().err
    assert "events to https://host:443 go unsigned" in told
    assert "Set events_secret in the settings file, or EDGEFASHION_EVENTS_SECRET" in told
    assert "HIDDEN" not in told
