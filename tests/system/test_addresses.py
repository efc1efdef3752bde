"""Addresses are shown without their accounts and secrets, whatever people write into them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgefashion.camera.events import mqtt_client, webhook_client
from edgefashion.camera.sources import schemes
from edgefashion.errors import BadInputError
from edgefashion.inference.remote import address as model_address
from edgefashion.system.addresses import (
    all_shown,
    has_secret,
    how_to_escape,
    is_host,
    lacks_secret,
    shown,
    without_secrets,
)
from edgefashion.tagging import inventory

ACCOUNTS = {
    "rtsp://admin:S3cret@host/live": "rtsp://...@host/live",
    "rtsp://admin:S3c/ret@host": "rtsp://...@host",
    "rtsp://admin:S3c/ret@127.0.0.1:9/live": "rtsp://...@127.0.0.1:9/live",
    "rtsp://admin:12/34@192.168.1.4:554/": "rtsp://...@192.168.1.4:554/",
    "rtsp://john.doe:12/34@192.168.1.4/": "rtsp://...@192.168.1.4/",
    "rtsp://admin:my pass word@host/live": "rtsp://...@host/live",
    "rtsp://admin:a[b]c?d#e@[::1]:554/x": "rtsp://...@[::1]:554/x",
    "rtsp://me@shop.de:pa/ss@host/": "rtsp://...@host/",
    "rtsp://admin:a@b@c/d@host/x": "rtsp://...@host/x",
    "rtsp://admin:a::b@host/x": "rtsp://...@host/x",
    "rtsp://admin:x://y@host": "rtsp://...@host",
    "rtsp://DOMAIN\\me:S3cret@host/x": "rtsp://...@host/x",
    "rtsp://admin:S3cret\n@host/x": "rtsp://...@host/x",
    "rtsp://token@host/live": "rtsp://...@host/live",
    "rtsp://admin:S3cret": "rtsp://...",
    "RTSPS://admin:S3cret@host:322/": "RTSPS://...@host:322/",
    "rtsp:/admin:S3cret@host/live": "rtsp:/...@host/live",
    "admin:S3cret@192.168.1.5/live": "...@192.168.1.5/live",
    "admin:S3cret@cam/live": "...@cam/live",
    "rtsp//admin:S3cret@192.168.1.5/live": "rtsp//...@192.168.1.5/live",
    "rtsp:\\\\admin:S3cret@192.168.1.5\\live": "rtsp:\\\\...@192.168.1.5\\live",
    "\\\\me:S3cret@nas\\share\\a.jpg": "\\\\...@nas\\share\\a.jpg",
    "admin:S3cret@cam:554": "...@cam:554",
    "//admin:S3cret@192.168.1.5/live": "//...@192.168.1.5/live",
    "mqtt:user:S3cret@broker.shop/topic": "mqtt:...@broker.shop/topic",
    "mqtts://u:p%40ss@h:8883/t": "mqtts://...@h:8883/t",
    "grpc://u:S3cret@h:8001/edge": "grpc://...@h:8001/edge",
    "srt://u:S3cret@h:9000?mode=caller": "srt://...@h:9000?mode=caller",
    "udp://u:S3cret@h:1": "udp://...@h:1",
    "ftp://u:S3cret@h/a@2x.jpg": "ftp://...@h/a@2x.jpg",
    "s3://AKIA:wJal/K7MD+x@bucket/a.jpg": "s3://...@bucket/a.jpg",
    "simplecache::s3://k:s@b/x": "simplecache::s3://...@b/x",
    "zip://*.jpg::http://u:p@h/x.zip": "zip://*.jpg::http://...@h/x.zip",
    "zip://a@2x.jpg::simplecache::s3://k:s@b/x.zip": "zip://a@2x.jpg::simplecache::s3://...@b/x.zip",
    "postgresql+psycopg://u:S3cret@db/x": "postgresql+psycopg://...@db/x",
}
QUERIES = {
    "http://host/cgi?user=admin&pwd=S3cret": "http://host/cgi?user=...&pwd=...",
    "http://host/cgi?USER=admin&PWD=S3cret&ch=1": "http://host/cgi?USER=...&PWD=...&ch=1",
    "http://10.0.0.5/video.cgi?loginuse=admin&loginpas=a#b/c@d e&x=1": "http://10.0.0.5/video.cgi?loginuse=...&loginpas=...&x=1",
    "http://h:80/cgi?user=admin&pwd=p@ss/word": "http://...",
    "http://h/cgi?-usr=admin&-pwd=S3cret": "http://h/cgi?-usr=...&-pwd=...",
    "http://h/x?p%77d=S3cret": "http://h/x?p%77d=...",
    "http://h/x?login[password]=S3cret&a=1": "http://h/x?login[password]=...&a=1",
    "http://h/get?id=3&access_token=abc&key=def": "http://h/get?id=3&access_token=...&key=...",
    "https://b.s3.amazonaws.com/a.jpg?X-Amz-Credential=AK/2&X-Amz-Signature=ab&X-Amz-Date=1": (
        "https://b.s3.amazonaws.com/a.jpg?X-Amz-Credential=...&X-Amz-Signature=...&X-Amz-Date=1"
    ),
    "https://x.blob.core.windows.net/c/a.jpg?sv=1&sig=ab%3D": "https://x.blob.core.windows.net/c/a.jpg?sv=1&sig=...",
    "http://host.de/#access_token=abc": "http://host.de/#access_token=...",
    "http://h/a;jsessionid=abc?x=1": "http://h/a;jsessionid=...",
    "http://h/a.jpg?st=S3cret&e=1700000000": "http://h/a.jpg?st=...&e=1700000000",
    "http://h/a.ts?hdnts=exp=1~acl=/*~hmac=S3cret": "http://h/a.ts?hdnts=...",
    "http://h/a?md5=S3cret&expires=1": "http://h/a?md5=...&expires=1",
    "http://h/a?nutzer=a&kennwort=S3cret": "http://h/a?nutzer=a&kennwort=...",
    "http://h/a?contrase%C3%B1a=S3cret": "http://h/a?contrase%C3%B1a=...",
    "http://h/a?mdp=S3cret&x=1": "http://h/a?mdp=...&x=1",
    "http://h/a?senha=S3cret": "http://h/a?senha=...",
    "http://h/x?auth=eyJhbGciOi.eyJzdWIi.abc": "http://h/x?auth=...",
    "http://h/x?v=eyJhbGciOi.eyJzdWIi.abc": "http://h/x?v=...",
    "http://proxy.de/cgi?url=rtsp%3A%2F%2Fa%3Ab%40host": "http://proxy.de/cgi?url=...",
    "http://proxy/cgi?url=rtsp://a:b@host/x": "http://...@host/x",
    "rtsp://10.0.0.5:554/user=admin_password=S3cret_channel=1_stream=0.sdp?real_stream": (
        "rtsp://10.0.0.5:554/user=..._password=..._channel=1_stream=0.sdp?real_stream"
    ),
    "rtsp://10.0.0.5/user=admin&password=S3cret&channel=1": "rtsp://10.0.0.5/user=...&password=...&channel=1",
    "srt://h.de:9000?mode=caller&streamid=#!::u=admin,s=pw&latency=2": (
        "srt://h.de:9000?mode=caller&streamid=...&latency=2"
    ),
    "srt://h:9000?passphrase=a b&mode=caller": "srt://h:9000?passphrase=...&mode=caller",
    "mqtt://h/t?password=S3cret": "mqtt://h/t?password=...",
    "192.168.1.5/cgi?user=a&pwd=b": "192.168.1.5/cgi?user=...&pwd=...",
    "s3://bucket/a.jpg?versionId=1&token=abc": "s3://bucket/a.jpg?versionId=1&token=...",
}
PLAIN = [
    "0",
    "edge",
    "/dev/video0",
    "clip.mp4",
    "cam:1.mp4",
    "a@2x.jpg",
    "photos/a@b:c.jpg",
    "photos//a:b@c.jpg",
    "photos/user=3/password=x/a.jpg",
    "image.jpg?token=abc",
    "what?user=x.jpg",
    "C:\\photos\\a@2x.jpg",
    "C:/photos/a:b@shop.de",
    "\\\\server\\share\\user=x\\a@b.jpg",
    "udp://@239.0.0.1:1234",
    "udp://0.0.0.0:1234?pkt_size=1316",
    "rtsp://192.168.1.5:554/live@hd",
    "http://cdn.shop.com:8080/img/a@2x.jpg",
    "http://shop:8080/img/a@3x.png",
    "http://[::1]:8080/a.jpg",
    "http://h/get?id=3&size=10&name.x=y",
    "abfs://container@account/a.jpg",
    "github://org:repo@main/a.jpg",
    "s3://bucket/a@2x.jpg",
    "s3://bucket/user=1/day=2/a.jpg",
    "gs://bucket/a@b/c.jpg",
    "zip://a@b.jpg::shop.zip",
    "file:///home/a:b@c/x.jpg",
    "memory://a:b@c.jpg",
    "mqtt://localhost:1883/shop/garments",
    "http://HOST:8001/v2/models/NAME",
    "http://h/.../wait...jpg",
    "s3://shop/...",
    "file:///photos/...and more/a...@2x.jpg",
]


@pytest.mark.parametrize(("address", "safe"), [*ACCOUNTS.items(), *QUERIES.items()])
def test_what_is_hidden(address: str, safe: str) -> None:
    """Accounts and the secrets of queries are hidden, and the rest of the address can still be read."""
    assert shown(address) == safe
    assert shown(safe) == safe
    assert lacks_secret(safe) or "://" not in safe.replace(":/.", "://")  # of what has no scheme nobody opens any
    assert has_secret({"events": [address]})
    assert all_shown({"events": (address, 3)}) == {"events": (safe, 3)}


@pytest.mark.parametrize(
    ("take", "address"),
    [
        (schemes.resolved, "rtsp://...@192.168.1.5/live"),
        (schemes.resolved, "http://192.168.1.5/cgi?user=...&pwd=...&ch=1"),
        (schemes.resolved, "rtsp://10.0.0.5:554/user=..._password=..._channel=1_stream=0.sdp"),
        (model_address.parse, "http://...@host:8000/v2/models/edge"),
        (webhook_client.parse, "https://...@host/hook"),
        (webhook_client.parse, "https://host/hook?token=..."),
        (mqtt_client.parse, "mqtt://...@host/shop"),
        (lambda url: inventory.check([url]), "https://...@host/a.jpg"),
        (lambda url: inventory.check([url]), "zip://*.jpg::https://host/s.zip?sig=..."),
    ],
)
def test_an_address_that_was_copied_from_a_message(take: Callable[[str], object], address: str) -> None:
    """No server is asked with the dots for a login: a few of these lock an account. What to write is said."""
    with pytest.raises(BadInputError, match=r"is hidden\. Write it in the place of \.\.\."):
        take(address)


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_left(text: str) -> None:
    """A path of Windows or Linux, a name, and an address without an account stay as they are, an @ in them too."""
    assert shown(text) == text
    assert not has_secret([text])
    assert not lacks_secret(text)
    assert without_secrets(f"{text} cannot be read") == f"{text} cannot be read"
    assert how_to_escape(text) == ""


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("rtsp://u:p@h/x: gone. Ask rtsp://v:q r@i/y again", "rtsp://...@h/x: gone. Ask rtsp://...@i/y again"),
        ("{'a': 'http://h/c?pwd=x', 'b': 1}", "{'a': 'http://h/c?pwd=...', 'b': 1}"),
        ("GET http://h/c?user=a&pwd=b: 401. Try again", "GET http://h/c?user=...&pwd=...: 401. Try again"),
        ("Write USER:PASSWORD@ before http://nas:8001", "Write USER:PASSWORD@ before http://nas:8001"),
        ("http://nas:8001/x: write USER:PASSWORD@ before", "http://nas:8001/x: write USER:PASSWORD@ before"),
        ("Write http://HOST:PORT/v2/models/NAME", "Write http://HOST:PORT/v2/models/NAME"),
        ("rtsp://...@h: away", "rtsp://...@h: away"),
        ("line 1 http://u:p\nline 2 a@b", "line 1 http://u:p\nline 2 a@b"),
    ],
)
def test_sentences(text: str, safe: str) -> None:
    """Of a sentence only what is secret in its addresses is hidden."""
    assert without_secrets(text) == safe


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("rtsp://admin:S3c/ret@host", "In a user or password write / as %2F"),
        ("rtsp://admin:S3c#r t@host", "In a user or password write # as %23 and a space as %20"),
        ("mqtt://me@shop.de:a[@h/t", "In a user or password write @ as %40 and [ as %5B"),
        ("rtsp://admin:p@ss@host", ""),
        ("rtsp://admin:a:b@host", ""),
        ("rtsp://admin:S3c%2Fret@host", ""),
        ("s3://bucket/a@2x.jpg", ""),
        ("photos/a@2x.jpg", ""),
    ],
)
def test_how_to_escape(address: str, hint: str) -> None:
    """An address that its password breaks is told which characters to write otherwise, none of the others."""
    assert how_to_escape(address) == hint


@pytest.mark.parametrize("odd", ["\udcff", "\udcc3\udcbc\ud800", "\0"])
def test_odd_bytes(odd: str) -> None:
    """An account with what is no text is hidden as any other, as it is written and in %-codes."""
    address = f"mqtt://u{odd}ser:S3{odd}cret@host/t"
    safe = without_secrets(f"no text: {address}, or S3{odd}cret", address)
    assert safe.startswith("no text: mqtt://...@host/t")
    assert "cret" not in safe
    assert "cret" not in without_secrets("at mqtt://u%FFser:S3%FFcret@host/t", "mqtt://u\udcffser:S3\udcffcret@host/t")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("host", True),
        ("broker.shop.", True),
        ("a_b-1.local", True),
        ("größe.de", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("", False),
        (".", False),
        ("a..b", False),
        (".a", False),
        ("a" * 64, False),
        ("a\0b", False),
        ("a b", False),
        ("a\x7f", False),
        ("\udcff", False),
    ],
)
def test_hosts(name: str, is_one: bool) -> None:
    """A name that no library can look up without falling over is no host."""
    assert is_host(name) == is_one


def test_long_texts() -> None:
    """A text of a million characters without a secret takes no longer than reading it."""
    for filler in ("_", "a", "/", ":/", "@", "=", "a=", "_a", "x://", "&pwd"):
        text = "http://h/" + filler * (200_000 // len(filler))
        assert without_secrets(text)
