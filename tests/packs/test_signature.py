"""A pack is installed where its signature is of the key that is asked for, over these very files; else nowhere."""

from __future__ import annotations

import datetime
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from edgefashion.bundles import pack
from edgefashion.errors import BadInputError, MissingError
from edgefashion.packs import install as installing
from edgefashion.packs import signature
from edgefashion.packs.install import install
from edgefashion.system import extras

pytestmark = pytest.mark.usefixtures("packs", "unproved")


@pytest.fixture
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about what comes before a network is tried."""
    monkeypatch.setattr(installing, "_guard", lambda *_: None)
    monkeypatch.setattr(installing, "_try", lambda *_, **__: None)


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None = None) -> bytes:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)


def pair(name: str) -> tuple[Path, Path]:
    """A private and a public key in the files ``name.pem`` and ``name.pub``."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = Path(f"{name}.pem"), Path(f"{name}.pub")
    private.write_bytes(_pem(key))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return private, public


def authority(name: str) -> tuple[Path, Path, Path]:
    """An authority's certificate, and a key with the certificate that it has issued."""
    now = datetime.datetime.now(datetime.UTC)
    top, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def issued(to: str, key: ec.EllipticCurvePrivateKey, is_authority: bool) -> bytes:
        made = x509.CertificateBuilder(
            issuer_name=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]),
            subject_name=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, to)]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=1),
        ).add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        usage = x509.KeyUsage(not is_authority, False, False, False, False, is_authority, False, False, False)
        return made.add_extension(usage, True).sign(top, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    files = Path(f"{name}-ca.crt"), Path(f"{name}.pem"), Path(f"{name}.crt")
    for file, data in zip(files, (issued(name, top, True), _pem(own), issued("shop", own, False)), strict=True):
        file.write_bytes(data)
    return files


def test_signed_by_a_key() -> None:
    """A pack signed by the key is installed, and its history says by which; signing it again replaces the signature."""
    private, public = pair("ours")
    assert signature.sign(Path("first.edgepack"), private) == Path("first.edgepack")
    signature.sign(Path("first.edgepack"), private)
    done = install("first.edgepack", key=public, require_signature=True)
    assert done.signed_by is not None
    assert done.revision.origin.signed_by == done.signed_by
    assert {path.name for path in done.revision.path.iterdir()} == {"bundle.json", "int8.xml", "int8.bin", "pinned.npz"}


def test_signed_by_a_certificate() -> None:
    """A pack signed with a certificate is installed by whoever trusts its authority, and by nobody else."""
    top, private, own = authority("ours")
    signature.sign(Path("first.edgepack"), private, certificate=own)
    assert install("first.edgepack", key=top).signed_by is not None
    for key in (authority("theirs")[0], pair("x")[1], own.rename("own.crt") and authority("ours2")[2]):
        with pytest.raises(BadInputError, match="is refused: its signature is not one of"):
            install("first.edgepack", name="other", key=key)
    assert not Path("models/other").exists()


def _unsigned(_: Path) -> Path:
    return Path("second.edgepack")


def _by_another(_: Path) -> Path:
    return signature.sign(Path("second.edgepack"), pair("theirs")[0])


def _of_another_pack(private: Path) -> Path:
    """The signature of the first pack in the second one."""
    signature.sign(Path("first.edgepack"), private)
    with zipfile.ZipFile("first.edgepack") as file:
        Path("model.sig").write_bytes(file.read(pack.SIGNATURE))
    pack.with_signature(Path("second.edgepack"), Path("model.sig"), Path("x.edgepack"))
    return Path("x.edgepack")


def _with_signature(data: bytes) -> Callable[[Path], Path]:
    def make(private: Path) -> Path:
        signature.sign(Path("second.edgepack"), private)
        Path("model.sig").write_bytes(data)
        pack.with_signature(Path("second.edgepack"), Path("model.sig"), Path("x.edgepack"))
        return Path("x.edgepack")

    return make


def _told_otherwise(private: Path) -> Path:
    """What the pack says of itself was changed after it was signed."""
    signature.sign(Path("second.edgepack"), private)
    with zipfile.ZipFile("second.edgepack") as old:
        files = {name: old.read(name) for name in old.namelist()}
    files[pack.FACTS] = json.dumps({**json.loads(files[pack.FACTS]), "model": "edge"}).encode()
    with zipfile.ZipFile("x.edgepack", "w") as new:
        for name, data in files.items():
            new.writestr(name, data)
    return Path("x.edgepack")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (_unsigned, "is not signed, and only signed packs are installed here"),
        (_by_another, "its signature is not one of ours.pub"),
        (_of_another_pack, "its signature is not one of ours.pub"),
        (_told_otherwise, "its signature is not one of ours.pub"),
        (_with_signature(b""), "its signature is not one of ours.pub"),
        (_with_signature(b"{}"), "its signature is not one of ours.pub"),
        (_with_signature(b"\xff" * 1000), "its signature is not one of ours.pub"),
        (_with_signature(b"[" * 100_000), "its signature is not one of ours.pub"),
    ],
)
def test_refused(given: Callable[[Path], Path], message: str, capsys: pytest.CaptureFixture[str], work: Path) -> None:
    """Unsigned, signed by another key, or not over these files: one line, nothing installed, nothing on stdout."""
    private, public = pair("ours")
    path = given(private)
    with pytest.raises(BadInputError, match=message) as raised:
        install(path, key=public)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600
    assert not (work / "models").exists() or not list((work / "models").iterdir())
    assert capsys.readouterr().out == ""


def _rsa() -> Path:
    Path("x.pem").write_bytes(_pem(rsa.generate_private_key(65537, 2048)))
    return Path("x.pem")


def _other_curve() -> Path:
    Path("x.pem").write_bytes(_pem(ec.generate_private_key(ec.SECP256K1())))
    return Path("x.pem")


def _with_password() -> Path:
    Path("x.pem").write_bytes(_pem(ec.generate_private_key(ec.SECP256R1()), b"secret"))
    return Path("x.pem")


def _text() -> Path:
    Path("x.pem").write_text("hello")
    return Path("x.pem")


def test_public_key_signs_nothing() -> None:
    """Who gives the public key to sign with is told so, in whole sentences."""
    with pytest.raises(BadInputError, match=r"is a public key, which checks and cannot sign\. Give the private one"):
        signature.sign(Path("first.edgepack"), pair("y")[1])


@pytest.mark.parametrize("key", [_rsa, _other_curve, _with_password, _text, lambda: pair("x")[1], lambda: Path("gone")])
def test_no_key_to_sign_with(key: Callable[[], Path]) -> None:
    """What is no key of that kind is one line, and the pack stays as it was."""
    before = Path("first.edgepack").read_bytes()
    with pytest.raises(BadInputError, match=r"cannot sign|cannot be read") as raised:
        signature.sign(Path("first.edgepack"), key())
    assert "secret" not in str(raised.value)
    assert Path("first.edgepack").read_bytes() == before


def test_no_key_to_check_with() -> None:
    """A file that is no key, a private key among them, is refused before anything is looked at."""
    private, _ = pair("ours")
    for key in (_text(), private, Path("gone")):
        with pytest.raises(BadInputError, match=r"neither a public key nor a certificate|cannot be read"):
            install("first.edgepack", key=key)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where model-signing is not installed a signature is neither made nor waved through: the line says what to do."""
    private, public = pair("ours")
    signature.sign(Path("first.edgepack"), private)
    monkeypatch.setattr(extras, "installed", lambda _: False)
    for work in (
        lambda: signature.sign(Path("first.edgepack"), private),
        lambda: install("first.edgepack", key=public),
    ):
        with pytest.raises(MissingError, match=r'Run: pip install "edgefashion\[sign\]"'):
            work()
    assert not Path("models/shop").exists()
