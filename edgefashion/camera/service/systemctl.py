"""The camera as a systemd service: installed, looked at, removed.

With ``root`` all of it happens to another system's files below that folder, an image being made for a kiosk, and
nothing is started: the image has to hold this installation at the same path.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.camera.service import systemd_unit
from edgefashion.camera.service.configuration_check import check_configuration
from edgefashion.camera.service.systemd_unit import MARK, NAME
from edgefashion.camera.sources.source import is_device
from edgefashion.errors import BadInputError, EdgeFashionError, MissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edgefashion.camera.service.systemd_unit import ServiceOptions

UNIT: Final = f"{NAME}.service"
LOG_LINES: Final = 5
_TIMEOUT_S: Final = 120
_PROPERTIES: Final = (
    "LoadState",
    "UnitFileState",
    "ActiveState",
    "SubState",
    "Result",
    "StatusText",
    "ActiveEnterTimestamp",
    "InactiveEnterTimestamp",
    "WatchdogTimestampMonotonic",
    "NRestarts",
    "MemoryCurrent",
)


def unit_path(user: bool = False, root: Path | None = None) -> Path:
    """Where the unit lies."""
    if user:
        folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(folder) / "systemd/user" / UNIT
    return (root or Path("/")) / "etc/systemd/system" / UNIT


def check_rights(user: bool = False, root: Path | None = None) -> None:
    """Raise :class:`MissingError` without systemd, :class:`BadInputError` with the sudo line where root is needed."""
    need_systemd(root)
    need_root(user, root)


def install(options: ServiceOptions, root: Path | None = None) -> Path:
    """Write the unit, enable it and, unless ``root`` is given, start it; one that is there is replaced.

    Raises :class:`MissingError` without systemd, :class:`BadInputError` without the right to, or for a
    configuration or an installation that the service could not run with.
    """
    check_configuration(options, root)
    text = systemd_unit.unit(options)
    check_rights(options.user, root)
    path = unit_path(options.user, root)
    check_ours(path)
    if not options.user and root is None:
        check_start(options.account)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.chmod(0o644)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    if root is None:
        _systemctl("daemon-reload", user=options.user)
    _systemctl("enable", UNIT, user=options.user, root=root)
    if root is None:
        _start(path, options.user)
    return path


def _start(path: Path, user: bool) -> None:
    """Start it, which lasts until it says that it is ready; a start that fails goes on being tried by systemd."""
    try:
        _systemctl("restart", UNIT, user=user)
    except MissingError as error:
        lines = log(user)
        said = f"it says: {lines[-1]}" if lines else str(error)
        raise MissingError(f"{path} is installed and tried again and again, but does not run yet; {said}") from error


def remove(user: bool = False, root: Path | None = None) -> Path:
    """Stop and disable the service and delete its unit; what it wrote stays.

    Raises :class:`MissingError` where it is not installed.
    """
    need_systemd(root)
    path = unit_path(user, root)
    if not path.exists():
        raise MissingError(f"no service is installed at {path}")
    check_ours(path)
    check_rights(user, root)
    if root is None:
        _systemctl("stop", UNIT, user=user)
    _systemctl("disable", UNIT, user=user, root=root)
    path.unlink()
    if root is None:
        _systemctl("daemon-reload", user=user)
    return path


def status(user: bool = False, root: Path | None = None) -> tuple[bool, str]:
    """Whether all is well, and one line of how the service does."""
    need_systemd(root)
    path = unit_path(user, root)
    if not path.exists():
        return False, f"{UNIT}: not installed ({path} is missing)"
    if root is not None:
        enabled = _systemctl("is-enabled", UNIT, root=root, may_fail=True)
        return enabled == "enabled", f"{UNIT}: installed at {path}, {enabled}"
    shown = _systemctl("show", UNIT, f"--property={','.join(_PROPERTIES)}", user=user)
    properties = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    return properties.get("ActiveState") == "active", describe(properties, time.monotonic())


def describe(properties: Mapping[str, str], now_s: float) -> str:
    """``systemctl show``'s properties as a line; ``now_s`` is ``time.monotonic()``, the watchdog time's clock."""
    known = {name: value for name, value in properties.items() if value not in ("", "[not set]", "n/a")}
    state = known.get("ActiveState", "unknown")
    parts = ["installed", known.get("UnitFileState", "not enabled")]
    if state == "active":
        parts += [f"running since {known.get('ActiveEnterTimestamp', 'now')}"]
    elif state == "inactive":
        parts += [f"stopped since {known.get('InactiveEnterTimestamp', 'its installation')}"]
    else:
        parts += [f"{state} ({known.get('SubState', '?')}, {known.get('Result', '?')})"]
    if fed := int(known.get("WatchdogTimestampMonotonic", 0)):
        parts += [f"watchdog fed {max(0.0, now_s - fed / 1e6):.0f} s ago"]
    if "MemoryCurrent" in known:
        parts += [f"{int(known['MemoryCurrent']) / 1e6:.0f} MB"]
    parts += [f"started anew {known.get('NRestarts', '0')} times"]
    line = f"{UNIT}: {', '.join(parts)}"
    return f"{line}. {known['StatusText']}" if "StatusText" in known else line


def log(user: bool = False) -> list[str]:
    """The last lines that the service wrote, oldest first; none where the journal cannot be read."""
    journal = shutil.which("journalctl")
    if journal is None:
        return []
    which = "--user-unit" if user else "--unit"
    command = [journal, which, UNIT, "--no-pager", "--output=short-iso", f"--lines={LOG_LINES}", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False)
    return done.stdout.splitlines()


def obstacles(options: ServiceOptions, root: Path | None = None) -> Iterator[str]:
    """What on this machine `install` would refuse, or would wait for, each as a sentence; none where all is well."""
    checks: list[Callable[[], None]] = [
        lambda: need_systemd(root),
        lambda: need_root(options.user, root),
        lambda: check_ours(unit_path(options.user, root)),
    ]
    if not options.user and root is None and sys.platform != "win32":
        checks.append(lambda: check_start(options.account))
    for check in checks:
        try:
            check()
        except EdgeFashionError as error:
            yield f"install would refuse: {error}"
    source = str(options.values.get("source", "0"))
    device = Path(f"/dev/video{source}" if source.isdecimal() else source)
    if root is None and sys.platform.startswith("linux") and is_device(source) and not device.exists():
        yield f"the service would wait for its camera: there is no {device} now"


def need_systemd(root: Path | None) -> None:
    """Raise :class:`MissingError` where systemd does not run, :class:`BadInputError` where ``root`` is no folder."""
    if sys.platform == "win32":
        raise MissingError(
            "Windows has no systemd. Run: edgefashion service task --out edgefashion.xml, and see what it prints"
        )
    booted = root is not None or Path("/run/systemd/system").is_dir()  # as sd_booted(3) finds out
    if not booted or shutil.which("systemctl") is None:
        raise MissingError(
            "systemd does not run on this machine. `edgefashion service install --dry-run` prints the unit for another"
        )
    if root is not None and not root.is_dir():
        raise BadInputError(f"{root} is no folder. Give --root the top folder of a system")


def need_root(user: bool, root: Path | None) -> None:
    """Raise :class:`BadInputError` with the sudo line where only root may change the service."""
    if sys.platform != "win32" and not user and root is None and os.geteuid() != 0:
        line = shlex.join(["sudo", *systemd_unit.executable(), *sys.argv[1:]])
        raise BadInputError(f"a system service is root's to change. Run: {line}")


def check_ours(path: Path) -> None:
    """Raise :class:`BadInputError` for a unit that somebody else wrote."""
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise BadInputError(f"{path} was not written by edgefashion. Move it away first")


def check_start(account: str | None) -> None:
    """Raise :class:`BadInputError` or :class:`MissingError` where the service's account could not start it."""
    check_account(account)
    check_reach(account)


def check_account(account: str | None) -> None:
    """Raise :class:`MissingError` without the group of cameras, :class:`BadInputError` for no such account."""
    import grp
    import pwd

    try:
        grp.getgrnam("video")
    except KeyError:
        raise MissingError(
            "there is no group `video`, which a camera belongs to. Run: groupadd --system video"
        ) from None
    if account is not None:
        try:
            pwd.getpwnam(account)
        except KeyError:
            raise BadInputError(
                f"--account {account}: there is no such account. Run: useradd --system {account}"
            ) from None


def check_reach(account: str | None) -> None:
    """Raise :class:`BadInputError` where the service's account may not enter a folder that this installation lies
    in, as a virtual environment in somebody's home."""
    import pwd

    owner = pwd.getpwnam(account).pw_uid if account else None
    for start in (Path(systemd_unit.executable()[0]), Path(sys.executable).resolve(), Path(__file__).resolve()):
        for folder in start.parents:
            facts = folder.stat()
            if not facts.st_mode & 0o001 and facts.st_uid != owner and owner != 0:
                raise BadInputError(
                    f"{folder} is closed to the service's account. Install edgefashion in a virtual environment "
                    "below /opt, give --account an account that may enter it, or install with --user"
                )


def _systemctl(*words: str, user: bool = False, root: Path | None = None, may_fail: bool = False) -> str:
    """What systemctl prints; raises :class:`MissingError` with its own last line where it fails."""
    scope = ["--user"] if user else [f"--root={root}"] if root else []
    command = ["systemctl", *scope, "--no-pager", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise MissingError(f"`{shlex.join(command)}` does not end. Look at: journalctl -xe") from error
    if done.returncode and not may_fail:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[0]
        said = said.rstrip(".")
        hint = f"journalctl {'--user-unit' if user else '--unit'} {UNIT}"
        raise MissingError(f"`{shlex.join(command)}` failed: {said}. Look at: {hint}")
    return done.stdout.strip()
