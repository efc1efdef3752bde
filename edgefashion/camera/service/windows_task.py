"""What on Windows keeps `edgefashion camera` running: a task for the Task Scheduler, as XML.

The scheduler's RestartOnFailure gives up after 255 times, and not every exit counts as a failure for it. So the
trigger is repeated each minute too, and a task that runs already is left alone.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final, Literal
from xml.etree import ElementTree

from edgefashion.camera.service import systemd_unit

if TYPE_CHECKING:
    from pathlib import Path

    from edgefashion.camera.service.systemd_unit import ServiceOptions

NAMESPACE: Final = "http://schemas.microsoft.com/windows/2004/02/mit/task"
NAME: Final = "edgefashion"

_USERS: Final = "S-1-5-32-545"
_LOCAL_SERVICE: Final = "S-1-5-19"

_SETTINGS: Final = {
    "MultipleInstancesPolicy": "IgnoreNew",
    "DisallowStartIfOnBatteries": "false",
    "StopIfGoingOnBatteries": "false",
    "StartWhenAvailable": "true",
    "RunOnlyIfNetworkAvailable": "false",
    "RunOnlyIfIdle": "false",
    "ExecutionTimeLimit": "PT0S",  # none: left out it is three days
    "Priority": "5",  # left out it is 7, below normal
}


def task(options: ServiceOptions, at: Literal["logon", "startup"]) -> str:
    """The task's XML: at ``logon`` with a window, as whoever logs on; at ``startup`` as the account LocalService."""
    systemd_unit.check_screen(options)
    root = ElementTree.Element("Task", {"version": "1.2", "xmlns": NAMESPACE})
    _put(root, "RegistrationInfo/Description", "edgefashion camera; written by edgefashion service task")
    trigger = "LogonTrigger" if at == "logon" else "BootTrigger"
    _put(root, f"Triggers/{trigger}/Repetition/Interval", "PT1M")
    principal = _put(root, "Principals/Principal")
    principal.set("id", "kiosk")
    _put(principal, "GroupId" if at == "logon" else "UserId", _USERS if at == "logon" else _LOCAL_SERVICE)
    _put(principal, "RunLevel", "LeastPrivilege")
    settings = _put(root, "Settings")
    for name, value in _SETTINGS.items():
        _put(settings, name, value)
    _put(settings, "RestartOnFailure/Interval", "PT1M")
    _put(settings, "RestartOnFailure/Count", "255")
    actions = _put(root, "Actions")
    actions.set("Context", "kiosk")
    program, *first = systemd_unit.executable()
    config = str(options.config) if options.config else None
    _put(actions, "Exec/Command", program)
    _put(
        actions,
        "Exec/Arguments",
        subprocess.list2cmdline([*first, *systemd_unit.arguments(config, screen=at == "logon")]),
    )
    _put(actions, "Exec/WorkingDirectory", str(options.config.parent) if options.config else "%ProgramData%")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-16"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def write(path: Path, text: str) -> None:
    """Write the XML as ``schtasks`` wants it: UTF-16 with its mark."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-16")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _put(parent: ElementTree.Element, path: str, text: str | None = None) -> ElementTree.Element:
    """The element at ``path`` below ``parent``, made where it is missing."""
    for name in path.split("/"):
        found = parent.find(name)
        parent = ElementTree.SubElement(parent, name) if found is None else found
    parent.text = text
    return parent
