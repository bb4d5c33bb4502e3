"""Points of edwards25519 (RFC 8032, section 5.1), to make the odd keys and signatures that verifiers disagree about."""

import hashlib
from typing import Final

P: Final = 2**255 - 19
L: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]
NEUTRAL: Final = (0, 1)


def add(a: Point, b: Point) -> Point:
    """The sum of two points (5.1.4, in affine form)."""
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P


def times(number: int, point: Point) -> Point:
    """`number` times a point."""
    total = NEUTRAL
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


def point_at(y: int) -> Point | None:
    """The point with this y whose x is even; None where there is none (5.1.3)."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return (P - x if x & 1 else x), y


def encoded(point: Point) -> bytes:
    """32 bytes: y, little-endian, and the lowest bit of x on top (5.1.2)."""
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def _of_order_eight() -> Point:
    for y in range(2, 100):
        point = point_at(y)
        if point and times(4, candidate := times(L, point)) != NEUTRAL:
            return candidate
    raise AssertionError("no point of order eight below y = 100")


_BASE = point_at(4 * pow(5, -1, P) % P)
assert _BASE is not None
BASE: Final = _BASE
LOW: Final = [times(n, _of_order_eight()) for n in range(8)]
"""The eight points whose order divides eight; the neutral element is the first."""


def sign_oddly(secret: int, nonce: int, signed: bytes, key_off: Point, r_off: Point) -> tuple[bytes, bytes]:
    """(public key, signature) by the equation of 5.1.6, both off by points of low order."""
    public, r = encoded(add(times(secret, BASE), key_off)), encoded(add(times(nonce, BASE), r_off))
    hashed = int.from_bytes(hashlib.sha512(r + public + signed).digest(), "little") % L
    return public, r + ((nonce + hashed * secret) % L).to_bytes(32, "little")
