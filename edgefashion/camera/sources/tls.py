"""TLS to a camera, and whether its certificate is checked. Its address says so: ``https://cam/video#ca=FILE``.

Without that every certificate is trusted, as players do: a camera in a shop makes its own, and no authority knows it.
``FILE`` holds certificates in PEM: those of authorities, or the camera's own, which may then be made out to any name.
``#ca=system`` takes the authorities that this machine trusts.
"""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote

from edgefashion.camera.sources.failures import StreamLostError
from edgefashion.system.text import reason_of

SYSTEM: Final = "system"
_MARK: Final = "ca="
_OTHER_NAME: Final = (62, 64)
"""OpenSSL's codes of a certificate that is made out to another host or another address."""


def authority(parts: SplitResult) -> str | None:
    """What an address says of the certificate: a file, ``system``, or None for any certificate."""
    return unquote(parts.fragment.removeprefix(_MARK)) if parts.fragment.startswith(_MARK) else None


def connected(parts: SplitResult, connect_s: float, ca: str | None) -> http.client.HTTPSConnection:
    """A connection to a host, its certificate checked by ``ca``.

    Raises :class:`StreamLostError` for a certificate that does not pass, ``OSError`` where there is no connection.
    """
    context = _context(ca)
    try:
        return _connected(parts, connect_s, context)
    except ssl.SSLCertVerificationError as error:
        if ca not in (None, SYSTEM) and error.verify_code in _OTHER_NAME:
            context.check_hostname = False
            connection = _connected(parts, connect_s, context)
            if connection.sock.getpeercert(binary_form=True) in _certificates(Path(str(ca))):
                return connection
            connection.close()
        raise StreamLostError(f"its certificate does not pass: {error.verify_message}", "certificate") from error


def _connected(parts: SplitResult, connect_s: float, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=connect_s, context=context)
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _context(ca: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if ca in (None, SYSTEM) else ca)
    except (OSError, ValueError) as error:
        reason = "no certificate in PEM is in it" if isinstance(error, ssl.SSLError) else reason_of(error).lower()
        raise StreamLostError(f"#ca={ca} cannot be read: {reason}", "certificate") from error
    if ca is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _certificates(path: Path) -> list[bytes]:
    """The certificates in a PEM file, in DER."""
    end = "-----END CERTIFICATE-----"
    parts = path.read_text("ascii", "replace").split(end)[:-1]
    return [ssl.PEM_cert_to_DER_cert(part[part.index("-----BEGIN CERTIFICATE-----") :] + end) for part in parts]
