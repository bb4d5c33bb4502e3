"""Ed25519 public keys (RFC 8032): their ids, and the check that every conforming verifier will agree about them (SPEC section 1)."""

from typing import Final

from .encoding import digest
from .errors import ParseError

KEY_BYTES: Final = 32
_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_Point = tuple[int, int]


def key_id(public: bytes) -> str:
    """First 16 hex digits of H(public key)."""
    return digest(public).hex()[:16]


def check_public_key(public: bytes) -> None:
    """ParseError for a key that verifiers may disagree about: not on the curve, not canonical, or of low order."""
    if len(public) != KEY_BYTES:
        raise ParseError(f"a public key has {KEY_BYTES} bytes, not {len(public)}")
    point = _decode(public)
    for _ in range(3):
        point = _double(point)
    if point == (0, 1):
        raise ParseError("the public key is a point of low order")


def _decode(public: bytes) -> _Point:
    """RFC 8032, 5.1.3, refusing every second spelling of a point."""
    number = int.from_bytes(public, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= _P:
        raise ParseError("the public key is not canonical: y is not below p")
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - square) % _P:
        raise ParseError("the public key is not a point of the curve")
    if x == 0 and sign:
        raise ParseError("the public key is not canonical: x is 0 and its sign is set")
    return (_P - x if x & 1 != sign else x), y


def _double(point: _Point) -> _Point:
    """Twice a point, by the curve's addition law (RFC 8032, 5.1.4, in affine form)."""
    x, y = point
    product = _D * x * x * y * y
    return 2 * x * y * pow(1 + product, -1, _P) % _P, (y * y + x * x) * pow(1 - product, -1, _P) % _P
