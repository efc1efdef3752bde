"""`edgefashion service`: parse, call one function of :mod:`edgefashion.camera.service.systemctl`, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgefashion.errors import printable
from edgefashion.system.addresses import without_secrets
from edgefashion.system.files import check_not_read

service_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Keep the camera running: as a systemd service, or a task."
)

ConfigOption = Annotated[
    Path | None,
    # Whether it can be read we say ourselves: it may be root's alone.
    typer.Option(
        "--config", readable=False, help="The camera's edgefashion.toml. Default: the one found.", show_default=False
    ),
]
UserOption = Annotated[bool, typer.Option("--user", help="The user's own service, not the system's.")]
RootOption = Annotated[
    Path | None,
    typer.Option("--root", metavar="DIR", help="Of the system below this folder; nothing is started or stopped."),
]


@service_app.command("install")
def install(
    config: ConfigOption = None,
    user: UserOption = False,
    account: Annotated[
        str | None, typer.Option(help="Run as this account. Default: one that exists only meanwhile.")
    ] = None,
    memory_mb: Annotated[int, typer.Option(min=256, max=1_000_000, help="Start it anew above this.")] = 1024,
    watchdog_s: Annotated[
        int, typer.Option(min=5, max=3600, help="Start it anew after so long without an inference.")
    ] = 30,
    root: RootOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the unit and what install would refuse; change nothing.")
    ] = False,
) -> None:
    """Write a systemd unit for the camera, enable it and start it.

    Example: sudo edgefashion service install --config /etc/edgefashion.toml
    """
    from edgefashion.camera.service import configuration_check, systemctl, systemd_unit
    from edgefashion.errors import BadInputError

    if user and (account or root):
        raise BadInputError(f"--user and {'--account' if account else '--root'} exclude each other. Leave one out")
    if not dry_run:
        systemctl.check_rights(user, root)  # before the configuration, which may be root's alone
    options = systemd_unit.configured(config, user=user, account=account, memory_mb=memory_mb, watchdog_s=watchdog_s)
    if dry_run:
        configuration_check.check_configuration(options, root)
        print(systemd_unit.unit(options), end="")
        for obstacle in systemctl.obstacles(options, root):
            print(f"edgefashion: {printable(obstacle)}", file=sys.stderr)
        return
    path = systemctl.install(options, root)
    print(f"{printable(path)} is written and enabled" + ("" if root else "; the service runs"))
    if options.config is None:
        print("No edgefashion.toml was found: it runs headless with the defaults", file=sys.stderr)


@service_app.command("status")
def status(user: UserOption = False, root: RootOption = None) -> None:
    """Say how the service does, with its last lines; exit code 3 unless it runs.

    Example: edgefashion service status
    """
    from edgefashion.camera.service import systemctl

    well, line = systemctl.status(user, root)
    print(line)
    if root is None and systemctl.unit_path(user).exists():
        for each in systemctl.log(user):
            print(printable(without_secrets(f"  {each}")))
    if not well:
        raise typer.Exit(3)


@service_app.command("remove")
def remove(user: UserOption = False, root: RootOption = None) -> None:
    """Stop and disable the service and delete its unit; what it recorded stays.

    Example: sudo edgefashion service remove
    """
    from edgefashion.camera.service import systemctl

    print(f"{systemctl.remove(user, root)} is removed")


@service_app.command("task")
def task(
    config: ConfigOption = None,
    at: Annotated[str, typer.Option(help="logon: with a window; startup: headless.")] = "logon",
    out: Annotated[Path | None, typer.Option(help="Write it there, as schtasks wants it.")] = None,
) -> None:
    """Print the equivalent for Windows: a task for the Task Scheduler.

    Example: edgefashion service task --out edgefashion.xml
    """
    from edgefashion.camera.service import systemd_unit, windows_task
    from edgefashion.errors import BadInputError

    if at not in ("logon", "startup"):
        raise BadInputError(f"--at takes logon or startup, not {at!r}")
    logon = at == "logon"
    options = systemd_unit.configured(config, user=logon)
    text = windows_task.task(options, "logon" if logon else "startup")
    if out is None:
        print(text, end="")
        return
    check_not_read(out, filter(None, [options.config]))
    windows_task.write(out, text)
    print(printable(f"{out} is written. As administrator: schtasks /Create /TN {windows_task.NAME} /XML {out}"))
    print(
        f"Look: schtasks /Query /TN {windows_task.NAME} /V /FO LIST  Remove: schtasks /Delete /TN {windows_task.NAME}"
    )


@service_app.command("config")
def config_example() -> None:
    """Print an example edgefashion.toml, every setting with its default.

    Example: edgefashion service config > edgefashion.toml
    """
    from edgefashion.camera import settings_file

    print(settings_file.example(), end="")
