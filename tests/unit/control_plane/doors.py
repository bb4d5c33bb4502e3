"""Topics that doors, outboxes and agents read: locks, enforcement, decisions, outbox, proofs, receipts."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast
from unittest.mock import patch

import msgspec
from tests.support.receiver import NOW, decision
from tests.support.signing import Speaker, opener
from tests.unit.outbox.test_believing import told, turn

from tallystick_producers.enforcement.feed import LockFeed
from tallystick_producers.enforcement.table import LockTable
from tallystick_producers.hub import Hub
from tallystick_producers.instants import now
from tallystick_producers.sender_core import SenderCore
from tallystick_producers.spool import Waiting
from tallystick_schemas.enforcement import Enforcement
from tallystick_schemas.envelope import parse_claim
from tallystick_schemas.errors import ParseError
from tallystick_schemas.locks import LockTopic
from tallystick_schemas.messages import HEARTBEAT_KEY, Delivery, Denial, Lock, Point, encode_json, parse_message
from tallystick_schemas.receipts import Receipt, encode_receipts
from tallystick_schemas.settings import KafkaSettings, LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import DECISIONS, ENFORCEMENT, LOCKS, OUTBOX, PROOFS, RECEIPTS
from tallystick_stream_jobs.outbox.core import Limits, Outbox
from tallystick_stream_jobs.outbox.proofs import ProofLimits, Prover
from tallystick_stream_jobs.outbox.topics import GONE, Word, put_word
from tallystick_stream_jobs.outbox.worker import Worker

from .cells import CLOSED, REFUSED, TOLD, Attack, Outcome, unless
from .forgers import foreigner, forgers

Value = tuple[bytes, bytes | None]
EVE = b"principal:eve"
STATES: tuple[Literal["probing", "refused", "still-works"], ...] = ("probing", "refused", "still-works")


def strangers(topic: str, key: bytes, body: bytes, role: str) -> list[Value]:
    """The same words by nobody, and by every forger."""
    return [(key, body)] + [(key, who.says(topic, key, body)) for who in forgers(role)]


def elsewhere(topic: str, key: bytes, body: bytes, role: str) -> Value:
    """A true word of the same role in another deployment, with the same key."""
    return key, foreigner(role).says(topic, key, body)


class Door:
    """A door's feed and table, which are handed values instead of reading them in a thread."""

    def __init__(self) -> None:
        self.table = LockTable(stale_s=5.0)
        self.topic = LockTopic(opener("responder", "notary"))
        with patch.object(threading.Thread, "start"):
            self.feed = LockFeed(self.table, self.topic, lambda: None)

    def read(self, values: Sequence[Value]) -> "Door":
        for key, value in values:
            self.feed._apply(SimpleNamespace(key=key, value=value), live=True)
        return self

    def answer(self, who: str = "eve") -> str | None:
        """None: let in; "": denied for want of knowledge; else the lock's command."""
        denial = self.table.check(who, None, now())
        return None if denial is None else denial.command or ""


def word(state: Any, command: str) -> bytes:
    return encode_json(Lock(subject=EVE.decode(), state=state, command=command, reason="r", by="b", at=wire_time(NOW)))


def locks(attack: Attack, _: Path) -> Outcome:
    """Eve is locked, lifted and locked again; a door that begins now reads what the attack left, then the responder's next heartbeat."""
    responder, book = Speaker("responder"), LockTopic(opener("responder", "notary"))
    said = [(EVE, responder.says(LOCKS, EVE, word(*one))) for one in (("locked", "c0"), ("unlocked", "c1"), ("locked", "c2"))]
    for one in said:
        book.take(*one)
    late = 60.0 if attack == "delay" else 0.0
    beat = HEARTBEAT_KEY, responder.says(LOCKS, HEARTBEAT_KEY, encode_json(book.heartbeat(wire_time(time.time() - late))))
    lifting = word("unlocked", "c9")
    left: dict[Attack, list[Value]] = {
        "forge": [*said, *strangers(LOCKS, EVE, lifting, "responder")],
        "replay": [*said, said[1]],
        "roll back": said[:2],
        "reorder": [said[0], said[2], said[1]],
        "delay": said,
        "drop": [said[0], said[1]],
        "delete": [(EVE, None)],
        "another deployment's": [*said, elsewhere(LOCKS, EVE, lifting, "responder")],
    }
    door = Door().read([*left[attack], beat])
    if attack == "delete":
        running = Door().read([*said, (EVE, None)])
        if running.answer() != "c2":  # whoever read the lock goes on denying by it
            return unless(True)
    # Who is not locked is let in by a door that believes a late heartbeat.
    return {None: unless(True), "": CLOSED, "c2": REFUSED}[door.answer("bob" if attack == "delay" else "eve")]


def enforcement(attack: Attack, _: Path) -> Outcome:
    """A door said that it is there, then signed off; or it is there, and somebody says that it left."""
    door, key = Speaker("gateway"), b"gateway"
    here, left = (encode_json(Point(name="gateway", kind="gateway", version="1", at=wire_time(NOW + n), left=bool(n))) for n in range(2))
    said = [(key, door.says(ENFORCEMENT, key, here)), (key, door.says(ENFORCEMENT, key, left))]
    cases: dict[Attack, tuple[list[Value], bool]] = {
        # Outboxes speak for connectors on this topic, and for no door.
        "forge": (
            [said[0], *strangers(ENFORCEMENT, key, left, "gateway"), (key, Speaker("outbox", 99).says(ENFORCEMENT, key, left))],
            True,
        ),
        "replay": ([*said, said[0]], False),
        "roll back": ([said[0]], False),
        "reorder": ([said[1], said[0]], False),
        "delay": ([said[0]], False),
        "drop": ([], True),
        "delete": ([said[0], (key, None)], True),
        "another deployment's": ([said[0], elsewhere(ENFORCEMENT, key, left, "gateway")], True),
    }
    values, there = cases[attack]
    fold = Enforcement(opener())
    for one in values:
        try:
            fold.take(*one, NOW + (31.0 if attack == "delay" else 1.0))
        except ParseError:
            continue
    return unless(("gateway" in fold.points) != there)


def _altered(attack: Attack, values: list[Value], topic: str, role: str, lie: bytes) -> list[Value]:
    """What the attack leaves of a topic whose last value is the true one. `lie`: the body that a forger would have believed."""
    key = values[-1][0]
    return {
        "forge": [*values, *strangers(topic, key, lie, role)],
        "replay": [*values, values[0]],
        "roll back": values[:1],
        "reorder": values[::-1],
        "delay": values[:1],
        "drop": values[1:] if topic == PROOFS else values[:-1],
        "delete": [*values, (key, None)],
        "another deployment's": [*values, elsewhere(topic, key, lie, role)],
    }[attack]


def decisions(attack: Attack, _: Path) -> Outcome:
    """A lock of ann, then one of eve; an outbox that runs hands both to a connector."""
    responder = Speaker("responder")
    both = [(key, value) for _, key, value in (told(decision(), responder), told(decision(subject="principal:eve", number=2), responder))]
    fake = encode_json(decision("unlocked", number=3))
    given: list[tuple[bytes, bytes | None]] = _altered(attack, cast("list[Value]", both), DECISIONS, "responder", fake)
    made = list(turn([(DECISIONS, key, value) for key, value in given]).deliveries)
    if attack == "replay":
        # Long after, when the outbox no longer keeps the delivery: the number alone tells that the decision is an old one.
        made += turn([(DECISIONS, *given[-1])], newest=parse_claim(both[-1][1] or b"").number).deliveries
    return unless(sorted(made) != ["cmd-1/kc", "cmd-2/kc"])


def _fold(topic: str, values: Sequence[Value]) -> dict[bytes, Word]:
    newest: dict[bytes, Word] = {}
    for key, value in values:
        try:
            put_word(newest, opener(), topic, SimpleNamespace(key=key, value=value or b"", timestamp=1))
        except ParseError:
            continue
    return newest


def outbox(attack: Attack, _: Path) -> Outcome:
    """A delivery waited and was made; the next outbox reads its topic and resumes. What was carried out twice is a limit, what never is as well."""
    speaker, key = Speaker("outbox"), b"cmd-1/kc"
    waits = Delivery(id="cmd-1/kc", decision=decision(), connector="kc", state="waiting", created_at=wire_time(NOW))
    bodies = [encode_json(waits), encode_json(msgspec.structs.replace(waits, state="done", attempts=1))]
    said: list[Value] = [(key, speaker.says(OUTBOX, key, body)) for body in bodies]
    left = [] if attack == "drop" else _altered(attack, said, OUTBOX, "outbox", bodies[0])
    known = {word.body for word in _fold(OUTBOX, left).values() if word.body != GONE}
    if known == {bodies[1]}:
        return REFUSED
    box, kept = Outbox(Limits()), SimpleNamespace(keep=lambda one: None, record=lambda one: None)
    for one in known:
        box.put(parse_message(Delivery, one))
    worker = Worker(box, {"kc": SimpleNamespace(supersedes=True)}, kept, lambda: 0.5)  # type: ignore[arg-type, dict-item]  # what it uses of them
    worker.resume([decision()], NOW)
    assert box.deliveries["cmd-1/kc"].state == "waiting", "it is made once more, and never less than once"
    return unless(True)


def proofs(attack: Attack, _: Path) -> Outcome:
    """A door was asked, and refused. A forger would have people believe that it still lets in."""
    speaker, key = Speaker("outbox"), b"cmd-1\0gateway"
    asked, refused, lie = (
        encode_json(
            Denial(command="cmd-1", subject="principal:ann", point="gateway", state=one, locked_at=wire_time(NOW), tried_at=wire_time(NOW))
        )
        for one in STATES
    )
    said: list[Value] = [(key, speaker.says(PROOFS, key, body)) for body in (asked, refused)]
    left = [] if attack == "drop" else _altered(attack, said, PROOFS, "outbox", lie)
    known = [parse_message(Denial, one.body) for one in _fold(PROOFS, left).values() if one.body != GONE]
    if attack in ("roll back", "delay"):
        return unless(not _asked_again(known))
    return unless([one.state for one in known] != ["refused"])


def _asked_again(known: Sequence[Denial]) -> bool:
    """Whether an outbox that resumes with these asks the door itself."""
    prover = Prover(ProofLimits())
    prover.heard(Point(name="gateway", kind="gateway", version="1", at=wire_time(NOW), probe="http://127.0.0.1:1/p"), NOW)
    for one in known:
        prover.put(one, decision(), NOW)
    return [question.point for question in prover.due(NOW)] == ["gateway"]


class _Member:
    agent, partition = "agent", 0

    def __init__(self) -> None:
        self.core = SenderCore(resend_s=1.0)
        self.core.open_lane("r" * 32, "k")
        for n in range(2):
            self.core.added(Waiting("r" * 32, n, 10))
        for key in self.core.due(0.0):
            self.core.landed(key, 0.0)

    def send_due(self, _: Any) -> float:
        return 1.0

    def take_receipts(self, receipts: Sequence[Receipt]) -> None:
        for one in receipts:
            self.core.receipt(one.run, one.n, one.verdict, 0.0)

    def take_checkpoint(self, *_: Any) -> None: ...


def receipts(attack: Attack, _: Path) -> Outcome:
    """Segment 0 has its receipt and 1 has none. What frees 1 loses it; a segment whose receipt does not come is sent again."""
    with patch.object(threading.Thread, "start"):
        hub = Hub(KafkaSettings(), LogSettings("test"))
    hub._opener, member = opener(), _Member()
    hub.join(member)
    bodies = [encode_receipts([Receipt("agent", "r" * 32, n, 0, 0, 7 + n, "", "")]) for n in range(2)]
    key, notary = b"agent", Speaker("notary")
    first, second = ((key, notary.says(RECEIPTS, key, body)) for body in bodies)
    given: dict[Attack, list[Value]] = {
        "forge": [first, *strangers(RECEIPTS, key, bodies[1], "notary")],
        "replay": [first, first],
        "roll back": [first, first],
        "reorder": [second, first],
        "delay": [],
        "drop": [first],
        "delete": [first, (key, b"")],
        "another deployment's": [first, elsewhere(RECEIPTS, key, bodies[1], "notary")],
    }
    hub._dispatch(cast("list[tuple[bytes, bytes]]", given[attack]))
    waits = {"reorder": 0, "delay": 2}.get(attack, 1)
    again = member.core.due(1000.0)
    return REFUSED if member.core.waiting == len(again) == waits else unless(True, TOLD)
