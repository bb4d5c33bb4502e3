"""Findings, locks and the console's own orders. Pure: fed by the Kafka shell, read by pages. `version` counts changes."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from tallystick_schemas.locks import LockTopic, Subject, Taken, in_force
from tallystick_schemas.messages import Decision, Finding, Lock, LockHeartbeat
from tallystick_schemas.names import canonical, canonical_subject
from tallystick_schemas.notices import notices, pending

from .ports import Closing


class FindingBoard:
    """The newest `keep` findings by id; a finding that comes again replaces itself."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._by_id: OrderedDict[str, Finding] = OrderedDict()
        self._closed: dict[str, Closing] = {}
        self.version = 0
        self.forgotten = 0

    def add(self, finding: Finding) -> None:
        """Take one from the topic `findings`."""
        known = self._by_id.get(finding.id)
        if known == finding:
            return
        self._by_id[finding.id] = finding
        if len(self._by_id) > self._keep:
            gone, _ = self._by_id.popitem(last=False)
            self._closed.pop(gone, None)
            self.forgotten += 1
        self.version += 1

    def get(self, finding_id: str) -> Finding | None:
        """One finding, if it is known."""
        return self._by_id.get(finding_id)

    def close(self, closings: Mapping[str, Closing]) -> None:
        """What people said about findings that are known here; of two closings of one, the later stands."""
        for finding_id, one in closings.items():
            known = self._closed.get(finding_id)
            if finding_id in self._by_id and (known is None or known.at < one.at):
                self._closed[finding_id] = one
                self.version += 1

    def closing(self, finding_id: str) -> Closing | None:
        """How a finding was closed, if it was."""
        return self._closed.get(finding_id)

    def newest(self) -> list[Finding]:
        """All, newest first by the time when the detector said so."""
        return sorted(self._by_id.copy().values(), key=lambda f: (f.emitted_ms, f.id), reverse=True)


class LockBoard:
    """What topic `locks` says of every subject, as responders signed it, and their newest heartbeat."""

    def __init__(self, topic: LockTopic) -> None:
        self._topic = topic
        self.heartbeat: str | None = None
        self.agrees: bool | None = None
        """Whether the topic holds what the newest heartbeat speaks of; None before the first."""
        self.version = 0

    def take(self, key: bytes | None, value: bytes | None) -> Taken:
        """Take one value of the topic; ParseError when it is nobody's word. A tombstone lifts nothing."""
        taken = self._topic.take(key, value)
        if isinstance(taken, LockHeartbeat):
            agrees = self._topic.agrees(taken)
            self.version += agrees != self.agrees
            self.heartbeat, self.agrees = taken.at, agrees
        elif taken is not None:
            self.version += 1
        return taken

    def get(self, subject: str) -> Lock | None:
        """A subject's newest state."""
        held = self._topic.held.get(canonical_subject(subject))
        return held.lock if held else None

    def in_force(self, now: float) -> list[Lock]:
        """Subjects that are locked at `now` (seconds since 1970), newest first."""
        return sorted((lock for lock in self._all() if in_force(lock, now)), key=lambda k: k.at, reverse=True)

    def lifted(self, now: float) -> list[Lock]:
        """Subjects whose lock is over, newest first."""
        return sorted((lock for lock in self._all() if not in_force(lock, now)), key=lambda k: k.at, reverse=True)

    def of(self, principal: str, credential: str | None, now: float) -> Lock | None:
        """The lock in force that stops this principal or credential."""
        subjects = [Subject("principal", canonical(principal)), *([Subject("credential", credential)] if credential else [])]
        found = [lock for one in subjects if in_force(lock := self.get(str(one)), now) and lock is not None]
        return found[0] if found else None

    def on(self, subject: str, now: float) -> Lock | None:
        """The lock in force of one subject."""
        lock = self.get(subject)
        return lock if in_force(lock, now) else None

    def _all(self) -> list[Lock]:
        return [held.lock for held in self._topic.held.copy().values()]


class DecisionBoard:
    """The newest `keep` decisions, oldest first; each id once."""

    def __init__(self, keep: int = 2_000) -> None:
        self._keep = keep
        self._by_id: OrderedDict[str, Decision] = OrderedDict()

    def add(self, decision: Decision) -> None:
        """Take one from the topic `decisions`."""
        self._by_id.setdefault(decision.id, decision)
        if len(self._by_id) > self._keep:
            self._by_id.popitem(last=False)

    def pending(self, now: float) -> list[Decision]:
        """Orders that wait for a second person."""
        return pending(self._by_id.copy().values(), now)

    def notices(self, now: float) -> list[str]:
        """Sentences that nobody may overlook."""
        return notices(self._by_id.copy().values(), now)


Verb = Literal["suspend", "resume", "step-up", "revoke", "withdraw"]
VERBS: Final[tuple[Verb, ...]] = get_args(Verb)
"""What a person may order here. `withdraw`: that what waits for a second person waits no longer."""
Step = Literal["ordering", "ordered", "applied", "held", "failed"]


@dataclass(frozen=True)
class Order:
    """One act that somebody ordered here. `event` is the recorded event's name; `at` and `applied_at` are seconds since 1970."""

    command: str
    verb: Verb
    subject: str
    by: str
    reason: str
    at: float
    step: Step = "ordering"
    event: str | None = None
    applied_at: float | None = None
    problem: str | None = None


class OrderBoard:
    """The newest `keep` orders; one is applied when a lock with its command stands on the topic `locks`."""

    def __init__(self, keep: int = 500) -> None:
        self._keep = keep
        self._by_command: OrderedDict[str, Order] = OrderedDict()
        self.version = 0

    def put(self, order: Order) -> None:
        """A new order, or a new step of one. An order that was applied stays so: the lock may come before the recorder's answer."""
        known = self._by_command.get(order.command)
        if known is not None and known.step in ("applied", "held"):
            order = replace(known, event=order.event or known.event)
        self._by_command[order.command] = order
        if len(self._by_command) > self._keep:
            self._by_command.popitem(last=False)
        self.version += 1

    def applied(self, command: str, now: float) -> None:
        """The responder wrote the lock that this command asked for."""
        order = self._by_command.get(command)
        if order is not None and order.step != "applied":
            self._by_command[command] = replace(order, step="applied", applied_at=now)
            self.version += 1

    def held(self, command: str, reason: str) -> None:
        """The responder wrote no lock for it: it waits for a second person, or was refused."""
        order = self._by_command.get(command)
        if order is not None and order.step not in ("applied", "held"):
            self._by_command[command] = replace(order, step="held", problem=reason)
            self.version += 1

    def get(self, command: str) -> Order | None:
        """One order, if it was made here."""
        return self._by_command.get(command)
