"""A real browser for the pages' tests: Chromium without a window, told what to do over its DevTools pipe."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 60
_AS_3_AND_4 = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The pipe's two ends are the file descriptors 3 and 4, by the browser's convention."""

# Whatever is read must be read: the WCAG's 4.5 to 1, and 3 to 1 for a chart's marks.
CONTRAST = """(() => {
  const probe = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const light = colour => {
    probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...probe.getImageData(0, 0, 1, 1).data].map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
  };
  let least = 99;
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!text || !element.checkVisibility()) continue;
    const style = getComputedStyle(element), drawn = element instanceof SVGElement;
    const pair = [light(drawn ? style.fill : style.color), light(behind(element))].sort((a, b) => b - a);
    least = Math.min(least, (pair[0] + 0.05) / (pair[1] + 0.05));
  }
  return least;
})()"""


@dataclass
class Browser:
    """One page. Speaks the DevTools protocol: JSON messages, each ended by a NUL."""

    _to: Any
    _from: Any
    _session: str = ""
    _number: int = 0
    complaints: list[str] = field(default_factory=list)
    """What the page wrote to the console, errors it raised, what its policy blocked."""
    requests: list[str] = field(default_factory=list)
    """The address of everything the page asked for, itself included."""

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; what happens meanwhile is noted."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        return self._until(lambda reply: reply.get("id") == self._number)

    def wait_for(self, event: str) -> None:
        self._until(lambda message: message.get("method") == event)

    def _until(self, wanted: Any) -> dict[str, Any]:
        while True:
            message = json.loads(self._read())
            self._note(message)
            if wanted(message):
                assert "error" not in message, message["error"]
                found: dict[str, Any] = message.get("result", {})
                return found

    def _read(self) -> bytes:
        received = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "the browser ended"
            received += byte
        return bytes(received)

    def _note(self, message: dict[str, Any]) -> None:
        method, told = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console: {told['args']}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(f"exception: {told['exceptionDetails']}")
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {told['message']}")

    def open(
        self, page: Path | str, width_px: int, *, height_px: int = 900, dark: bool = False, still: bool = False
    ) -> None:
        """Show a file or an address, as :meth:`look_as` says."""
        self.look_as(width_px, height_px, dark=dark, still=still)
        self.call("Page.navigate", url=page if isinstance(page, str) else page.absolute().as_uri())
        self.wait_for("Page.loadEventFired")

    def look_as(self, width_px: int, height_px: int, *, dark: bool = False, still: bool = False) -> None:
        """From now on be a screen so large, of someone who wants it light or dark, with motion or without."""
        screen = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": width_px < 600}
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        wishes = {"color-scheme": "dark" if dark else "light", "reduced-motion": "reduce" if still else "no-preference"}
        features = [{"name": f"prefers-{name}", "value": value} for name, value in wishes.items()]
        self.call("Emulation.setEmulatedMedia", features=features)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def _is_true(self, expression: str) -> bool:
        """False too while another page comes in this one's place, as after a login."""
        try:
            return bool(self.evaluate(expression))
        except AssertionError as error:
            if "navigated" not in str(error):
                raise
            return False

    def wait_until(self, expression: str) -> None:
        """Return once a JavaScript expression is true; fail if it never is."""
        deadline_s = time.monotonic() + PATIENCE_S / 3
        while not self._is_true(expression):
            assert time.monotonic() < deadline_s, f"waited in vain for {expression}"
            time.sleep(0.05)

    def screenshot(self, to: Path) -> None:
        """The whole page, not only what fits the screen, as a PNG."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        to.write_bytes(base64.b64decode(answer["data"]))


def _moved(descriptor: int) -> int:
    import fcntl  # POSIX's alone; tests in a browser are marked so

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 10)
    os.close(descriptor)
    return moved


@contextlib.contextmanager
def chromium(patience_s: float = PATIENCE_S) -> Iterator[Browser]:
    """A running browser, for so long at most.

    Without one the test is skipped, but not where tests were set up by scripts/test.
    """
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("EDGEFASHION_TEST_BROWSER") == "required":
            pytest.fail("no browser: apt-get install chromium")
        pytest.skip("chromium is not installed")
    to_browser, from_us = os.pipe()
    to_us, from_browser = os.pipe()
    # High numbers, so that neither is 3 or 4 itself.
    to_browser, from_browser = (_moved(end) for end in (to_browser, from_browser))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", _AS_3_AND_4, str(to_browser), str(from_browser), program),
                *("--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-dev-shm-usage", "--disable-background-networking", f"--user-data-dir={profile}"),
                "about:blank",
            ],
            pass_fds=[to_browser, from_browser],
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        # A browser that hangs ends, and with it the reading of its answers.
        watchdog = threading.Timer(patience_s, process.kill)
        watchdog.start()
        try:
            with os.fdopen(from_us, "wb") as to, os.fdopen(to_us, "rb") as back:
                browser = Browser(to, back)
                targets = browser.call("Target.getTargets")["targetInfos"]
                page = next(target["targetId"] for target in targets if target["type"] == "page")
                browser._session = browser.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
                for domain in ("Page", "Runtime", "Log", "Network"):
                    browser.call(f"{domain}.enable")
                yield browser
        finally:
            watchdog.cancel()
            process.terminate()
            process.wait(PATIENCE_S)


CODES = {"Enter": 13, " ": 32, "Escape": 27, "Delete": 46, "ArrowRight": 39, "ArrowDown": 40, "ArrowLeft": 37, "Tab": 9}
"""What a browser calls the keys that type nothing."""


def press(browser: Browser, *keys: str, shift: bool = False) -> None:
    """Press keys one after the other, each as Chromium names it."""
    for key in keys:
        # A letter or digit is typed; what is neither has a code that the browser goes by.
        facts = {"key": key, "windowsVirtualKeyCode": CODES.get(key, ord(key[0].upper())), "modifiers": 8 * shift}
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        browser.call("Input.dispatchKeyEvent", type="keyDown", text=text, **facts)
        browser.call("Input.dispatchKeyEvent", type="keyUp", **facts)
