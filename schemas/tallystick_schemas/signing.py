"""Making signed records of every kind but segments (SPEC section 5): what operators and the sealer send. The caller gives the time."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .headers import Directive, Enrol, Erase, Generation, Kind, Revoke, Seal, encode_header
from .records import frame_record, pack_items, signed_bytes

_KINDS = {
    Enrol: Kind.ENROL,
    Revoke: Kind.REVOKE,
    Erase: Kind.ERASE,
    Seal: Kind.SEAL,
    Generation: Kind.GENERATION,
    Directive: Kind.DIRECTIVE,
}


def sign_record(
    header: Enrol | Revoke | Erase | Seal | Generation | Directive, private_key: Ed25519PrivateKey, items: Sequence[bytes] = ()
) -> bytes:
    """The record that travels. `items` are an erasure's; every other kind has an empty body."""
    kind, raw = _KINDS[type(header)], encode_header(header)
    return frame_record(kind, raw, private_key.sign(signed_bytes(kind, raw)), pack_items(items))


def wire_time(seconds: float) -> str:
    """Seconds since 1970 as the format writes times: `YYYY-MM-DDThh:mm:ss.ffffffZ`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
