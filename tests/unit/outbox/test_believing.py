"""Whose words move the outbox: decisions by number, orders as their records say, deliveries that the topic lost, a second outbox; and doors asked again."""

import itertools
from types import SimpleNamespace

import msgspec
import pytest
from tests.support.owning import Agent, Site, acts_message
from tests.support.receiver import NOW, decision
from tests.support.signing import Speaker, opener

from tallystick_schemas.envelope import NO_NUMBER, Number
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Actor, Resource, Why
from tallystick_schemas.messages import Delivery, Point, encode_json
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ACTS, DECISIONS, ENFORCEMENT, FINDINGS, OUTBOX
from tallystick_stream_jobs.errors import NotTheOwner
from tallystick_stream_jobs.outbox.core import Limits, Outbox
from tallystick_stream_jobs.outbox.job import Believing, OutboxLoop, load_outbox
from tallystick_stream_jobs.outbox.proofs import ProofLimits, Prover, Seen
from tallystick_stream_jobs.outbox.settings import OutboxSettings
from tallystick_stream_jobs.outbox.topics import GONE, Word, put_word
from tallystick_stream_jobs.outbox.worker import Worker

OWN = OutboxSettings()
RESPONDER, OUT = Speaker("responder"), Speaker("outbox", fence=5)


class Kept:
    """What the worker writes, and what its loop was asked to prove."""

    busy = waiting = False

    def __init__(self):
        self.deliveries, self.proved = {}, []

    def keep(self, delivery):
        self.deliveries[delivery.id] = delivery

    def forget(self, delivery_id):
        del self.deliveries[delivery_id]

    def record(self, delivery): ...
    def find(self, finding): ...
    def finding(self, body):
        self.proved.append(body)

    def enforcement(self, key, value, broker_ms):
        raise ParseError("not asked for here")

    def take(self, one, now):
        self.proved.append(one)

    def turn(self, now, connectors): ...
    def clean(self, now): ...
    def close(self, connectors): ...


class Feed:
    def __init__(self, messages):
        self.messages = list(messages)

    def poll(self, wait_ms):
        given, self.messages = self.messages, []
        return [(topic, at, int(NOW * 1000), key, value) for at, (topic, key, value) in enumerate(given)]

    def commit(self): ...


def turn(messages, *, site=None, kept=None, newest=NO_NUMBER, outbox=None, fence=5):
    """One turn of the loop over these messages; the ground."""
    kept = kept or Kept()
    worker = Worker(outbox or Outbox(Limits()), {"kc": SimpleNamespace(supersedes=True)}, kept, lambda: 0.5)
    believing = Believing(opener(), (lambda shard, offset: site.log[offset]) if site else None, fence)
    own = OutboxSettings(in_flight=1)
    loop = OutboxLoop(worker, kept, Feed(messages), own, believing, newest, clock=lambda: NOW)
    worker.begin = lambda now, most: []
    loop.turn()
    return kept


def told(one, speaker=RESPONDER):
    return DECISIONS, b"principal:ann", speaker.says(DECISIONS, b"principal:ann", encode_json(one))


@pytest.mark.parametrize("by", ["notary", "detectors", "outbox", "gateway", "cli", "mallory"])
def test_a_decision_that_no_responder_signed_drives_nothing(by):
    plain = (DECISIONS, b"principal:ann", encode_json(decision()))
    assert turn([plain, told(decision(), Speaker(by, fence=99))]).deliveries == {}
    assert list(turn([told(decision(), Speaker("responder"))]).deliveries) == ["cmd-1/kc"]


def test_an_old_decision_is_not_carried_out_again():
    responder = Speaker("responder")
    first, second = told(decision(), responder), told(decision("unlocked", number=2), responder)
    assert list(turn([first, second, first]).deliveries) == ["cmd-1/kc", "cmd-2/kc"]
    assert turn([first], newest=Number(1, 7)).deliveries == {}, "known from the topic, also by a new process"


def order_record(site, agent="cli", key=""):
    fields = {"resource": Resource("delivery", "cmd-1/kc"), "why": Why(text="no longer"), "attrs": {"order": "cancel"}}
    return site.append(Agent(site, agent, key).segment("incident.update", actor=Actor("ana", "human"), **fields))


def cancelled(agent="cli", key="", speaker="notary"):
    site, outbox, kept = Site(), Outbox(Limits()), Kept()
    waits = Delivery(id="cmd-1/kc", decision=decision(), connector="kc", state="waiting", created_at=wire_time(NOW))
    outbox.put(waits)
    offset = order_record(site, agent, key)
    turn([(ACTS, None, acts_message(offset, speaker=speaker).value)], site=site, kept=kept, outbox=outbox)
    return [one.state for one in kept.deliveries.values()]


def test_an_order_about_a_delivery_is_what_its_record_says():
    assert cancelled() == ["cancelled"]


@pytest.mark.parametrize(("agent", "key", "speaker"), [("gateway", "", "notary"), ("cli", "mallory", "notary"), ("cli", "", "gateway")])
def test_an_order_about_a_delivery_by_nobody_who_may_is_none(agent, key, speaker):
    assert cancelled(agent, key, speaker) == []


def test_a_finding_that_nobody_with_the_role_signed_begins_no_hop():
    forged = Speaker("gateway").says(FINDINGS, b"ann", b"{}")
    assert turn([(FINDINGS, b"ann", forged), (ENFORCEMENT, b"g", None)]).proved == []


def test_a_second_outbox_ends_the_first():
    other = Speaker("outbox", fence=6).says(OUTBOX, b"cmd-9/kc", b"x")
    with pytest.raises(NotTheOwner):
        turn([(OUTBOX, b"cmd-9/kc", other)])
    mine = OUT.says(OUTBOX, b"cmd-9/kc", b"x")
    assert turn([(OUTBOX, b"cmd-9/kc", mine), (OUTBOX, b"cmd-9/kc", None)]).deliveries == {}


def words(*values):
    newest = {}
    for key, value in values:
        try:
            put_word(newest, opener(), OUTBOX, SimpleNamespace(key=key, value=value, timestamp=1))
        except ParseError:
            continue
    return newest


def test_the_outbox_is_what_outboxes_signed():
    delivery = Delivery(id="cmd-1/kc", decision=decision(), connector="kc", state="waiting", created_at=wire_time(NOW))
    done = msgspec.structs.replace(delivery, state="done")
    key, out = b"cmd-1/kc", Speaker("outbox")
    waits, finished = out.says(OUTBOX, key, encode_json(delivery)), out.says(OUTBOX, key, encode_json(done))
    forged = [
        encode_json(done),
        Speaker("gateway", fence=9).says(OUTBOX, key, encode_json(done)),
        Speaker("outbox").says(OUTBOX, b"cmd-2/kc", b"x"),
    ]
    for value in forged:
        assert load_outbox(words((key, waits), (key, value)), OWN).deliveries["cmd-1/kc"].state == "waiting"
    assert load_outbox(words((key, waits), (key, finished), (key, waits)), OWN).deliveries["cmd-1/kc"].state == "done", (
        "an older word is older"
    )
    gone = out.says(OUTBOX, key, GONE)
    assert load_outbox(words((key, waits), (key, gone)), OWN).deliveries == {}
    assert isinstance(words((key, waits))[key], Word)


def test_what_the_topic_lost_is_delivered_again():
    """A lock in force, and the lifting of one that was carried; not what is over, and nothing twice."""
    kept, outbox = Kept(), Outbox(Limits())
    worker = Worker(outbox, {"kc": SimpleNamespace(supersedes=True)}, kept, lambda: 0.5)
    carried = Delivery(
        id="cmd-3/kc",
        decision=decision("locked", "principal:eve", 3),
        connector="kc",
        state="done",
        created_at=wire_time(NOW - 9),
        attempts=1,
    )
    outbox.put(carried)
    over = decision("locked", "principal:old", 5)
    over = msgspec.structs.replace(over, lock=msgspec.structs.replace(over.lock, until=wire_time(NOW - 1)))
    lifted = decision("unlocked", "principal:eve", 4)
    known = [decision("locked", "principal:ann", 1), carried.decision, lifted, decision("unlocked", "principal:bob", 6), over]
    worker.resume(known, NOW)
    assert sorted(kept.deliveries) == ["cmd-1/kc", "cmd-4/kc"]
    worker.resume(known, NOW)
    assert sorted(kept.deliveries) == ["cmd-1/kc", "cmd-4/kc"]


LIMITS = ProofLimits(within_s=10.0, again_s=60.0, for_h=1.0, held_s=300.0)


def proven(one=None):
    made = Prover(LIMITS)
    made.heard(Point(name="gateway", kind="gateway", version="1", at=wire_time(NOW), probe="http://127.0.0.1:1/p"), NOW)
    for denial in made.decided(one or decision(), [], NOW):
        made.put(denial, one or decision(), NOW)
    answer(made, Seen(False, "refused"), NOW)
    return made


def answer(made, seen, now):
    asked = made.due(now)
    for question in asked:
        made.put(made.answered((question.decision.id, question.point), seen, now))
    return len(asked)


def test_a_door_that_refused_is_asked_again_while_the_lock_holds():
    made = proven()
    assert not made.waiting
    assert answer(made, Seen(False, "refused"), NOW + 299) == 0
    for again in itertools.islice(itertools.count(1), 30):
        assert answer(made, Seen(False, "refused"), NOW + again * 301) == 1
        assert made.over(NOW + again * 301) == []
    assert not made.waiting


def test_a_door_that_forgot_is_found():
    made = proven()
    assert answer(made, Seen(True, "let in"), NOW + 300) == 1
    [found] = made.unproven(NOW + 301)
    assert (found.detector, found.severity) == ("R01", "critical")


def test_nobody_asks_after_the_lock_is_over_or_lifted():
    until = msgspec.structs.replace(decision(), lock=msgspec.structs.replace(decision().lock, until=wire_time(NOW + 100)))
    assert answer(proven(until), Seen(True, "let in"), NOW + 300) == 0
    made = proven()
    made.decided(decision("unlocked", number=2), [], NOW + 1)
    assert answer(made, Seen(True, "let in"), NOW + 300) == 0


def test_a_new_process_asks_again_as_well():
    made, old = Prover(LIMITS), proven()
    made.heard(Point(name="gateway", kind="gateway", version="1", at=wire_time(NOW), probe="http://127.0.0.1:1/p"), NOW)
    for denial in old.denials.values():
        made.put(denial, decision(), NOW + 10)
    assert (answer(made, Seen(True, "in"), NOW + 200), answer(made, Seen(True, "in"), NOW + 311)) == (0, 1)
