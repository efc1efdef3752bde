"""Any text as the URL of a served model is an address, or refused."""

from __future__ import annotations

from urllib.parse import urlsplit

from helpers.fuzzing import check_refusal, fuzz, mutations
from hypothesis import example, given
from hypothesis import strategies as st

from edgefashion.errors import BadInputError
from edgefashion.inference.remote import address

VALID = [
    b"http://shop:8080/v2/models/edge",
    b"https://user:pa%20ss@[::1]:8443/behind/a/proxy/v2/models/kiosk/",
    b"grpc://10.0.0.7:8081/edge",
    b"grpc://localhost:8081/v2/models/edge",
]
WORDS = [
    b"/",
    b"//",
    b":",
    b"@",
    b"%",
    b"%00",
    b"%2F",
    b"?",
    b"#",
    b"[",
    b"]",
    b"\\",
    b" ",
    b"\n",
    b"v2/models/",
    b"0",
    b"99999",
]


@fuzz(150)
@given(st.text() | mutations(VALID, WORDS).map(lambda raw: raw.decode(errors="surrogateescape")))
@example("grpc://0:1/%00")
@example("http://shop/v2/models/a%0D%0Ab")
def test_any_text(url: str) -> None:
    """It is refused in one printable line, or taken: then it names a server that an HTTP client can be told, and the
    same again when it is handed on."""
    try:
        found = address.parse(url)
    except BadInputError as error:
        check_refusal(error)
        return
    assert found.model
    assert found.server
    assert not set(found.server.partition("/")[0]) & set("@/\\?# \n")
    assert urlsplit(f"//{found.server}").port != 0
    assert str(found).isprintable()
    assert address.parse(found.with_account) == found
