"""Security event tokens (RFC 8417): claims by profile, and the signature. Same input, same bytes: RS256 has no randomness."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final

import msgspec
from joserfc import jws

from .events import Happening
from .keyring import SigningKey
from .vocabulary import STREAM_UPDATED, TYP, VERIFICATION, Profile

Claims = dict[str, Any]
ALGORITHM: Final = "RS256"
"""What the CAEP interoperability profile demands."""


def jti_of(*parts: str) -> str:
    """The same for the same decision, receiver and event: a repeat is known as one."""
    digest = sha256(b"\0".join(part.encode("utf-8", "replace") for part in parts)).digest()
    return urlsafe_b64encode(digest[:24]).decode()


def claims_of(happening: Happening, *, iss: str, aud: str, stream: str, profile: Profile) -> Claims:
    """The claims of one token: one event, top-level `sub_id`, neither `sub` nor `exp` (SSF 1.0, 4.1)."""
    payload = dict(happening.payload)
    if profile == "okta":
        # Okta reads the subject inside the event, under the name of what it is.
        payload = {"subject": {"user": happening.subject}, **payload}
    elif profile == "google":
        # Google Workspace reads it inside the event, plain, and the top-level one beside it.
        payload = {"subject": happening.subject, **payload}
    return {
        "iss": iss,
        "jti": jti_of(happening.txn, stream, happening.event),
        "iat": happening.at,
        "aud": aud,
        "txn": happening.txn,
        "sub_id": happening.subject,
        "events": {happening.event: payload},
    }


def verification(*, iss: str, aud: str, stream: str, at: int, nonce: str, state: str | None) -> Claims:
    """SSF 1.0, 8.1.4.1: about the stream itself; `state` is the receiver's, untouched. `nonce` tells two requests apart."""
    return _own(VERIFICATION, {} if state is None else {"state": state}, iss=iss, aud=aud, stream=stream, at=at, nonce=nonce)


def stream_updated(*, iss: str, aud: str, stream: str, at: int, status: str, reason: str) -> Claims:
    """SSF 1.0, 8.1.5: we changed the status, not the receiver."""
    return _own(STREAM_UPDATED, {"status": status, "reason": reason}, iss=iss, aud=aud, stream=stream, at=at, nonce=str(at))


def _own(event: str, payload: dict[str, Any], *, iss: str, aud: str, stream: str, at: int, nonce: str) -> Claims:
    subject = {"format": "opaque", "id": stream}
    return {"iss": iss, "jti": jti_of(event, stream, nonce), "iat": at, "aud": aud, "sub_id": subject, "events": {event: payload}}


def sign(claims: Claims, key: SigningKey) -> str:
    """The token, compact."""
    header = {"alg": ALGORITHM, "typ": TYP, "kid": key.kid}
    return jws.serialize_compact(header, msgspec.json.encode(claims), key.private(), algorithms=[ALGORITHM])
