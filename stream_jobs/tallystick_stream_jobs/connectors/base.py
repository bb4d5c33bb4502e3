"""The port. A connector is one small file with one method, and a `build` that makes it from its table in connectors.toml."""

from datetime import datetime
from typing import Literal, Protocol

from tallystick_schemas.messages import Delivery

Act = Literal["step-up", "suspend", "revoke", "unlock"]


class Connector(Protocol):
    """One place elsewhere that a decision is carried to."""

    @property
    def supersedes(self) -> bool:
        """Whether only the newest order about a subject matters there (an account is open or shut), so that an older one that still waits is
        cancelled. False where each counts, as for a receiver of messages."""
        ...

    def deliver(self, delivery: Delivery, now: float) -> str:
        """Carry out `delivery.decision`, whose `lock` is set; what was done, in words without secrets. `now`: seconds since 1970.

        Must be idempotent: a delivery comes again, with the same id, when nobody knows whether it arrived. It blocks for at most its own
        time-out. `delivery.attempts` is 1 the first time. `delivery.detail` is what the lock before it (of this subject, here) said
        when it was done, "" when nobody knows, None when there is none: what an undo may rely on.
        Raises Retry (it may work later) or Refused (a person must look); anything else counts as Retry, as a fault of ours.
        """
        ...


class Introspects(Protocol):
    """A connector that can also tell whether what it locked is refused by now."""

    def still_works(self, delivery: Delivery, now: float) -> str | None:
        """In words how the subject can still get in; None when it is refused. Asked of the other side, not remembered. Raises as `deliver`."""
        ...


def act_of(delivery: Delivery) -> Act:
    """What is to be done elsewhere."""
    lock = delivery.decision.lock
    assert lock is not None
    return "unlock" if lock.state == "unlocked" else lock.level


def locked_s(delivery: Delivery) -> float:
    """When the lock was made, in seconds since 1970: what was signed in before it must not be good any more."""
    lock = delivery.decision.lock
    assert lock is not None
    return datetime.fromisoformat(lock.at).timestamp()


def subject_of(delivery: Delivery) -> tuple[str, str]:
    """(`principal` or `credential`, its name)."""
    kind, _, name = delivery.decision.subject.partition(":")
    return kind, name


def whose(delivery: Delivery) -> str | None:
    """The principal, where it is known: the subject itself, or the one whose credential it is."""
    kind, name = subject_of(delivery)
    return name if kind == "principal" else delivery.decision.principal
