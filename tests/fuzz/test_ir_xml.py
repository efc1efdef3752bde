"""Any bytes as the .xml of an IR pass the guard's first look, or are refused by it."""

from __future__ import annotations

from helpers.fuzzing import check_refusal, fuzz, mutations, scratch
from helpers.hostile_networks import network, saved
from hypothesis import given
from hypothesis import strategies as st

from edgefashion.bundles.guard import ir_xml

FILE = scratch() / "m.xml"
_TEXT, _WEIGHTS = saved(network())
VALID, WEIGHTS_BYTES = _TEXT.encode(), len(_WEIGHTS)
WORDS = [
    *(b"<", b">", b"/>", b"</net>", b"<layer id='1' type='Const'>", b"<edge from-layer='0'/>", b"<dim>", b"</dim>"),
    *(
        b"&amp;",
        b"&#0;",
        b"<!DOCTYPE a>",
        b"<!--",
        b"]]>",
        b"-1",
        b"?",
        b"1..",
        b"9" * 30,
        b"\xff\xfe",
        b"\0",
        b"'",
        b'"',
    ),
    *(
        b"offset='99'",
        b"size='-1'",
        b"rt_info",
        b"type='Loop'",
        b"\xc2\xb2",
        b"<?xml version='1.0' encoding='utf-16'?>",
    ),
]


@fuzz(100)
@given(st.binary() | mutations([VALID], WORDS))
def test_any_bytes(raw: bytes) -> None:
    """The look ends with nothing or with a refusal that says why in printable words."""
    FILE.write_bytes(raw)
    try:
        ir_xml.scan(FILE, WEIGHTS_BYTES)
    except ir_xml.RefusedError as error:
        check_refusal(error)


def test_the_valid_one_passes() -> None:
    """What the mutations begin with is an IR that passes: else they would prove nothing."""
    FILE.write_bytes(VALID)
    ir_xml.scan(FILE, WEIGHTS_BYTES)
