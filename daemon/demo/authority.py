"""A certificate authority for as long as a demo lasts, and a server on this machine whom it vouches for."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LASTS = timedelta(days=2)
_TRUSTED = "SSL_CERT_FILE"

_Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def certificates(folder: Path, now: datetime) -> Path:
    """Write ``ca.pem``, and ``server.pem`` with its key for ``localhost`` and 127.0.0.1, into ``folder``."""
    ours = _signed("an authority of one day", None, now)
    server, key = _signed("localhost", ours, now)
    (folder / "ca.pem").write_bytes(ours[0].public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").touch(mode=0o600)
    (folder / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM) + secret)
    return folder


def server_context(folder: Path) -> ssl.SSLContext:
    """What a server speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


@contextlib.contextmanager
def trusted(folder: Path) -> Iterator[None]:
    """Connections made ready in here trust the authority, as where it is among those of the machine."""
    before = os.environ.get(_TRUSTED)
    os.environ[_TRUSTED] = str(folder / "ca.pem")
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TRUSTED]
        else:
            os.environ[_TRUSTED] = before


def _signed(name: str, by: _Pair | None, now: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, issuer_key = (by[0].subject, by[1]) if by else (subject, key)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _LASTS)
        .not_valid_after(now.astimezone(UTC) + _LASTS)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    )
    return made.sign(issuer_key, hashes.SHA256()), key
