"""The embedded store's certificate: made here, good for this machine's own addresses, and known to its clients because they have the file."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .keyfiles import read_secret, write_secret

_DAYS: Final = 3650
_RENEW_DAYS: Final = 30
_NAMES: Final = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)


def make_certificate(folder: Path) -> None:
    """`server.key` and `server.crt` (PEM, mode 0600) in `folder`, made anew when one is missing or ends within 30 days.

    UnsafeKeyFile when others could read the key.
    """
    key_file, certificate_file = folder / "server.key", folder / "server.crt"
    now = datetime.now(UTC)
    if key_file.exists() and certificate_file.exists():
        read_secret(key_file)
        if x509.load_pem_x509_certificate(certificate_file.read_bytes()).not_valid_after_utc - now > timedelta(days=_RENEW_DAYS):
            return
    # If we crash between these, one of them is missing at the next start, and both are made again.
    key_file.unlink(missing_ok=True)
    certificate_file.unlink(missing_ok=True)
    # P-256, which every client of ClickHouse's HTTP interface can check; Ed25519 is none of that yet.
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_secret(key_file, pem)
    write_secret(certificate_file, _signed(key, now).public_bytes(serialization.Encoding.PEM))


def _signed(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """Signed by itself (RFC 5280), for a server and nothing else: it can vouch for no other name."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tallystick embedded store")])
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # An hour back, for clocks that were set since.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_NAMES), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
