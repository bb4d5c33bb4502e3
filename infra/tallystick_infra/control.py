"""The operator's directives where they have to be: in every partition of the history, and on topic `locks`, where everybody reads roles.

Each is believed for its signature, so it may be taken from either place to the other. A number is signed once: what one place lacks is the very
record that the other has, or two readers would hold different bytes under one number and their digests would not agree.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from kafka import KafkaProducer

from tallystick_producers.keyring import read_opener
from tallystick_schemas.directives import ADOPT, LEVEL
from tallystick_schemas.keys import key_id
from tallystick_schemas.messages import ADOPT_KEY, RETIRE_KEY, ROLE_KEY
from tallystick_schemas.roles import Holder, Keyring, Mandate, Retirement
from tallystick_schemas.settings import KafkaSettings, LogSettings
from tallystick_schemas.topics import EVENTS, LOCKS

from .built_in import BUILT_IN, mandate_of
from .enrolment import Directives, RulesSaid
from .operator import Operator

_NO_RULES: Final = RulesSaid(-1, 1)


def role_key(holder: Holder) -> bytes:
    """The Kafka key of a directive on `locks`."""
    return ROLE_KEY + f"{holder.agent}/{holder.key}".encode()


def read_roles(kafka: KafkaSettings, log: LogSettings) -> Keyring:
    """The roles as topic `locks` carries them."""
    return read_opener(kafka, log).keyring


def merged(log: LogSettings, *places: Keyring) -> Keyring:
    """What all places know together; of one number, the first place's record."""
    ring = Keyring.of(log.operator_keys)
    for place in places:
        for one in (*place, *place.retirements()):
            ring.take(one.raw)
    return ring


Send = Callable[[str, bytes | None, bytes, int | None], None]
"""(topic, key, value, partition or None for the key's): returns when the broker has it."""


@contextmanager
def sending(kafka: KafkaSettings) -> Iterator[Send]:
    """A way to send single messages; closed on every way out."""
    producer = KafkaProducer(**kafka.client_kwargs(), acks="all", enable_idempotence=True, linger_ms=0)
    try:
        yield lambda topic, key, value, partition: producer.send(topic, key=key, value=value, partition=partition).get(timeout=30)
    finally:
        producer.close(timeout=5)


def publish(kafka: KafkaSettings, holders: Iterable[Holder], retired: Iterable[Retirement] = ()) -> None:
    """Put directives on `locks`, where everybody learns of them; retirements last, since they take away what was not said again."""
    with sending(kafka) as send:
        for holder in holders:
            send(LOCKS, role_key(holder), holder.raw, None)
        for one in retired:
            send(LOCKS, RETIRE_KEY + one.key.encode(), one.raw, None)


def newer(known: Keyring, place: Keyring) -> list[Holder]:
    """What a place lacks, or has an older directive of."""
    found = ((holder, place.holder(holder.agent, holder.key)) for holder in known)
    return [holder for holder, there in found if there is None or there.n < holder.n]


@dataclass(frozen=True)
class Plan:
    """What has to be sent, in this order."""

    rules: list[tuple[int, int]]
    """(shard, number) of the directives about rules: where there are none or older ones. They go first: another one before them would be malformed."""
    topic: list[Holder]
    ledger: list[Holder]
    retired: list[tuple[int | None, Retirement]]
    """(shard, retirement) that a shard lacks, or topic `locks` where the shard is None. After the roles, some of which they take away."""
    adopts: list[tuple[str, bytes]]
    """(part, record): state of an earlier version that may be read on, once. Needed on `locks` before the part starts; nothing is taken over later."""

    @property
    def records(self) -> int:
        """How many are sent."""
        return len(self.rules) + len(self.topic) + len(self.ledger) + len(self.retired) + len(self.adopts)


@dataclass(frozen=True)
class Control:
    """One deployment's directives, as its supervisor brings them about before any agent starts."""

    log: LogSettings
    operator: Operator
    clock: Callable[[], float] = time.time
    adopt: tuple[str, ...] = ()
    """Parts that may read on, once, what an earlier version kept without a signature."""

    def plan(self, topic: Keyring, ledger: Directives, publics: Mapping[str, bytes]) -> Plan:
        """Rules in every partition, a role for each of our own agents (name -> public key) that has none, and all roles at both places.

        What an operator said of a key is never said anew: who was given less, or whose key was revoked, stays so.
        """
        known = merged(self.log, topic, ledger.keyring)
        for name, public in publics.items():
            if known.holder(name, key_id(public)) is None:
                known.take(self.operator.give_role(name, _own_mandate(name, public), 0, self.clock()))
        adopts = [
            (part, self.operator.directive(ADOPT, part, {}, next_adoption(part, topic, ledger.keyring), self.clock()))
            for part in self.adopt
        ]
        return Plan(
            _behind(self.log.shards, ledger),
            newer(known, topic),
            newer(known, ledger.keyring),
            _unretired(known, topic, ledger, self.log.shards),
            adopts,
        )

    def ensure(self, kafka: KafkaSettings, ledger: Directives, publics: Mapping[str, bytes]) -> Plan:
        """Carry the plan out; what was sent. Nobody else may give roles meanwhile."""
        plan = self.plan(read_roles(kafka, self.log), ledger, publics)
        if not plan.records:
            return plan
        with sending(kafka) as send:
            for shard, number in plan.rules:
                send(EVENTS, None, self.operator.follow_rules(number, self.clock()), shard)
            for holder in plan.topic:
                send(LOCKS, role_key(holder), holder.raw, None)
            # If we crash here, the next start finds the records on `locks` and sends the same bytes; one that came twice is "seen".
            for holder in plan.ledger:
                send(EVENTS, holder.agent.encode(), holder.raw, None)
            for place, one in plan.retired:
                key = RETIRE_KEY + one.key.encode() if place is None else None
                send(LOCKS if place is None else EVENTS, key, one.raw, place)
            for part, record in plan.adopts:
                # Into the history first: what is read on without its saying so would be nobody's act.
                send(EVENTS, part.encode(), record, None)
                send(LOCKS, ADOPT_KEY + part.encode(), record, None)
        return plan


def _behind(shards: int, ledger: Directives) -> list[tuple[int, int]]:
    """(shard, next number) where rules of this version are not in force yet. Later ones stay: who put them there knows better."""
    said = [(shard, ledger.rules.get(shard, _NO_RULES)) for shard in range(shards)]
    return [(shard, rules.n + 1) for shard, rules in said if rules.level is not None and rules.level < LEVEL]


def _unretired(known: Keyring, topic: Keyring, ledger: Directives, shards: int) -> list[tuple[int | None, Retirement]]:
    """Where each retirement is missing yet: on the topic, and in shards."""
    lacking: list[tuple[int | None, Retirement]] = [(None, one) for one in known.retirements() if not topic.retired(one.key)]
    return lacking + [(shard, one) for shard in range(shards) for one in known.retirements() if (shard, one.key) not in ledger.retired]


def next_adoption(part: str, *places: Keyring) -> int:
    """Above every number under which a part was let read on before."""
    return max((number for place in places if (number := place.adopts(part)) is not None), default=-1) + 1


def _own_mandate(name: str, public: bytes) -> Mandate:
    roles, scope = BUILT_IN[name]
    return mandate_of(public, roles, scope)
