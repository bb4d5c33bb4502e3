"""Somebody's token becomes an event in our history and, where an issuer may, an order to lock. Each token once: a repeat is taken and changes nothing."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

from tallystick_schemas.events import Actor, Resource, Why
from tallystick_schemas.names import canonical as canonical_name
from tallystick_schemas.signing import wire_time

from .detached import detached
from .errors import KeysUnavailable, SetRefused
from .jwks import Key
from .settings import IssuerSettings
from .store import Store
from .subjects import canonical, principal_of
from .verify import Heard, check_set
from .vocabulary import (
    ACCOUNT_DISABLED,
    ACCOUNT_PURGED,
    CREDENTIAL_CHANGE,
    CREDENTIAL_COMPROMISE,
    FROM_A_SIGNAL,
    SESSION_REVOKED,
    STREAM_UPDATED,
    VERIFICATION,
)

log: Final = logging.getLogger(__name__)
ALARMS: Final = frozenset({SESSION_REVOKED, CREDENTIAL_CHANGE, ACCOUNT_DISABLED, ACCOUNT_PURGED, CREDENTIAL_COMPROMISE})
"""What opens an incident here; everything else that holds is noted."""
_ENDS: Final = frozenset({"revoke", "delete"})
"""Changes of a credential (CAEP 1.0, 3.3.1) that take it away."""
_MAX_HEARD: Final = 1_000_000
_TEXT: Final = 500


class Recording(Protocol):
    """What a Recorder does for us."""

    async def record_async(self, action: str, *, durable: bool = True, **fields: Any) -> str: ...


class Recorded(Recording, Protocol):
    """A Recorder, or what tests have in its place."""

    @property
    def record(self) -> Callable[..., str]: ...


@dataclass(frozen=True)
class News:
    """One event for the history: arguments of `record`."""

    action: str
    fields: Mapping[str, Any]


def command_of(heard: Heard) -> str:
    """The command that a token orders: the same for a repeat, whoever brings it."""
    return FROM_A_SIGNAL + sha256(f"{heard.iss}\0{heard.jti}".encode()).hexdigest()[:32]


def news_of(heard: Heard, issuer: IssuerSettings) -> News:
    """What the history keeps of a token. Its resource is of a kind that no order has: news never lock anybody."""
    subject = canonical(heard.subject)[:_TEXT] if isinstance(heard.subject, dict) else "none"
    attrs = {
        "iss": heard.iss,
        "jti": heard.jti,
        "sha256": heard.sha256,
        "event": heard.event,
        "subject": subject,
        "event_time": wire_time(heard.at),
        **({"txn": heard.txn} if heard.txn else {}),
    }
    kind, action = "foreign-subject", "incident.note"
    if heard.event in ALARMS:
        action = "incident.open"
    if heard.event == CREDENTIAL_CHANGE and heard.payload.get("change_type") in _ENDS:
        kind, action = "foreign-credential", "credential.revoke"
    if heard.event in (VERIFICATION, STREAM_UPDATED):
        kind = "foreign-stream"
    who = principal_of(heard.subject, heard.iss) or subject
    fields = {"actor": _actor(issuer), "resource": Resource(kind, who[:_TEXT]), "why": Why(text=_words(heard)), "attrs": attrs}
    return News(action, fields)


def order_of(heard: Heard, issuer: IssuerSettings, now: float) -> News | None:
    """The order to lock; None where the issuer may not, the event does not say so, or the subject is nobody that it answers for."""
    if not issuer.lock or heard.event not in ALARMS:
        return None
    if heard.event == CREDENTIAL_CHANGE and heard.payload.get("change_type") not in _ENDS:
        return None
    principal = principal_of(heard.subject, heard.iss)
    if principal is None or not _answers_for(issuer, principal):
        return None
    attrs = {"command": command_of(heard), "until": wire_time(now + issuer.lock_minutes * 60), "iss": heard.iss, "jti": heard.jti}
    fields = {"actor": _actor(issuer), "resource": Resource("principal", principal), "why": Why(text=_words(heard)), "attrs": attrs}
    return News("credential.suspend", fields)


def _answers_for(issuer: IssuerSettings, principal: str) -> bool:
    """True for everybody with "*", else for the addresses of its domains, in whatever case the settings have them."""
    domains = {canonical_name(f"x@{domain}") for domain in issuer.lock_domains}
    return "*" in issuer.lock_domains or canonical_name(f"x@{principal.rpartition('@')[2]}") in domains


def _actor(issuer: IssuerSettings) -> Actor:
    return Actor(f"signals:{issuer.name}", "service")


def _words(heard: Heard) -> str:
    """The issuer's reason in its own words, after what it is."""
    reason = heard.payload.get("reason_admin")
    said = next((text for text in reason.values() if isinstance(text, str)), "") if isinstance(reason, dict) else reason
    name = heard.event.rpartition("/")[2]
    return f"{heard.iss} says {name}" + (f": {said[:_TEXT]}" if isinstance(said, str) and said else "")


class Inbox:
    """One issuer's tokens, one at a time."""

    def __init__(
        self, issuer: IssuerSettings, key_of: Callable[[str, float], Key], store: Store, recorder: Recording, max_age_s: float
    ) -> None:
        self.issuer, self._key_of, self._store, self._recorder, self._max_age_s = issuer, key_of, store, recorder, max_age_s
        self._turn = asyncio.Lock()

    async def accept(self, token: bytes, now: float) -> Heard:
        """Take a token in; returns when it is on disk. SetRefused for good, KeysUnavailable for now. A repeat returns what it says, again."""
        async with self._turn:
            heard = await detached(
                lambda: check_set(token, self.issuer, lambda kid: self._key_of(kid, now), now, self._max_age_s), "tallystick-check"
            )
            if await asyncio.to_thread(self._store.heard, heard.iss, heard.jti):
                return heard
            if await asyncio.to_thread(self._store.count_heard, heard.iss) >= _MAX_HEARD:
                raise KeysUnavailable(heard.iss, f"it sent {_MAX_HEARD} tokens within the time that they are remembered")
            order = order_of(heard, self.issuer, now)
            for one in [news_of(heard, self.issuer), *([order] if order else [])]:
                await self._recorder.record_async(one.action, **one.fields)
            # If we crash here, the token comes again: it is written down twice, and its order has the same command.
            await asyncio.to_thread(self._store.hear, heard.iss, heard.jti, now)
            log.info("%s: %s heard (%s)%s", heard.iss, heard.event, heard.jti, ", a lock is ordered" if order else "")
            return heard


def refused(issuer: IssuerSettings, token: bytes, error: SetRefused) -> News:
    """A token that was not taken, for the history: who tried, and what was wrong."""
    attrs = {"err": error.err, "sha256": sha256(token).hexdigest(), "bytes": str(len(token))}
    fields = {
        "actor": Actor("signals", "service"),
        "resource": Resource("issuer", issuer.iss),
        "outcome": "denied",
        "why": Why(text=error.description),
        "attrs": attrs,
    }
    return News("incident.note", fields)
