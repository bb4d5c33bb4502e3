"""The durable steps of a delivery, in order, on one small port. Crash after any of them and start again: `decided` and `due` go on from the topic.

Everything here is at least once: the other side drops repeats by the delivery's id, the history shows each attempt's outcome at least once.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from tallystick_schemas.locks import in_force
from tallystick_schemas.messages import Decision, Delivery, Finding

from ..connectors.base import Connector
from ..connectors.errors import Refused, Retry
from .core import Outbox
from .findings import given_up, nobody_known

log: Final = logging.getLogger(__name__)


class Ground(Protocol):
    """Where steps become durable. Each is durable on return; an exception means that nobody knows, and ends the process."""

    def keep(self, delivery: Delivery) -> None:
        """The newest word about a delivery, on topic `outbox`."""
        ...

    def forget(self, delivery_id: str) -> None:
        """Nobody needs it any more."""
        ...

    def record(self, delivery: Delivery) -> None:
        """An outcome, as a signed event."""
        ...

    def find(self, finding: Finding) -> None:
        """A finding, on topic `findings`."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How one attempt went. `detail` when it was done, else `error`."""

    delivery: str
    detail: str | None = None
    error: str = ""
    final: bool = False
    after_s: float | None = None


def attempt(connector: Connector, delivery: Delivery, now: float) -> Outcome:
    """Try it once. Runs in a thread: it may block for the connector's time-out. It never raises: what a connector raises is an outcome."""
    try:
        # If we crash here, it may be done and nobody knows: it comes again under the same id.
        return Outcome(delivery.id, detail=connector.deliver(delivery, now))
    except Retry as error:
        return Outcome(delivery.id, error=str(error), after_s=error.after_s)
    except Refused as error:
        return Outcome(delivery.id, error=str(error), final=True)
    except Exception as error:  # noqa: BLE001 - a connector's mistake must not stop the others; its text may hold anything, so only its kind is told
        log.error("delivery %s: the connector failed with %s", delivery.id, type(error).__name__)
        return Outcome(delivery.id, error=f"the connector has a mistake: {type(error).__name__}")


class Worker:
    """Owned by one loop; `attempt` alone runs elsewhere."""

    def __init__(self, outbox: Outbox, connectors: Mapping[str, Connector], ground: Ground, chance: Callable[[], float]) -> None:
        self.outbox, self.connectors, self._ground, self._chance = outbox, connectors, ground, chance

    def take(self, decision: Decision, now: float) -> None:
        """A decision's deliveries into the outbox."""
        wanted = {name: connector.supersedes for name, connector in self.connectors.items()}
        for value in self.outbox.decided(decision, wanted, now):
            # If we crash here, the decision is read again, and what is missing is made: cancellations first, the new one last.
            self._keep(value)

    def resume(self, decisions: Iterable[Decision], now: float) -> None:
        """The newest decision about each subject: where the topic lost its deliveries, they are made again. What was delivered is not told twice.

        A lock that is over and was never lifted there needs no delivery; its lifting comes as a decision of its own.
        """
        newest = {decision.subject: decision for decision in decisions if decision.lock is not None}
        for decision in newest.values():
            if in_force(decision.lock, now) or self.outbox.holds(decision.subject):
                self.take(decision, now)

    def look(self, decision: Decision, now: float) -> None:
        """Tell of a decision that is about nobody known; again under the same id when it is read again."""
        if (finding := nobody_known(decision, now)) is not None:
            self._ground.find(finding)

    def begin(self, now: float, most: int) -> list[tuple[Connector, Delivery]]:
        """Up to `most` attempts to be made now, each already counted."""
        found: list[tuple[Connector, Delivery]] = []
        for delivery_id in self.outbox.due(now):
            if len(found) >= most:
                break
            connector = self.connectors.get(self.outbox.deliveries[delivery_id].connector)
            if connector is None:
                self._close(self.outbox.cancelled(delivery_id, "this connector is no longer configured"), now)
                continue
            value = self.outbox.begin(delivery_id, now)
            if value.state == "given-up":
                self._close(value, now)
                continue
            # If we crash here, an attempt is counted that was never made. The other way round, who kills us each time would never end.
            self._keep(value)
            found.append((connector, value))
        return found

    def finish(self, outcome: Outcome, now: float) -> None:
        """Write down how an attempt went."""
        if outcome.detail is not None:
            value = self.outbox.done(outcome.delivery, outcome.detail, now)
        else:
            chance = self._chance()
            value = self.outbox.failed(outcome.delivery, outcome.error, now, chance, final=outcome.final, after_s=outcome.after_s)
        self._close(value, now)

    def _close(self, value: Delivery, now: float) -> None:
        """The finding, the event, and last the state: whatever is missing after a crash is made again by the repeat."""
        log.info("delivery %s: %s after %d attempts: %s", value.id, value.state, value.attempts, value.error or value.detail)
        if value.state == "given-up":
            self._ground.find(given_up(value, now))
            # If we crash here, it is found again, under the same id.
        if value.state != "waiting" or value.attempts == 1:
            self._ground.record(value)
            # If we crash here, the attempt is made again and its outcome recorded twice: both happened.
        self._keep(value)

    def retry(self, delivery_id: str, now: float) -> None:
        """A person's order. OrderImpossible."""
        self._keep(self.outbox.retried(delivery_id, now))

    def cancel(self, delivery_id: str, reason: str, now: float) -> None:
        """A person's order. OrderImpossible."""
        self._close(self.outbox.cancelled(delivery_id, reason), now)

    def clean(self, now: float) -> None:
        """Let go of what is old. If we crash in between, the rest goes the next time."""
        for delivery_id in self.outbox.old(now):
            self._ground.forget(delivery_id)
            self.outbox.forget(delivery_id)

    def _keep(self, value: Delivery) -> None:
        self._ground.keep(value)
        # If we crash here, the topic is ahead of us: the next process reads it and goes on from there.
        self.outbox.put(value)
