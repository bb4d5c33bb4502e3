"""What a decision is called in the vocabularies of others: CAEP and RISC events for a lock. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tallystick_schemas.messages import Decision, Lock

from .subjects import Subject, principal_subject
from .vocabulary import ACCOUNT_DISABLED, ACCOUNT_ENABLED, CREDENTIAL_CHANGE, FROM_A_SIGNAL, SESSION_REVOKED

_MAX_REASON: Final = 500


@dataclass(frozen=True)
class Happening:
    """One event about one subject; `at` in whole seconds since 1970."""

    event: str
    payload: dict[str, Any]
    subject: Subject
    txn: str
    at: int


def happenings(decision: Decision, issuer: str) -> list[Happening]:
    """What a receiver is told about a decision, in order; nothing where no lock was written, or where a signal from outside made it."""
    lock = decision.lock
    if lock is None or decision.id.removeprefix("expire-").startswith(FROM_A_SIGNAL):
        return []
    at = int(datetime.fromisoformat(lock.at).timestamp())
    kind, _, name = decision.subject.partition(":")
    common = {
        "event_timestamp": at,
        "initiating_entity": "policy" if lock.by == "responder" else "admin",
        "reason_admin": {"en": (lock.reason or decision.reason or "no reason was given")[:_MAX_REASON]},
    }
    if kind == "credential":
        whose = principal_subject(decision.principal, issuer) if decision.principal else {"format": "opaque", "id": name}
        told = [(CREDENTIAL_CHANGE, {**common, **_credential(lock, name)})]
    else:
        whose = principal_subject(name, issuer)
        told = [(event, common) for event in _account(lock)]
    return [Happening(event, payload, whose, decision.id, at) for event, payload in told]


def _account(lock: Lock) -> tuple[str, ...]:
    if lock.state == "unlocked":
        return (ACCOUNT_ENABLED,)
    # step-up: whoever can prove anew who they are may come back, so the session ends and the account stays.
    return (SESSION_REVOKED,) if lock.level == "step-up" else (SESSION_REVOKED, ACCOUNT_DISABLED)


def _credential(lock: Lock, name: str) -> dict[str, str]:
    """CAEP 1.0, 3.3.1: the type is one that both sides know; `bearer-token` is what our gateway takes."""
    change = "revoke" if lock.state == "locked" else "update"
    return {"credential_type": "bearer-token", "change_type": change, "friendly_name": name}
