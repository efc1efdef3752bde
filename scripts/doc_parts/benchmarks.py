"""The benchmarks themselves: what each asks, and the machines their results come from."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any, Final

from doc_parts.results import Results, table


def scripts(results: Results) -> str:
    """Every script and the first paragraph of its docstring."""
    rows = []
    for path in sorted((results.root / "benchmarks").glob("*/*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        name = path.relative_to(results.root / "benchmarks").as_posix()
        rows.append((f"[{name}]({name})", " ".join(said.partition("\n\n")[0].split())))
    return table(("script", "what it does"), rows)


def machines(results: Results) -> str:
    """The machines that results name, and which results are theirs."""
    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for path in sorted((results.root / "benchmarks").glob("**/results/*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if machine := _machine(result):
            # A timed run also says how busy the machine was.
            key = json.dumps({name: fact for name, fact in machine.items() if name != "others_cpu_share"})
            found.setdefault(key, (machine, []))[1].append(path.name)
    rows = []
    for machine, names in found.values():
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        rows += [
            ("CPU", f"{machine['cpu']}, {machine['cores']} cores, {' '.join(machine['isa'])}"),
            ("memory, system", f"{machine['ram_gb']} GB, {machine['os']}"),
            ("versions", versions),
            ("results", ", ".join(names)),
        ]
    return table(("machine", ""), rows)


def _machine(result: Any) -> dict[str, Any] | None:
    if not isinstance(result, dict):
        return None
    inside = (each["machine"] for each in result.values() if isinstance(each, dict) and "machine" in each)
    machine: dict[str, Any] | None = result.get("machine") or next(inside, None)
    return machine


PARTS: Final[dict[str, Callable[[Results], str]]] = {"scripts": scripts, "machines": machines}
