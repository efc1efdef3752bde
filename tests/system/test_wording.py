"""No code looks for words in a message: a message that is reworded changes nothing but what a person reads.

What is looked for, in every module of the package, is a message that is compared, searched or cut: the text of an
exception, and attributes and calls that hold sentences (``reason``, ``fault()``, ``note`` and so on).
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import edgefashion

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(edgefashion.__file__).parent

MESSAGES: Final = frozenset(
    {"away", "complaint", "detail", "fault", "headline", "hint", "note", "reason", "warning", "why", "why_not_well"}
)
"""Names of variables, attributes and calls that hold a sentence for people."""

TABLES: Final = frozenset({"kept"})
"""Functions of a table of wordings that are not among the names above."""

WRITING: Final = frozenset({"last_line", "openvino_reason", "reason_of", "repr", "short_reason", "str"})
"""Functions that make a text of an exception."""

TEXTS: Final = frozenset({"error", "message", "said", "told"})
"""Names that hold one where they are annotated as a text."""

CUTTING: Final = frozenset(
    {"count", "endswith", "find", "index", "partition", "removeprefix", "removesuffix", "rfind", "rindex", "rpartition"}
    | {"rsplit", "split", "splitlines", "startswith"}
)
"""Methods of a text whose result depends on its words."""

SEARCHING: Final = frozenset({"findall", "finditer", "fullmatch", "match", "search", "split"})
"""What a regular expression does likewise."""

ALLOWED: Final = {
    ("camera/settings_file.py", "re.split(' \\\\(at |: |; ', str(error))"): "tomllib's text, made shorter",
    ("camera/settings_file.py", "re.search('\\\\(at line (\\\\d+), column (\\\\d+)\\\\)$', message)"): (
        "tomllib has the place of a mistake in its text alone before Python 3.14"
    ),
    ("camera/settings_file.py", "'end of document' in message"): "the same",
    ("inference/remote/errors.py", "_TOO_LARGE.search(said)"): (
        "gRPC has one status for a busy server and for a message that is too large, and says which in words"
    ),
    ("inference/remote/errors.py", "str(error.status() or '').rpartition('.')"): "a status, and no sentence",
    ("tagging/old_tables.py", "words in error"): "tables of older versions hold nothing but their sentences",
}
"""By module and expression: why it may be."""


def test_no_message_is_compared() -> None:
    """No module compares, searches or cuts a message, but for the places that are allowed, each with its reason."""
    found = {
        (path.relative_to(PACKAGE).as_posix(), ast.unparse(node))
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in uses_of_messages(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert sorted(found - ALLOWED.keys()) == []
    assert sorted(ALLOWED.keys() - found) == [], "these are gone: take them off the list"


@pytest.mark.parametrize(
    "code",
    [
        "try: f()\nexcept OSError as e:\n  if 'same' not in str(e): raise",
        "try: f()\nexcept OSError as e:\n  text = f'{e}'\n  if text.startswith('No'): raise",
        "try: f()\nexcept OSError as e:\n  return e.args[0] == 'no'",
        "try: f()\nexcept OSError as e:\n  return str(e).split('. ')[0]",
        "def f(error: OSError): return str(error).partition(': ')[0]",
        "def f(error: OSError): return re.search('large', str(error))",
        "if moment.note.startswith('Nothing'): pass",
        "if source.reason == 'refused': pass",
        "if sink.fault() == 'stuck': pass",
        "why = board.why_not_well()\nif 'old' in why: pass",
        "line = wording.kept(moment.kept)\nif line.startswith('Nothing'): pass",
        "match event.reason:\n  case 'stopped': pass",
        "reason = {'a': 1}[row.reason]",
        "try: f()\nexcept OSError as e:\n  said = str(e).lower()\n  if 'x' in said: pass",
    ],
)
def test_what_is_found(code: str) -> None:
    """The ways in which a message can decide something are found."""
    assert list(uses_of_messages(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "if reason: pass",
        "if reason is None: pass",
        "if name in ('a', 'b'): pass",
        "try: f()\nexcept OSError as e:\n  if e.errno == 28: raise Error(f'{e}') from e",
        "text = ' '.join(str(error).split())",
        "if error is self.last: pass",
        "reason = source.reason[:1].upper()",
    ],
)
def test_what_is_left_alone(code: str) -> None:
    """A message may be there or not, be written, and be shortened; an error may be known by its class and number."""
    assert not list(uses_of_messages(ast.parse(code)))


# --- How it is found --------------------------------------------------------------------------


def uses_of_messages(tree: ast.AST) -> Iterator[ast.AST]:
    """The expressions of ``tree`` whose outcome depends on the words of a message."""
    messages = _Messages(tree)
    return (node for node in ast.walk(tree) if _depends(node, messages))


def _depends(node: ast.AST, messages: _Messages) -> bool:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [left, *others]
            by_words = any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in ops)
            return by_words and any(map(messages.holds, sides)) and not any(map(_is_no_text, sides))
        case ast.Call(func=ast.Attribute(attr="split" | "splitlines"), args=[]):
            return False  # into words or lines, to put them together again in one line
        case ast.Call(func=ast.Attribute(attr=name, value=text), args=arguments):
            cut = name in CUTTING and messages.holds(text)
            return cut or (name in SEARCHING and any(map(messages.holds, arguments)))
        case ast.Match(subject=subject):
            return messages.holds(subject)
        case ast.Subscript(value=ast.Dict() | ast.Name(), slice=key):
            return not isinstance(key, ast.Slice | ast.Constant) and messages.holds(key)
        case _:
            return False


class _Messages:
    """Which expressions of a module hold a message."""

    def __init__(self, tree: ast.AST) -> None:
        self._errors = set(_exceptions(tree))
        self._made: set[str] = set()
        self._names = set(MESSAGES) | {
            node.arg for node in ast.walk(tree) if isinstance(node, ast.arg) and node.arg in TEXTS and _is_text(node)
        }
        known = -1
        while known != len(self._names):  # a name may be made of another that is found later
            known = len(self._names)
            for node in ast.walk(tree):
                if isinstance(node, ast.Assign):
                    for target in node.targets:
                        self._assign(target, node.value)

    def _assign(self, target: ast.AST, value: ast.AST) -> None:
        """Whatever an exception's text is a part of may be searched for its words."""
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, its in zip(target.elts, value.elts, strict=False):
                self._assign(one, its)
        elif isinstance(target, ast.Name) and (self.holds(value) or any(map(self._is_made, ast.walk(value)))):
            self._names.add(target.id)
            self._made.add(target.id)

    def _is_made(self, node: ast.AST) -> bool:
        return self._is_error_text(node) or (isinstance(node, ast.Name) and node.id in self._made)

    def holds(self, node: ast.AST) -> bool:
        """Whether ``node`` is a message, or made of one."""
        match node:
            case _ if self._is_error_text(node):
                return True
            case ast.Call(func=ast.Attribute(attr="lower" | "strip" | "upper" | "casefold", value=value)):
                return self.holds(value)
            case ast.Call(func=ast.Attribute(attr=name)) | ast.Call(func=ast.Name(id=name)):
                return name in MESSAGES or name in TABLES
            case ast.BoolOp(values=values):
                return any(map(self.holds, values))
            case ast.Attribute(attr=name):
                return name in MESSAGES or name == "error"
            case ast.Name(id=name):
                return name in self._names and name not in self._errors
            case _:
                return False

    def _is_error_text(self, node: ast.AST) -> bool:
        match node:
            case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in WRITING:
                return any(map(self._is_error, ast.walk(first)))
            case ast.JoinedStr(values=values):
                return any(isinstance(each, ast.FormattedValue) and self._is_error(each.value) for each in values)
            case ast.Subscript(value=ast.Attribute(attr="args")) | ast.Attribute(attr="strerror"):
                return True
            case _:
                return False

    def _is_error(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self._errors


def _exceptions(tree: ast.AST) -> Iterator[str]:
    """The names that are bound to exceptions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        elif isinstance(node, ast.arg) and node.annotation is not None:
            if ast.unparse(node.annotation).strip("'\"").endswith(("Error", "Exception")):
                yield node.arg
        elif isinstance(node, ast.arg) and node.arg == "error" and not _is_text(node):
            yield node.arg


def _is_text(argument: ast.arg) -> bool:
    return argument.annotation is not None and ast.unparse(argument.annotation) in ("str", "str | None")


def _is_no_text(node: ast.AST) -> bool:
    """A number, or None: what a message is never compared with."""
    return isinstance(node, ast.Constant) and not isinstance(node.value, str)
