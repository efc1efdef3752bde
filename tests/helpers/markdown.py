"""A Markdown page as the tests of the docs read it: its code, its links, its headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

_FENCE = re.compile(r"^ *(```+|~~~+) *(\S*)")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_DEFINED = re.compile(r"^ {0,3}\[[^\]]+\]: *(\S+)", re.MULTILINE)
_HTML = re.compile(r"<(?:img|a|source)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"")
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *#*$", re.MULTILINE)
_REDIRECTED = re.compile(r"\s\d?>{1,2}(?:&\d|\s*[^\s|;&]+)")
_BEFORE = ("sudo", "time", "nice", "exec", "$", "PS>")


def code(page: str) -> list[tuple[str, str]]:
    """The page's blocks of code, each with its language: fenced ones, and those indented by four spaces (with none)."""
    blocks, lines, before = list[tuple[str, str]](), iter(page.splitlines()), ""
    for line in lines:
        if fence := _FENCE.match(line):
            inside = []
            for each in lines:
                if each.strip().startswith(fence[1]):
                    break
                inside.append(each)
            blocks.append((fence[2], "\n".join(inside)))
        elif line.startswith("    ") and (not before.strip() or before.startswith("    ")):
            if before.startswith("    ") and blocks:
                blocks[-1] = ("", f"{blocks[-1][1]}\n{line[4:]}")
            else:
                blocks.append(("", line[4:]))
        before = line
    return blocks


def prose(page: str) -> str:
    """The page without its blocks of code and without its code inside a line."""
    kept, fence, before = [], "", ""
    for line in page.splitlines():
        found = _FENCE.match(line)
        if fence or found:
            fence = "" if fence and line.strip().startswith(fence) else fence or (found[1] if found else "")
        elif not (line.startswith("    ") and (not before.strip() or before.startswith("    "))):
            kept.append(line)
        before = line
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "code", "\n".join(kept))


def links(page: str) -> list[str]:
    """Where the page's links and pictures lead, as they are written."""
    text = prose(page)
    return [found for pattern in (_LINK, _DEFINED, _HTML) for found in pattern.findall(text)]


def anchors(page: str) -> set[str]:
    """What a link may name after its ``#``: the headings as GitHub calls them."""
    found, fence = list[str](), ""
    for line in page.splitlines():
        if mark := _FENCE.match(line):
            fence = "" if fence and line.strip().startswith(fence) else fence or mark[1]
        elif not fence and (heading := _HEADING.match(line)):
            found.append(_slug(heading[2]))
    numbered = set[str]()
    for number, slug in enumerate(found):
        earlier = found[:number].count(slug)
        numbered.add(f"{slug}-{earlier}" if earlier else slug)
    return numbered


def _slug(heading: str) -> str:
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def command_lines(page: str, program: str) -> Iterator[list[str]]:
    """The arguments of every call of ``program`` in the page's blocks of code, shell or help text.

    Raises ValueError for a line that a shell would not read.
    """
    for language, block in code(page):
        if language in ("python", "json", "toml", "ini", "yaml"):
            continue
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if re.search(rf"\b{program}\b", line):
                yield from _calls(line, program)


def _calls(line: str, program: str) -> Iterator[list[str]]:
    line = line.strip().removeprefix("Example: ")
    line = re.sub(r"^(?:ExecStart|Exec)=", "", line).replace("\\", "/")
    lexer = shlex.shlex(_REDIRECTED.sub(" ", line), posix=True, punctuation_chars="();|&")
    lexer.whitespace_split, lexer.commenters = True, "#"
    try:
        words = list(lexer)
    except ValueError:
        if re.match(rf"\S*{program}(\.exe)?\s", line):
            raise
        return  # text that only speaks of the program, with an apostrophe
    call = list[str]()
    for word in [*words, ";"]:
        if word[0] not in "();|&":
            call.append(word)
            continue
        while call and (call[0] in _BEFORE or re.match(r"[A-Z_]+=", call[0])):
            del call[0]
        if call[1:3] == ["-m", program]:
            call[:3] = [program]
        if call and call[0].rpartition("/")[2].removesuffix(".exe") == program:
            yield call[1:]
        call = []
