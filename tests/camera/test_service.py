"""The service: a unit that systemd itself finds right, installed and removed by systemd's own tools."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from edgefashion.camera import settings, settings_file
from edgefashion.camera.service import systemctl, systemd_unit, windows_task
from edgefashion.cli import main
from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., tuple[int, str, str]]

linux = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")
analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
EXPOSURE = 2.0
"""What `systemd-analyze security` may find at most, of 10."""


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """The command line in this process: its exit code, its stdout, its stderr."""

    def command(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["edgefashion", "service", *map(str, words)])
        monkeypatch.setattr(signal, "signal", lambda number, handler: None)  # SIGTERM stays pytest's
        with pytest.raises(SystemExit) as end:
            main.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return command


def configuration(folder: Path, text: str = "headless = true\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / settings.FILE_NAME
    path.write_text(text, encoding="utf-8")
    return path


# Options, and what the unit must say with them.
UNITS = [
    pytest.param({}, ["DynamicUser=yes", " camera --wait --headless\n"], id="no configuration"),
    pytest.param({"config": "plain"}, ["/edgefashion.toml\n", "LoadCredential=edgefashion.toml:/"], id="configuration"),
    pytest.param({"config": '50 % "q" $HOME \\ é'}, ["50 %% "], id="a path of every kind"),
    pytest.param({"config": "plain", "account": "daemon"}, ["User=daemon\n"], id="account"),
    pytest.param({"memory_mb": 700, "watchdog_s": 11}, ["MemoryMax=700M\n", "WatchdogSec=11\n"], id="limits"),
    pytest.param({"user": True, "config": "window"}, ["WantedBy=graphical-session.target"], id="user, window"),
    pytest.param({"user": True, "config": '50 % "q" $HOME'}, ["50 %% ", "$$HOME"], id="user, a path of every kind"),
]
ALWAYS = (
    "Type=notify",
    "NotifyAccess=main",
    "Restart=always",
    "StartLimitIntervalSec=0",
    "NoNewPrivileges=yes",
    "KillSignal=SIGTERM",
    "SuccessExitStatus=143",
    "LimitCORE=0",
)


def unit_of(facts: dict[str, Any], folder: Path) -> str:
    text = "" if facts.get("config") == "window" else "headless = true\n"
    config = configuration(folder / facts["config"], text) if "config" in facts else None
    facts = {name: value for name, value in facts.items() if name != "config"}
    options = systemd_unit.configured(config, **facts) if config else systemd_unit.ServiceOptions(**facts)
    systemd_unit.check_screen(options)
    return systemd_unit.unit(options)


@pytest.mark.linux_only("systemd is Linux's")
@linux
@analyze
@pytest.mark.parametrize(("facts", "says"), UNITS)
def test_systemd_finds_the_unit_right(facts: dict[str, Any], says: list[str], tmp_path: Path) -> None:
    """`systemd-analyze verify` has not a word to say about the unit, whatever its paths look like."""
    text = unit_of(facts, tmp_path)
    assert all(each in text for each in says), text
    assert all(f"\n{each}\n" in text for each in ALWAYS)
    (tmp_path / "edgefashion.service").write_text(text, encoding="utf-8")
    manager = ["--user"] if facts.get("user") else []
    (tmp_path / "run").mkdir(mode=0o700)
    done = subprocess.run(
        ["systemd-analyze", *manager, "--man=no", "verify", str(tmp_path / "edgefashion.service")],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run")},
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "edgefashion" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


@pytest.mark.linux_only("systemd is Linux's")
@linux
@analyze
def test_systemd_says_when_a_unit_is_wrong(tmp_path: Path) -> None:
    """The check can fail: a misspelt setting and a program that is not there are complained of."""
    text = unit_of({}, tmp_path).replace("WatchdogSec", "WachdogSec")
    (tmp_path / "edgefashion.service").write_text(re.sub('ExecStart="[^"]*"', "ExecStart=/nowhere", text))
    done = subprocess.run(
        ["systemd-analyze", "--man=no", "verify", str(tmp_path / "edgefashion.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "WachdogSec" in done.stderr
    assert done.returncode != 0


@pytest.mark.linux_only("systemd is Linux's")
@linux
@analyze
def test_the_unit_is_walled_in(tmp_path: Path) -> None:
    """`systemd-analyze security` finds the system unit well protected."""
    unit = tmp_path / "edgefashion.service"
    unit.write_text(unit_of({"config": "c"}, tmp_path), encoding="utf-8")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "--offline" in done.stderr:
        pytest.skip("this systemd-analyze cannot look at a file")
    found = re.search(r"Overall exposure level for edgefashion.service: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= EXPOSURE


def test_the_command_exists() -> None:
    """What the unit starts is this installation, and every flag it gives is one of the camera's settings."""
    program = systemd_unit.executable()
    assert Path(program[0]).is_absolute()
    done = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip()
    flags = [word[2:] for word in systemd_unit.arguments("x") + systemd_unit.arguments(None) if word.startswith("--")]
    assert set(flags) <= {*settings.FIELDS, "config"}


# Configurations that a service could never run with.
IMPOSSIBLE = [
    pytest.param("", {}, "what starts with the system has no screen. Write headless = true", id="a window"),
    pytest.param(
        'headless = true\nevents = ["-", "/srv/e.jsonl"]',
        {},
        "may not write to /srv. Leave the folder out",
        id="events",
    ),
    pytest.param('headless = true\nsnapshots = "/srv/s"', {}, "may not write to /srv", id="snapshots"),
    pytest.param('headless = true\ncollect = "/srv/s"', {}, "may not write to /srv", id="collect"),
    pytest.param("headles = true", {}, "Did you mean headless?", id="a wrong key"),
    pytest.param("headless = true", {"user": True, "account": "me"}, "--user and --account exclude", id="both"),
    pytest.param('headless = true\nmodel = "mine"', {}, "there is no mine there. Give its full path", id="a model"),
    pytest.param(
        'headless = true\nmodels = ["edge", "/nowhere/m"]', {}, "/nowhere/m does not exist", id="a key's model"
    ),
    pytest.param('headless = true\nmodel = "/etc/passwd"', {}, "/etc/passwd is no model", id="no model"),
    pytest.param('headless = true\nfallback = "/etc/passwd"', {}, "/etc/passwd is no model", id="no fallback"),
    pytest.param('headless = true\nsource = "clip.mp4"', {}, "there is no clip.mp4 there", id="a clip"),
    pytest.param('headless = true\nsource = "/nowhere/clip.mp4"', {}, "clip.mp4 does not exist", id="no clip"),
]


@pytest.mark.linux_only("systemd is Linux's")
@linux
@pytest.mark.parametrize(("text", "facts", "says"), IMPOSSIBLE)
def test_impossible_services(text: str, facts: dict[str, Any], says: str, tmp_path: Path, call: Call) -> None:
    """What could only fail later is refused at once in one line, and nothing is installed."""
    config = configuration(tmp_path / "c", text)
    flags = [f"--{name}" if value is True else f"--{name}={value}" for name, value in facts.items()]
    code, out, error = call("install", "--dry-run", "--config", config, *flags)
    assert (code, out, len(error.splitlines())) == (2, "", 1), error
    assert says in error


@pytest.mark.linux_only("systemd is Linux's")
@linux
def test_a_dry_run_tells_what_install_would_refuse(call: Call, tmp_path: Path) -> None:
    """A dry run prints the unit all the same, and every obstacle that install would stop at, each in a line."""
    unit = systemctl.unit_path(user=True)
    assert not unit.exists()
    config = configuration(tmp_path / "c", "headless = true\nsource = '/dev/video97'\n")
    code, out, error = call("install", "--dry-run", "--config", config, "--account", "nobody-of-that-name")
    assert (code, out.startswith(systemd_unit.MARK)) == (0, True)
    lines = error.splitlines()
    assert all(line.startswith("edgefashion: ") for line in lines)
    assert "there is no such account" in error
    assert lines[-1].endswith("there is no /dev/video97 now")
    if not Path("/run/systemd/system").is_dir():
        assert "install would refuse: systemd does not run on this machine" in lines[0]


@pytest.mark.linux_only("systemd is Linux's")
@linux
def test_an_account_may_write_elsewhere(tmp_path: Path) -> None:
    """With an account of its own, the folders that the configuration names are opened to the service."""
    config = configuration(tmp_path, 'headless = true\nevents = ["/srv/a b/e.jsonl", "mqtt://host/x", "here.jsonl"]\n')
    options = systemd_unit.configured(config, account="nobody")
    systemd_unit.check_folders(options)
    assert re.findall("ReadWritePaths=(.*)", systemd_unit.unit(options)) == ['"/srv/a b"']


@pytest.mark.linux_only("systemd is Linux's")
@linux
@pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemctl is not installed")
def test_installed_looked_at_and_removed(call: Call, tmp_path: Path) -> None:
    """With systemd's own systemctl a unit is installed below a folder, seen to be enabled, replaced, and removed."""
    root = tmp_path / "image"
    root.mkdir()
    config, at = configuration(tmp_path / "c"), ("--root", root)
    assert call("status", *at)[0] == 3
    code, out, error = call("install", "--config", config, *at)
    assert code == 0, error
    unit = root / "etc/systemd/system/edgefashion.service"
    assert out == f"{unit} is written and enabled\n"
    assert unit.stat().st_mode & 0o777 == 0o644
    assert (unit.parent / "multi-user.target.wants/edgefashion.service").is_symlink()
    assert call("status", *at) == (0, f"edgefashion.service: installed at {unit}, enabled\n", "")
    assert call("install", "--watchdog-s", "60", *at)[0] == 0
    assert "WatchdogSec=60" in unit.read_text()
    assert call("remove", *at)[0] == 0
    assert [path for path in root.rglob("*") if not path.is_dir()] == []
    code, _, error = call("remove", *at)
    assert (code, "no service is installed" in error) == (3, True)


@pytest.mark.linux_only("systemd is Linux's")
@linux
@pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemctl is not installed")
def test_another_hands_unit_is_left_alone(call: Call, tmp_path: Path) -> None:
    """A unit of the same name that somebody else wrote is neither replaced nor removed."""
    unit = tmp_path / "etc/systemd/system/edgefashion.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    for command in ("install", "remove"):
        code, _, error = call(command, "--root", tmp_path)
        assert (code, "was not written by edgefashion" in error) == (2, True)
    assert unit.read_text().endswith("/bin/true\n")
    assert [path.name for path in unit.parent.iterdir()] == [unit.name]


@pytest.mark.linux_only("systemd is Linux's")
@linux
@pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="systemd runs here")
def test_without_systemd(call: Call) -> None:
    """Where systemd does not run, each command says so in one line, exit code 3."""
    for command in ("install", "status", "remove"):
        code, out, error = call(command)
        assert (code, out, len(error.splitlines())) == (3, "", 1)
        assert "systemd does not run on this machine" in error


@pytest.mark.linux_only("systemd is Linux's")
@linux
def test_root_is_needed(monkeypatch: pytest.MonkeyPatch, call: Call, tmp_path: Path) -> None:
    """Without the right to, the error is the very line that has it, also where the configuration is root's alone."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(systemctl, "need_systemd", lambda root: None)
    monkeypatch.setattr(systemctl, "unit_path", lambda user=False, root=None: tmp_path / "edgefashion.service")
    monkeypatch.setattr(settings_file, "load", lambda path: pytest.fail("the configuration was read"))
    config = configuration(tmp_path / "my kiosk")
    code, out, error = call("install", "--config", config)
    assert (code, out) == (2, "")
    program = systemd_unit.executable()[0]
    assert error.endswith(f"Run: sudo {program} service install --config '{config}'\n")
    with pytest.raises(BadInputError, match="sudo"):
        systemctl.install(systemd_unit.ServiceOptions())
    assert not (tmp_path / "edgefashion.service").exists()


@pytest.mark.linux_only("systemd is Linux's")
@linux
def test_an_installation_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment in a folder closed to others is refused: its service could only ever fail to start."""
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    home.chmod(0o700)
    monkeypatch.setattr(systemd_unit, "executable", lambda: [str(home / "bin/edgefashion")])
    with pytest.raises(BadInputError, match="is closed to the service's account"):
        systemctl.check_reach(None)


# What `systemctl show` printed, and the line made of it.
RUNNING = {
    "LoadState": "loaded",
    "UnitFileState": "enabled",
    "ActiveState": "active",
    "SubState": "running",
    "Result": "success",
    "StatusText": "live: 30 fps, 1,234 frames",
    "ActiveEnterTimestamp": "Mon 2026-03-02 08:00:00 UTC",
    "WatchdogTimestampMonotonic": "97000000",
    "NRestarts": "0",
    "MemoryCurrent": "150000000",
}


def test_status_in_a_line() -> None:
    """A running service, one that is being started anew and a stopped one each read as a sentence."""
    assert systemctl.describe(RUNNING, 100.0) == (
        "edgefashion.service: installed, enabled, running since Mon 2026-03-02 08:00:00 UTC, watchdog fed 3 s ago, "
        "150 MB, started anew 0 times. live: 30 fps, 1,234 frames"
    )
    failing = {**RUNNING, "ActiveState": "activating", "SubState": "auto-restart", "Result": "watchdog"}
    failing |= {"NRestarts": "7", "MemoryCurrent": "[not set]", "StatusText": "", "WatchdogTimestampMonotonic": "0"}
    assert systemctl.describe(failing, 100.0) == (
        "edgefashion.service: installed, enabled, activating (auto-restart, watchdog), started anew 7 times"
    )
    stopped = {**failing, "ActiveState": "inactive", "UnitFileState": "disabled", "NRestarts": "0"}
    assert "disabled, stopped since its installation" in systemctl.describe(stopped, 100.0)


# --- Windows ---------------------------------------------------------------------------------

# What each part of a task has to hold for the scheduler to take it, and to keep a kiosk running.
REQUIRED = {
    "Triggers/*/Repetition/Interval": "PT1M",
    "Principals/Principal/RunLevel": "LeastPrivilege",
    "Settings/MultipleInstancesPolicy": "IgnoreNew",
    "Settings/ExecutionTimeLimit": "PT0S",
    "Settings/RestartOnFailure/Interval": "PT1M",
    "Settings/RestartOnFailure/Count": "255",
    "Settings/DisallowStartIfOnBatteries": "false",
    "Settings/StopIfGoingOnBatteries": "false",
    "Settings/RunOnlyIfNetworkAvailable": "false",
}


@pytest.mark.parametrize(
    ("at", "trigger", "principal"),
    [("logon", "LogonTrigger", ("GroupId", "S-1-5-32-545")), ("startup", "BootTrigger", ("UserId", "S-1-5-19"))],
)
def test_the_windows_task(at: str, trigger: str, principal: tuple[str, str], call: Call, tmp_path: Path) -> None:
    """The task is well-formed UTF-16 XML with all that the scheduler wants, in its order, and starts this camera."""
    config = configuration(tmp_path / 'a & <b> "c"')
    code, out, error = call("task", "--at", at, "--config", config, "--out", "task.xml")
    assert code == 0, error
    assert "schtasks /Create /TN edgefashion /XML task.xml" in out
    written = (tmp_path / "task.xml").read_bytes()
    assert written[:2] in (b"\xff\xfe", b"\xfe\xff")
    task = ElementTree.fromstring(written)
    space = {"": windows_task.NAMESPACE}
    assert task.tag == f"{{{windows_task.NAMESPACE}}}Task"
    assert task.get("version") == "1.2"
    order = ["RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"]
    assert [each.tag.split("}")[1] for each in task] == order
    for path, value in REQUIRED.items():
        assert task.findtext(path, namespaces=space) == value, path
    assert task.find(f"Triggers/{trigger}", space) is not None
    assert task.findtext(f"Principals/Principal/{principal[0]}", namespaces=space) == principal[1]
    actions, who = task.find("Actions", space), task.find("Principals/Principal", space)
    assert actions is not None
    assert who is not None
    assert actions.get("Context") == who.get("id")
    assert task.findtext("Actions/Exec/Command", namespaces=space) == systemd_unit.executable()[0]
    arguments = subprocess.list2cmdline(["camera", "--wait", "--config", str(config)])
    assert (task.findtext("Actions/Exec/Arguments", namespaces=space) or "").endswith(arguments)
    assert task.findtext("Actions/Exec/WorkingDirectory", namespaces=space) == str(config.parent)


def test_a_task_at_startup_has_no_screen(tmp_path: Path) -> None:
    """A window is refused of a task that starts before anybody logs on."""
    options = systemd_unit.configured(configuration(tmp_path, ""), user=False)
    with pytest.raises(BadInputError, match="no screen"):
        windows_task.task(options, "startup")
    assert "LogonTrigger" in windows_task.task(replace(options, user=True), "logon")


def test_windows_is_shown_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the service's commands name the task's."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(Exception, match="edgefashion service task"):
        systemctl.status()
