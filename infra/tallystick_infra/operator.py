"""The operator's acts on the log: records signed with the operator key, sent, and waited for until the notary's receipt."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import KafkaProducer, TopicPartition

from tallystick_producers.consumer import Consumer
from tallystick_producers.keyring import read_opener
from tallystick_producers.refused import Refused
from tallystick_schemas.directives import AGENT, LEVEL, RULES, open_directive
from tallystick_schemas.encoding import digest, from_base64, to_base64
from tallystick_schemas.envelope import Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import AGENT_PATTERN, KEY_ID_PATTERN, Directive, Enrol, Revoke
from tallystick_schemas.keys import key_id
from tallystick_schemas.receipts import OPERATOR, Receipt, parse_receipts
from tallystick_schemas.roles import Holder, Mandate, holder_of, subject_of, value_of
from tallystick_schemas.settings import KafkaSettings, LogSettings
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_schemas.topics import EVENTS, RECEIPT_PARTITIONS, RECEIPTS
from tallystick_schemas.verdicts import Verdict

from .errors import BadOrder, OrderRefused, OrderUnanswered

_MAX_TEXT: Final = 512


def check_agent(name: str) -> None:
    """BadOrder unless `name` is an agent's name as SPEC section 4 has it."""
    if not AGENT_PATTERN.fullmatch(name):
        raise BadOrder(f"the agent's name {name[:140]!r}", "it must be 1 to 128 of the characters A-Z a-z 0-9 . _ : @ / -")


def check_text(what: str, text: str) -> None:
    """BadOrder unless an owner or a reason is one line that people can read and a header can hold (4096 bytes, SPEC section 4)."""
    if not text.strip() or not text.isprintable() or len(text) > _MAX_TEXT:
        raise BadOrder(f"the {what} {text[:100]!r}", f"it must be one printable line of 1 to {_MAX_TEXT} characters")


def check_agent_key(key: str) -> None:
    """BadOrder unless `key` is a key id."""
    if not KEY_ID_PATTERN.fullmatch(key):
        raise BadOrder(f"the key {key[:100]!r}", "it must be the 16 lower-case hex digits that `tallystick agent list` shows")


@dataclass(frozen=True)
class Operator:
    """Signs what the format allows, else BadOrder; the caller gives the time (seconds since 1970)."""

    private_key: Ed25519PrivateKey

    @property
    def key(self) -> str:
        return key_id(self.public)

    @property
    def public(self) -> bytes:
        return self.private_key.public_key().public_bytes_raw()

    def enrol(self, agent: str, public_key: bytes, owner: str, now: float) -> bytes:
        """From where it lands in the log, `public_key` speaks for `agent`."""
        check_agent(agent)
        check_text("owner", owner)
        return sign_record(Enrol(1, self.key, wire_time(now), agent, to_base64(public_key), owner), self.private_key)

    def revoke(self, agent: str, agent_key: str, reason: str, now: float) -> bytes:
        """For good: that key can never be enrolled again."""
        check_agent(agent)
        check_agent_key(agent_key)
        check_text("reason", reason)
        return sign_record(Revoke(1, self.key, wire_time(now), agent, agent_key, reason), self.private_key)

    def directive(self, about: str, subject: str, value: dict[str, Any], n: int, now: float) -> bytes:
        """What is in force about `subject` from where it lands on, unless one with an `n` as high was before it."""
        record = sign_record(Directive(1, self.key, wire_time(now), about, subject, n, value), self.private_key)
        try:
            directive = open_directive(record, {self.key: self.private_key.public_key().public_bytes_raw()})
            if about == AGENT:
                holder_of(directive, record)
        except ParseError as error:
            raise BadOrder(f"the directive about {subject[:140] or about!r}", str(error)) from error
        return record

    def follow_rules(self, n: int, now: float) -> bytes:
        """From it on a shard follows the newest rules; the one with number 0 is its first directive (SPEC section 5)."""
        return self.directive(RULES, "", {"level": LEVEL}, n, now)

    def give_role(self, agent: str, mandate: Mandate, n: int, now: float) -> bytes:
        """What the mandate's key may say as `agent`; `n` is above that of every directive about the key before."""
        check_agent(agent)
        subject = subject_of(agent, key_id(from_base64(mandate.public_key, 32, "public_key")))
        return self.directive(AGENT, subject, value_of(mandate), n, now)

    def revoke_role(self, holder: Holder, now: float) -> bytes:
        """From where it lands on, the key may say nothing that makes anybody act; its roles stay written down."""
        mandate = Mandate(to_base64(holder.public), sorted(holder.roles), "revoked", holder.scope)
        return self.give_role(holder.agent, mandate, holder.n + 1, now)


class RecordSender:
    """Sends records under an agent's key, so that they share its partition, and knows which receipts answer them: those that a notary signed."""

    def __init__(self, kafka: KafkaSettings, opener: Opener) -> None:
        self._opener, self._refused = opener, Refused(RECEIPTS)
        self._producer = KafkaProducer(**kafka.client_kwargs(), enable_idempotence=True, acks="all", linger_ms=0)
        self._consumer = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="latest", fetch_max_wait_ms=50)
        self._consumer.assign([TopicPartition(RECEIPTS, partition) for partition in range(RECEIPT_PARTITIONS)])
        self._consumer.seek_to_end()
        for partition in self._consumer.assignment():
            self._consumer.position(partition)

    def send(self, agent: str, record: bytes) -> None:
        self._producer.send(EVENTS, key=agent.encode(), value=record).get(timeout=30)

    def send_to(self, shard: int, record: bytes) -> None:
        """To one shard, whatever its key would choose."""
        self._producer.send(EVENTS, value=record, partition=shard).get(timeout=30)

    def wait_everywhere(self, record: bytes, shards: int, timeout_s: float) -> list[Receipt]:
        """The receipt of one record in each shard, as `wait`."""
        run, found = digest(record).hex()[:32], dict[int, Receipt]()
        deadline = time.monotonic() + timeout_s
        while len(found) < shards:
            if time.monotonic() > deadline:
                raise OrderUnanswered(shards - len(found), timeout_s)
            found |= {receipt.shard: receipt for receipt in self._receipts() if receipt.run == run}
        _check_accepted(found.values())
        return [found[shard] for shard in range(shards)]

    def wait(self, records: list[bytes], timeout_s: float) -> list[Receipt]:
        """The receipt of each record, in their order; OrderUnanswered after `timeout_s`, OrderRefused for a verdict that is no acceptance."""
        wanted = {digest(record).hex()[:32]: None for record in records}
        found: dict[str, Receipt] = {}
        deadline = time.monotonic() + timeout_s
        while len(found) < len(wanted):
            if time.monotonic() > deadline:
                raise OrderUnanswered(len(wanted) - len(found), timeout_s)
            found |= {receipt.run: receipt for receipt in self._receipts() if receipt.run in wanted}
        _check_accepted(found.values())
        return [found[run] for run in wanted]

    def _receipts(self) -> Iterator[Receipt]:
        for batch in self._consumer.poll(timeout_ms=200).values():
            for message in batch:
                if message.key == OPERATOR.encode():
                    try:
                        receipts = parse_receipts(self._opener.open(RECEIPTS, message.key, message.value or b"").body)
                    except ParseError as error:
                        self._refused.note(message.key, error)
                        continue
                    yield from receipts

    def close(self) -> None:
        self._consumer.close()
        self._producer.close(timeout=5)


def _check_accepted(receipts: Iterable[Receipt]) -> None:
    for receipt in receipts:
        if receipt.verdict > Verdict.SEEN:
            raise OrderRefused(Verdict(receipt.verdict).label)


@contextmanager
def record_sender(kafka: KafkaSettings, log: LogSettings) -> Iterator[RecordSender]:
    """A sender that knows who is a notary now; closed on every way out."""
    sender = RecordSender(kafka, read_opener(kafka, log))
    try:
        yield sender
    finally:
        sender.close()
