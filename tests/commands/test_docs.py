"""The docs say what is true of the program: its commands, its flags, its results, its files."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from helpers import markdown

import edgefashion
from edgefashion.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
"""What a user reads."""

REFERENCE = ROOT / "docs" / "commands.md"
MOST_LINES = 200
"""Of the README."""

USAGE_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""Click's base of a wrong command line, be it Typer's own click or not."""


def _write_docs(root: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / "write_docs"), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=root)


# --- What is written by a script -------------------------------------------------------------


def test_tables_and_the_reference_are_up_to_date() -> None:
    """Every table is what its stored result says, and docs/commands.md what `--help` says: else it is named."""
    done = _write_docs(ROOT, "--check")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what `scripts/write_docs` reads."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks", ignore=shutil.ignore_patterns("*.png", "folds"))
    for model in ("edge", "edge-teachers"):
        shutil.copytree(ROOT / "models" / model, tmp_path / "models" / model)
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def _replaced(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = next(root.glob(file))
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("change", "page"),
    [
        pytest.param(_replaced("docs/commands.md", "--resume  ", "--goon    "), "docs/commands.md", id="help"),
        pytest.param(
            _replaced("benchmarks/README.md", "OpenVINO INT8 | 1 |", "OpenVINO INT8 | 4 |"),
            "benchmarks/README.md",
            id="table",
        ),
        pytest.param(
            _replaced("benchmarks/**/results/kiosk_cpu.json", '"loop": 16.2', '"loop": 91.2'),
            "benchmarks/README.md",
            id="result",
        ),
    ],
)
def test_a_page_that_differs_is_named_and_mended(checkout: Path, change: Callable[[Path], None], page: str) -> None:
    """A figure or a flag that was changed on one side alone: --check names the page, the script writes it anew."""
    change(checkout)
    found = _write_docs(checkout, "--check")
    assert found.returncode == 1
    assert found.stdout.startswith(f"{page} is out of date")
    assert _write_docs(checkout).stdout == f"{page}\n"
    assert _write_docs(checkout, "--check").returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("write_docs: faults -->", "write_docs: frauds -->", "there is no part frauds"),
        ("<!-- end of soak -->", "", "the part soak has no line"),
        ("<!-- written by scripts/write_docs: isa -->", "", "no page has the part isa"),
    ],
)
def test_a_part_that_cannot_be_written_is_an_error(checkout: Path, old: str, new: str, said: str) -> None:
    """A part of an unknown name, one without an end, and one that no page has are told in one line."""
    _replaced("benchmarks/README.md", old, new)(checkout)
    done = _write_docs(checkout, "--check")
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- Everything is documented ----------------------------------------------------------------


def _commands(command: Any = None, path: str = "edgefashion") -> Iterator[tuple[str, Any]]:
    command = command or typer.main.get_command(app)
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, f"{path} {name}")


def _by_hand(page: Path) -> str:
    """A page's text less what the script writes into it."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"<!-- written by scripts/write_docs: (\S+) -->.*?<!-- end of \1 -->", "", text, flags=re.DOTALL)


def test_every_command_is_explained_on_a_page_written_by_hand() -> None:
    """No command is known from its `--help` alone: a page for users names it too."""
    text = "\n".join(map(_by_hand, PAGES))
    leaves = [path for path, command in _commands() if not hasattr(command, "commands")]
    assert len(leaves) > 15
    assert [path for path in leaves if not re.search(rf"{path}\b", text)] == []


def test_every_flag_is_in_the_reference() -> None:
    """Every flag stands in docs/commands.md below its command's heading, and has a word on what it does."""
    text = REFERENCE.read_text(encoding="utf-8")
    sections = {heading: body for heading, _, body in (s.partition("\n") for s in re.split(r"^### ", text, flags=re.M))}
    flags = [
        (path, flag, option.help)
        for path, command in _commands()
        for option in command.params
        if option.param_type_name == "option"
        for flag in (*option.opts, *option.secondary_opts)
    ]
    assert len(flags) > 100
    told = [
        (path, flag)
        for path, flag, says in flags
        if says and re.search(rf"^  (?:\S+ / )?{flag}(?![\w-])", sections.get(path, ""), re.M)
    ]
    assert [flag[:2] for flag in flags if flag[:2] not in told] == []


def test_every_extra_is_documented() -> None:
    """Every extra of pyproject.toml has its pip line on a page for users."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = {extra for line in re.findall(r"pip install [^\n`]*\[([\w,-]+)\]", text) for extra in line.split(",")}
    assert sorted(set(extras) - named) == []


def test_the_readme_is_short() -> None:
    """Nobody reads more than two hundred lines before the first try."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_LINES


# --- What is written leads somewhere ---------------------------------------------------------


def _pages_everywhere() -> list[Path]:
    """Every Markdown file of the repository; not of a virtual environment, a cache or a build."""
    below = [path for path in ROOT.iterdir() if path.name == ".github" or path.name[0] not in "._"]
    folders = [path for path in below if path.is_dir() and path.name not in ("build", "dist", "demo-output")]
    return sorted([*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))])


def _lost(page: Path, root: Path) -> list[str]:
    """The relative links of a page that lead to no file in ``root`` or to no heading."""
    lost = []
    for link in markdown.links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z][a-z0-9+.-]*:", link, re.IGNORECASE):
            continue
        name, _, anchor = link.partition("#")
        target = (root / name[1:] if name.startswith("/") else page.parent / name).resolve() if name else page
        there = target.exists() and target.is_relative_to(root.resolve())
        if there and anchor:
            there = target.suffix == ".md" and anchor in markdown.anchors(target.read_text(encoding="utf-8"))
        if not there:
            lost.append(link)
    return lost


def test_every_relative_link_leads_somewhere() -> None:
    """Every link from page to page, to a picture, a file or a heading finds what it names."""
    pages = _pages_everywhere()
    assert {"README.md", "MODEL_CARD.md", "commands.md"} <= {page.name for page in pages}
    lost = {str(page.relative_to(ROOT)): found for page in pages if (found := _lost(page, ROOT))}
    assert lost == {}


def test_a_lost_link_is_found(tmp_path: Path) -> None:
    """A link to no file, to no heading or out of the repository is seen as lost; links in code are none."""
    (tmp_path / "other.md").write_text("# One thing\n## One thing\n```\n# Not a heading\n```\n", encoding="utf-8")
    page = tmp_path / "page.md"
    good = "[a](other.md) [b](other.md#one-thing-1) [c](#here) ![d](page.md) [e](https://example.org/x) `[f](gone.md)`"
    bad = "[a](gone.md) [b](other.md#not-a-heading) [c](#there) ![d](gone.png) [e](../out.md) [f]\n\n[f]: gone.txt"
    page.write_text(f"# Here\n{good}\n\n    [g](gone.md)\n\n{bad}\n", encoding="utf-8")
    (tmp_path.parent / "out.md").touch()
    lost = ["gone.md", "other.md#not-a-heading", "#there", "gone.png", "../out.md", "gone.txt"]
    assert _lost(page, tmp_path) == lost


# --- What is written can be run --------------------------------------------------------------


def _wrong(arguments: list[str]) -> str | None:
    """What the command line says against ``arguments``; None if it takes them. Nothing is run."""
    command, words, path = typer.main.get_command(app), list(arguments), "edgefashion"
    context = None
    while hasattr(command, "commands"):
        group: Any = command
        flags = {flag for option in group.params for flag in option.opts} | {"--help"}
        while words and words[0].startswith("-"):
            if words[0] not in flags:
                return f"{path} has no flag {words[0]}"
            del words[0]
        if not words:
            return None
        context = group.context_class(group, info_name=path, parent=context)
        if (found := group.get_command(context, words[0])) is None:
            return f"{path} has no command {words[0]}"
        command, path = found, words.pop(0)
    try:
        command.make_context(path, words, parent=context)
    except USAGE_ERROR as error:
        return str(error.format_message())
    except typer.Exit:  # --help
        pass
    return None


def test_every_command_line_of_the_docs_is_one() -> None:
    """Every `edgefashion ...` in a block of code of README.md and docs/ names a command and flags that there are."""
    checked, wrong = 0, []
    for page in PAGES:
        for arguments in markdown.command_lines(page.read_text(encoding="utf-8"), "edgefashion"):
            checked += 1
            if said := _wrong(arguments):
                wrong.append(f"{page.name}: edgefashion {' '.join(arguments)}: {said}")
    assert wrong == []
    assert checked > 50


@pytest.mark.parametrize(
    ("line", "calls"),
    [
        ("edgefashion camera --source 0  # the first camera", [["camera", "--source", "0"]]),
        ("sudo edgefashion service remove && edgefashion doctor", [["service", "remove"], ["doctor"]]),
        ("EDGEFASHION_DATA=/x .venv/bin/edgefashion bench --json > a.json", [["bench", "--json"]]),
        (r".venv\Scripts\edgefashion data fetch", [["data", "fetch"]]),
        ("python -m edgefashion predict 'my shirt.jpg' | head", [["predict", "my shirt.jpg"]]),
        ("Example: edgefashion zoo", [["zoo"]]),
        ("ExecStart=/opt/kiosk/bin/edgefashion camera --headless", [["camera", "--headless"]]),
        ("pip install edgefashion[web]", []),
        ("journalctl -u edgefashion -f", []),
        ("Usage: edgefashion zoo [OPTIONS]", []),
        ("scripts/  what edgefashion's developers run", []),
    ],
)
def test_command_lines_are_found(line: str, calls: list[list[str]]) -> None:
    """Calls are found behind sudo, settings, a path, `python -m` and `&&`; text about the program is none."""
    assert list(markdown.command_lines(f"Text\n\n    {line}\n", "edgefashion")) == calls
    assert list(markdown.command_lines(f"```\n{line}\n```\n", "edgefashion")) == calls


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["camera", "--sauce", "0"], "No such option: --sauce"),
        (["camra"], "edgefashion has no command camra"),
        (["data", "fetsch"], "data has no command fetsch"),
        (["--bug", "doctor"], "edgefashion has no flag --bug"),
        (["bench", "--rounds", "many"], "Invalid value for '--rounds'"),
        (["tag", "photos/"], "--out"),
    ],
)
def test_a_wrong_command_line_is_seen(arguments: list[str], said: str) -> None:
    """A command, a flag, a value or a missing flag that the program would refuse is refused here."""
    assert said in (_wrong(arguments) or "")


def _python_blocks() -> list[Any]:
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, (language, block) in enumerate(markdown.code(page.read_text(encoding="utf-8")))
        if language == "python"
    ]


@pytest.mark.parametrize("block", _python_blocks())
def test_a_python_example_fits_the_library(block: str) -> None:
    """What an example imports from edgefashion is there, and takes the arguments that the example gives it."""
    tree = ast.parse(block)
    imported = dict[str, Any]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "edgefashion":
            module = __import__(node.module or "", fromlist=["_"])
            imported |= {name.asname or name.name: getattr(module, name.name) for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in imported:
            given = [None] * sum(not isinstance(argument, ast.Starred) for argument in node.args)
            named = {word.arg: None for word in node.keywords if word.arg}
            inspect.signature(imported[node.func.id]).bind_partial(*given, **named)


def test_every_function_of_the_library_is_documented() -> None:
    """Every name that `edgefashion` hands out stands in docs/python.md."""
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert [name for name in edgefashion.__all__ if name[0] != "_" and not re.search(rf"\b{name}\b", text)] == []
