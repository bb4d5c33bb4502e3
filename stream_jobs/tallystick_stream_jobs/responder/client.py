"""For those who order: the command line and the console. An order is a signed, durable event; the responder makes the lock of it."""

import secrets
import time
from dataclasses import dataclass, replace
from typing import Final, Literal

from kafka import TopicPartition

from tallystick_producers import Recorder
from tallystick_producers.consumer import Consumer
from tallystick_producers.keyring import opener_of, read_opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Decision, Finding, Level, Lock, parse_finding, parse_message
from tallystick_schemas.orders import Order, facts_of, lifting
from tallystick_schemas.settings import KafkaSettings, LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import DECISIONS, FINDINGS

from ..errors import LockUnconfirmed, OrderHeld
from .lock_topic import read_lock_topic

_LOOK_BACK: Final = 2_000


@dataclass(frozen=True)
class Ordering:
    """Who orders, about whom, and why. `subject`: `principal:…` or `credential:…`; `principal`: whose credential it is, where that is known."""

    recorder: Recorder
    subject: str
    reason: str
    by: str
    principal: str | None = None
    finding: str | None = None

    def lock(self, state: Literal["locked", "unlocked"], level: Level = "suspend", until: str | None = None) -> Lock:
        """The lock as it is ordered, under a command of its own."""
        command = f"cmd-{secrets.token_hex(8)}"
        at = wire_time(time.time())
        return Lock(
            subject=self.subject,
            state=state,
            command=command,
            reason=self.reason,
            by=self.by,
            at=at,
            until=until,
            finding=self.finding,
            level=level,
        )

    def give(self, order: Order) -> str:
        """Record the order durably; its command id."""
        facts = facts_of(replace(order, principal=self.principal))
        self.recorder.record(facts.action, actor=facts.actor, resource=facts.resource, why=facts.why, attrs=facts.attrs, durable=True)
        return order.lock.command


def order_unlock(recorder: Recorder, lock: Lock, reason: str, by: str) -> str:
    """Order that this lock is lifted; the command id."""
    return resume(Ordering(recorder, lock.subject, reason, by), lock)


def suspend(order: Ordering, minutes: float | None, *, level: Level = "suspend", confirm: bool = False, replaces: str | None = None) -> str:
    """Order a suspension or a step-up, or that the standing lock stays (`confirm`); the command id. `minutes` None: until somebody lifts it.

    `replaces`: the command of a standing lock that this may weaken or shorten.
    """
    until = None if minutes is None else wire_time(time.time() + minutes * 60)
    return order.give(Order(order.lock("locked", level, until), confirm=confirm, replaces=replaces))


def resume(order: Ordering, lock: Lock) -> str:
    """Order that `lock` is lifted, as who orders saw it, and no other that took its place since; the command id."""
    return order.give(Order(order.lock("unlocked"), lifts=lifting(lock)))


def withdraw(order: Ordering) -> str:
    """Order that what waits for a second person about the subject waits no longer; the command id. No lock is lifted."""
    return order.give(Order(order.lock("unlocked"), withdraw=True))


def revoke(order: Ordering) -> str:
    """Order that it is revoked for good, once a second person says so too; the command id."""
    return order.give(Order(order.lock("locked", "revoke")))


def read_locks(kafka: KafkaSettings, log: LogSettings) -> list[Lock]:
    """The newest believed word about every subject; values that no responder signed are left out."""
    return [held.lock for held in read_lock_topic(kafka, opener_of(log)).topic.held.values()]


def wait_applied(kafka: KafkaSettings, log: LogSettings, command: str, timeout_s: float) -> Lock:
    """The lock that a command made. LockUnconfirmed when nothing was decided in time; OrderHeld when it was refused, or waits for a second person."""
    decision = wait_decided(kafka, log, command, timeout_s)
    if decision.lock is None:
        raise OrderHeld(command, decision.reason)
    return decision.lock


def wait_decided(kafka: KafkaSettings, log: LogSettings, command: str, timeout_s: float) -> Decision:
    """What a responder made of a command, as it signed it; LockUnconfirmed when it says nothing in time."""
    opener = read_opener(kafka, log)
    deadline = time.monotonic() + timeout_s
    consumer = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    try:
        partition = TopicPartition(DECISIONS, 0)
        consumer.assign([partition])
        end, begin = consumer.end_offsets([partition])[partition], consumer.beginning_offsets([partition])[partition]
        # The order was given a moment ago: its decision is among the newest, or still to come.
        consumer.seek(partition, max(begin, end - _LOOK_BACK))
        while time.monotonic() < deadline:
            for record in consumer.poll(timeout_ms=100).get(partition, []):
                try:
                    decision = parse_message(Decision, opener.open(DECISIONS, record.key, record.value or b"").body)
                except ParseError:
                    continue  # nobody's word: it decides nothing, and waiting goes on
                if decision.id == command:
                    return decision
    finally:
        consumer.close()
    raise LockUnconfirmed(command, timeout_s)


def read_findings(kafka: KafkaSettings, log: LogSettings, limit: int = 1000) -> list[Finding]:
    """The newest findings that a part with that role signed, newest first; each id once."""
    opener = read_opener(kafka, log)
    consumer = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
    found: dict[str, Finding] = {}
    try:
        partition = TopicPartition(FINDINGS, 0)
        consumer.assign([partition])
        end = consumer.end_offsets([partition])[partition]
        consumer.seek(partition, max(consumer.beginning_offsets([partition])[partition], end - 2 * limit))
        while consumer.position(partition) < end:
            for record in consumer.poll(timeout_ms=500).get(partition, []):
                try:
                    finding = parse_finding(opener.open(FINDINGS, record.key, record.value or b"").body)
                except ParseError:
                    continue  # as in wait_decided
                found[finding.id] = finding
    finally:
        consumer.close()
    return sorted(found.values(), key=lambda finding: finding.time, reverse=True)[:limit]
