"""Names of the specifications: event types, delivery methods, subject formats.

OpenID Shared Signals Framework 1.0 (SSF), CAEP 1.0, RISC 1.0; RFC 8417 (tokens), 8935 (push), 8936 (poll), 9493 (subject identifiers).
"""

from typing import Final, Literal

_CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
_RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"
_SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"

SESSION_REVOKED: Final = _CAEP + "session-revoked"
CREDENTIAL_CHANGE: Final = _CAEP + "credential-change"
ACCOUNT_DISABLED: Final = _RISC + "account-disabled"
ACCOUNT_ENABLED: Final = _RISC + "account-enabled"
ACCOUNT_PURGED: Final = _RISC + "account-purged"
CREDENTIAL_COMPROMISE: Final = _RISC + "credential-compromise"
VERIFICATION: Final = _SSF + "verification"
STREAM_UPDATED: Final = _SSF + "stream-updated"

SUPPORTED: Final = (SESSION_REVOKED, CREDENTIAL_CHANGE, ACCOUNT_DISABLED, ACCOUNT_ENABLED)
"""What we transmit about subjects. Verification and stream-updated belong to the framework and are never asked for."""

PUSH: Final = "urn:ietf:rfc:8935"
POLL: Final = "urn:ietf:rfc:8936"

Profile = Literal["ssf", "okta", "google"]
Status = Literal["enabled", "paused", "disabled"]

TYP: Final = "secevent+jwt"
"""RFC 8417, section 2.3."""
SET_TYPE: Final = "application/secevent+jwt"

FROM_A_SIGNAL: Final = "set-"
"""How a command begins that was ordered because of somebody else's signal. Never told on: two deployments would lock each other for ever."""
