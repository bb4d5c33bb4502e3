"""Notation of SPEC section 1: length prefixes, DSSE pre-authentication encoding, hashes, base64."""

import binascii
from base64 import b64decode, b64encode, urlsafe_b64encode
from hashlib import sha256

from .errors import ParseError

ZERO_HASH = bytes(32)


def lp(data: bytes) -> bytes:
    """`LP(x)`: u32 length in bytes, then x."""
    return len(data).to_bytes(4, "big") + data


def read_lp(buffer: bytes, at: int, limit: int, what: str) -> tuple[bytes, int]:
    """The length-prefixed bytes at offset `at`, and the offset after them; ParseError names `what` when cut off or over `limit`."""
    length = int.from_bytes(buffer[at : at + 4], "big")
    end = at + 4 + length
    if length > limit:
        raise ParseError(f"{what} has {length} bytes, at most {limit} are allowed")
    if len(buffer) < at + 4 or end > len(buffer):
        raise ParseError(f"{what} is cut off")
    return buffer[at + 4 : end], end


def pae(payload_type: str, body: bytes) -> bytes:
    """DSSE v1 pre-authentication encoding (github.com/secure-systems-lab/dsse, protocol.md)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def digest(data: bytes) -> bytes:
    """`H`: SHA-256."""
    return sha256(data).digest()


def to_base64(data: bytes) -> str:
    return b64encode(data).decode()


def from_base64(text: str, length: int | None, what: str) -> bytes:
    """Strict RFC 4648 base64: one spelling only, `length` bytes when given."""
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ParseError(f"{what} is not base64") from error
    if b64encode(raw).decode() != text or (length is not None and len(raw) != length):
        raise ParseError(f"{what} is not {length} bytes of base64 in its one form")
    return raw


def to_base64url(data: bytes) -> str:
    """RFC 4648 base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_hex(text: str, length: int, what: str) -> bytes:
    """`length` bytes of lower-case hex."""
    if len(text) != 2 * length or text != text.lower():
        raise ParseError(f"{what} is not {length} bytes of lower-case hex")
    try:
        return bytes.fromhex(text) if not any(c.isspace() for c in text) else _not_hex(what)
    except ValueError as error:
        raise ParseError(f"{what} is not hex") from error


def _not_hex(what: str) -> bytes:
    raise ParseError(f"{what} is not hex")
