"""The console's state: tail, findings, locks, orders, health, and the messages that change them."""

import asyncio
import itertools
import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.console import LOG, Simulator, make_event
from tests.support.signing import Speaker, directive, opener

from tallystick_dashboard.acts import give_order, make_order, order_attrs
from tallystick_dashboard.boards import FindingBoard, LockBoard, OrderBoard
from tallystick_dashboard.errors import BadOrder
from tallystick_dashboard.feed import Tail, tail_cells
from tallystick_dashboard.grid import plain, table
from tallystick_dashboard.health import Observed, Waiting, age_text, health_strip
from tallystick_dashboard.hub import Hub
from tallystick_dashboard.intake import Origin, take_message
from tallystick_dashboard.pages.locks import _nobody
from tallystick_dashboard.parts import act_button, badge, clock_time, finding_link, lift_button, plan_view
from tallystick_dashboard.ports import Closing
from tallystick_dashboard.sessions import Session
from tallystick_dashboard.settings import ConsoleSettings
from tallystick_dashboard.ui import html
from tallystick_schemas.blast_radius import Hit, Plan
from tallystick_schemas.locks import UNREADABLE, LockTopic
from tallystick_schemas.messages import Decision, Finding, Lock, Point, VerifiedBatch, VerifiedSegment, encode_batch, encode_json
from tallystick_schemas.probes import PROBE_ATTR, PROBE_ROLE
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ENFORCEMENT, FINDINGS, LOCKS, VERIFIED
from tallystick_schemas.words import LET_IT_GO_ON

NOW = 1_800_000_000.0
FINDING = Finding(
    id="F-1",
    detector="D03",
    version=1,
    title="t",
    severity="high",
    principal="ana",
    credential="tok",
    time=wire_time(NOW),
    value=2,
    threshold=1,
    window_s=60,
    evidence=[],
    act="alert",
    deterministic=False,
    techniques=[],
    text="x",
    emitted_ms=1,
)
LOCK = Lock(
    subject="credential:tok", state="locked", command="c1", reason="r", by="responder", at=wire_time(NOW), until=wire_time(NOW + 60)
)
SESSION = Session("s1", "ana", NOW, NOW)


INDEXES = itertools.count()


def batch(count: int) -> VerifiedBatch:
    events = [(pos, make_event(NOW, "ana", "artifact.read")) for pos in range(count)]
    return VerifiedBatch(1, 0, [VerifiedSegment(next(INDEXES), "gateway", "0" * 32, 0, 0, events)], [])


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30), st.integers(1, 12), st.integers(1, 12))
def test_a_viewer_sees_or_misses_every_event_once(steps: list[tuple[int, bool]], keep: int, limit: int) -> None:
    tail, cursor, seen, missed = Tail(keep), 0, [], 0
    for count, look in [*steps, (0, True)]:
        tail.add(batch(count), NOW)
        if look:
            part = tail.since(cursor, limit)
            cursor, missed = part.cursor, missed + part.missed
            seen += [row.number for row in part.rows]
    assert len(seen) + missed == tail.total
    assert seen == sorted(set(seen))


def test_the_rate_is_over_whole_seconds() -> None:
    tail = Tail(10)
    tail.begin(NOW - 1)
    for second in range(20):
        tail.add(batch(3), NOW + second)
    assert tail.rate(NOW + 20) == 3.0
    assert tail.rate(NOW + 60) == 0.0
    tail.end()
    assert tail.rate(NOW + 60) is None, "nothing is read any more"


def test_a_tail_that_begins_anew_knows_no_rate_at_first_and_keeps_no_row() -> None:
    tail = Tail(10)
    tail.add(batch(3), NOW)
    tail.begin(NOW)
    assert (tail.since(0, 9).rows, tail.rate(NOW)) == ((), None)
    tail.add(batch(9), NOW + 1, live=False)  # what stood before, however late it comes
    tail.add(batch(4), NOW + 1)
    tail.add(batch(2), NOW + 2)
    assert [tail.rate(NOW + at) for at in (1, 2, 3)] == [None, 4.0, 3.0]
    assert [row.number for row in tail.since(0, 99).rows] == list(range(9, 19))


def test_a_copy_of_what_was_taken_is_no_row() -> None:
    """A true message copied 500 times was 501 rows, and as much of the rate."""
    tail, true = Tail(100), [batch(2), batch(3)]
    tail.begin(NOW - 1)
    for one in (true[0], true[0], true[1], true[0], true[1]):
        tail.add(one, NOW)
    assert (tail.total, tail.rate(NOW + 1)) == (5, 5.0)


def test_what_was_made_for_another_partition_is_nobodys_word_here() -> None:
    hub = Hub(ConsoleSettings(secret_file="", state_dir=""), LOG, Simulator(), Simulator())
    hub.opener.keyring.take(directive("notary"))
    body = encode_batch(VerifiedBatch(2, 0, [VerifiedSegment(1, "gateway", "0" * 32, 0, 0, [(0, b"{}")])], [], 2))
    value = Speaker("notary", deployment=LOG.deployment).says(VERIFIED, None, body)
    assert take_message(hub, VERIFIED, None, value, Origin(0)) is not None
    assert (take_message(hub, VERIFIED, None, value, Origin(2)), hub.tail.total) == (None, 1)


def test_cells_of_what_is_no_event_say_so() -> None:
    tail = Tail(4)
    good = make_event(NOW, "ana", "artifact.download", part="p", size=7)
    tail.add(VerifiedBatch(1, 3, [VerifiedSegment(9, "a", "0" * 32, 0, 0, [(0, good), (1, b"{}")])], []), NOW)
    first, second = tail_cells(tail.since(0, 9).rows)
    assert first[2:8] == ["ana", "artifact.download", "allowed", "acme/large-v3@3", "p", 7]
    assert first[-2:] == ["3:9:0", ""]
    assert second[3:5] == ["not an event", "error"]


def test_heartbeats_and_our_own_probes_are_told_apart() -> None:
    raws = [
        make_event(NOW, "gateway", "agent.heartbeat"),
        make_event(NOW, "tallystick-probe", "access.check", outcome="denied", roles=[PROBE_ROLE], attrs={PROBE_ATTR: "true"}),
        make_event(NOW, "mallory", "access.check", outcome="denied", attrs={PROBE_ATTR: "true"}),
        make_event(NOW, "tallystick-probe", "access.check", outcome="denied", roles=[PROBE_ROLE]),
    ]
    tail = Tail(9)
    tail.add(VerifiedBatch(1, 0, [VerifiedSegment(0, "gateway", "0" * 32, 0, 0, list(enumerate(raws)))], []), NOW)
    assert [cells[-1] for cells in tail_cells(tail.since(0, 9).rows)] == ["beat", "probe", "", ""], (
        "asking there without the role is no probe"
    )


@pytest.mark.parametrize(("outcome", "mark"), [("denied", "probe"), ("allowed", ""), ("error", "")])
def test_a_proof_that_a_lock_holds_is_no_attack_and_one_that_it_does_not_is_not_looked_over(outcome: str, mark: str) -> None:
    raw = make_event(NOW, "outbox", "incident.update", outcome=outcome, resource="c1/gateway", kind="proof")
    tail = Tail(9)
    tail.add(VerifiedBatch(1, 0, [VerifiedSegment(0, "outbox", "0" * 32, 0, 0, [(0, raw)])], []), NOW)
    assert [cells[-1] for cells in tail_cells(tail.since(0, 9).rows)] == [mark]


def test_findings_are_bounded_newest_first_and_once() -> None:
    board = FindingBoard(3)
    for n in range(5):
        board.add(msgspec.structs.replace(FINDING, id=f"F-{n}", emitted_ms=n))
    version = board.version
    board.add(msgspec.structs.replace(FINDING, id="F-4", emitted_ms=4))
    assert [f.id for f in board.newest()] == ["F-4", "F-3", "F-2"]
    assert (board.version, board.forgotten, board.get("F-0")) == (version, 2, None)


def test_of_two_closings_the_later_stands_and_the_unknown_is_not_kept() -> None:
    board = FindingBoard(1)
    board.add(FINDING)
    late, early = Closing("other", "bo", "r", wire_time(NOW)), Closing("remediated", "ana", "r", wire_time(NOW - 1))
    board.close({"F-1": late, "F-9": late})
    version = board.version
    board.close({"F-1": early})
    assert (board.closing("F-1"), board.closing("F-9"), board.version) == (late, None, version)
    board.add(msgspec.structs.replace(FINDING, id="F-2"))
    assert board.closing("F-1") is None


def test_a_lock_holds_until_its_time_or_its_lifting() -> None:
    board, responder, key = LockBoard(LockTopic(opener())), Speaker("responder"), b"credential:tok"
    board.take(key, responder.says(LOCKS, key, encode_json(LOCK)))
    assert board.of("ana", "tok", NOW) == LOCK
    assert board.of("ana", None, NOW) is None
    assert board.in_force(NOW + 60) == []
    assert board.lifted(NOW + 60) == [LOCK]
    board.take(key, None)
    assert board.of("ana", "tok", NOW) == LOCK, "a tombstone lifts nothing"
    board.take(key, responder.says(LOCKS, key, encode_json(msgspec.structs.replace(LOCK, state="unlocked", command="c2"))))
    assert (board.in_force(NOW), board.lifted(NOW) != []) == ([], True)
    board.take(key, None)
    assert board.get("credential:tok") is None, "cleaned up behind a signed lifting"


def make_hub(simulator: Simulator | None = None) -> Hub:
    simulator = simulator or Simulator()
    hub = Hub(ConsoleSettings(secret_file="", state_dir=""), LOG, simulator, simulator, clock=lambda: NOW)
    simulator.hub = hub
    simulator.send_roles()
    return hub


def test_messages_go_where_they_belong_and_rubbish_nowhere() -> None:
    hub, forged = make_hub(), Speaker("gateway", fence=99, deployment="example")
    assert hub.recorder is not None
    for topic, key, value in (
        (VERIFIED, None, b"x"),
        (FINDINGS, b"a", b"{}"),
        (FINDINGS, b"ana", encode_json(FINDING)),
        (FINDINGS, b"ana", forged.says(FINDINGS, b"ana", encode_json(FINDING))),
        (LOCKS, b"other", msgspec.json.encode(LOCK)),
        (LOCKS, b"credential:tok", msgspec.json.encode(LOCK)),
        (LOCKS, b"credential:tok", forged.says(LOCKS, b"credential:tok", encode_json(LOCK))),
        ("acts", None, b""),
    ):
        assert take_message(hub, topic, key, value) is not None
    assert (hub.tail.total, hub.findings.version, hub.locks.get("credential:tok")) == (0, 0, None)


def test_a_topic_of_locks_that_differs_is_no_good_news() -> None:
    simulator = Simulator()
    hub = make_hub(simulator)
    simulator.send_lock(LOCK)
    simulator.send_heartbeat()
    assert (hub.locks.get("credential:tok"), hub.seen.locks_heartbeat, levels(hub.seen)["locks"]) == (LOCK, NOW, "good")
    assert take_message(hub, LOCKS, b"credential:tok", None) is not None, "counted and logged"
    assert hub.locks.get("credential:tok") == LOCK
    simulator.send_heartbeat(count=2)
    assert (hub.locks.agrees, levels(hub.seen)["locks"]) == (False, "bad")
    simulator.send_heartbeat()
    assert (hub.locks.agrees, levels(hub.seen)["locks"]) == (True, "good")


@pytest.mark.parametrize(
    ("subject", "reason"),
    [("principal:ana", "short"), ("principal:ana", " " * 40), ("agent:x", "long enough"), ("principal:", "long enough")],
)
def test_an_order_needs_a_subject_and_a_reason(subject: str, reason: str) -> None:
    with pytest.raises(BadOrder):
        make_order("suspend", subject, reason, SESSION, NOW)


def test_an_order_is_recorded_signed_by_name_and_applied_by_its_lock() -> None:
    simulator = Simulator()
    hub = make_hub(simulator)
    order = make_order("suspend", "credential:tok", "seen pulling  the whole\nmodel", SESSION, NOW)
    attrs = order_attrs(order, NOW + 3600, "F-1")
    asyncio.run(give_order(order, attrs, session=SESSION, recorder=simulator, board=hub.orders, timeout_s=1))
    act = simulator.acts[0]
    assert act["action"] == "credential.suspend"
    assert act["actor"].principal == "ana"
    assert act["actor"].kind == "human"
    assert (act["resource"].kind, act["resource"].id) == ("credential", "tok")
    assert act["why"].text == "seen pulling the whole model"
    assert act["attrs"] == {"command": order.command, "until": wire_time(NOW + 3600), "finding": "F-1"}
    done = hub.orders.get(order.command)
    # The lock came before the recorder answered: the order stays applied, and has its event.
    assert done is not None
    assert done.step == "applied"
    assert done.event is not None


def test_an_order_waits_for_the_responder() -> None:
    simulator = Simulator(answer_orders=False)
    hub = make_hub(simulator)
    order = make_order("resume", "credential:tok", "checked with the owner", SESSION, NOW)
    asyncio.run(give_order(order, order_attrs(order, None, None), session=SESSION, recorder=simulator, board=hub.orders, timeout_s=1))
    assert hub.orders.get(order.command).step == "ordered"  # type: ignore[union-attr]
    hub.orders.applied("another", NOW)
    assert hub.orders.get(order.command).step == "ordered"  # type: ignore[union-attr]
    hub.orders.applied(order.command, NOW + 1)
    assert hub.orders.get(order.command).applied_at == NOW + 1  # type: ignore[union-attr]


def test_an_order_to_lift_names_the_lock_that_the_analyst_saw() -> None:
    lock = Lock(subject="credential:tok", state="locked", command="c-7", reason="r", by="ana", at=wire_time(NOW))
    act = json.loads(lift_button(lock, "F-1").to_plotly_json()["props"]["data-act"])
    assert act == {"verb": "resume", "subject": "credential:tok", "finding": "F-1", "lifts": "c-7"}
    order = make_order("resume", "credential:tok", "checked with the owner", SESSION, NOW)
    assert order_attrs(order, None, None, None, act["lifts"]) == {"command": order.command, "lifts": "c-7"}
    other = make_order("withdraw", "credential:tok", "checked with the owner", SESSION, NOW)
    assert "lifts" not in order_attrs(other, None, None, None, act["lifts"])
    unread = msgspec.structs.replace(lock, command=UNREADABLE)
    assert json.loads(lift_button(unread, "").to_plotly_json()["props"]["data-act"])["lifts"] == ""


def test_an_order_that_is_held_says_why_and_is_listed() -> None:
    simulator = Simulator(answer_orders=False)
    hub = make_hub(simulator)
    simulator.hub = hub
    order = make_order("suspend", "principal:root", "checked with the owner", SESSION, NOW)
    asyncio.run(give_order(order, order_attrs(order, None, None), session=SESSION, recorder=simulator, board=hub.orders, timeout_s=1))
    proposed = Lock(subject=order.subject, state="locked", command=order.command, reason="r", by="ana", at=wire_time(NOW))
    waits = Decision(
        id=order.command,
        at=wire_time(NOW),
        by="ana",
        choice="recommend",
        subject=order.subject,
        reason="waits for a second person",
        proposed=proposed,
        expires=wire_time(NOW + 60),
    )
    simulator.send_decision(waits)
    held = hub.orders.get(order.command)
    assert held is not None
    assert (held.step, held.problem) == ("held", "waits for a second person")
    assert hub.decisions.pending(NOW + 59) == [waits]
    assert hub.decisions.pending(NOW + 60) == []
    simulator.send_decision(msgspec.structs.replace(waits, id="c2", choice="suspend", proposed=None, expires=None, lock=proposed))
    assert hub.decisions.pending(NOW + 1) == []


def test_an_open_breaker_and_points_are_seen() -> None:
    simulator = Simulator()
    hub = make_hub(simulator)
    simulator.hub = hub
    said = {"breaker": "the breaker is open: 3 automatic suspensions within 10 minutes, people decide from here"}
    simulator.send_decision(
        Decision(id="d", at=wire_time(NOW), by="responder", choice="recommend", subject="principal:a", reason=said["breaker"], policy=said)
    )
    [notice] = hub.decisions.notices(NOW + 1)
    assert "one finding was not acted on" in notice
    assert levels(hub.seen)["locks"] == "unknown", "no heartbeat comes first"
    hub.seen.locks_heartbeat = NOW
    assert levels(hub.seen)["locks"] == "bad"
    there = Point(name="gateway", kind="gateway", version="1", at=wire_time(NOW))
    simulator.say("gateway", ENFORCEMENT, b"gateway", encode_json(there))
    assert levels(hub.seen)["points"] == "good"
    assert take_message(hub, ENFORCEMENT, b"gateway", None) is not None, "a tombstone signs nobody off"
    assert levels(hub.seen)["points"] == "good"
    simulator.say("gateway", ENFORCEMENT, b"gateway", encode_json(msgspec.structs.replace(there, left=True)))
    assert levels(hub.seen)["points"] == "unknown"


def test_an_order_that_is_not_recorded_says_so() -> None:
    class Stuck(Simulator):
        async def record_async(self, action: str, **fields: Any) -> str:  # type: ignore[override]
            await asyncio.Event().wait()
            raise AssertionError

    board = OrderBoard()
    order = make_order("suspend", "principal:ana", "long enough", SESSION, NOW)
    asyncio.run(give_order(order, {}, session=SESSION, recorder=Stuck(), board=board, timeout_s=0))
    assert board.get(order.command).step == "failed"  # type: ignore[union-attr]
    broken = Simulator(recorder_error=OSError("spool is full"))
    asyncio.run(give_order(replace(order, command="c2"), {}, session=SESSION, recorder=broken, board=board, timeout_s=1))
    assert "spool is full" in (board.get("c2").problem or "")  # type: ignore[union-attr]


def levels(seen: Observed) -> dict[str, str]:
    return {item.key: item.level for item in health_strip(seen, NOW)}


def test_nothing_is_green_until_it_was_seen() -> None:
    assert set(levels(Observed()).values()) == {"unknown"}


def test_health_grows_old() -> None:
    fresh = Observed(
        ledger_read=NOW,
        newest_entry=NOW,
        checkpoint_time=NOW,
        checkpoint_size=3,
        locks_heartbeat=NOW,
        points={"gateway": NOW},
        detection=Waiting(0, None),
        detection_read=NOW,
        unheard=0,
        kafka_read=NOW,
        locks_agree=True,
    )
    assert set(levels(fresh).values()) == {"good"}
    assert levels(replace(fresh, ledger_read=NOW - 11))["ingest"] == "bad"
    hints = {item.key: item.hint for item in health_strip(replace(fresh, ledger_read=NOW - 11, detection_read=NOW - 11), NOW)}
    assert all(part in hints[key] and LET_IT_GO_ON in hints[key] for key, part in (("ingest", "ClickHouse"), ("detection", "Kafka")))
    assert levels(replace(fresh, newest_entry=NOW - 20))["ingest"] == "late"
    assert levels(replace(fresh, newest_entry=NOW - 60))["ingest"] == "bad"
    assert levels(replace(fresh, checkpoint_problem="wrong signature"))["sealed"] == "bad"
    assert levels(replace(fresh, checkpoint_time=NOW - 31))["sealed"] == "bad"
    assert levels(replace(fresh, locks_heartbeat=NOW - 6)) | {"ingest": "", "sealed": ""} == {
        "ingest": "",
        "sealed": "",
        "detection": "good",
        "jobs": "bad",
        "locks": "late",
        "points": "good",
        "unheard": "good",
    }
    assert levels(replace(fresh, unheard=1))["unheard"] == "late"
    assert levels(replace(fresh, points={"gateway": NOW, "app": NOW - 16}))["points"] == "bad"
    assert levels(replace(fresh, breaker_at=NOW - 599))["locks"] == "bad"
    assert levels(replace(fresh, breaker_at=NOW - 600))["locks"] == "good"


@pytest.mark.parametrize(
    ("waiting", "read", "value", "level", "jobs"),
    [
        (None, None, "not asked yet", "unknown", "unknown"),
        (Waiting(0, None), NOW - 11, "stale, 11 s", "bad", "unknown"),
        (Waiting(500, NOW - 2.0), NOW, "up to date", "good", "good"),
        (Waiting(500, NOW - 4.0), NOW, "4.0 s behind", "late", "good"),
        (Waiting(1500, NOW - 12.0), NOW, "12 s behind", "bad", "good"),
        (Waiting(1500, NOW - 31.0), NOW, "31 s behind", "bad", "bad"),
        (Waiting(1500, None), NOW, "1,500 behind", "late", "good"),
        (Waiting(1, NOW + 5.0), NOW, "up to date", "good", "good"),
    ],
)
def test_detection_that_is_behind_says_so(waiting: Waiting | None, read: float | None, value: str, level: str, jobs: str) -> None:
    """A theft is found as much later as its events wait."""
    seen = Observed(newest_entry=NOW, checkpoint_time=NOW, locks_heartbeat=NOW, detection=waiting, detection_read=read)
    cell = next(item for item in health_strip(seen, NOW) if item.key == "detection")
    assert (cell.value, cell.level) == (value, level)
    assert levels(seen)["jobs"] == jobs, "of whom nothing is known, the strip does not say that they live"


@pytest.mark.parametrize(
    ("agrees", "said"),
    [(True, "Nobody is locked"), (None, "Who is locked is not known"), (False, "is not what the responder wrote")],
)
def test_an_empty_list_of_locks_is_good_news_only_when_it_was_compared(agrees: bool | None, said: str) -> None:
    assert said in str(_nobody(agrees))


@pytest.mark.parametrize(
    ("changed", "cell", "value"),
    [
        ({"kafka_read": None}, "ingest", "newest 0.0 s ago; waiting: not known"),
        ({"kafka_read": NOW - 11}, "ingest", "newest 0.0 s ago; waiting: not known"),
        ({"kafka_read": NOW - 11}, "unheard", "not known"),
        ({"unheard": None}, "unheard", "not known"),
        ({"locks_agree": None}, "locks", "not compared"),
        ({"detection_read": NOW - 11}, "jobs", "3 of 4 alive"),
        ({"detection": None}, "jobs", "3 of 4 alive"),
        ({"points": {}}, "points", "none"),
    ],
    ids=str,
)
def test_a_check_that_was_not_done_is_not_green(changed: dict[str, Any], cell: str, value: str) -> None:
    seen = replace(
        Observed(
            ledger_read=NOW,
            newest_entry=NOW,
            checkpoint_time=NOW,
            locks_heartbeat=NOW,
            locks_agree=True,
            points={"gateway": NOW},
            detection=Waiting(0, None),
            detection_read=NOW,
            unheard=0,
            kafka_read=NOW,
        ),
        **changed,
    )
    found = next(item for item in health_strip(seen, NOW) if item.key == cell)
    assert (found.value, found.level) == (value, "unknown")
    assert {level for key, level in levels(seen).items() if key not in (cell, "detection", "unheard", "ingest")} == {"good"}


def test_one_is_not_many() -> None:
    sealed = Observed(checkpoint_time=NOW, checkpoint_size=1)
    assert health_strip(sealed, NOW)[1].value == "1 entry, 0.0 s ago"
    one, two = Hit(1, ["ana"]), Hit(2, ["a", "b"])
    plan = Plan("principal:ana", wire_time(NOW), wire_time(NOW), 1, None, one, two, two, two, two, one, two)
    said = str(plan_view(plan))
    for words in ("1 event)", "'principal'", "'credentials'", "'address'"):
        assert words in said


def test_ages_read_well() -> None:
    assert [age_text(s) for s in (-1, 0.44, 12, 180, 7200, 200_000)] == ["0.0 s", "0.4 s", "12 s", "3 min", "2 h", "2 d"]


def test_a_table_is_plain_data() -> None:
    made = table(
        ["A"],
        [
            [badge("<b>", "high")],
            [finding_link(FINDING)],
            [act_button("resume", 'principal:"x', "", "Unlock")],
            [None],
            [clock_time("junk")],
        ],
        "T",
    )
    data = msgspec.json.decode(made.to_plotly_json()["props"]["data-grid"])
    assert data["rows"][0] == [{"n": ["span", "badge tone-high", "", "", ""], "k": ["<b>"]}]
    assert data["rows"][1][0]["n"][3] == "/findings?finding=F-1"
    assert msgspec.json.decode(data["rows"][2][0]["n"][4])["subject"] == 'principal:"x'
    with pytest.raises(TypeError):
        plain(html.Iframe())
