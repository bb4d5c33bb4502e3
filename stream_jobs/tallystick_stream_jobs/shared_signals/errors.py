"""Errors of shared signals, by whose fault it is.

TallystickError
└── SignalsError
    ├── SetRefused          a security event token is not accepted: RFC 8935's error code and a sentence
    ├── StreamRefused       a request about a stream cannot be granted: HTTP status and a sentence
    ├── KeyringBroken       the file of signing keys cannot be used
    ├── RotationRefused     the next key is on its way already
    ├── KeysUnavailable     an issuer's keys cannot be had now: try again later
    └── StateBroken         the queue's file cannot be used

ConnectorError (connectors)
└── Refused
    └── TokenRefused        a receiver will not take this token, whenever it comes
"""

from pathlib import Path
from typing import Literal

from tallystick_schemas.errors import TallystickError

from ..connectors.errors import Refused

SetError = Literal["invalid_request", "invalid_key", "invalid_issuer", "invalid_audience", "authentication_failed", "access_denied"]
"""RFC 8935, section 2.4, table 1."""


class SignalsError(TallystickError):
    """Base of what shared signals raise on purpose."""


class SetRefused(SignalsError):
    """A token that is not accepted, and will not be when it comes again."""

    def __init__(self, err: SetError, description: str) -> None:
        self.err, self.description = err, description
        super().__init__(f"{err}: {description}")


class StreamRefused(SignalsError):
    """What a receiver asked for is not granted; `status` is HTTP's, from SSF 1.0's tables."""

    def __init__(self, status: int, text: str, retry_after_s: int | None = None) -> None:
        self.status, self.text, self.retry_after_s = status, text, retry_after_s
        super().__init__(text)


class KeyringBroken(SignalsError):
    """Nothing is signed with keys that others could have read or changed."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the signing keys in {path} {reason}")


class RotationRefused(SignalsError):
    """One rotation at a time: receivers must see each key before it signs."""

    exit_code = 2

    def __init__(self, kid: str, at: str) -> None:
        super().__init__(f"key {kid} is announced already and signs from {at} on; rotate again after that, or use --compromised")


class KeysUnavailable(SignalsError):
    """The issuer's key set cannot be fetched, or was asked for too recently."""

    def __init__(self, issuer: str, reason: str) -> None:
        super().__init__(f"the keys of {issuer} cannot be had now: {reason}")


class StateBroken(SignalsError):
    """What waits for receivers cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the queue of shared signals {path} cannot be used: {reason}; restore it from a copy or remove it")


class TokenRefused(Refused):
    """A 400 of RFC 8935 about the token itself; the receiver's words are in it."""
