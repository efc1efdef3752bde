"""Any bundle.json gives facts that can be used, or is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from helpers.fuzzing import as_json, check_refusal, fuzz, json_mutations, json_values, mutations, scratch
from hypothesis import example, given
from hypothesis import strategies as st

from edgefashion.bundles import bundle, resolve
from edgefashion.errors import BadInputError

FOLDER = scratch() / "shop"
FOLDER.mkdir()
FILE = FOLDER / bundle.INFO
SHIPPED = [(resolve.resolve(name).path / bundle.INFO).read_bytes() for name in ("edge", "kiosk")]
FACTS = [json.loads(raw) for raw in SHIPPED]


def opened(raw: bytes) -> None:
    """Open a bundle of these facts and use them; what is refused is refused in one printable line."""
    FILE.write_bytes(raw)
    try:
        found = bundle.open_bundle(FOLDER)
        facts = found.facts
        assert found.name.strip()
        assert len(facts.input_shape) == 3
        assert all(0 < edge < 2**31 for edge in facts.input_shape)
        assert found.takes_photos == (facts.input_shape[-1] == 3)
        assert 0 <= found.accept_threshold <= 1
        told = json.loads(raw)
        again = {**facts.as_json(), "format": told["format"], "files": dict(found.files)}
        FILE.write_bytes(as_json(again))
        assert same(bundle.open_bundle(FOLDER), found), "written and read again it tells something else"
        found.ir_files()
        for part in ("fp32", "int8", "saved_model"):
            found.sha256_of(part)
        found.verify_all()
    except BadInputError as error:
        check_refusal(error)


def same(one: bundle.Bundle, other: bundle.Bundle) -> bool:
    """Equal, where NaN is NaN. The hash of bundle.json is of its bytes, which may be written otherwise."""
    return repr(replace(one, sha256="")) == repr(replace(other, sha256=""))


@fuzz(40)
@given(st.binary() | mutations(SHIPPED, [b'"', b"{", b"}", b"[", b",", b"null", b"1e999", b"NaN", b"-1", b"\\ud800"]))
def test_any_bytes(raw: bytes) -> None:
    """Whatever the file holds, it is read as what it says or refused."""
    opened(raw)


@fuzz(80)
@given(json_mutations(FACTS) | json_values)
@example({**FACTS[0], "files": {"a" * 5000: "0"}})
@example({**FACTS[0], "files": {"\0": "0"}})
@example({**FACTS[0], "files": {"": "0"}})
@example({**FACTS[0], "files": {"fp32.xml": 5}})
@example({**FACTS[0], "thresholds": {"accept": float("nan")}})
@example({**FACTS[0], "input_shape": [28, 28, True]})
@example({**FACTS[0], "input_shape": [0]})
def test_any_facts(told: Any) -> None:
    """Whatever stands in place of a fact, it is refused, or used as it was meant."""
    opened(as_json(told))
