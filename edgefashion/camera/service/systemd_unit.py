"""The systemd unit that keeps `edgefashion camera` running: its text, and what it may do."""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.camera import settings_file
from edgefashion.errors import BadInputError
from edgefashion.inference import device

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "edgefashion"
MARK: Final = "# Written by `edgefashion service install`; `edgefashion service remove` deletes it."
CREDENTIAL: Final = "edgefashion.toml"

_HOMES: Final = ("/home", "/root", "/run/user")

# Everything a camera and a page do not need. MemoryDenyWriteExecute is not among it: OpenVINO compiles its
# kernels while it runs. Nor is ProcSubset=pid: it reads the CPU's facts from /proc.
_SYSTEM_SANDBOX: Final = """\
SupplementaryGroups=video
DevicePolicy=closed
DeviceAllow=char-video4linux rw
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
"""

# For a GPU or an NPU, where the configuration names one; AUTO may choose one.
_ACCELERATORS: Final = """\
SupplementaryGroups=render
DeviceAllow=char-drm rw
DeviceAllow=char-accel rw
"""

# What a user's own manager can do too, without mounts and without root.
_SANDBOX: Final = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
UMask=0077
"""


@dataclass(frozen=True)
class ServiceOptions:
    """How the camera is to run unattended."""

    config: Path | None = None
    """The configuration file, absolute; None runs headless with the defaults."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What the configuration file sets."""
    user: bool = False
    """A unit of the user's own manager, with a window if the configuration wants one, instead of the system's."""
    account: str | None = None
    """The account of a system unit; None: one that exists only while it runs."""
    memory_mb: int = 1024
    """Above it the kernel ends the process, and systemd starts it anew."""
    watchdog_s: int = 30
    """Without a fresh inference for so long the process is ended and started anew."""


def executable() -> list[str]:
    """The absolute command line that starts this very installation."""
    script = Path(sysconfig.get_path("scripts")) / ("edgefashion.exe" if sys.platform == "win32" else "edgefashion")
    # -P: a file named like a module in the folder it runs in must not be imported in its place.
    return [str(script)] if script.is_file() else [sys.executable, "-P", "-m", "edgefashion"]


def arguments(config: str | None, *, screen: bool = False) -> list[str]:
    """What follows the executable; a service always waits for its camera, and has a ``screen`` only on a desktop."""
    return ["camera", "--wait", *(["--config", config] if config else [] if screen else ["--headless"])]


def outside(options: ServiceOptions) -> list[str]:
    """The folders beyond the service's own that the configuration wants written to."""
    files = [Path(to) for to in options.values.get("events", ()) if to != "-" and "://" not in to]
    files += [options.values["record"]] if options.values.get("record") else []
    folders = [file.parent for file in files if file.is_absolute()]
    written = [folder for key in ("snapshots", "collect", "state") if (folder := options.values.get(key))]
    folders += [folder if folder.is_dir() else folder.parent for folder in written if folder.is_absolute()]
    return sorted({str(folder) for folder in folders})


def configured(config: Path | None, **facts: Any) -> ServiceOptions:
    """Options with the configuration at ``config``, or the one that is found; raises what reading it does."""
    found = settings_file.find(config)
    if found is None:
        return ServiceOptions(**facts)
    return ServiceOptions(config=found.absolute(), values=settings_file.load(found), **facts)


def check_screen(options: ServiceOptions) -> None:
    """Raise :class:`BadInputError` where a window is wanted of something that starts before anybody logs on."""
    if not options.user and options.config and not options.values.get("headless"):
        raise BadInputError(
            f"{options.config}: what starts with the system has no screen. Write headless = true, or choose "
            "install --user or task --at logon"
        )


def check_folders(options: ServiceOptions) -> None:
    """Raise :class:`BadInputError` for outputs where the unit's own account may not write."""
    if not options.user and options.account is None and (folders := outside(options)):
        raise BadInputError(
            f"{options.config}: the service's own account may not write to {folders[0]}. Leave the folder out, "
            f"for /var/lib/{NAME}, or give --account"
        )


def unit(options: ServiceOptions) -> str:
    """The unit's text. A system unit reads its configuration as a credential, so that the file may be root's alone."""
    if options.config is None:
        config = None
    elif options.user:
        config = quoted(str(options.config))
    else:
        config = f"${{CREDENTIALS_DIRECTORY}}/{CREDENTIAL}"
    program = [quoted(part, program=at == 0) for at, part in enumerate(executable())]
    windowed = options.user and options.config is not None and not options.values.get("headless")
    target = "graphical-session.target" if windowed else "default.target" if options.user else "multi-user.target"
    return f"""\
{MARK}
[Unit]
Description=edgefashion camera
After={"graphical-session.target" if windowed else "network.target"}
{"PartOf=graphical-session.target" if windowed else "Wants=network.target"}
# Started anew however often it fails: nobody is there to do it.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={" ".join(program + arguments(config))}
StateDirectory={NAME}
WorkingDirectory=%S/{NAME}
Restart=always
RestartSec=5
TimeoutStartSec=180
TimeoutStopSec=30
KillSignal=SIGTERM
# What it ends with after that signal.
SuccessExitStatus=143
# Fed after a fresh inference only.
WatchdogSec={options.watchdog_s}
MemoryMax={options.memory_mb}M
# A core dump would hold frames.
LimitCORE=0

{_account(options)}{_SANDBOX}
[Install]
WantedBy={target}
"""


def _account(options: ServiceOptions) -> str:
    """The lines that only a system unit has: who it runs as, its folders, its configuration, its walls."""
    if options.user:
        return ""
    lines = [f"User={options.account}" if options.account else "DynamicUser=yes"]
    lines += [f"LogsDirectory={NAME}", f"CacheDirectory={NAME}"]
    lines += [f"Environment=HOME=%S/{NAME} XDG_CACHE_HOME=%C/{NAME}"]
    if options.config:
        lines += [f"LoadCredential={CREDENTIAL}:{str(options.config).replace('%', '%%')}"]
    lines += [f"ReadWritePaths={quoted(folder, program=True)}" for folder in outside(options)]
    at_home = any(
        part.startswith(tuple(f"{home}/" for home in _HOMES)) for part in (*executable(), sys.prefix, sys.base_prefix)
    )
    sandbox = _SYSTEM_SANDBOX.format(protect_home="read-only" if at_home else "yes")
    wanted = options.values.get("device")
    return "\n".join(lines) + "\n" + sandbox + (_ACCELERATORS if wanted and not device.parse(wanted).is_cpu else "")


def quoted(text: str, *, program: bool = False) -> str:
    """``text`` as one word of a unit's line; in a ``program`` no variable is looked for.

    Raises :class:`BadInputError` for what no line can hold.
    """
    if not text.isprintable():
        raise BadInputError(f"{text!r} cannot stand in a systemd unit. Use a path of printable characters")
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text if program else text.replace("$", "$$")}"'
