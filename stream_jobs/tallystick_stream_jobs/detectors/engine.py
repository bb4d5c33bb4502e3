"""The engine: one partition's principals, their states in buckets, and every rule over every fact. No clock, no I/O.

Buckets are what is kept: each carries how far it has seen each shard, so that a message read twice changes nothing (SPEC section 6: indexes
rise within a shard). It leaves to the shell: reading, keeping buckets, sending findings.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Any, Final

import msgspec

from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Finding, VerifiedBatch, VerifiedSegment

from .base import Noticing, Rule, State
from .facts import Fact, decode_event, event_time
from .registry import RULES

BUCKETS: Final = 64
MAX_PRINCIPALS: Final = 4096
"""A bucket; the one that was silent longest goes first."""
_SIGNALS: Final = "signals"


class Bucket(msgspec.Struct):
    """Principals that share a hash, the one that spoke last at the end."""

    seen: dict[int, int]
    """Shard -> highest index taken in."""
    principals: dict[str, dict[str, State]]
    """Principal -> rule id -> the rule's state."""


def bucket_of(principal: str) -> int:
    """The same in every process (BLAKE2b)."""
    return blake2b(principal.encode("utf-8", "replace"), digest_size=2).digest()[0] % BUCKETS


class Engine:
    """One partition of `verified`."""

    def __init__(self, rules: tuple[Rule, ...] = RULES) -> None:
        self._rules = rules
        self._noticing = [rule for rule in rules if isinstance(rule, Noticing)]
        self._buckets: dict[int, Bucket] = {}
        self.dirty: set[int] = set()

    def process(self, batch: VerifiedBatch) -> list[Finding]:
        """Findings of one message, in the order in which they were crossed."""
        findings: list[Finding] = []
        for segment in batch.segments:
            self._segment(batch.shard, segment, findings)
        for signal in batch.signals:
            number = bucket_of(signal.agent)
            bucket = self._bucket(number)
            # Signals travel in messages of their own, so they have a mark of their own.
            if signal.index > bucket.seen.get(-1 - batch.shard, -1):
                bucket.seen[-1 - batch.shard] = signal.index
                self.dirty.add(number)
                state = self._states(bucket, signal.agent).setdefault(_SIGNALS, {})
                told = [rule.notice(state, batch.shard, signal) for rule in self._noticing]
                findings += [found for found in told if found]
        return findings

    def _segment(self, shard: int, segment: VerifiedSegment, findings: list[Finding]) -> None:
        touched: dict[int, bool] = {}
        for pos, raw in segment.events:
            try:
                event = decode_event(raw)
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                raise ParseError(f"a verified event at {shard}:{segment.index}:{pos} cannot be read: {error}") from error
            principal = event.actor.principal
            number = bucket_of(principal)
            bucket = self._bucket(number)
            if number not in touched:
                touched[number] = segment.index > bucket.seen.get(shard, -1)
            if not touched[number]:
                continue
            fact = Fact(event_time(event.time, segment.append_ms), (shard, segment.index, pos), event, raw)
            states = self._states(bucket, principal)
            for rule in self._rules:
                found = rule.observe(states.setdefault(rule.meta.id, {}), fact)
                if found is not None:
                    findings.append(found)
        for number, fresh in touched.items():
            if fresh:
                self._bucket(number).seen[shard] = segment.index
                self.dirty.add(number)

    def _bucket(self, number: int) -> Bucket:
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = Bucket({}, OrderedDict())
        return bucket

    def _states(self, bucket: Bucket, principal: str) -> dict[str, State]:
        principals = bucket.principals
        states = principals.pop(principal, None)
        if states is None:
            states = {}
            if len(principals) >= MAX_PRINCIPALS:
                del principals[next(iter(principals))]
        principals[principal] = states
        return states

    def snapshot(self, number: int) -> bytes:
        """One bucket, to be kept."""
        raw: bytes = _encode(self._bucket(number))
        return raw

    def restore(self, number: int, raw: bytes) -> None:
        """A bucket that was kept; ParseError when it is not one."""
        try:
            self._buckets[number] = _decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ParseError(f"bucket {number} of the detectors' state cannot be read: {error}") from error

    def sizes(self) -> tuple[int, int]:
        """(principals, bytes of all buckets)."""
        return sum(len(b.principals) for b in self._buckets.values()), sum(len(_encode(b)) for b in self._buckets.values())


_encode: Final[Any] = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Bucket).decode
