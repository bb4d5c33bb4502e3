"""RFC 8936 as receivers see it, the bounds of what waits, and what outlives the process."""

import pytest
from tests.support.signals import NOW, Door, decision, events_of, transmitting

from tallystick_stream_jobs.shared_signals.vocabulary import (
    ACCOUNT_DISABLED,
    CREDENTIAL_CHANGE,
    PUSH,
    SESSION_REVOKED,
    STREAM_UPDATED,
)


@pytest.fixture
def door(tmp_path):
    return transmitting(tmp_path)


def test_what_is_acknowledged_does_not_come_again(door):
    stream = door.stream()["stream_id"]
    door.decide(decision("cmd-1"))
    first = door.poll(stream, maxEvents=1)
    assert (len(first["sets"]), first["moreAvailable"]) == (1, True)
    assert door.poll(stream, maxEvents=1)["sets"].keys() == first["sets"].keys()
    second = door.poll(stream, maxEvents=1, ack=list(first["sets"]))
    assert (events_of(door, second), second["moreAvailable"]) == ([ACCOUNT_DISABLED], False)
    only = door.poll(stream, maxEvents=0, ack=[*second["sets"], "unknown"])
    assert only == {"sets": {}, "moreAvailable": False}
    assert [event.why.text for event in door.sink.events if event.action == "incident.note"] == [
        f"{jti} was taken" for jti in (*first["sets"], *second["sets"])
    ]


def test_a_repeated_decision_is_told_once_also_after_it_was_taken(door):
    stream = door.stream()["stream_id"]
    assert len(door.decide(decision("cmd-1"))) == 2
    assert door.decide(decision("cmd-1"), 2) == []
    door.poll(stream, ack=list(door.poll(stream)["sets"]))
    assert door.decide(decision("cmd-1"), 3) == []
    assert door.poll(stream)["sets"] == {}


def test_a_refused_token_is_shown_and_not_sent_again(door):
    stream = door.stream(events_requested=[CREDENTIAL_CHANGE])["stream_id"]
    door.decide(decision("cmd-1", "credential:c-1", principal="mallory@example.org"))
    (jti,) = door.poll(stream)["sets"]
    door.poll(stream, setErrs={jti: {"err": "invalid_audience", "description": "not\nme"}})
    assert door.poll(stream)["sets"] == {}
    assert door.signals.store.tally(stream) == {"taken": 0, "refused": 1}
    (event,) = [event for event in door.sink.events if event.action == "incident.update"]
    assert event.why.text == f"{jti} was refused: invalid_audience: not me"


@pytest.mark.parametrize(
    "body",
    [
        {"maxEvents": -1},
        {"maxEvents": True},
        {"maxEvents": "1"},
        {"returnImmediately": 1},
        {"ack": "j"},
        {"ack": ["j"] * 1001},
        {"setErrs": {"j": 1}},
    ],
)
def test_a_poll_that_makes_no_sense_is_400(door, body):
    stream = door.stream()["stream_id"]
    assert door.ask("POST", f"/ssf/poll/{stream}", {"returnImmediately": True, **body}).status_code == 400


def test_a_push_stream_is_not_polled(door):
    stream = door.stream(delivery={"method": PUSH, "endpoint_url": "https://receiver.example.org/e"})["stream_id"]
    assert door.ask("POST", f"/ssf/poll/{stream}", {"returnImmediately": True}).status_code == 404


def test_too_much_that_waits_disables_the_stream_and_says_so(tmp_path):
    door = transmitting(tmp_path, max_pending=4)
    stream = door.stream()["stream_id"]
    for number in range(3):
        door.decide(decision(f"cmd-{number}"))
    status = door.ask("GET", f"/ssf/status?stream_id={stream}").json()
    assert (status["status"], "4 events were not fetched" in status["reason"]) == ("disabled", True)
    (claims,) = [door.said(token) for token in door.poll(stream)["sets"].values()]
    assert claims["events"][STREAM_UPDATED]["status"] == "disabled"
    assert door.signals.store.stream(stream).lost == 4
    assert any("disabled" in event.why.text for event in door.sink.events)
    door.ask("POST", "/ssf/status", {"stream_id": stream, "status": "enabled"})
    door.decide(decision("cmd-9"))
    assert SESSION_REVOKED in events_of(door, door.poll(stream))


def test_everything_outlives_the_process(tmp_path):
    door = transmitting(tmp_path)
    stream = door.stream()["stream_id"]
    door.decide(decision("cmd-1"), 7)
    before = door.poll(stream)["sets"]
    door.signals.store.close()
    again = Door(door.signals.settings)
    assert again.poll(stream)["sets"] == before
    assert again.signals.store.position("decisions") == 7
    assert (tmp_path / "signals.db").stat().st_mode & 0o777 == 0o600


def test_what_is_our_own_fault_is_503_and_changes_nothing(door, tmp_path):
    stream = door.stream()["stream_id"]
    door.decide(decision("cmd-1"))
    keys = tmp_path / "keys" / "signals.json"
    keys.chmod(0o644)
    for answer in (door.ask("POST", f"/ssf/poll/{stream}", {"returnImmediately": True}), door.ask("GET", "/ssf/jwks.json")):
        assert (answer.status_code, answer.headers["retry-after"], "keys" in answer.text) == (503, "5", False)
    keys.chmod(0o600)
    assert len(door.poll(stream)["sets"]) == 2


def test_what_is_remembered_has_an_end(door):
    stream = door.stream()["stream_id"]
    door.decide(decision("cmd-1"))
    door.poll(stream, ack=list(door.poll(stream)["sets"]))
    door.signals.store.forget(NOW)
    assert door.signals.store.tally(stream)["taken"] == 2
    door.signals.store.forget(NOW + 1)
    assert door.signals.store.tally(stream)["taken"] == 0
