"""Certificates of the embedded broker: one for itself, one for whoever makes its users; nobody else gets in where they are asked for.

The authority that signs both lives for the length of one call: its key is never written, so nobody can make a third.
"""

import datetime as dt
from ipaddress import IPv4Address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..deployment.broker_users import CertificateFiles
from ..deployment.keyfiles import replace_secret

BROKER: Final = "tallystick-broker"
ADMIN: Final = "tallystick-admin"
SUPER_USERS: Final = f"User:CN={BROKER};User:CN={ADMIN}"
"""As Kafka names whoever shows one of the two certificates."""
_BACK: Final = dt.timedelta(days=2)
_LIFE: Final = dt.timedelta(days=3_650)
_USAGES: Final = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


def make_certificates(files: CertificateFiles, now: dt.datetime) -> None:
    """New ones in place of those of the last start, mode 0600: none has to be renewed, and one that was copied is worth nothing afterwards."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("tallystick-embedded")
    authority = _builder(name, name, key.public_key(), now).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    root = authority.add_extension(usage, critical=True).sign(key, hashes.SHA256())
    for who, path in ((BROKER, files.broker), (ADMIN, files.admin)):
        replace_secret(path, _signed(who, key, root, now))
    replace_secret(files.authority, root.public_bytes(serialization.Encoding.PEM))


def _signed(who: str, authority: ec.EllipticCurvePrivateKey, root: x509.Certificate, now: dt.datetime) -> bytes:
    """PEM of a new key (PKCS #8, as Kafka reads it) and its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name(who), root.subject, key.public_key(), now)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
    builder = builder.add_extension(x509.ExtendedKeyUsage(_USAGES if who == BROKER else _USAGES[1:]), critical=False)
    if who == BROKER:
        places = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("localhost")])
        builder = builder.add_extension(places, critical=False)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _builder(name: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: dt.datetime) -> x509.CertificateBuilder:
    """Valid from before `now`, so that a clock that was ahead does not lock anybody out."""
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
