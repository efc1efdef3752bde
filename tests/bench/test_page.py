"""The bench page shows every figure, runs nothing it was given, and fits a desktop and a phone."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import CONTRAST, Browser, chromium

from edgefashion.bench.page.charts import time_us
from edgefashion.bench.page.page import page as drawn
from edgefashion.bench.page.page import write
from edgefashion.bench.report import titles
from edgefashion.errors import BadInputError

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&lt;"
WIDTHS_PX = (1280, 390)


class Page(HTMLParser):
    """What a page consists of: its tags with their attributes, its words, its tables' rows by their cells' words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.words = ""
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._in_cell:
            self.rows[-1][-1] += data


def number(cell: str) -> float:
    """The first number in a cell's words."""
    found = re.search(r"[\d,]+(\.\d+)?", cell)
    assert found, cell
    return float(found[0].replace(",", ""))


@pytest.fixture(scope="module")
def wide_report(short_report: dict[str, Any]) -> dict[str, Any]:
    """A report as large as they come: peers in several rows each, instruction-set caps, batches, marks."""
    report = copy.deepcopy(short_report)
    for name, engine in (("ONNX Runtime FP32", "onnxruntime"), ("LiteRT INT8", "litert")):
        for threads in (1, 0):
            changed = {"name": name, "engine": engine, "threads": threads, "operations": None}
            mark = {"marked": "accuracy differs from the original by 1.2 points"} if engine == "litert" else {}
            report["rows"].append({**report["rows"][0], **changed, **mark, "throughput_async_fps": None})
    for isa in ("AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI"):
        by_batch = {"1": 900.0, "8": 4000.0, "64": 9000.0}
        report["rows"] += [{**row, "isa": isa, "throughput_by_batch_fps": by_batch} for row in short_report["rows"]]
    report["model"] = "/home/somebody/a-very-long-folder-name-without-any-spaces/models/a-network-of-ours/int8.xml"
    report["notes"] = ["No BF16 row under a cap."]
    return report


@pytest.fixture(scope="module")
def hostile_report(short_report: dict[str, Any]) -> dict[str, Any]:
    """A report in which every text and every key that may vary is an attack."""
    report = copy.deepcopy(short_report)
    report |= {"model": HOSTILE, "command": HOSTILE, "notes": [HOSTILE]}
    report["machine"] |= {"cpu": HOSTILE, "isa": [HOSTILE], "os": HOSTILE, "cores": HOSTILE, "ram_gb": HOSTILE}
    report["machine"]["versions"] = {HOSTILE: HOSTILE, "edgefashion": HOSTILE}
    report["settings"] |= {HOSTILE: HOSTILE, "vs": [HOSTILE], "threads": HOSTILE, "batch": HOSTILE}
    for row in report["rows"]:
        row |= {"name": HOSTILE + row["name"], "runtime_precision": HOSTILE, "isa": HOSTILE, "marked": HOSTILE}
        for operation in row["operations"]:
            operation |= {"name": HOSTILE, "type": HOSTILE, "primitive": HOSTILE}
    return report


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def test_every_figure_is_shown(short_report: dict[str, Any]) -> None:
    """The table has a row for each measured one with every figure of it, and the page the machine and the command."""
    page = Page(drawn(short_report))
    for place, row in enumerate(short_report["rows"], 1):
        name = f"{place}{row['name']}"
        cells = next(cells for cells in page.rows if cells and cells[0].removesuffix("fastest") == name)
        assert cells[1] == row["runtime_precision"]
        shown = [number(cell) for cell in cells[3:]]
        latencies = [row["latency_us"][q] for q in ("p50", "p90", "p99")]
        assert shown[:3] == pytest.approx(latencies, rel=0.006)
        assert shown[3:5] == pytest.approx([row["throughput_fps"], row["throughput_async_fps"]], rel=0.006)
        assert shown[5] == pytest.approx(row["accuracy"] * 100, abs=0.006)
        size = row["size_bytes"] / (1e6 if "MB" in cells[9] else 1e3)
        assert shown[6:] == pytest.approx([size, row["cold_start_s"], row["peak_rss_mb"]], rel=0.02, abs=0.006)
        for operation in row["operations"]:
            assert any(
                cells[0].endswith(operation["primitive"]) and number(cells[1]) == operation["latency_us"]
                for cells in page.rows
                if len(cells) == 3
            ), operation
    for text in (short_report["machine"]["cpu"], short_report["command"], *short_report["notes"]):
        assert text in page.words
    assert all(version in page.words for version in short_report["machine"]["versions"].values())


def test_fastest_row_is_named_first(short_report: dict[str, Any]) -> None:
    """The first figure of the page is the least median, with its row's name; that row alone is marked."""
    page = Page(drawn(short_report))
    fastest = min(short_report["rows"], key=lambda row: row["latency_us"]["p50"])
    start = page.words.index("One image, median")
    assert page.words[start:].startswith(f"One image, median{time_us(fastest['latency_us']['p50'])}{fastest['name']}")
    marked = {cells[0] for cells in page.rows if cells and cells[0].endswith("fastest")}
    assert {name.lstrip("0123456789") for name in marked} == {f"{fastest['name']}fastest"}


def test_tables_and_charts_can_be_heard(wide_report: dict[str, Any]) -> None:
    """Every table has a caption and scopes on its headers, every chart a name; marks without words are hidden."""
    page = Page(drawn(wide_report))
    count = [tag for tag, _ in page.tags].count
    assert count("table") == count("caption") >= 3
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes["aria-label"]
    assert count("h1") == 1


def test_an_older_report_can_be_drawn(short_report: dict[str, Any]) -> None:
    """A report without what later versions added is drawn without it."""
    older = copy.deepcopy(short_report)
    del older["command"]
    for row in older["rows"]:
        for name in ("latency_percentiles_us", "throughput_rounds_fps", "operations"):
            del row[name]
    page = Page(drawn(older))
    assert "Latency of one image" in page.words
    assert "Time by operation" not in page.words
    assert "To repeat it" not in page.words


def test_rows_of_one_name_are_told_apart(wide_report: dict[str, Any]) -> None:
    """Rows of one engine under other threads or instruction sets have names of their own, and marks are shown."""
    page = Page(drawn(wide_report))
    found = titles(wide_report["rows"])
    assert len(set(found)) == len(found)
    assert {"LiteRT INT8, 1 thread", "LiteRT INT8, all threads", "OpenVINO INT8, AVX2_VNNI"} <= set(found)
    assert all(title in page.words for title in found)
    assert "LiteRT INT8, 1 thread: accuracy differs from the original by 1.2 points" in page.words


def test_nothing_comes_from_elsewhere(wide_report: dict[str, Any]) -> None:
    """The file alone is the page: no address of anything else is in it, and its policy allows none."""
    text = drawn(wide_report)
    assert not re.search(r"https?:|url\(|@import|\bsrc=", text)
    assert not {tag for tag, _ in Page(text).tags} & {"script", "img", "iframe", "object", "embed", "form", "base"}
    assert "default-src 'none'" in text


def test_hostile_text_stays_text(hostile_report: dict[str, Any]) -> None:
    """Markup in a name, a path, a version or a kernel is shown as it is written."""
    text = drawn(hostile_report)
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "<script" not in text
    assert page.words.count("<script>alert(1)</script>") > 20


def test_only_a_report_is_drawn() -> None:
    """Anything else is refused in words."""
    with pytest.raises(BadInputError, match="rows is missing"):
        drawn({"model": "edge", "machine": {"cpu": "a"}, "settings": {}})


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width_px", WIDTHS_PX)
@pytest.mark.parametrize("kind", ["short_report", "wide_report", "hostile_report"])
def test_in_a_real_browser(
    kind: str, width_px: int, dark: bool, browser: Browser, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Chromium shows the page at a desktop's and a phone's width without scrolling sideways, asks for nothing else,
    has nothing to complain of, and follows the reader's light or dark."""
    path = tmp_path / "bench.html"
    write(request.getfixturevalue(kind), path)
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(path, width_px, dark=dark)
    assert browser.evaluate("innerWidth") == width_px
    assert browser.evaluate("document.documentElement.scrollWidth") <= width_px
    shown = browser.evaluate("[...document.querySelectorAll('.scatter')].map(e => e.checkVisibility())")
    assert shown == [width_px > 700, width_px <= 700]
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", paper)[:3])) / 3
    assert brightness < 60 if dark else brightness > 200
    assert browser.evaluate("document.scripts.length") == 0
    assert {address for address in browser.requests if not address.startswith("data:")} == {path.as_uri()}
    assert browser.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_words_stand_out(dark: bool, wide_report: dict[str, Any], browser: Browser, tmp_path: Path) -> None:
    """No word's contrast with what is behind it is below 4.5 to 1."""
    path = tmp_path / "bench.html"
    write(wide_report, path)
    browser.open(path, 1280, dark=dark)
    assert browser.evaluate(CONTRAST) >= 4.5


def test_json_and_page_agree(short_report: dict[str, Any], tmp_path: Path) -> None:
    """A page drawn from a stored JSON is the page that was drawn from the report."""
    stored = tmp_path / "bench.json"
    stored.write_text(json.dumps(short_report), encoding="utf-8")
    assert drawn(json.loads(stored.read_text(encoding="utf-8"))) == drawn(short_report)
