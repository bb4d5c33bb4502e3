"""Signed tokens of the console, pure: sign-in links (one use, ten minutes) and CSRF tokens (bound to a session).

The shell gives time and randomness, and remembers which nonces were used (`used_links`).
"""

import base64
import binascii
import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from .errors import LinkRefused

LINK_SECONDS: Final = 600
NONCE_BYTES: Final = 16
_LINK: Final = b"tallystick/console/link/v1\0"
_CSRF: Final = b"tallystick/console/csrf/v1\0"
_OVER: Final = b"tallystick/console/sign-in-over/v1\0"
_COOKIES: Final = b"tallystick/console/cookies/v1\0"
MAX_TOKEN: Final = 1024


class _Claims(msgspec.Struct, frozen=True):
    who: str
    expires: int
    nonce: str


@dataclass(frozen=True)
class Link:
    """What a good link says: who signs in, until when it may be used (seconds since 1970), and the nonce that is used up by it."""

    who: str
    expires: int
    nonce: str


def make_link_token(secret: bytes, who: str, now: float, nonce: bytes) -> str:
    """`<claims>.<mac>`, both base64url."""
    claims = msgspec.json.encode(_Claims(who, int(now) + LINK_SECONDS, nonce.hex()))
    return f"{_b64(claims)}.{_b64(_mac(secret, _LINK + claims))}"


def open_link_token(secret: bytes, token: str, now: float) -> Link:
    """The link in `token`, or LinkRefused. Whether it was used before is for the caller to find out."""
    head, _, tail = token.partition(".")
    try:
        claims, mac = _unb64(head), _unb64(tail)
        if len(token) > MAX_TOKEN or not hmac.compare_digest(mac, _mac(secret, _LINK + claims)):
            raise LinkRefused("This link was not made by this console.")
        parsed = msgspec.json.decode(claims, type=_Claims)
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise LinkRefused("This link was not made by this console.") from error
    if now >= parsed.expires:
        raise LinkRefused("This link has expired.")
    return Link(parsed.who, parsed.expires, parsed.nonce)


def csrf_token(secret: bytes, session_id: str) -> str:
    """The token that a page of this session sends back in a header."""
    return _mac(secret, _CSRF + session_id.encode()).hex()


def over_token(secret: bytes, session_id: str, link_token: str) -> str:
    """What says that whoever has this session was asked, and wants to be signed in by this link instead."""
    return _mac(secret, _OVER + f"{session_id} {link_token}".encode("utf-8", "surrogatepass")).hex()


def cookie_number(secret: bytes) -> str:
    """Eight hex digits that tell this console's cookies from another's on the same host; they say nothing about the secret."""
    return _mac(secret, _COOKIES).hex()[:8]


def _mac(secret: bytes, data: bytes) -> bytes:
    return hmac.new(secret, data, sha256).digest()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
