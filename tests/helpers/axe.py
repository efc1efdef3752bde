"""axe-core, which tells what in a page keeps out people who use a screen reader, a keyboard or a magnifier."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers.browser import Browser

CARRIER = "axe_playwright_python"
"""A package that holds the script. Playwright, which it is made for, is not needed for that."""

RUN = """axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
  .then(found => found.violations.map(each =>
    `${each.id}: ${each.help}: ${each.nodes.map(node => node.target).join(' ')}`))"""


def violations(browser: Browser) -> list[str]:
    """What axe-core objects to in the page as it is now, a line for each rule that is broken."""
    if not browser.evaluate("typeof axe !== 'undefined'"):
        browser.evaluate(_script())
    answer = browser.call("Runtime.evaluate", expression=RUN, returnByValue=True, awaitPromise=True)
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    found: list[str] = answer["result"]["value"]
    return found


def _script() -> str:
    found = find_spec(CARRIER)
    if found is None or found.origin is None:
        if os.environ.get("EDGEFASHION_TEST_BROWSER") == "required":
            pytest.fail("axe-core is not installed: run scripts/setup")
        pytest.skip("axe-core is not installed")
    return Path(found.origin).with_name("axe.min.js").read_text("utf-8")
