"""A pack signed, and its signature checked, in the OpenSSF Model Signing format, by the library ``model-signing``.

The signature is over every file of the pack but itself. It is made with a private key, or with one and its certificate;
it is checked with the public key, or with the certificate of the authority that has issued the signer's.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from edgefashion.bundles import pack as pack_file
from edgefashion.errors import BadInputError
from edgefashion.system.extras import need
from edgefashion.system.files import check_output
from edgefashion.system.text import reason_of

_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_PUBLIC: Final = b"-----BEGIN PUBLIC KEY-----"
_PRIVATE: Final = b"PRIVATE KEY-----"
_MAKE: Final = (
    "Make a pair with: openssl ecparam -name prime256v1 -genkey -noout -out key.pem; openssl ec -in key.pem -pubout "
    "-out key.pub"
)
_LARGEST_KEY_BYTES: Final = 1_000_000


def sign(
    pack: Path, key: Path, *, certificate: Path | None = None, chain: Sequence[Path] = (), out: Path | None = None
) -> Path:
    """Sign a pack; its signature travels in it. Returns the path of the signed pack.

    Args:
        pack: What :func:`edgefashion.packs.export.export` has written.
        key: A private key in PEM, on one of NIST's curves P-256, P-384 and P-521, without a password.
        certificate: The key's own certificate in PEM, for whoever knows the authority and not the key.
        chain: Certificates between that and the authority's.
        out: The signed pack. None: ``pack`` itself, replaced in one step.

    Raises:
        BadInputError: No pack, or no such key; or ``out`` is no name for a pack.
        MissingError: ``model-signing`` is not installed.
    """
    if out is not None:
        check_output(out, (pack_file.SUFFIX,), "packs")
    need("model_signing", "to sign a pack")
    pem = _read(key)
    if _PRIVATE not in pem and (_PUBLIC in pem or _CERTIFICATE in pem):
        kind = "a public key" if _PUBLIC in pem else "a certificate"
        raise BadInputError(f"{key} is {kind}, which checks and cannot sign. Give the private one, key.pem. {_MAKE}")
    for each in (certificate, *chain):
        if each is not None and _CERTIFICATE not in _read(each):
            raise BadInputError(f"{each} is no certificate in PEM. Give one")
    with tempfile.TemporaryDirectory(prefix="edgefashion-", ignore_cleanup_errors=True) as folder:
        inside, signature = Path(folder) / "pack", Path(folder) / pack_file.SIGNATURE
        pack_file.unpack(pack, inside)
        (inside / pack_file.SIGNATURE).unlink(missing_ok=True)
        signing, _ = _library()
        with _quietly():
            try:
                making = signing.Config().set_hashing_config(_hashing())
                if certificate is None:
                    making.use_elliptic_key_signer(private_key=key)
                else:
                    between = list(chain) or [certificate]  # none is an error to the library
                    making.use_certificate_signer(
                        private_key=key, signing_certificate=certificate, certificate_chain=between
                    )
                making.sign(inside, signature)
            except Exception as error:  # of many kinds: ValueError, TypeError for a key with a password, cryptography's
                raise BadInputError(
                    f"{key} cannot sign: it is no private key of this kind ({reason_of(error)}). {_MAKE}"
                ) from error
        target = out or pack
        pack_file.with_signature(pack, signature, target)
    return target


def check(folder: Path, key: Path, named: Path) -> str:
    """Check the signature of an unpacked pack; returns the SHA-256 of ``key``, in hex.

    ``folder`` holds the pack's files, ``model.sig`` among them, which is taken out; ``named`` is what errors call it.
    ``key`` is a public key or an authority's certificate, in PEM. Raises :class:`BadInputError` where the signature is
    missing, or not of this key over these files; MissingError without ``model-signing``.
    """
    pem = _read(key)
    if _CERTIFICATE not in pem and _PUBLIC not in pem:
        raise BadInputError(f"{key} is neither a public key nor a certificate in PEM. Give the signer's. {_MAKE}")
    signature = folder / pack_file.SIGNATURE
    if not signature.is_file():
        raise BadInputError(
            f"{named} is not signed, and only signed packs are installed here. Sign it where it was made: edgefashion "
            f"models sign PACK --key KEY"
        )
    need("model_signing", "to check a signature")
    _, verifying = _library()
    with tempfile.TemporaryDirectory(prefix="edgefashion-", ignore_cleanup_errors=True) as aside, _quietly():
        apart = Path(aside) / pack_file.SIGNATURE
        apart.write_bytes(signature.read_bytes())
        signature.unlink()
        try:
            # Our own way of hashing: every file counts, whatever a signature would leave out.
            proof = verifying.Config().set_hashing_config(_hashing())
            if _CERTIFICATE in pem:
                proof.use_certificate_verifier(certificate_chain=[key])
            else:
                proof.use_elliptic_key_verifier(public_key=key)
            proof.verify(folder, apart)
        except Exception as error:  # of many kinds: no signature, another key, an unknown authority, other files
            said = reason_of(error, 120)
            raise BadInputError(
                f"{named} is refused: its signature is not one of {key} over these files ({said}). Get the pack from "
                f"whoever made it, or the key that it was signed with"
            ) from error
    return hashlib.sha256(pem).hexdigest()


def _library() -> tuple[Any, Any]:
    from model_signing import signing, verifying  # a second

    return signing, verifying


def _hashing() -> Any:
    from model_signing import hashing

    return hashing.Config().use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)


def _read(key: Path) -> bytes:
    try:
        with key.open("rb") as file:
            return file.read(_LARGEST_KEY_BYTES)
    except OSError as error:
        raise BadInputError(f"{key} cannot be read: {error.strerror}. Check the path and its permissions") from error


def _quietly() -> contextlib.redirect_stdout[Any]:
    """What the library prints is none of our results."""
    return contextlib.redirect_stdout(sys.stderr)
