"""Checking Ed25519 signatures (RFC 8032), judged as `schemas/README.md`, section 1 says: s below the group's order, no cofactor, R compared byte for byte.

libsodium does it in half of OpenSSL's time, and what it accepts OpenSSL accepts as well. It refuses more: keys and R of low order.
Those few are asked of OpenSSL again, so that both give one answer (ADR 0028).
"""

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from .errors import ParseError
from .keys import KEY_BYTES, check_public_key

SIGNATURE_BYTES: Final = 64
_LOW_ORDER: Final = frozenset(
    bytes.fromhex(y)
    for y in (
        "00" * 32,
        "01" + "00" * 31,
        "ec" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
)
"""y of the eight points whose order divides eight, as 32 little-endian bytes ("Taming the many EdDSAs", Chalkias et al., 2020, table 1)."""


def fits(public: bytes, signature: bytes, signed: bytes) -> bool:
    """Whether the holder of `public` made this signature over `signed`."""
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    if _SODIUM and _sodium_accepts(public, signature, signed):
        return True
    return (not _SODIUM or _is_odd(public, signature)) and openssl_accepts(public, signature, signed)


def openssl_accepts(public: bytes, signature: bytes, signed: bytes) -> bool:
    """OpenSSL's answer, which is the format's."""
    try:
        _openssl_key(public).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _sodium_accepts(public: bytes, signature: bytes, signed: bytes) -> bool:
    # The library reads 32 bytes of a key and 64 of a signature, whatever it is given: `fits` has looked at both.
    try:
        crypto_sign_open(signature + signed, public)
    except BadSignatureError:
        return False
    return True


def _is_odd(public: bytes, signature: bytes) -> bool:
    """Whether libsodium may refuse what OpenSSL accepts."""
    return signature[:31] + bytes([signature[31] & 0x7F]) in _LOW_ORDER or _is_odd_key(public)


@lru_cache(maxsize=4096)
def _is_odd_key(public: bytes) -> bool:
    try:
        check_public_key(public)
    except ParseError:
        return True
    return False


@lru_cache(maxsize=4096)
def _openssl_key(raw: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(raw)


_ODD: Final = (
    # R is off by a point of order eight: only who multiplies by the cofactor accepts it.
    "e9c6aa47f2c1dc30d08679feb45162ca38dfa1e557af575b803e03f30110eff502766a43ecc55ef2beca529505643bd63a640c4cbcdddb2e914d6d7b192d8d0b",
    # A good signature with the group's order added to s: a second spelling.
    "6b12d4d055bd943206034b402ebe601bf715a3bbe772cdac6ab65b94d9a07bf60e82e26319086f4ca42664a20d3855a375168b5bbef35417c618cc622893be17",
)
_ODD_KEY: Final = bytes.fromhex("7767a3242dc9b58bbc68488c1265cc6cc5f26c6f3c88a5d55e901b0734dca572")


def _knows_the_rules() -> bool:
    """Whether the libsodium at hand refuses both: it promises no rule for odd signatures, and another version may accept what OpenSSL refuses."""
    return not any(_sodium_accepts(_ODD_KEY, bytes.fromhex(odd), b"") for odd in _ODD)


_SODIUM: Final = _knows_the_rules()
