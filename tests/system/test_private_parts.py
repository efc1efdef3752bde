"""Parts of libraries that are private, or that no documentation promises, are known, and their libraries are capped."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import edgefashion

ROOT = Path(__file__).parents[2]
PACKAGE = Path(edgefashion.__file__).parent

KNOWN = {
    ("ai-edge-litert", "_get_ops_details", "inference/onnx_litert_engine.py"),
    ("keras", "_flatten_layers", "training/run.py"),
    ("keras", "_flatten_layers", "training/zoo/architecture.py"),
    ("kserve", "kserve.protocol.dataplane.DataPlane", "serving/protocol.py"),
    ("kserve", "kserve.protocol.grpc.grpc_predict_v2_pb2", "serving/grpc_server.py"),
    ("kserve", "kserve.protocol.grpc.grpc_predict_v2_pb2_grpc", "serving/grpc_server.py"),
    ("kserve", "kserve.protocol.grpc.servicer.InferenceServicer", "serving/grpc_server.py"),
    ("kserve", "kserve.protocol.infer_type.InferInput", "serving/protocol.py"),
    ("kserve", "kserve.protocol.infer_type.InferInput", "serving/encoded_pictures.py"),
    ("kserve", "kserve.protocol.infer_type.InferInput", "serving/request_input.py"),
    ("kserve", "kserve.protocol.infer_type.InferRequest", "serving/protocol.py"),
    ("kserve", "kserve.protocol.infer_type.RequestedOutput", "serving/protocol.py"),
    ("kserve", "kserve.protocol.model_repository_extension.ModelRepositoryExtension", "serving/protocol.py"),
    ("kserve", "kserve.protocol.rest.server.metrics_handler", "serving/rest.py"),
    ("kserve", "kserve.protocol.rest.v2_endpoints.register_v2_endpoints", "serving/rest.py"),
    ("numpy", "_core", "system/machine.py"),
    ("numpy", "_multiarray_umath", "system/machine.py"),
    ("paho-mqtt", "_handle_pubrec", "camera/events/mqtt_client.py"),
    ("paho-mqtt", "_in_packet", "camera/events/mqtt_client.py"),
    ("paho-mqtt", "_messages_reconnect_reset_out", "camera/events/mqtt_client.py"),
    ("paho-mqtt", "_out_messages", "camera/events/mqtt_client.py"),
    ("openvino", "_pyopenvino", "inference/openvino_engine.py"),
    ("ray", "_node_ip_address", "tagging/ray_worker.py"),
    ("ray", "_temp_dir", "tagging/ray_worker.py"),
    ("uvicorn", "uvicorn.protocols.http.h11_impl.H11Protocol", "system/pages/server.py"),
    ("uvicorn", "uvicorn.protocols.http.httptools_impl.HttpToolsProtocol", "serving/rest.py"),
}
"""(library, what of it, where)."""

UNDOCUMENTED = ("kserve.protocol", "uvicorn.protocols")
"""Modules without an underscore that their libraries do not document."""

PUBLIC = {"_asdict", "_exit", "_fields", "_replace"}
"""What Python itself documents: ``os._exit``, and the methods of named tuples."""


def is_private(name: str | None) -> bool:
    return name is not None and re.fullmatch(r"_[a-zA-Z]\w*", name) is not None


def private_names(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """The names that code defines (False), and those it uses (True) as an attribute or a keyword."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, False
            case ast.Name(ctx=ast.Store()):
                yield node.id, False
            case ast.arg():
                yield node.arg, False
            case ast.Attribute(value=ast.Name(id="self" | "cls"), ctx=ast.Store()):
                yield node.attr, False
            case ast.Attribute():
                yield node.attr, True
            case ast.keyword(arg=str()):
                yield str(node.arg), True
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr"), args=[_, ast.Constant(value=str() as name), *_]
            ):
                yield name, True


def of_parents(tree: ast.AST) -> Iterator[str]:
    """The private names that code looks up in a class's parent."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"))) if is_private(node.attr):
                yield node.attr


def imported(tree: ast.AST) -> Iterator[str]:
    """What code imports, by its whole name."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str() as module):
                yield from (f"{module}.{alias.name}" for alias in node.names)
            case ast.Import():
                yield from (alias.name for alias in node.names)


def found() -> set[tuple[str, str]]:
    """(what, where) of all private and undocumented parts that the package uses."""
    trees = {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_bytes()) for path in PACKAGE.rglob("*.py")}
    defined = Counter(name for tree in trees.values() for name, used in private_names(tree) if not used)
    parts: set[tuple[str, str]] = set()
    for where, tree in trees.items():
        # What only one class defines, and that looks it up in its parent, is the parent's.
        theirs = {name for name in of_parents(tree) if defined[name] == 1}
        theirs |= {name for name, used in private_names(tree) if used and not defined[name]}
        theirs |= {
            name for whole in imported(tree) if not whole.startswith("edgefashion.") for name in whole.split(".")
        }
        parts |= {(name, where) for name in theirs - PUBLIC if is_private(name)}
        parts |= {(whole, where) for whole in imported(tree) if whole.startswith(UNDOCUMENTED)}
    return parts


def test_all_are_known() -> None:
    """No private part of a library is used but those listed here, and none is listed that is not used any more."""
    assert found() == {(what, where) for _, what, where in KNOWN}


def test_their_libraries_are_capped() -> None:
    """Wherever the project names such a library it gives an upper bound, and the line says why."""
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    project = tomllib.loads("\n".join(lines))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    for library in sorted({library for library, _, _ in KNOWN}):
        named = [one for one in wanted if re.match(r"[\w-]+", one)[0] == library]  # type: ignore[index]
        assert named, library
        for one in named:
            assert re.search(r",<\d", one), one
            assert [line for line in lines if line.strip().startswith(f'"{one}",  # ')], (
                f"{one} is capped without a reason"
            )
