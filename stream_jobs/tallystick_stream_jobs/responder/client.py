"""For those who order: the command line and the console. An order is a signed, durable event; the responder makes the lock of it."""

import secrets
import time
from collections.abc import Iterator

from kafka import KafkaConsumer, TopicPartition

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Finding, Lock, parse_finding, parse_lock
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import FINDINGS, LOCKS

from ..detectors.job import read_compacted
from ..errors import LockUnconfirmed


def order_lock(recorder: Recorder, subject: str, reason: str, by: str, minutes: float | None = None, finding: str | None = None) -> str:
    """Order that `principal:…` or `credential:…` is locked; the command id. `minutes` None: until somebody lifts it."""
    until = {"until": wire_time(time.time() + minutes * 60)} if minutes is not None else {}
    return _order(recorder, "credential.suspend", subject, reason, by, {**until, **({"finding": finding} if finding else {})})


def order_unlock(recorder: Recorder, subject: str, reason: str, by: str) -> str:
    """Order that a lock is lifted; the command id."""
    return _order(recorder, "credential.resume", subject, reason, by, {})


def _order(recorder: Recorder, action: str, subject: str, reason: str, by: str, attrs: dict[str, str]) -> str:
    kind, _, name = subject.partition(":")
    command = f"cmd-{secrets.token_hex(8)}"
    recorder.record(
        action,
        actor=Actor(by, "human"),
        resource=Resource(kind, name),
        why=Why(text=reason),
        attrs={"command": command, **attrs},
        durable=True,
    )
    return command


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
    """The lock that a command made; LockUnconfirmed when none appears in time."""
    deadline = time.monotonic() + timeout_s
    for lock in _follow_locks(kafka, deadline):
        if lock.command == command:
            return lock
    raise LockUnconfirmed(command, timeout_s)


def _follow_locks(kafka: KafkaSettings, deadline: float) -> Iterator[Lock]:
    consumer = KafkaConsumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    try:
        consumer.assign([TopicPartition(LOCKS, 0)])
        consumer.seek_to_beginning()
        while time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=100).values():
                for record in records:
                    try:
                        lock = parse_lock(record.key, record.value or b"")
                    except ParseError:
                        continue  # as in read_locks
                    if isinstance(lock, Lock):
                        yield lock
    finally:
        consumer.close()


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
