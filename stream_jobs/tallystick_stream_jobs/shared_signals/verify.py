"""Checking somebody's token against what its issuer is pinned to. Pure but for the keys, which are given; SetRefused says which of RFC 8935's errors.

Steps, in order: size and form; type; algorithm and key; signature; JSON; issuer; audience; times; one event; what the profile forbids.
"""

from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError

from tallystick_schemas.errors import ParseError
from tallystick_schemas.strict_json import check_json

from .errors import SetRefused
from .jwks import Key
from .settings import ALGORITHMS, IssuerSettings
from .vocabulary import TYP

MAX_SET_BYTES: Final = 64 * 1024
_MAX_HEADER: Final = 2048
_MAX_NAME: Final = 256
_AHEAD_S: Final = 300
"""How far another clock may be before ours."""
_OUR_FRAMEWORK: Final = "https://schemas.openid.net/secevent/ssf/event-type/"


@dataclass(frozen=True)
class Heard:
    """A token that holds. `at`: when it happened, whole seconds since 1970."""

    iss: str
    jti: str
    txn: str
    sha256: str
    event: str
    payload: dict[str, Any]
    subject: object
    at: int


class _Registry(jws.JWSRegistry):
    max_header_length = _MAX_HEADER
    max_payload_length = MAX_SET_BYTES


def check_set(token: bytes, issuer: IssuerSettings, key_of: Callable[[str], Key], now: float, max_age_s: float) -> Heard:
    """What the token says, or SetRefused. `now`: seconds since 1970. KeysUnavailable comes through from `key_of`."""
    header = _header(token)
    if issuer.strict and _lower(header.get("typ")) not in (TYP, f"application/{TYP}"):
        raise SetRefused("invalid_request", f"the token's typ is not {TYP}")
    algorithm = header.get("alg")
    if algorithm not in issuer.algorithms or algorithm not in ALGORITHMS:
        raise SetRefused("invalid_key", f"this issuer signs with {', '.join(issuer.algorithms)}, and nothing else is taken")
    kid = header.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MAX_NAME:
        raise SetRefused("invalid_key", "the token names no key")
    claims = _claims(token, key_of(kid), algorithm)
    _check_names(claims, issuer)
    _check_times(claims, now, max_age_s)
    event, payload = _one_event(claims)
    if issuer.strict:
        _check_profile(claims, event, payload)
    at = payload.get("event_timestamp", claims["iat"])
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at < 1e11:
        raise SetRefused("invalid_request", "event_timestamp must be seconds since 1970")
    subject = claims.get("sub_id", payload.get("subject"))
    txn = claims.get("txn", "")
    return Heard(
        claims["iss"],
        claims["jti"],
        txn[:_MAX_NAME] if isinstance(txn, str) else "",
        sha256(token).hexdigest(),
        event,
        payload,
        subject,
        int(at),
    )


def _header(token: bytes) -> dict[str, Any]:
    """The header, before anything is believed of it."""
    if len(token) > MAX_SET_BYTES or token.count(b".") != 2:
        raise SetRefused("invalid_request", f"not a signed token in compact form of at most {MAX_SET_BYTES} bytes")
    first = token.partition(b".")[0]
    try:
        return check_json(urlsafe_b64decode(first + b"=" * (-len(first) % 4)))
    except (ParseError, ValueError) as error:
        raise SetRefused("invalid_request", f"the token's header cannot be read: {error}") from error


def _claims(token: bytes, key: Key, algorithm: str) -> dict[str, Any]:
    try:
        checked = jws.deserialize_compact(token, key, algorithms=[algorithm], registry=_Registry(algorithms=[algorithm]))
    except (JoseError, ValueError, TypeError) as error:
        raise SetRefused("authentication_failed", "the signature does not hold") from error
    try:
        return check_json((checked.payload or b"").replace(b"\n", b" ").replace(b"\r", b" "))
    except ParseError as error:
        raise SetRefused("invalid_request", f"the claims cannot be read: {error}") from error


def _check_names(claims: dict[str, Any], issuer: IssuerSettings) -> None:
    if claims.get("iss") != issuer.iss:
        raise SetRefused("invalid_issuer", "the token's issuer is not the one that is expected here")
    audience = claims.get("aud")
    if issuer.aud not in (audience if isinstance(audience, list) else [audience]):
        raise SetRefused("invalid_audience", "the token is for somebody else")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_NAME:
        raise SetRefused("invalid_request", f"jti must be a text of at most {_MAX_NAME} characters")


def _check_times(claims: dict[str, Any], now: float, max_age_s: float) -> None:
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        raise SetRefused("invalid_request", "iat must be seconds since 1970")
    if issued > now + _AHEAD_S:
        raise SetRefused("invalid_request", "iat lies in the future")
    if issued < now - max_age_s:
        # Nobody remembers the jti of so long ago: a repeat could not be told from news.
        raise SetRefused("invalid_request", f"the token was issued more than {max_age_s:.0f} s ago")


def _one_event(claims: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    events = claims.get("events")
    if not isinstance(events, dict) or len(events) != 1:
        raise SetRefused("invalid_request", "a token must hold exactly one event")
    event, payload = next(iter(events.items()))
    if not isinstance(payload, dict) or not 0 < len(event) <= _MAX_NAME:
        raise SetRefused("invalid_request", "an event must be an object under a type of its own")
    return event, payload


def _check_profile(claims: dict[str, Any], event: str, payload: dict[str, Any]) -> None:
    """SSF 1.0, 4.1: what could be mistaken for an access token is none of ours."""
    for name in ("sub", "exp"):
        if name in claims:
            raise SetRefused("invalid_request", f"a security event token must not have {name}")
    if "event_timestamp" not in payload and not event.startswith(_OUR_FRAMEWORK):
        raise SetRefused("invalid_request", "the event has no event_timestamp")


def _lower(value: object) -> str:
    return value.lower() if isinstance(value, str) else ""
