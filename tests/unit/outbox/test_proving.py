"""The shell of proofs with a topic, a history and a gateway in memory: what is written, in which order, and that a crash anywhere is made good."""

import time

import msgspec
import pytest
from tests.support.receiver import NOW, Reply, decision, json_reply, receiver
from tests.support.signing import Speaker, opener
from tests.support.world import Failed, Fault, Faults, Killed

from tallystick_schemas.enforcement import Enforcement
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Denial, Finding, Point, parse_finding, parse_message
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ENFORCEMENT
from tallystick_stream_jobs.connectors.errors import Retry
from tallystick_stream_jobs.outbox.asking import PROBE_PATH, Asker
from tallystick_stream_jobs.outbox.minted import Minted
from tallystick_stream_jobs.outbox.proofs import ProofLimits, Prover, Question
from tallystick_stream_jobs.outbox.proving import Proving, Tools

CANARY = "ts_canary-s3cret"


class Topics:
    """Compacted topics, and a recorder that remembers. Faults strike at writes by topic, and at records."""

    def __init__(self, faults=None):
        self.faults = faults or Faults()
        self.proofs, self.enforcement, self.findings, self.events, self.told = {}, {}, [], [], {}

    def write(self, topic, key, value):
        def act():
            if topic == "findings":
                self.findings.append(parse_finding(value))
            else:
                getattr(self, topic)[key] = value

        self.faults.do(topic, act)

    def remove(self, topic, key):
        self.faults.do(topic, lambda: getattr(self, topic).pop(key, None))

    def record(self, action, **fields):
        self.faults.do("record", lambda: self.events.append((action, fields)))
        return "id"

    def place(self, source):
        return self.told.get(source)

    def record_batch_at(self, source, place, events):
        self.told[source] = place

    def denials(self):
        return {key: parse_message(Denial, value) for key, value in self.proofs.items()}


class Introspecting:
    supersedes = True

    def __init__(self):
        self.works = "the user is enabled"

    def still_works(self, delivery, now):
        return self.works


def make(topics, url, connectors=None, minted=lambda many: [[] for _ in many]):
    tools = Tools(Asker(CANARY, connectors or {}), minted, topics, topics)
    proving = Proving(Prover(ProofLimits()), tools, 30.0, Enforcement(opener()))
    point = Point(name="gateway", kind="gateway", version="1", at=wire_time(NOW), probe=f"{url}{PROBE_PATH}")
    proving.enforcement(b"gateway", Speaker("gateway").says(ENFORCEMENT, b"gateway", msgspec.json.encode(point)), int(NOW * 1000))
    return proving


def turn_until(proving, condition, now=NOW, connectors=(), step=0.01):
    """Turns of the loop, each a step later: threads answer when they do."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        now += step
        proving.turn(now, list(connectors))
        time.sleep(0.002)
    return now


def gateway(locked):
    def reply(request):
        if request.headers.get("authorization") != f"Bearer {CANARY}":
            return Reply(401)
        if request.path != f"{PROBE_PATH}?subject=principal:ann":
            return Reply(400)
        return json_reply({"lock": "cmd-1"}, 403) if locked() else Reply(204, b"")

    return reply


def test_a_lock_is_proven_at_gateway_and_connector_and_the_history_says_so():
    topics, elsewhere, locked = Topics(), Introspecting(), []
    with receiver(gateway(lambda: locked)) as one:
        proving = make(topics, one.url, {"kc": elsewhere})
        proving.take(decision(), NOW)
        assert {denial.state for denial in topics.denials().values()} == {"probing"}
        turn_until(proving, lambda: len(one.requests) >= 2, connectors=["kc"])
        locked.append(1)
        elsewhere.works = None
        turn_until(proving, lambda: not proving.waiting, connectors=["kc"])
    denials = topics.denials()
    assert {denial.point: (denial.state, "denial" in denial.hops_ms) for denial in denials.values()} == {
        "gateway": ("refused", True),
        "connector/kc": ("refused", True),
    }
    assert [(fields["outcome"], fields["attrs"]["point"]) for _, fields in sorted(topics.events, key=str)] == [
        ("denied", "connector/kc"),
        ("denied", "gateway"),
    ]
    assert "connector/kc" in topics.enforcement, "a connector registers as a point"
    assert CANARY not in repr(topics.events) + repr(topics.proofs)


def test_what_is_unlocked_before_it_is_proven_is_written_down_and_let_go():
    topics = Topics()
    with receiver(gateway(lambda: False)) as one:
        proving = make(topics, one.url)
        proving.take(decision(), NOW)
        proving.take(decision("unlocked", number=2), NOW + 1)
    assert topics.proofs == {}
    assert "took its place" in topics.events[0][1]["why"].text


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("step", ["proofs", "record", "findings"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_step_that_fails_is_made_good_by_the_next_process(step, fault, at):
    topics, locked, done = Topics(Faults(step, fault, at)), [], []
    late = NOW + 11
    with receiver(gateway(lambda: locked)) as one:

        def process():
            proving = make(
                topics, one.url, minted=lambda many: [[Minted("new", "2026", (0, 1, 2)), Minted("newer", "2026", (0, 1, 3))] for _ in many]
            )
            proving.resume({key.encode(): value for key, value in topics.proofs.items()}, {"cmd-1": decision()}, late)
            if "decision" not in done:
                proving.take(decision(), late)
                done.append("decision")
            turn_until(proving, lambda: len({one.id for one in topics.findings}) == 3, late, step=0.5)
            locked.append(1)
            turn_until(proving, lambda: not proving.waiting, late, step=0.5)

        for _ in range(5):
            try:
                process()
                break
            except (Failed, Killed):
                continue
    assert topics.faults.struck
    assert {denial.state for denial in topics.denials().values()} == {"refused"}
    assert {"allowed", "denied"} == {fields["outcome"] for _, fields in topics.events}
    kinds = {(one.detector, one.credential) for one in topics.findings}
    assert kinds == {("R01", None), ("R03", "new"), ("R03", "newer")}
    assert len({one.id for one in topics.findings}) == 3, "a repeat has the same id"


def test_minted_credentials_are_reported_once_and_recommended_where_the_lock_does_not_cover_them():
    topics, calls = Topics(), []

    def minted(many):
        calls.append([one.id for one in many])
        if len(calls) == 1:
            raise Retry("the store is away")
        return [[Minted("tok-2", "2026-11-24 10:00:00.000000", (1, 2, 3))] for _ in many]

    one = decision(subject="credential:tok-1")
    with receiver(gateway(lambda: True)) as door:
        proving = make(topics, door.url, minted=minted)
        proving.take(one, NOW)
        turn_until(proving, lambda: len(calls) == 3 and not proving._looking, step=0.5)
    found = [finding for finding in topics.findings if finding.detector == "R03"]
    assert len(calls) == 3
    assert [(f.principal, f.credential, f.evidence, f.act, f.mode) for f in found] == [
        ("ann", "tok-2", [(1, 2, 3)], "suspend", "recommend")
    ]
    assert isinstance(found[0], Finding)
    assert f"told/{found[0].id}" in topics.told, "it is an event as well"


def test_the_canary_goes_to_a_probe_and_nowhere_else():
    with receiver() as one:
        asker = Asker(CANARY, {})
        for url in (f"{one.url}/steal", f"{one.url}{PROBE_PATH}?x=1", "file:///etc/passwd"):
            seen = asker.ask(Question(decision(), "gateway", url), NOW)
            assert seen.works is None
        assert one.requests == []
        one.reply = lambda _: Reply(302, headers={"location": "http://elsewhere.example/"})
        assert asker.ask(Question(decision(), "gateway", f"{one.url}{PROBE_PATH}"), NOW).works is None
        assert len(one.requests) == 1


def test_what_is_no_message_is_refused_by_name():
    with receiver() as one:
        proving = make(Topics(), one.url)
        for key in (b"gateway", b"gateway\0principal:ann"):
            with pytest.raises(ParseError):
                proving.enforcement(key, b"\xff", 0)
