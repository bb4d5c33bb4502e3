"""Subject identifiers (RFC 9493): our principals in them, and ours out of somebody else's."""

import re
from typing import Any, Final

import msgspec

from tallystick_schemas import names

from .errors import StreamRefused

Subject = dict[str, Any]
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,255}")
_FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "account": ("uri",),
    "email": ("email",),
    "iss_sub": ("iss", "sub"),
    "opaque": ("id",),
    "phone_number": ("phone_number",),
    "did": ("url",),
    "uri": ("uri",),
}
"""Format -> its members, all of them required. `aliases` and complex subjects are not taken on streams."""
_MAX_TEXT: Final = 512


def is_email(text: str) -> bool:
    """Whether a principal's name can be told as an address."""
    return _EMAIL.fullmatch(text) is not None


def principal_subject(principal: str, issuer: str) -> Subject:
    """`email` for names that are addresses, else `iss_sub` under `issuer`."""
    name = names.canonical(principal)
    return {"format": "email", "email": name} if is_email(name) else {"format": "iss_sub", "iss": issuer, "sub": name}


def check_simple(subject: object) -> Subject:
    """A simple subject that a stream can keep; StreamRefused otherwise."""
    if not isinstance(subject, dict):
        raise StreamRefused(400, "subject must be an object with a format (RFC 9493)")
    members = _FORMATS.get(str(subject.get("format")))
    if members is None:
        raise StreamRefused(400, f"the subject's format must be one of {', '.join(sorted(_FORMATS))}")
    values = {name: subject.get(name) for name in members}
    if set(subject) != {"format", *members} or any(not isinstance(v, str) or not 0 < len(v) <= _MAX_TEXT for v in values.values()):
        raise StreamRefused(400, f"a subject of format {subject['format']} has exactly: {', '.join(members)}")
    return {"format": subject["format"], **values}


def canonical(subject: Subject) -> str:
    """One text for one subject, whatever the order of its members and the spelling of its name (RFC 9493, 3.2.2.1)."""
    named = {one: names.canonical(subject[one]) for one in ("email", "sub") if isinstance(subject.get(one), str)}
    return msgspec.json.encode({**subject, **named}, order="sorted").decode()


def principal_of(subject: object, issuer: str) -> str | None:
    """Our principal's canonical name for the subject of somebody's token; None when it cannot be known.

    Complex subjects are asked for their user (SSF 1.0, 3.3).
    """
    if not isinstance(subject, dict):
        return None
    kind = subject.get("format")
    if kind in (None, "complex") and isinstance(subject.get("user"), dict):
        return principal_of({**subject["user"], "user": None}, issuer)
    name = {"email": subject.get("email"), "iss_sub": subject.get("sub") if subject.get("iss") == issuer else None}.get(str(kind))
    return names.canonical(name) if isinstance(name, str) and 0 < len(name) <= _MAX_TEXT else None
