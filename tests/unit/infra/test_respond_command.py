"""`tallystick lock`, `unlock`, `revoke`: what is refused before anything is asked or written."""

import threading
import time
from contextlib import nullcontext
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.support.responding import finding

from tallystick_infra import enrolment, errors
from tallystick_infra.cli import cli, main, respond, respond_look, respond_show
from tallystick_infra.cli.respond import MAX_MINUTES
from tallystick_infra.deployment import Deployment
from tallystick_producers import Recorder, Stats, keyring
from tallystick_producers.errors import SegmentsRefused
from tallystick_schemas.blast_radius import GROUPS, Hit, Plan
from tallystick_schemas.messages import Decision, Level, Lock
from tallystick_schemas.notices import WITHDRAWS
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.errors import LockUnconfirmed
from tallystick_stream_jobs.responder import client, topics
from tallystick_stream_jobs.triage import store as stored

WHY = ["--reason", "seen twice"]
ORDERS = (["lock", "--plan"], ["lock", *WHY], ["unlock", *WHY], ["revoke", *WHY])


@pytest.mark.parametrize("minutes", ["-5", "0", "nan", "inf", "-inf", "1e12", "99999999", str(MAX_MINUTES + 1)])
def test_a_lock_lasts_for_a_time_that_is_one(minutes: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["lock", "ann", *WHY, "--minutes", minutes, "--data", str(tmp_path)])
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert "--minutes" in done.stderr
    plain = str(int(float(minutes))) if isfinite(float(minutes)) else minutes
    assert f"{plain} is not above 0 and at most 527,040 (366 days)" in done.stderr


@pytest.mark.parametrize("order", ["lock", "unlock", "revoke"])
@pytest.mark.parametrize(("reason", "flaw"), [("", "it is empty"), ("  ", "it is empty"), ("x", "it has 1"), ("x" * 1_001, "it has 1,001")])
def test_a_reason_says_something(order: str, reason: str, flaw: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, [order, "ann", "--reason", reason, "--data", str(tmp_path)])
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert f"'--reason': {flaw}. Give a reason of 8 to 1,000 characters. It is kept in the record." in done.stderr


@pytest.mark.parametrize("order", ["lock", "unlock", "revoke"])
def test_a_reason_that_is_not_there_is_missed(order: str, tmp_path: Path) -> None:
    assert "Missing option '--reason'" in CliRunner().invoke(cli, [order, "ann", "--data", str(tmp_path)]).stderr


@pytest.mark.parametrize("by", ["", "  ", "an\x1b[2Jn"])
@pytest.mark.parametrize(
    "order", [["lock", "ann"], ["unlock", "ann"], ["revoke", "ann"], ["findings", "close", "0123456789", "true-positive"]]
)
def test_who_orders_has_a_name(order: list[str], by: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, [*order, *WHY, "--by", by, "--data", str(tmp_path)])
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert "'--by': the name" in done.stderr


@pytest.mark.parametrize("subject", ["", "   ", "principal:", "credential:", "credential: ", "an\x1b[2Jn", "ann\n"])
@pytest.mark.parametrize("order", ORDERS)
def test_who_is_named_can_be_seen(order: list[str], subject: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, [*order, "--data", str(tmp_path), subject])
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert "SUBJECT" in done.stderr
    assert "\x1b" not in done.stderr


NOW = "2026-01-01T00:00:00.000000Z"
LATE = "2999-01-01T00:00:00.000000Z"
UNSEEN = "hint: nobody of that name was seen in the last 24 hours; a typo?"


def plan(events: int) -> Plan:
    return Plan("principal:ann", NOW, NOW, events, None, **{name: Hit(0, []) for name in GROUPS})


class Taking:
    """A recorder that keeps what is ordered."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.locks: list[Lock] = []
        self.decisions: list[Decision] = []
        self.counted = Stats(0, 0, 0, 0, 0, 0, 0, "")

    def stats(self) -> Stats:
        return self.counted

    def wait_receipts(self, _timeout: float) -> None:
        if self.counted.aside:
            raise SegmentsRefused("cli", 1)

    def record(self, action: str, **fields: Any) -> None:
        self.orders.append({"action": action, **fields})


@pytest.fixture
def taking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Taking:
    """Kafka and a responder that carries out what it is told; nothing else runs."""
    recorder = Taking()
    deployment = Deployment.create(tmp_path / "data", {"embedded": {"kafka_port": 0, "controller_port": 0, "clickhouse_port": 1}})

    def decided(_kafka: object, _log: object, command: str, _timeout_s: float) -> Decision:
        lock = Lock(subject="principal:ann", state="locked", reason="r", command=command, by="ana", at=NOW)
        return Decision(id=command, subject=lock.subject, choice="suspend", reason="r", at=NOW, by="ana", lock=lock)

    monkeypatch.setattr(respond, "_open", lambda _data: deployment)
    monkeypatch.setattr(Recorder, "open", lambda _settings: nullcontext(recorder))
    monkeypatch.setattr(client, "wait_decided", decided)
    monkeypatch.setattr(client, "read_locks", lambda _kafka, _log: recorder.locks)
    monkeypatch.setattr(keyring, "read_opener", lambda _kafka, _log: None)
    monkeypatch.setattr(topics, "read_decisions", lambda _kafka, _opener, _newest: recorder.decisions)
    return recorder


def held(subject: str, **facts: Any) -> Lock:
    return Lock(**{"subject": subject, "state": "locked", "reason": "seen twice", "command": "c-0", "by": "ana", "at": NOW, **facts})


@pytest.mark.parametrize(
    ("locks", "said"),
    [
        ([], "nobody is"),
        ([held("principal:bob"), held("principal:carol", state="unlocked")], "locked are principal:bob"),
        ([held("principal:bob"), held("principal:carol", until="2026-01-01T00:00:01.000000Z")], "locked are principal:bob"),
        ([held(f"principal:p{n}") for n in range(5)], "locked are principal:p0, principal:p1, principal:p2 and 2 more"),
    ],
)
def test_who_is_not_locked_is_not_lifted(locks: list[Lock], said: str, taking: Taking, capsys: pytest.CaptureFixture[str]) -> None:
    taking.locks = locks
    with pytest.raises(SystemExit) as left:
        main(["unlock", "carol", "--reason", "the wrong name"])
    assert (left.value.code, taking.orders) == (1, [])
    assert f"principal:carol is not locked; {said}. No order was written" in capsys.readouterr().err


def waits(subject: str, level: Level = "revoke", command: str = "c-9") -> Decision:
    proposed = held(subject, level=level, by="ben", command=command)
    return Decision(
        id=command,
        subject=subject,
        choice="recommend",
        reason="waits",
        at=NOW,
        by="ben",
        proposed=proposed,
        expires="2999-01-01T00:00:00.000000Z",
    )


@pytest.mark.parametrize("locked", [True, False])
def test_what_waits_is_withdrawn(locked: bool, taking: Taking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    taking.locks, taking.decisions = [held("principal:ann")] if locked else [], [waits("principal:ann")]

    def decided(_kafka: object, _log: object, command: str, _timeout_s: float) -> Decision:
        said = "withdrawn by ana: revoke"
        return Decision(id=command, subject="principal:ann", choice="note", reason=said, at=NOW, by="ana", policy={WITHDRAWS: "c-9"})

    monkeypatch.setattr(client, "wait_decided", decided)
    assert ordered("unlock", "ann", *(["--withdraw"] if locked else [])) == 0
    assert [(order["action"], order["attrs"]["withdraw"]) for order in taking.orders] == [("credential.resume", "true")]
    assert "principal:ann: withdrawn by ana: revoke (command cmd-" in capsys.readouterr().out


def test_a_lifted_lock_tells_what_goes_on_waiting(taking: Taking, capsys: pytest.CaptureFixture[str]) -> None:
    taking.locks, taking.decisions = [held("principal:ann")], [waits("principal:ann"), waits("principal:bob", command="c-8")]
    assert ordered("unlock", "ann") == 0
    assert "withdraw" not in taking.orders[0]["attrs"]
    hint = "hint: an order to revoke principal:ann (by ben, command c-9) waits on; `unlock --withdraw` withdraws it\n"
    assert capsys.readouterr().err == hint


def test_where_nothing_waits_nothing_is_withdrawn(taking: Taking, capsys: pytest.CaptureFixture[str]) -> None:
    taking.locks = [held("principal:ann")]
    assert (ordered("unlock", "ann", "--withdraw"), taking.orders) == (1, [])
    assert "no order about principal:ann waits for a second person" in capsys.readouterr().err


def test_who_is_locked_is_lifted(taking: Taking) -> None:
    taking.locks = [held("principal:ann")]
    CliRunner().invoke(cli, ["unlock", "ann", "--reason", "confirmed by phone"], catch_exceptions=False)
    assert [(order["action"], order["attrs"]["lifts"]) for order in taking.orders] == [("credential.resume", "c-0")]


def store(monkeypatch: pytest.MonkeyPatch, kinds: set[str]) -> None:
    """A store that answers, and has seen the name as these kinds."""
    monkeypatch.setattr(respond_look, "knock", lambda *_: None)
    monkeypatch.setattr(respond_look, "kinds_in_history", lambda *_: kinds)


def ordered(*command: str) -> int:
    with pytest.raises(SystemExit) as left:
        main([*command, *WHY])
    return int(str(left.value.code))


@pytest.mark.parametrize(
    ("subject", "kinds", "said"),
    [
        ("ann", set[str](), "no principal ann was ever seen, nor anything else of that name; a typo?"),
        ("ann", {"credential"}, "ann is a credential; did you mean credential:ann?"),
        ("credential:ann", {"principal"}, "ann is a principal; did you mean principal:ann?"),
    ],
)
def test_who_was_never_seen_is_not_locked(
    subject: str, kinds: set[str], said: str, taking: Taking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store(monkeypatch, kinds)
    assert (ordered("lock", subject), taking.orders) == (1, [])
    assert said in (told := capsys.readouterr().err)
    assert "No order was recorded; --unseen gives it for" in told
    assert (ordered("lock", subject, "--unseen"), len(taking.orders)) == (0, 1)


@pytest.mark.parametrize(
    ("subject", "kinds"), [("ann", {"principal"}), ("ann", {"principal", "credential"}), ("credential:ann", {"credential"})]
)
def test_who_was_seen_is_locked(subject: str, kinds: set[str], taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    store(monkeypatch, kinds)
    assert (ordered("lock", subject), [order["action"] for order in taking.orders]) == (0, ["credential.suspend"])


@pytest.mark.parametrize(
    ("kinds", "said"), [(set[str](), "was ever seen"), ({"credential"}, "ann is a credential; did you mean credential:ann?")]
)
def test_who_was_never_seen_is_not_revoked(
    kinds: set[str], said: str, taking: Taking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store(monkeypatch, kinds)
    assert (ordered("revoke", "ann"), taking.orders) == (1, [])
    assert said in capsys.readouterr().err
    assert (ordered("revoke", "ann", "--unseen"), len(taking.orders)) == (0, 1)


def test_who_is_locked_counts_as_seen(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    store(monkeypatch, set())
    taking.locks = [held("principal:ann", until=LATE)]
    assert (ordered("revoke", "ann"), ordered("lock", "ann"), len(taking.orders)) == (0, 0, 2)


@pytest.mark.parametrize(
    ("level", "until", "order", "weaker"),
    [
        ("suspend", None, ["--minutes", "60"], True),
        ("suspend", None, ["--step-up"], True),
        ("suspend", "late", ["--minutes", "60"], True),
        ("suspend", "late", [], False),
        ("suspend", None, [], False),
        ("suspend", "soon", ["--minutes", "60"], False),
        ("suspend", "soon", ["--minutes", "60", "--step-up"], True),
        ("step-up", "soon", ["--minutes", "60"], False),
        ("step-up", None, ["--minutes", "60"], True),
        ("suspend", None, ["--minutes", "60", "--replace"], False),
        ("suspend", None, ["--minutes", "60", "--confirm"], False),
        ("revoke", None, ["--minutes", "60"], False),
    ],
)
def test_a_lock_that_stands_is_not_weakened_by_the_way(
    level: Level,
    until: str | None,
    order: list[str],
    weaker: bool,
    taking: Taking,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ends = {None: None, "late": LATE, "soon": wire_time(time.time() + 3_000)}[until]
    taking.locks = [held("principal:ann", level=level, until=ends, by="ben"), held("principal:bob", until=LATE)]
    assert ordered("lock", "ann", "--unseen", *order) == (1 if weaker else 0)
    assert len(taking.orders) == (0 if weaker else 1)
    if weaker:
        assert "principal:ann has a lock already" in (told := capsys.readouterr().err)
        assert "by ben" in told
        assert "--replace" in told


@pytest.mark.parametrize(("answer", "made", "code"), [("y", 1, 0), ("n", 0, 130), ("", 0, 130)])
def test_on_a_terminal_who_was_never_seen_is_asked_about(
    answer: str, made: int, code: int, taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(monkeypatch, set())
    monkeypatch.setattr(respond_look, "_somebody_is_there", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _text: answer)
    assert (ordered("lock", "ann"), len(taking.orders)) == (code, made)
    assert (ordered("lock", "ann", "--json"), len(taking.orders)) == (1, made), "a program is asked nothing"


def test_a_token_that_was_never_used_can_be_locked(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    store(monkeypatch, set())
    monkeypatch.setattr(respond_look, "kinds_in_tokens", lambda *_: {"credential"})
    assert (ordered("lock", "credential:ann"), len(taking.orders)) == (0, 1)
    assert (ordered("lock", "ann"), len(taking.orders)) == (1, 1)


def test_a_lock_does_not_need_the_store(taking: Taking, capsys: pytest.CaptureFixture[str]) -> None:
    assert ordered("lock", "ann") == 0
    assert "hint: whether principal:ann was ever seen could not be checked (ClickHouse: nothing answers at" in capsys.readouterr().err
    assert len(taking.orders) == 1


def test_a_lock_does_not_wait_for_the_store(taking: Taking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asleep = threading.Event()
    monkeypatch.setattr(respond_look, "knock", lambda *_: None)
    monkeypatch.setattr(respond_look, "LOOK_S", 0.05)
    monkeypatch.setattr(respond_look, "kinds_in_history", lambda *_: asleep.wait(60) and set())
    assert (ordered("lock", "ann"), len(taking.orders)) == (0, 1)
    asleep.set()
    assert "could not be checked (no answer in time); the order is given all the same" in capsys.readouterr().err


@pytest.mark.parametrize(("events", "hint"), [(0, UNSEEN), (1, "")])
def test_the_plan_hints_at_a_typo(
    events: int, hint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(respond_show, "read_plan", lambda *_: plan(events))
    respond_show.show_plan(Deployment(tmp_path, {}), "principal:ann", as_json=True)
    assert capsys.readouterr().err.strip() == hint


def test_the_plan_says_nothing_of_who_is_locked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whoever asks for a plan may be asking about somebody who is locked already."""
    monkeypatch.setattr(respond_show, "read_plan", lambda *_: plan(1))
    respond_show.show_plan(Deployment(tmp_path, {}), "principal:ann", as_json=False)
    assert "This locked nobody. Order it without --plan" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "principal:ann is locked until lifted: seen twice"),
        ({"level": "step-up"}, "principal:ann must show a fresh token until lifted: seen twice"),
        ({"until": "2026-01-01T01:00:00.000000Z"}, "principal:ann is locked until 2026-01-01T01:00Z: seen twice"),
        ({"level": "revoke"}, "principal:ann is revoked for good: seen twice"),
    ],
)
def test_a_lock_says_until_when(facts: dict[str, str], said: str, taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    def decided(_kafka: object, _log: object, command: str, _timeout_s: float) -> Decision:
        lock = held("principal:ann", **facts)
        return Decision(id=command, subject=lock.subject, choice="suspend", reason="r", at=NOW, by="ana", lock=lock)

    monkeypatch.setattr(client, "wait_decided", decided)
    assert CliRunner().invoke(cli, ["lock", "ann", "--unseen", *WHY], catch_exceptions=False).stdout.startswith(said)


@pytest.mark.parametrize("order", [["lock", "--unseen"], ["revoke", "--unseen"]])
def test_an_order_names_a_finding_that_there_is(
    order: list[str], taking: Taking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store(monkeypatch, set())
    new, old = "0123456789abcdef", "fedcba9876543210"
    monkeypatch.setattr(client, "read_findings", lambda *_: [finding(id=new)])
    monkeypatch.setattr(enrolment, "ledger_keyring", lambda *_: None)
    monkeypatch.setattr(stored, "read_ids", lambda _store, _keyring, given: [old] if old.startswith(given) else [])
    for given in (new, new[:8], old, old[:9]):
        assert ordered(*order, "ann", "--finding", given) == 0
    assert [one["attrs"]["finding"] for one in taking.orders] == [new, new, old, old]
    for given in ("deadbeef", new[:7]):
        assert ordered(*order, "ann", "--finding", given) == 3
        assert f"there is no finding '{given}'" in capsys.readouterr().err
    assert len(taking.orders) == 4


def test_an_order_with_a_finding_does_not_need_the_store(
    taking: Taking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(client, "read_findings", lambda *_: [])
    assert ordered("lock", "--unseen", "ann", "--finding", "deadbeef") == 0
    assert taking.orders[0]["attrs"]["finding"] == "deadbeef"
    assert "hint: whether there is a finding deadbeef could not be checked (ClickHouse: nothing answers at" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sent", "waiting", "said"),
    [
        (0, 1, "is in the spool, and the broker is silent: no receipt came within 20 s. It takes effect when the broker is back"),
        (1, 1, "is in the spool, and the notary is silent: no receipt came within 20 s. It takes effect when the notary is back"),
        (1, 0, "has its receipt, and the responder is silent: nothing was decided within 20 s. It takes effect when the responder is back"),
    ],
)
def test_an_order_that_nobody_decides_names_who_is_silent(
    sent: int, waiting: int, said: str, taking: Taking, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def undecided(_kafka: object, _log: object, command: str, timeout_s: float) -> Decision:
        raise LockUnconfirmed(command, timeout_s)

    monkeypatch.setattr(client, "wait_decided", undecided)
    taking.counted = Stats(1, 1, sent, 1 - waiting, waiting, 0, 0, "")
    assert ordered("lock", "ann", "--unseen") == 1
    assert f"the order {taking.orders[0]['attrs']['command']} {said}; `tallystick doctor`" in capsys.readouterr().err
    taking.counted = Stats(1, 1, 1, 0, 0, 1, 0, "")
    assert ordered("lock", "ann", "--unseen") == 1
    assert "the history refused 1 segment of cli for good" in capsys.readouterr().err, "it waits for nobody"


def test_what_the_command_line_refuses_exits_as_the_page_says() -> None:
    page = " ".join((Path(__file__).parents[3] / "docs" / "response.md").read_text().split())
    assert (
        "1 the command itself wrote no order (nothing to lift or to withdraw, a name that was never seen, a lock that would be weakened)"
        in page
    )
    assert {
        one.exit_code for one in (errors.NotLocked, errors.NothingWaits, errors.UnseenSubject, errors.WeakerLock, errors.OrderWaits)
    } == {1}
    assert "3 nothing answers, or there is no such finding" in page
    assert {one.exit_code for one in (errors.NothingAnswers, errors.NoFinding, errors.ManyFindings)} == {3}
    assert "4 it waits for a second person; 5 the responder decided, and refused it" in page
    assert (respond.WAITS, respond.REFUSED) == (4, 5)
