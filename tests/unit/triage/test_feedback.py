"""The lane that weighs verdicts: demotion once, told and recorded, over crashes; a store that is away or late."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.history import make_event
from tests.support.recorder import agent_settings, spooled
from tests.support.signing import Speaker, opener

from tallystick_producers import Recorder
from tallystick_schemas.envelope import parse_claim
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Actor, Resource
from tallystick_schemas.messages import VerifiedBatch, VerifiedSegment, encode_batch, parse_batch, parse_finding
from tallystick_schemas.topics import ACTS, VERIFIED
from tallystick_stream_jobs.policy import Bar, DetectionPolicy
from tallystick_stream_jobs.policy.demotions import Standing, change_standing, read_standings
from tallystick_stream_jobs.shell import Message
from tallystick_stream_jobs.triage import feedback
from tallystick_stream_jobs.triage.feedback import Books, FeedbackLane, Told, closings
from tallystick_stream_jobs.triage.quality import Verdict

WRONG = [Verdict(f"F{n}", "D01", 1, "false-positive", n) for n in range(4)]
POLICY = DetectionPolicy(bar_default=Bar(0.5, 4))


class Sent:
    """An outlet that keeps what it was given."""

    def __init__(self) -> None:
        self.findings = []

    async def send(self, topic, key, value, partition=None):
        self.findings.append(parse_finding(opener().open(topic, key, value).body))

        async def done() -> None:
            return None

        return done()


def acts(*actions: str) -> Message:
    events = [
        (n, make_event(n, action=action, actor=Actor("ann", "human"), resource=Resource("finding", f"F{n}")))
        for n, action in enumerate(actions)
    ]
    body = encode_batch(VerifiedBatch(2, 2, [VerifiedSegment(7, "cli", "0" * 32, 0, 0, events)], [], 0))
    return Message(0, 0, 0, None, Speaker("notary").says(ACTS, None, body))


def lane_of(directory: Path, policy, books: Books, sent, recorder: Recorder) -> FeedbackLane:
    return FeedbackLane(directory, policy, books, Told(sent, Speaker("detectors").voice(), recorder), opener())


def books(verdicts, holds=lambda _: True, stored=set) -> Books:
    """A store that has what it is asked for, if nothing else is said."""
    return Books(holds, verdicts, stored)


def in_turn(answers: list, asked: list):
    """A question to the store that is answered so, one answer a time; an error is raised. What was asked goes into `asked`."""

    def answer(question):
        asked.append(list(question))
        one = answers.pop(0)
        if isinstance(one, OSError):
            raise one
        return one

    return answer


def tick_until_asked(lane: FeedbackLane, now: float) -> None:
    async def run() -> None:
        await lane.tick(now)
        while lane._late is not None:
            await asyncio.sleep(0.001)
            await lane.tick(now)

    asyncio.run(run())


def weigh(lane: FeedbackLane, *messages: Message) -> None:
    async def run() -> None:
        commit = await lane.process(list(messages))
        if commit is not None:
            await commit()

    asyncio.run(run())


def test_closings_are_found_by_place() -> None:
    said = acts("incident.close", "credential.suspend", "incident.close")
    assert closings(parse_batch(opener().open(ACTS, None, said.value or b"").body)) == {(2, 7, 0): "F0", (2, 7, 2): "F2"}
    with pytest.raises(ParseError, match="cannot be read"):
        closings(VerifiedBatch(2, 2, [VerifiedSegment(7, "cli", "0" * 32, 0, 0, [(0, b"garbage")])], []))


def test_a_detector_that_was_wrong_too_often_is_demoted_once_and_it_is_said(tmp_path: Path) -> None:
    settings, sent = agent_settings(tmp_path, "detectors"), Sent()
    with Recorder.open(settings) as recorder:
        lane = lane_of(tmp_path, lambda: POLICY, books(lambda: WRONG), sent, recorder)
        weigh(lane, acts("incident.close"))
        demoted = lane_of(tmp_path, lambda: replace(POLICY, demoted={"D01": "x"}), books(lambda: WRONG), sent, recorder)
        weigh(demoted, acts("incident.close"))
    (told,) = sent.findings
    assert (told.detector, told.value, told.threshold, told.act) == ("Q01", 0.0, 0.5, "alert")
    assert "tallystick detect policy restore D01" in told.text
    standing = read_standings(tmp_path)["D01"]
    assert (standing.demoted, standing.by) == (True, "detectors")
    opened = [event for events in spooled(settings).values() for event in events if event.action == "incident.open"]
    assert [event.resource.id for event in opened] == [told.id]


def test_a_crash_before_the_demotion_tells_it_under_the_same_id_and_records_it_once(tmp_path: Path, monkeypatch) -> None:
    settings, sent = agent_settings(tmp_path, "detectors"), Sent()
    with Recorder.open(settings) as recorder:
        lane = lane_of(tmp_path, lambda: POLICY, books(lambda: WRONG), sent, recorder)
        with monkeypatch.context() as broken:
            broken.setattr(feedback, "change_standing", lambda *_: None)
            weigh(lane, acts("incident.close"))
        weigh(lane, acts("incident.close"))
    assert len({one.id for one in sent.findings}) == 1
    opened = [event for events in spooled(settings).values() for event in events if event.action == "incident.open"]
    assert len(opened) == 1
    assert read_standings(tmp_path)["D01"].demoted


def test_a_person_gives_it_back_and_old_verdicts_count_no_more(tmp_path: Path) -> None:
    change_standing(tmp_path, "D01", Standing(True, "wrong", "detectors", 1.0))
    change_standing(tmp_path, "D01", Standing(False, "mended", "ann", 100.0))
    sent = Sent()
    with Recorder.open(agent_settings(tmp_path, "detectors")) as recorder:
        weigh(lane_of(tmp_path, lambda: POLICY, books(lambda: WRONG), sent, recorder), acts("incident.close"))
    assert sent.findings == []


def test_a_store_that_is_away_or_late_is_asked_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(feedback, "_RETRY_S", 0.0)
    asked = []
    sent, held = Sent(), in_turn([OSError("away"), False, True], asked)
    with Recorder.open(agent_settings(tmp_path, "detectors")) as recorder:
        weigh(lane_of(tmp_path, lambda: POLICY, books(lambda: WRONG, held), sent, recorder), acts("incident.close"))
    assert asked == [[(2, 7, 0)]] * 3
    assert len(sent.findings) == 1


def test_orders_alone_ask_nothing(tmp_path: Path) -> None:
    asked, sent = [], Sent()

    def held(places) -> bool:
        asked.append(list(places))
        return True

    def verdicts() -> list[Verdict]:
        asked.append("verdicts")
        return WRONG

    def stored(findings) -> set[str]:
        asked.append(list(findings))
        return set(findings)

    with Recorder.open(agent_settings(tmp_path, "detectors")) as recorder:
        lane = lane_of(tmp_path, lambda: POLICY, Books(held, verdicts, stored), sent, recorder)
        weigh(lane, acts("credential.suspend"), Message(0, 1, 0, None, b"garbage"))
    assert (asked, sent.findings) == ([], [])


class Late:
    """A store that gets the finding of the last verdict after the verdict."""

    def __init__(self) -> None:
        self.has = {"F1", "F2", "F3"}
        self.asked: list[list[str]] = []

    def verdicts(self) -> list[Verdict]:
        return [one for one in WRONG if one.finding in self.has]

    def stored(self, findings) -> set[str]:
        self.asked.append(list(findings))
        return self.has & set(findings)


def test_a_verdict_that_was_stored_before_its_finding_is_weighed_when_that_has_come(tmp_path: Path) -> None:
    store, sent, now = Late(), Sent(), time.time()
    with Recorder.open(agent_settings(tmp_path, "detectors")) as recorder:
        lane = lane_of(tmp_path, lambda: POLICY, books(store.verdicts, stored=store.stored), sent, recorder)
        weigh(lane, acts("incident.close"))
        tick_until_asked(lane, now + 5)
        assert (store.asked, sent.findings) == ([["F0"]] * 2, [])
        store.has.add("F0")
        tick_until_asked(lane, now + 10)
        assert [one.detector for one in sent.findings] == ["Q01"]
        tick_until_asked(lane, now + 1000)
        assert len(store.asked) == 3, "nothing is awaited any more"


def test_what_is_awaited_outlives_a_crash(tmp_path: Path) -> None:
    store, sent = Late(), Sent()
    with Recorder.open(agent_settings(tmp_path, "detectors")) as recorder:
        weigh(lane_of(tmp_path, lambda: POLICY, books(store.verdicts, stored=store.stored), sent, recorder), acts("incident.close"))
        store.has.add("F0")
        again = lane_of(tmp_path, lambda: POLICY, books(store.verdicts, stored=store.stored), sent, recorder)
        tick_until_asked(again, time.time())
    assert [one.detector for one in sent.findings] == ["Q01"]
    assert read_standings(tmp_path)["D01"].demoted


def test_a_store_that_is_away_is_asked_for_the_awaited_again_and_a_broken_file_awaits_nothing(tmp_path: Path) -> None:
    (tmp_path / feedback.AWAITED_FILE).write_text('{"F0": 9e9}')
    answers = [OSError("away"), {"F0"}]
    sent, stored = Sent(), in_turn(answers, [])
    with Recorder.open(agent_settings(tmp_path, "detectors")) as recorder:
        lane = lane_of(tmp_path, lambda: POLICY, books(lambda: WRONG, stored=stored), sent, recorder)
        tick_until_asked(lane, 100.0)
        assert sent.findings == []
        tick_until_asked(lane, 200.0)
        assert len(sent.findings) == 1
        (tmp_path / feedback.AWAITED_FILE).write_text("[")
        tick_until_asked(lane_of(tmp_path, lambda: POLICY, books(lambda: WRONG, stored=stored), sent, recorder), 300.0)
    assert answers == []


def _said(agent: str = "notary", topic: str = ACTS, deployment: str = "test") -> bytes:
    body = encode_batch(
        VerifiedBatch(
            2,
            2,
            [VerifiedSegment(7, "cli", "0" * 32, 0, 0, [(0, make_event(0, action="incident.close", resource=Resource("finding", "F0")))])],
            [],
            0,
        )
    )
    return Speaker(agent, deployment=deployment).says(topic, None, body)


@pytest.mark.parametrize(
    ("flaw", "value"),
    [
        ("unsigned", parse_claim(_said()).body),
        ("another role's", _said("responder")),
        ("somebody's without a role", _said("mallory")),
        ("another topic's", _said(topic=VERIFIED)),
        ("another deployment's", _said(deployment="other")),
        ("a changed one", _said()[:-1] + b" "),
        ("a deleted one", None),
    ],
)
def test_what_no_notary_copied_closes_nothing(flaw: str, value: bytes | None, tmp_path: Path) -> None:
    sent = Sent()
    with Recorder.open(agent_settings(tmp_path, "detectors")) as recorder:
        lane = lane_of(tmp_path, lambda: POLICY, books(lambda: WRONG), sent, recorder)
        weigh(lane, Message(0, 0, 0, None, value))
        assert sent.findings == [], flaw
        weigh(lane, Message(0, 0, 0, None, _said()))
    assert len(sent.findings) == 1, "the same words of the notary are heard"
