"""Any bytes as edgefashion.toml are settings, or refused in one line."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from helpers.fuzzing import check_refusal, fuzz, json_values, mutations, scratch
from hypothesis import example, given
from hypothesis import strategies as st

from edgefashion.camera import settings, settings_file
from edgefashion.errors import BadInputError

FILE = scratch() / settings.FILE_NAME
EXAMPLE = settings_file.example()
ALL_SET = "\n".join(
    line.removeprefix("# ") if "=" in line else "" for line in EXAMPLE.splitlines() if not line.startswith("# edgef")
)
WORDS = [b"=", b"[", b"]", b'"', b"'''", b"\\u0000", b"\n", b"labels", b"1e999", b"0x", b"true", b"#", b"\xef\xbb\xbf"]


def read(raw: bytes) -> dict[str, Any] | None:
    """What the file gives, None where it is refused."""
    FILE.write_bytes(raw)
    try:
        found = settings_file.load(FILE)
        settings.merge(found, {})
    except BadInputError as error:
        check_refusal(error)
        return None
    told = tomllib.loads(raw.decode("utf-8-sig"))
    assert found.keys() == told.keys(), "a setting was lost or made up"
    return found


@fuzz(80)
@given(st.binary() | st.text().map(str.encode) | mutations([EXAMPLE.encode(), ALL_SET.encode()], WORDS))
def test_any_bytes(raw: bytes) -> None:
    """Whatever the file holds, it is read whole or refused in one printable line."""
    read(raw)


def toml(value: Any) -> str:
    """A value as TOML; what that cannot say is left to be broken."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(of)}" for key, of in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


@fuzz(80)
@given(st.dictionaries(st.sampled_from([*settings.FIELDS, "labels", "nothing"]), json_values, max_size=4))
@example({"source": "0", "token": 12345678901234567890})
def test_any_value(told: dict[str, Any]) -> None:
    """A setting of whatever type and size is taken as it is or refused: never as something else."""
    found = read("".join(f"{key} = {toml(value)}\n" for key, value in told.items()).encode("utf-8", "surrogatepass"))
    for key, value in (found or {}).items():
        assert json.loads(json.dumps(value, default=str)) == told[key]
