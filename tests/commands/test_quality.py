"""What docs/quality.md, SECURITY.md and CONTRIBUTING.md say of tests, files and numbers is so."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import hostile

ROOT = Path(__file__).parents[2]
QUALITY = ROOT / "docs" / "quality.md"
PAGES = (QUALITY, ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md")
FOLDERS = "edgefashion|tests|docs|benchmarks|scripts|models|\\.github"
FILES = {file.name for file in ROOT.iterdir() if file.is_file()}
REACHED = ("yes", "partly", "no", "does not apply")


@functools.cache
def functions(path: Path) -> tuple[ast.FunctionDef, ...]:
    """The test functions of a file."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(one for one in module.body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_"))


def unknown_tests(text: str) -> list[str]:
    """The tests that ``text`` names and that are not there."""
    named = set(re.findall(r"(tests/[\w/]+\.py)::(test_\w+)", text))
    return sorted(
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or name not in {one.name for one in functions(ROOT / path)}
    )


def unknown_files(text: str) -> list[str]:
    """The files and folders of this repository that ``text`` names in code letters and that are not there."""
    words = set(re.findall(r"`([^`\s]+)`", text))
    named = {word.partition("::")[0] for word in words if re.match(rf"(?:\./)?(?:{FOLDERS})/", word) or word in FILES}
    return sorted(word for word in named if not any(ROOT.glob(word.removeprefix("./"))))


def cases(session: pytest.Session) -> int:
    """How many cases there are: those of this run if it is of all of them, or else found by pytest."""
    every = {path for path in (ROOT / "tests").rglob("test_*.py") if functions(path)}
    config = session.config
    chosen = config.option.keyword or config.option.markexpr or any("::" in argument for argument in config.args)
    if not chosen and {item.path for item in session.items} >= every:
        return len(session.items)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(ROOT / "tests")]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^(\d+) tests collected", collected, re.MULTILINE)
    assert found, collected[-500:]
    return int(found[1])


def counts(session: pytest.Session) -> dict[str, int]:
    """What the page's table of numbers counts, counted."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return {
        "files of tests": len(files),
        "test functions": sum(len(functions(file)) for file in files),
        "cases": cases(session),
        "model files that are cut": len(hostile.cases()),
        "lines of the tests": sum(
            file.read_text(encoding="utf-8").count("\n") for file in (ROOT / "tests").rglob("*.py")
        ),
    }


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading of the page, without its head."""
    _, found, text = QUALITY.read_text(encoding="utf-8").partition(f"\n{heading}\n")
    assert found, heading
    lines = text.partition("\n#")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_named_test_and_file_is_there(page: Path) -> None:
    """Each test function stands in the file that the page names for it, and each file and folder is there."""
    text = page.read_text(encoding="utf-8")
    assert unknown_tests(text) == []
    assert unknown_files(text) == []


def test_what_is_not_there_is_found() -> None:
    """A test of another name or in another file, a file and a folder that are not there are found, and others not."""
    here = "tests/commands/test_quality.py"
    assert unknown_tests(f"`{here}::test_what_is_not_there_is_found`") == []
    assert unknown_tests(f"{here}::test_nothing") == [f"{here}::test_nothing"]
    assert unknown_tests("tests/commands/test_nowhere.py::test_x") == ["tests/commands/test_nowhere.py::test_x"]
    assert unknown_files(f"`{here}` `tests/camera/` `README.md` `models/*/bundle.json` `latency_us`") == []
    assert unknown_files("`docs/nowhere.md` `edgefashion/nowhere/`") == ["docs/nowhere.md", "edgefashion/nowhere/"]


def test_the_numbers_are_true(request: pytest.FixtureRequest) -> None:
    """Each number of the page is below the true one, and by no more than a quarter."""
    told = {what: int(number.replace(",", "")) for what, number in rows("## The tests in numbers")}
    counted = counts(request.session)
    assert len(told) == len(counted)
    for what, count in counted.items():
        (number,) = (told[words] for words in told if words.startswith(what))
        assert number < count <= 1.25 * number, f"{what}: {count}"


def test_every_test_has_its_sentence() -> None:
    """Every test function has a docstring: the sentence that it proves."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    assert [f"{file.name}::{one.name}" for file in files for one in functions(file) if not ast.get_docstring(one)] == []


def test_the_audit_adds_up() -> None:
    """Each rule of the audit has one of four results, each "yes" has a proof, and the summary counts them."""
    summary = {tier: [int(number) for number in numbers] for tier, *numbers in rows("## An audit of ourselves")}
    assert list(summary) == ["bronze", "silver", "gold", "platinum"]
    for tier, numbers in summary.items():
        rules = rows(f"### {tier.capitalize()}")
        reached = [result for _, _, result, _ in rules]
        assert [reached.count(result) for result in REACHED] == numbers, tier
        assert sum(numbers) == len(rules), tier
        assert all(proof.startswith("`") for _, _, result, proof in rules if result in ("yes", "partly")), tier
