"""Each failure of a source has its own words, its own remedy, and its own pace of trying again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from helpers.mqtt import free_port
from helpers.odd_cameras import LOGIN, OddCameras, certificate, rtsp_answering

from edgefashion.camera.sources import http_answer
from edgefashion.camera.sources.failures import KINDS, RETRY_S, StreamLostError, advice, by_ffmpeg, by_status, told
from edgefashion.camera.sources.reconnect import Attempts
from edgefashion.camera.sources.source import open_source
from edgefashion.errors import BadInputError, MissingError
from edgefashion.system.backoff import LOGIN_S

_OPEN = """
import json, sys
from edgefashion.camera.sources import opencv
from edgefashion.camera.sources.capture_worker import Opener
from edgefashion.camera.sources.failures import StreamLostError
opencv.LISTEN_S = 1.0
log, told = opencv.FfmpegLog(), {}
for url in json.load(sys.stdin):
    try:
        stream, _ = Opener(url, True, log).open()
        for _ in range(3):
            stream.grab(10)
        told[url] = ["", str(stream.picture().shape)]
        stream.close()
    except StreamLostError as error:
        told[url] = [error.kind, str(error)]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, str]]]:
    """What became of opening each address of the tables below: the kind of its failure, empty for none, and its words.

    All in one process, as the import of OpenCV takes longer than all of them.
    """
    texts = {"page": b"<html>Camera</html>", "text.txt": b"1\n" * 500, "state": b"{}", "film.mp4": b"no film" * 99}
    own, other = (certificate(tmp_path_factory.mktemp("tls")) for _ in range(2))
    with (
        OddCameras(texts) as plain,
        OddCameras({"film.mp4": b"no film" * 99}, own) as encrypted,
        rtsp_answering() as rtsp,
    ):
        nobody = f"127.0.0.1:{free_port()}"
        places = {"H": plain.at, "S": encrypted.at, "R": rtsp, "N": nobody}
        places |= {"OWN": str(own.with_name("cert.pem")), "OTHER": str(other)}
        urls = {row[0]: _filled(row[0], places) for row in (*READ, *FAILURES)}
        done = subprocess.run(
            [sys.executable, "-c", _OPEN],
            input=json.dumps(list(urls.values())),
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )
        told = json.loads(done.stdout)
        yield {url: tuple(told[filled]) for url, filled in urls.items()}


def _filled(url: str, places: dict[str, str]) -> str:
    for name, place in places.items():
        url = url.replace(f"<{name}>", place)
    return url.replace("<LOGIN>", LOGIN)


READ = [
    ("http://<H>/video", "motion JPEG"),
    ("HTTP://<H>/video", "a scheme in capitals"),
    ("http://<H>/jpg", "parts named image/jpg"),
    ("http://<H>/png", "parts that are PNGs"),
    ("http://<H>/once", "a multipart answer of one picture"),
    ("http://<H>/my video?a=b c", "spaces in the path"),
    ("https://<S>/video", "a certificate of the camera's own making"),
    ("https://<S>/video#ca=<OWN>", "a certificate that is checked"),
    ("https://<LOGIN><S>/moved/digest#ca=<OWN>", "the same behind a redirect and a login"),
    ("https://<S>/shot.jpg#ca=<OWN>", "the same of a picture"),
    ("http://<H>/moved", "a redirect"),
    ("http://<H>/moved/moved/video", "two redirects"),
    ("http://<LOGIN><H>/moved/basic", "a redirect to where a login is wanted"),
    ("https://<LOGIN><S>/digest", "TLS and a login"),
    ("http://<LOGIN><H>/basic", "a login of the kind Basic"),
    ("http://<LOGIN><H>/digest", "a login of the kind Digest"),
    ("http://<LOGIN><H>/digest256", "a login of either kind, Digest with SHA-256"),
    ("http://<LOGIN><H>/forbidding", "403 where a login is wanted"),
    ("http://<LOGIN><H>/video", "a login that nobody asked for"),
    ("http://<H>/shot.jpg", "a picture"),
    ("http://<H>/shot.png", "a picture that is a PNG"),
    ("http://<H>/unnamed", "a picture that is said to be anything"),
    ("https://<S>/moved/shot.jpg", "a picture by TLS behind a redirect"),
]

FAILURES = [
    ("http://<H>/basic", "login wanted", "asks for a user and password"),
    ("http://admin:wr0ng@<H>/basic", "login", "refuses the user and password"),
    ("http://admin:wr0ng@<H>/digest", "login", "refuses the user and password"),
    ("http://admin:wr0ng@<H>/moved/digest", "login", "refuses the user and password"),
    ("http://<LOGIN><H>/unknown", "login kind", "kind that is not known"),
    ("http://<H>/403", "forbidden", "403"),
    ("http://<H>/404", "path", "404"),
    ("http://<H>/410", "path", "410"),
    ("http://<H>/400", "request", "400 Bad Request"),
    ("http://<H>/429", "busy", "429"),
    ("http://<H>/500", "server", "500 Internal Server Error"),
    ("http://<H>/503", "server", "503 Service Unavailable"),
    ("http://<H>/302", "redirect", "302"),
    ("http://<H>/round", "redirect", "from address to address"),
    ("http://<H>/away", "redirect", "leads to rtsp://...@127.0.0.1:9/live"),
    ("http://<H>/page", "page", "text/html"),
    ("http://<H>/state", "page", "application/json"),
    ("http://<H>/text.txt", "page", "a text, no video"),
    ("http://<H>/film.mp4", "spoiled", "no video"),
    ("https://<H>/video", "tls", "no encrypted connection"),
    ("https://<H>/video#ca=<OWN>", "tls", "no encrypted connection"),
    ("https://<S>/video#ca=system", "certificate", "its certificate does not pass: self-signed certificate"),
    ("https://<S>/video#ca=<OTHER>", "certificate", "its certificate does not pass"),
    ("https://<S>/video#ca=/no/where.pem", "certificate", "#ca=/no/where.pem cannot be read: no such file"),
    ("https://<S>/video#ca=/dev/null", "certificate", "no certificate in PEM is in it"),
    ("https://<S>/film.mp4#ca=<OWN>", "unchecked", "a film or a stream in segments"),
    ("https://<S>/open#ca=<OWN>", "unchecked", "without encryption"),
    ("http://<S>/video", "lost", "hangs up"),
    ("http://<N>/video", "refused", "connection refused"),
    ("rtsp://<N>/live", "refused", "connection refused"),
    ("rtmp://<N>/live", "refused", "connection refused"),
    ("tcp://<N>", "refused", "connection refused"),
    ("http://no.such.host.invalid/video", "name", "no machine"),
    ("rtsp://no.such.host.invalid/live", "name", "no machine"),
    ("rtsp://<R>/401", "login wanted", "asks for a user and password"),
    ("rtsp://admin:wr0ng@<R>/401", "login", "refuses the user and password"),
    ("RTSP://<R>/403", "forbidden", "403"),
    ("rtsp://<R>/404", "path", "404"),
    ("rtsp://<R>/453", "busy", "453"),
    ("rtsp://<R>/461", "transport", "461"),
    ("rtsp://<R>/503", "server", "503"),
    ("rtsp://<H>/video", "request", "no stream"),
    ("rtsps://<H>/video", "tls", "no encrypted connection"),
    ("udp://<N>", "nothing sent", "nothing readable was sent for 1 s"),
    ("rtp://@<N>", "nothing sent", "nothing readable was sent for 1 s"),
    ("999", "no device", "no such camera"),
    ("/dev/video999", "no device", "no such camera"),
    ("/dev/null", "no camera", "it is no camera"),
]


@pytest.mark.linux_only("POSIX's words for a refused connection, and openssl")
@pytest.mark.parametrize(("url", "what"), READ, ids=[row[0] for row in READ])
def test_read_like_any_other(opened: dict[str, tuple[str, str]], url: str, what: str) -> None:
    """However a camera offers its pictures over HTTP, they are read."""
    assert opened[url] == ("", "(240, 320, 3)"), what


@pytest.mark.linux_only("POSIX's words for a refused connection, and openssl")
@pytest.mark.parametrize(("url", "kind", "words"), FAILURES, ids=[row[0] for row in FAILURES])
def test_each_failure_is_named(opened: dict[str, tuple[str, str]], url: str, kind: str, words: str) -> None:
    """What a source fails of is told as what it is."""
    found, said = opened[url]
    assert (found, words in said) == (kind, True), said
    assert "wr0ng" not in said
    assert "S3c" not in said


def test_tables_are_of_every_kind() -> None:
    """Each kind of failure is met above, but those of a stream that went on for a while, and has its own remedy."""
    later = {
        "no pictures",
        "lost",
        "silent",
        "address",
        "broke off",
        "over",
        "sdp",
        "port",
        "not allowed",
        "device",
        "no sdp",
    }
    assert {kind for _, kind, _ in FAILURES} | later >= set(KINDS)
    remedies = [kind.remedy for kind in KINDS.values()]
    assert len(set(remedies)) == len(remedies)


@pytest.mark.parametrize(
    ("log", "kind"),
    [
        ("[rtsp @ 0x1] method SETUP failed: 453 Not Enough Bandwidth", "busy"),
        ("[rtsp @ 0x1] method DESCRIBE failed: 401 Unauthorized", "login"),
        ("[https @ 0x1] HTTP error 404 Not Found", "path"),
        ("[rtp @ 0x1] Unable to receive RTP payload type 96 without an SDP file describing it", "sdp"),
        ("[udp @ 0x1] bind failed: Address already in use", "port"),
        ("[tcp @ 0x1] Failed to resolve hostname nobody: Name or service not known", "name"),
        ("[tls @ 0x1] error:1408F10B:SSL routines:ssl3_get_record:wrong version number", "tls"),
        ("[rtmp @ 0x1] Server error: Authentication failed.", "path"),
        ("[h264 @ 0x1] non-existing PPS 0 referenced", None),
        ("", None),
    ],
)
def test_what_ffmpeg_writes(log: str, kind: str | None) -> None:
    """What FFmpeg writes of a failure names its kind, and an address in it is not repeated."""
    failure = by_ffmpeg(f"{log} rtsp://admin:S3cret@host/live", with_login=True)
    assert (failure and failure.kind) == kind
    assert "S3cret" not in str(failure)


def test_a_login_is_tried_seldom() -> None:
    """A refused login waits a minute and then longer; a camera that was off in between does not shorten that, and a
    loss after it is not put off."""
    attempts = Attempts(None)

    def wait_s(kind: str) -> float:
        attempts.put_off(0.0, kind, failed=True)
        return attempts.due_s

    assert wait_s("login") >= 0.75 * LOGIN_S[0]
    assert wait_s("refused") <= 1.25 * RETRY_S[0]
    assert wait_s("login") >= 1.5 * LOGIN_S[0]
    attempts.steady()
    assert wait_s("login") <= 1.25 * LOGIN_S[0]


def test_the_camera_tries_a_wrong_password_once() -> None:
    """A camera that refuses the password has been asked once with it, also where it is waited for; the reason says
    what to do, and what is waited for says it as an event."""
    with OddCameras() as cameras:
        url = cameras.url("digest", "admin:wr0ng@")
        with pytest.raises(BadInputError, match=r"refuses the user and password \(401\)\. Correct them") as caught:
            open_source(url)
        assert "wr0ng" not in str(caught.value)
        assert len(cameras.logins) == 1
        source = open_source(url, wait=True)
        while not source.reason:
            source.read(0.1)
        assert source.reason == told("it refuses the user and password (401)", "login")
        assert "cameras lock an account" in source.reason
        source.read(1.5)
        assert len(cameras.logins) == 2
        source.close()


def test_failures_that_end_a_run() -> None:
    """After as many failures as are allowed the error is bad input where what was given is wrong, else that something
    is missing, each with its remedy."""
    with OddCameras() as cameras:
        with pytest.raises(BadInputError, match="Correct the path"):
            open_source(cameras.url("404"))
        with pytest.raises(MissingError, match="Restart the camera"):
            open_source(cameras.url("503"))
    assert advice("busy").startswith("End another viewer")
    assert by_status(418, "I'm a teapot", with_login=False).kind == "request"


@pytest.mark.parametrize(
    ("url", "location", "leads_to"),
    [
        ("http://u:p@cam/a", "/b", "http://u:p@cam/b"),
        ("http://u:p@cam/a", "https://cam/b", "https://u:p@cam/b"),
        ("https://u:p@cam/a", "http://cam/b", "http://cam/b"),
        ("http://u:p@cam/a", "http://other/b", "http://other/b"),
        ("http://u:p@cam/a", "http://[x/", None),
        ("http://u:p@cam/a", "ftp://cam/b", None),
    ],
)
def test_where_a_redirect_leads(url: str, location: str, leads_to: str | None) -> None:
    """An account goes along to the same host, and never in the clear where it was encrypted; what is no address is a
    failure with its own words."""
    if leads_to is None:
        with pytest.raises(StreamLostError) as caught:
            http_answer._led_to(url, location)
        assert "\n" not in str(caught.value)
    else:
        assert http_answer._led_to(url, location) == leads_to
