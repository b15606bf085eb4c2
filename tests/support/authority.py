"""A certificate authority of the tests' own, and a server on this machine whose certificate it signed."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LASTS = timedelta(days=2)


@functools.cache
def certificates() -> Path:
    """A folder with ``ca.pem``, and ``server.pem`` with its key for ``localhost`` and 127.0.0.1."""
    folder = Path(tempfile.mkdtemp(prefix="rebookd-authority-"))
    ours, ours_key = _signed("rebookd test authority", None)
    server, server_key = _signed("localhost", (ours, ours_key))
    (folder / "ca.pem").write_bytes(ours.public_bytes(serialization.Encoding.PEM))
    secret = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM) + secret)
    return folder


def server_context() -> ssl.SSLContext:
    """What a server of the tests speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates() / "server.pem")
    return context


@contextlib.contextmanager
def trusted() -> Iterator[Path]:
    """Connections made ready in here trust the authority, as where it is among those of the machine."""
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(certificates() / "ca.pem")
    try:
        yield certificates() / "ca.pem"
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before


_Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _signed(name: str, by: _Pair | None) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    issuer, issuer_key = (by[0].subject, by[1]) if by else (subject, key)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LASTS)
        .not_valid_after(now + _LASTS)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
    )
    return made.sign(issuer_key, hashes.SHA256()), key
