"""What OpenCV does not tell of the screen, asked of the X server itself."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any


class Screen:
    """A connection to the X server: what OpenCV does not tell of the screen."""

    def __init__(self, x: Any, server: Any) -> None:
        self._x = x
        self._server = server
        self._root = ctypes.c_ulong(x.XDefaultRootWindow(server))
        self.size_wh: tuple[int, int] = (x.XDisplayWidth(server, 0), x.XDisplayHeight(server, 0))
        self.rgb: bool = x.XDefaultDepth(server, 0) == 24
        """Whether a pixel is three bytes; another screen rounds colours, and :meth:`shows` would not know them."""

    def managed(self) -> bool:
        """Whether a window manager is there, which shows itself by a property of the root window."""
        check = ctypes.c_ulong(self._x.XInternAtom(self._server, b"_NET_SUPPORTING_WM_CHECK", 0))
        kind, length, left = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.c_ulong()
        bits, value = ctypes.c_int(), ctypes.c_void_p()
        any_kind = ctypes.c_ulong(0)
        which = (self._server, self._root, check, ctypes.c_long(0), ctypes.c_long(1), 0, any_kind)
        answer = (kind, bits, length, left, value)
        self._x.XGetWindowProperty(*which, *(ctypes.byref(part) for part in answer))
        if value:
            self._x.XFree(value)
        return kind.value != 0

    def shows(self, rgb: int, x: int, y: int) -> bool:
        """Whether the screen has this colour at (x, y)."""
        one, all_planes, pixmap_by_pixel = ctypes.c_uint(1), ctypes.c_ulong(0xFFFFFF), 2
        image = self._x.XGetImage(self._server, self._root, x, y, one, one, all_planes, pixmap_by_pixel)
        if not image:
            return False
        image = ctypes.c_void_p(image)
        try:
            return bool(self._x.XGetPixel(image, 0, 0) & 0xFFFFFF == rgb)
        finally:
            self._x.XDestroyImage(image)


@contextlib.contextmanager
def screen() -> Iterator[Screen | None]:
    """Hold a connection to the X server; None where there is none.

    A bare X server starts anew when its last client leaves, and a window opened meanwhile stays black: held while
    windows come and go, it is never without one.
    """
    try:
        x = ctypes.CDLL("libX11.so.6")
    except OSError:
        yield None
        return
    for function in (x.XOpenDisplay, x.XGetImage):
        function.restype = ctypes.c_void_p
    for function in (x.XDefaultRootWindow, x.XInternAtom, x.XGetPixel):
        function.restype = ctypes.c_ulong
    server = ctypes.c_void_p(x.XOpenDisplay(None))
    if not server:
        yield None
        return
    try:
        yield Screen(x, server)
    finally:
        x.XCloseDisplay(server)
