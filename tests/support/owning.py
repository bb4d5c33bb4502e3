"""A site in memory for responders: topics, a log of signed segments, a ledger, and each responder's spool. Real keys, real envelopes, real folds.

What a part does is what it does on Kafka; a test plays the broker, the store and the clock: drops, rolls back, delays, or takes a part away.
"""

import contextlib
from collections.abc import Awaitable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.signing import DEPLOYMENT, OPERATORS, PARTS, Speaker, directive, key_of, role_key

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.entries import Entry, encode_entry
from tallystick_schemas.envelope import Opener, Signer
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Event, encode_event
from tallystick_schemas.headers import Kind
from tallystick_schemas.locks import Held, LockTopic
from tallystick_schemas.messages import (
    Decision,
    Finding,
    Lock,
    Place,
    VerifiedBatch,
    VerifiedSegment,
    encode_batch,
    encode_json,
    parse_finding,
    parse_message,
)
from tallystick_schemas.orders import Order, facts_of, order_of
from tallystick_schemas.records import parse_record
from tallystick_schemas.roles import Keyring, Role
from tallystick_schemas.segments import SegmentSigner, new_run
from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings, LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.times import seconds_of
from tallystick_schemas.topics import ACTS, DECISIONS, FINDINGS, LOCKS
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.responder.history import Words, words_in
from tallystick_stream_jobs.responder.job import Responder
from tallystick_stream_jobs.responder.lock_topic import ReadTopic, fold_values
from tallystick_stream_jobs.responder.mirror import Seen
from tallystick_stream_jobs.responder.order_history import Found, Ordered, acting_in
from tallystick_stream_jobs.responder.proven import prove
from tallystick_stream_jobs.responder.shown_roots import Said, Shown
from tallystick_stream_jobs.shell import Message
from tallystick_stream_jobs.triage.record import finding_event

SEALER = key_of("sealer").public_key().public_bytes_raw()
SETTINGS = JobSettings(KafkaSettings(), ClickHouseSettings(), LogSettings(DEPLOYMENT, 1, OPERATORS, (SEALER,)), "")


class StoreAway(Exception):
    """The store does not answer."""


@dataclass
class Site:
    """What everybody shares. `locks`, `told`: (key, value) and (topic, key, value) in order; `log`: records of `events`, one partition."""

    locks: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)
    told: list[tuple[str, bytes | None, bytes | None]] = field(default_factory=list)
    log: list[bytes] = field(default_factory=list)
    spools: dict[str, list[bytes]] = field(default_factory=dict)
    ledger: dict[int, bytes] = field(default_factory=dict)
    """Index -> the record whose entry the ledger has, accepted unless `verdicts` says otherwise; index and offset are the same here."""
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    store_up: bool = True
    clock: float = 1_795_406_400.0
    fences: int = 0
    shown: list[Said] = field(default_factory=list)
    """What agents say that they were shown; `roots`: (size, root) of the stored root checkpoints."""
    roots: set[tuple[int, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.locks += [(role_key(part), directive(part)) for part in PARTS]

    def append(self, record: bytes, *, stored: bool = True) -> int:
        """One record on `events`; its offset."""
        self.log.append(record)
        if stored:
            self.ledger[len(self.log) - 1] = record
        return len(self.log) - 1

    def deliver(self, agent: str = "responder", *, stored: bool = True) -> None:
        """The spool goes into the log, and into the ledger."""
        for record in self.spools.pop(agent, []):
            self.append(record, stored=stored)

    def decisions(self) -> list[Decision]:
        return [parse_message(Decision, body) for body in self._told(DECISIONS)]

    def findings(self) -> list[Finding]:
        return [parse_finding(body) for body in self._told(FINDINGS)]

    def _told(self, topic: str) -> list[bytes]:
        """Bodies of a topic's values that somebody with the role signed."""
        opener, found = Opener(DEPLOYMENT, self.keyring()), []
        for at, key, value in self.told:
            with contextlib.suppress(ParseError):
                found += [opener.open(at, key, value or b"").body] if at == topic else []
        return found

    def keyring(self) -> Keyring:
        ring = Keyring.of(OPERATORS)
        for key, value in self.locks:
            if key is not None and key.startswith(b"_role/") and value is not None:
                ring.take(value)
        return ring

    def door(self) -> ReadTopic:
        """The topic as a door reads it that begins now, compacted."""
        return fold_values(LockTopic(Opener(DEPLOYMENT, self.keyring())), self.compacted())

    def compacted(self) -> list[tuple[bytes | None, bytes | None]]:
        """The newest value of each key, where it stands."""
        newest = {key: number for number, (key, _) in enumerate(self.locks)}
        return [pair for number, pair in enumerate(self.locks) if newest[pair[0]] == number]

    def seen(self) -> Seen:
        """The topic as the responder's mirror shows it."""
        seen = Seen(Opener(DEPLOYMENT, self.keyring()))
        for key, value in self.locks:
            seen.take(key, value)
        return seen


class Agent:
    """Signs segments as one agent; each is one event."""

    def __init__(self, site: Site, agent: str, key: str = "", start: int = 1) -> None:
        self.site, self.agent = site, agent
        self._signer = SegmentSigner(agent, key_of(key or agent), new_run(start, b"8bytes.."))
        self.settings = type("Settings", (), {"agent": agent})()
        self.places: dict[str, str] = {}

    def segment(self, action: str, **fields: Any) -> bytes:
        event = Event(1, to_base64url(bytes(16)), wire_time(self.site.clock), action, outcome="allowed", **fields)
        return self._signer.sign([encode_event(event)], wire_time(self.site.clock)).record

    def record(self, action: str, *, durable: bool = False, **fields: Any) -> str:
        self.site.spools.setdefault(self.agent, []).append(self.segment(action, **fields))
        return f"{self.agent}/{self._signer.run}/{self._signer.n - 1}"

    async def record_async(self, action: str, *, durable: bool = True, **fields: Any) -> str:
        return self.record(action, durable=durable, **fields)

    def place(self, source: str) -> str | None:
        return self.places.get(source)

    def record_batch_at(self, source: str, place: str, events: Sequence[Mapping[str, Any]]) -> None:
        self.places[source] = place
        for event in events:
            self.record(**event)


@dataclass
class SiteSources:
    """`Sources` on a site."""

    site: Site
    agent: str

    def topic(self) -> ReadTopic:
        return self.site.door()

    def words(self, keyring: Keyring, marks: Mapping[int, int]) -> Words:
        if not self.site.store_up:
            raise StoreAway
        records = {index: record for index, record in self.site.ledger.items() if index > marks.get(0, -1)}
        return Words(words_in(records.values(), keyring, accepted=True), {0: max(self.site.ledger, default=-1)})

    def orders(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Ordered:
        found = [(event, place) for event, place in self._signed(keyring, "commander", marks.get(0, -1)) if seconds_of(event.time) >= since]
        orders = [order_of(event, place) for event, place in found if "decision" not in (event.attrs or {})]
        return Ordered([one for one in orders if one is not None], {0: max(self.site.ledger, default=-1)})

    def acting(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Found:
        signed = self._signed(keyring, "detectors", marks.get(0, -1))
        found = [acting_in(event) for event, _ in signed if seconds_of(event.time) >= since]
        return Found([one for one in found if one is not None], {0: max(self.site.ledger, default=-1)})

    def decided(self, keyring: Keyring, commands: Collection[str]) -> set[str]:
        return {(event.attrs or {}).get("decision", "") for event, _ in self._signed(keyring, "responder", -1)} & set(commands)

    def _signed(self, keyring: Keyring, role: Role, above: int) -> Iterator[tuple[Event, Place]]:
        """Events of the ledger that agents with a role signed, as `read_stored` finds them."""
        if not self.site.store_up:
            raise StoreAway
        for index, record in self.site.ledger.items():
            with contextlib.suppress(ParseError):
                proven = prove(record, keyring, revoked=role == "responder")
                if index > above and role in proven.holder.roles:
                    yield from ((event, (0, index, pos)) for pos, event in enumerate(proven.events))

    def spooled(self, keyring: Keyring) -> list[Held]:
        return words_in(self.site.spools.get(self.agent, []), keyring)

    def entries(self, segments: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        if not self.site.store_up:
            raise StoreAway
        there, verdicts = self.site.ledger, self.site.verdicts
        return {(0, at): entry_of(there[at], at, verdicts.get(at, Verdict.ACCEPTED)) for _, at in segments if at in there}

    def decisions(self, opener: Opener) -> list[Decision]:
        return self.site.decisions()

    def fence(self, above: int) -> int:
        self.site.fences = max(self.site.fences, above) + 1
        return self.site.fences

    def shown(self, marks: Mapping[int, int], since: float) -> Shown:
        if not self.site.store_up:
            raise StoreAway
        return Shown(
            [one for one in self.site.shown if one.place > marks.get(one.shard, -1)], {one.shard: one.place for one in self.site.shown}
        )

    def roots(self, sizes: Sequence[int]) -> set[tuple[int, str]]:
        if not self.site.store_up:
            raise StoreAway
        return {one for one in self.site.roots if one[0] in sizes}

    async def record_now(self, shard: int, offset: int) -> bytes | None:
        return self.site.log[offset] if offset < len(self.site.log) else None

    def record_at(self, shard: int, offset: int) -> bytes:
        try:
            return self.site.log[offset]
        except IndexError as error:
            raise ParseError(f"no record at {offset}") from error

    def warm(self) -> None:
        """Nothing to connect to."""


def entry_of(record: bytes, index: int, verdict: Verdict = Verdict.ACCEPTED) -> bytes:
    """The entry of a segment."""
    parsed = parse_record(record)
    return encode_entry(Entry(Kind.SEGMENT, 0, 0, index, 0, verdict, parsed.header_raw, parsed.sig, b""))


@dataclass
class Outbound:
    """`Outlet` on a site. `before`: called with (topic, key) before a value goes out; may raise."""

    site: Site
    before: Any = None

    async def send(self, topic: str, key: bytes | None, value: bytes | None, partition: int | None = None) -> Awaitable[None]:
        def put() -> None:
            if topic == LOCKS:
                self.site.locks.append((key, value))
            else:
                self.site.told.append((topic, key, value))

        if self.before is not None:
            self.before(topic, key, put)
        else:
            put()

        async def sent() -> None: ...

        return sent()


def responder(site: Site, agent: str = "responder", before: Any = None, recorder: Any = None) -> Responder:
    """A new process of a responder; `load` makes it the owner."""
    recorder = recorder or Agent(site, agent, start=len(site.log) + 10)
    return Responder(SETTINGS, Outbound(site, before), recorder, Signer(DEPLOYMENT, agent, key_of(agent)), SiteSources(site, agent))  # type: ignore[arg-type]  # the parts of them that it uses


def order_message(site: Site, order: Order, agent: str = "cli", *, key: str = "", stored: bool = True, start: int = 1) -> Message:
    """An order as a commander records it, and the message of `acts` that the notary makes of it."""
    facts = facts_of(order)._asdict()
    record = Agent(site, agent, key, start=start).segment(facts.pop("action"), **facts)
    return acts_message(site.append(record, stored=stored), agent)


def acts_message(offset: int, agent: str = "cli", speaker: str = "notary") -> Message:
    """A message of `acts` that points at one record."""
    segment = VerifiedSegment(offset, agent, "0" * 32, 0, 0, [], offset, "")
    return Message(0, 0, 0, None, Speaker(speaker).says(ACTS, None, encode_batch(VerifiedBatch(2, 0, [segment], []))))


def finding_told(site: Site, found: Finding, agent: str = "detectors", *, key: str = "", start: int = 1) -> None:
    """A finding as detection writes it into the history."""
    facts = finding_event(found)
    site.append(Agent(site, agent, key, start=start).segment(facts.pop("action"), **facts))


def finding_message(found: Finding, speaker: str = "detectors") -> Message:
    key = found.principal.encode()
    return Message(0, 0, 0, key, Speaker(speaker).says(FINDINGS, key, encode_json(found)))


def lock(subject: str = "principal:eve", command: str = "c1", *, at: float, **more: Any) -> Lock:
    known: dict[str, Any] = {"state": "locked", "reason": "seen twice", "by": "ana"}
    return Lock(subject=subject, command=command, at=wire_time(at), **known | more)
