"""For those who order: the command line and the console. An order is a signed, durable event; the responder makes the lock of it."""

import secrets
import time
from dataclasses import dataclass
from typing import Final

from kafka import KafkaConsumer, TopicPartition

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Decision, Finding, Lock, parse_finding, parse_lock, parse_message
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import DECISIONS, FINDINGS, LOCKS

from ..detectors.job import read_compacted
from ..errors import LockUnconfirmed, OrderHeld

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

    def give(self, action: str, **more: str | None) -> str:
        """Record the order durably; its command id."""
        kind, _, name = self.subject.partition(":")
        command = f"cmd-{secrets.token_hex(8)}"
        attrs = {"command": command, "principal": self.principal, "finding": self.finding, **more}
        self.recorder.record(
            action,
            actor=Actor(self.by, "human"),
            resource=Resource(kind, name),
            why=Why(text=self.reason),
            attrs={key: value for key, value in attrs.items() if value},
            durable=True,
        )
        return command


def order_unlock(recorder: Recorder, subject: str, reason: str, by: str) -> str:
    """Order that a lock is lifted; the command id."""
    return Ordering(recorder, subject, reason, by).give("credential.resume")


def suspend(order: Ordering, minutes: float | None, *, level: str = "suspend", confirm: bool = False) -> str:
    """Order a suspension or a step-up, or that the standing lock stays (`confirm`); the command id. `minutes` None: until somebody lifts it."""
    until = None if minutes is None else wire_time(time.time() + minutes * 60)
    return order.give("credential.suspend", until=until, level=level, confirm="true" if confirm else None)


def resume(order: Ordering) -> str:
    """Order that the lock is lifted; the command id."""
    return order.give("credential.resume")


def withdraw(order: Ordering) -> str:
    """Order that what waits for a second person about the subject waits no longer; the command id. No lock is lifted."""
    return order.give("credential.resume", withdraw="true")


def revoke(order: Ordering) -> str:
    """Order that it is revoked for good, once a second person says so too; the command id."""
    return order.give("credential.revoke")


def read_locks(kafka: KafkaSettings) -> list[Lock]:
    """The newest state of every subject; values that are no locks are left out."""
    locks = []
    for key, value in read_compacted(kafka, LOCKS, 0).items():
        try:
            lock = parse_lock(key, value)
        except ParseError:
            continue  # anybody may write garbage; it locks nobody
        if isinstance(lock, Lock):
            locks.append(lock)
    return locks


def wait_applied(kafka: KafkaSettings, command: str, timeout_s: float) -> Lock:
    """The lock that a command made. LockUnconfirmed when nothing was decided in time; OrderHeld when it was refused, or waits for a second person."""
    decision = wait_decided(kafka, command, timeout_s)
    if decision.lock is None:
        raise OrderHeld(command, decision.reason)
    return decision.lock


def wait_decided(kafka: KafkaSettings, command: str, timeout_s: float) -> Decision:
    """What the responder made of a command; LockUnconfirmed when it says nothing in time."""
    deadline = time.monotonic() + timeout_s
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    try:
        partition = TopicPartition(DECISIONS, 0)
        consumer.assign([partition])
        end, begin = consumer.end_offsets([partition])[partition], consumer.beginning_offsets([partition])[partition]
        # The order was given a moment ago: its decision is among the newest, or still to come.
        consumer.seek(partition, max(begin, end - _LOOK_BACK))
        while time.monotonic() < deadline:
            for record in consumer.poll(timeout_ms=100).get(partition, []):
                try:
                    decision = parse_message(Decision, record.value or b"")
                except ParseError:
                    continue  # as in read_locks
                if decision.id == command:
                    return decision
    finally:
        consumer.close()
    raise LockUnconfirmed(command, timeout_s)


def read_findings(kafka: KafkaSettings, limit: int = 1000) -> list[Finding]:
    """The newest findings, newest first; each id once."""
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest")
    found: dict[str, Finding] = {}
    try:
        partition = TopicPartition(FINDINGS, 0)
        consumer.assign([partition])
        end = consumer.end_offsets([partition])[partition]
        consumer.seek(partition, max(consumer.beginning_offsets([partition])[partition], end - 2 * limit))
        while consumer.position(partition) < end:
            for record in consumer.poll(timeout_ms=500).get(partition, []):
                try:
                    finding = parse_finding(record.value or b"")
                except ParseError:
                    continue  # as in read_locks
                found[finding.id] = finding
    finally:
        consumer.close()
    return sorted(found.values(), key=lambda finding: finding.time, reverse=True)[:limit]
