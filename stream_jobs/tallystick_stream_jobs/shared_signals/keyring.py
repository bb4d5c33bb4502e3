"""Signing keys and their times: which signs, which are shown. A state machine that is given `now`; `keyfile` keeps it on disk.

Rotation leaves no gap: a new key is shown `lead_s` before it signs, so that a receiver that caches our key set has it by then,
and the old one is shown for `grace_s` after its last signature, so that what is on its way can still be checked.
"""

import functools
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import RSAKey

from tallystick_schemas.signing import wire_time

from .errors import RotationRefused

_BITS = 2048


class SigningKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """One RSA key. It signs from `signs_from` on, and is shown until `shown_until` (neither: for ever). Seconds since 1970."""

    kid: str
    """RFC 7638 thumbprint."""
    pem: str
    created: float
    signs_from: float
    shown_until: float | None = None

    def private(self) -> RSAKey:
        """The key to sign with."""
        return _imported(self.pem, self.kid)

    def public(self) -> dict[str, Any]:
        """The key as others see it (RFC 7517)."""
        return {**self.private().as_dict(private=False), "kid": self.kid, "use": "sig", "alg": "RS256"}


@functools.lru_cache(maxsize=8)
def _imported(pem: str, kid: str) -> RSAKey:
    """Reading a key checks its primes, which takes as long as forty signatures."""
    return RSAKey.import_key(pem, {"kid": kid})


class Keyring(msgspec.Struct, frozen=True):
    """Keys in the order in which they begin to sign."""

    keys: tuple[SigningKey, ...] = ()

    def signer(self, now: float) -> SigningKey:
        """The newest key whose time has come; the first one for a clock that went back behind it."""
        return ([key for key in self.keys if key.signs_from <= now] or [self.keys[0]])[-1]

    def coming(self, now: float) -> SigningKey | None:
        """The key that is shown and does not sign yet."""
        return next((key for key in self.keys if key.signs_from > now), None)

    def shown(self, now: float) -> list[SigningKey]:
        """What the key set holds: the next, the current, and old ones within their grace."""
        return [key for key in self.keys if key.shown_until is None or key.shown_until > now]

    def begun(self, new: SigningKey) -> "Keyring":
        """The first key."""
        return Keyring((new,))

    def rotated(self, new: SigningKey, now: float, lead_s: float, grace_s: float) -> "Keyring":
        """`new` signs after `lead_s`; what signs now is shown until `grace_s` after that. RotationRefused while another one is coming."""
        if (coming := self.coming(now)) is not None:
            raise RotationRefused(coming.kid, wire_time(coming.signs_from))
        begins = now + lead_s
        old = tuple(
            msgspec.structs.replace(key, shown_until=begins + grace_s) if key.shown_until is None else key for key in self.shown(now)
        )
        return Keyring((*old, msgspec.structs.replace(new, signs_from=begins)))

    def compromised(self, new: SigningKey, now: float) -> "Keyring":
        """`new` signs at once and every other key is gone from the key set: better a gap than a forger."""
        return Keyring((msgspec.structs.replace(new, signs_from=now),))

    def jwks(self, now: float) -> dict[str, list[dict[str, Any]]]:
        """The key set (RFC 7517)."""
        return {"keys": [key.public() for key in self.shown(now)]}


def new_key(now: float) -> SigningKey:
    """A fresh RSA-2048 key that signs at once."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    return SigningKey(RSAKey.import_key(pem).thumbprint(), pem, now, now)
