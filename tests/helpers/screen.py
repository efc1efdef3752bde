"""A screen without a monitor, and our window on it: its keys, its close button, what it shows."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers.camera import PATIENCE_S, environment, wait_until

from edgefashion.camera.outputs.window import WINDOW

if TYPE_CHECKING:
    from helpers.camera import Picture


def start_screen(size_wh: tuple[int, int], display_name: str = "") -> tuple[subprocess.Popen[bytes], str]:
    """Start an X server without a monitor, on a free display unless one is named; the server and its display."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    read_end, write_end = os.pipe()
    # -noreset: else the server starts anew when its last window goes, while the next one comes.
    server = subprocess.Popen(
        [
            "Xvfb",
            *filter(None, [display_name]),
            "-displayfd",
            str(write_end),
            "-screen",
            "0",
            f"{size_wh[0]}x{size_wh[1]}x24",
            "-nolisten",
            "tcp",
            "-noreset",
        ],
        pass_fds=[write_end],
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        number = answer.readline().strip()
    assert number, "Xvfb did not start"
    return server, f":{number}"


@contextlib.contextmanager
def virtual_screen(size_wh: tuple[int, int]) -> Iterator[str]:
    """An X server without a monitor; yields its display's name."""
    server, display_name = start_screen(size_wh)
    try:
        yield display_name
    finally:
        server.terminate()
        server.wait()


def xdotool(display_name: str, *arguments: str) -> str:
    """Run xdotool; its answer."""
    done = subprocess.run(
        ["xdotool", *arguments],
        env=environment(display_name),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return done.stdout.strip()


def window_id(display_name: str) -> str:
    """The id of the one visible window of ours, once there is one."""
    found: list[str] = []

    def search() -> list[str]:
        done = subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--name", f"^{WINDOW}$"],
            env=environment(display_name),
            capture_output=True,
            text=True,
            check=False,  # it fails where nothing matches
        )
        found[:] = done.stdout.split()
        return found

    wait_until(search, "the window")
    return found[0]


def press(display_name: str, key: str) -> None:
    """Press a key in our window. No window manager runs here, so nobody else gives it the focus."""
    window = window_id(display_name)

    def focused() -> bool:
        xdotool(display_name, "windowfocus", window)
        return xdotool(display_name, "getwindowfocus", "-f") == window

    wait_until(focused, "the focus")
    xdotool(display_name, "key", key)


def click_close_button(display_name: str) -> None:
    """Send our window what a window manager sends when its close button is clicked."""
    x = ctypes.CDLL("libX11.so.6")
    x.XOpenDisplay.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(x.XOpenDisplay(display_name.encode()))
    x.XInternAtom.restype = ctypes.c_ulong
    protocols = x.XInternAtom(connection, b"WM_PROTOCOLS", 0)
    delete = x.XInternAtom(connection, b"WM_DELETE_WINDOW", 0)

    class ClientMessage(ctypes.Structure):
        # XClientMessageEvent of Xlib.h, filled up to the size of an XEvent.
        _fields_ = (
            ("type", ctypes.c_int),
            ("serial", ctypes.c_ulong),
            ("send_event", ctypes.c_int),
            ("display", ctypes.c_void_p),
            ("window", ctypes.c_ulong),
            ("message_type", ctypes.c_ulong),
            ("format", ctypes.c_int),
            ("data", ctypes.c_long * 5),
            ("rest", ctypes.c_long * 12),
        )

    window = int(window_id(display_name))
    client_message = 33
    data = (ctypes.c_long * 5)(delete, 0)
    event = ClientMessage(client_message, 0, 1, connection, window, protocols, 32, data)
    x.XSendEvent(connection, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(event))
    x.XCloseDisplay(connection)


def screenshot(display_name: str) -> Picture:
    """What is on the screen, as BGR."""
    from PIL import ImageGrab

    return np.asarray(ImageGrab.grab(xdisplay=display_name).convert("RGB"), np.uint8)[..., ::-1]
