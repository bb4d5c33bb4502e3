"""What all vectors share: fixed keys, fixed times, and one way to write JSON."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.keys import key_id

Json = dict[str, Any]


@dataclass(frozen=True)
class NamedKey:
    """A key whose seed is the SHA-256 of its name: anybody can make it again."""

    name: str

    @property
    def seed(self) -> bytes:
        return sha256(b"tallystick vector key " + self.name.encode()).digest()

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def id(self) -> str:
        return key_id(self.public)

    def to_json(self) -> Json:
        return {"name": self.name, "seed": self.seed.hex(), "public": self.public.hex(), "id": self.id}


def at(hundredths: int) -> str:
    """A time of the vectors' day, 1/100 s after 04:00:00 for each step."""
    return f"2026-11-23T04:{hundredths // 6000:02}:{hundredths // 100 % 60:02}.{hundredths % 100:02}0000Z"


def salt(number: int) -> str:
    return to_base64url(sha256(b"salt %d" % number).digest()[:16])


def provenance(what: str, sources: list[str] | None = None) -> Json:
    """How a file came to be."""
    return {
        "about": what,
        "format": 1,
        "made_by": "python -m tests.vectors.make",
        "made_of": "fixed keys, salts and times; Ed25519 signatures are deterministic (RFC 8032)",
        "sources": sources or [],
        "bytes": "hex, unless a field says otherwise",
    }


def to_bytes(value: Json) -> bytes:
    """The file's bytes."""
    return json.dumps(value, indent=1, ensure_ascii=True).encode() + b"\n"
