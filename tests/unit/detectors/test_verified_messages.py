"""What the detectors take for the notary's word on topic `verified`, and what they say when some of it does not come."""

import asyncio
from pathlib import Path

import pytest
from tests.support.detecting import batch, read, segment
from tests.support.detector_job import Broker, make_job, said
from tests.support.recorder import agent_settings, spooled
from tests.support.signing import Speaker, directive, opener

from tallystick_producers import Recorder
from tallystick_schemas.envelope import Number, Opener, parse_claim
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Finding, VerifiedBatch
from tallystick_schemas.topics import ACTS
from tallystick_stream_jobs.detectors.heard import Heard
from tallystick_stream_jobs.shell import Message
from tallystick_stream_jobs.triage.desk import open_desk


def decoy(index: int = 0) -> VerifiedBatch:
    """Somebody reads a decoy: one such event is a finding."""
    return batch(segment(index, [read(index, "secret", f"eve-{index}", canary=True)], index))


def play(directory: Path, *values: bytes | None, broker: Broker | None = None, who: Opener | None = None) -> list[Finding]:
    """What is told after these values lay on partition 0, one after the other."""
    broker = broker or Broker()

    async def run() -> None:
        with Recorder.open(agent_settings(directory, "detectors")) as recorder:
            made = make_job(broker, open_desk("", str(directory), recorder), who=who)
            first = made.start([0])[0]
            for n, value in enumerate(values, first):
                commit = await made.process([Message(0, n, 0, None, value)])
                assert commit is not None
                await commit()
            await made.tick(1e9)
            await made.stop()

    asyncio.run(run())
    return broker.findings


def forged(speaker: Speaker, topic: str = "verified") -> bytes:
    """The same words, said by somebody else or elsewhere."""
    claim = parse_claim(said(decoy(), 0))
    return speaker.says(topic, None, claim.body, Number(7, 0))


@pytest.mark.parametrize(
    ("flaw", "value"),
    [
        ("unsigned, as an earlier version had it", parse_claim(said(decoy(), 0)).body),
        ("another role's", forged(Speaker("responder"))),
        ("of somebody without a role", forged(Speaker("mallory"))),
        ("another key under the notary's name", forged(Speaker("notary", key="mallory"))),
        ("another topic's", forged(Speaker("notary"), ACTS)),
        ("another deployment's", forged(Speaker("notary", deployment="other"))),
        ("another partition's", said(decoy(), 0, partition=1)),
        ("changed", said(decoy(), 0)[:-1] + b"\x01"),
        ("cut off", said(decoy(), 0)[:100]),
        ("deleted", None),
    ],
)
def test_what_is_not_the_notarys_word_for_this_place_finds_nothing(flaw: str, value: bytes | None, tmp_path: Path) -> None:
    told = play(tmp_path, value, said(decoy(1), 1))
    assert [(one.detector, one.principal) for one in told] == [("D13", "eve-1")], flaw


def test_a_revoked_notary_is_heard_no_more(tmp_path: Path) -> None:
    believed = opener()
    believed.keyring.take(directive("notary", n=2, revoked=True))
    assert play(tmp_path, said(decoy(), 0), who=believed) == []


def test_a_message_that_came_before_is_not_heard_again_though_its_bucket_was_lost(tmp_path: Path) -> None:
    broker = Broker()
    (one,) = play(tmp_path, said(decoy(), 0), broker=broker)
    assert one.detector == "D13"
    bucket = next(key for key, _ in broker.kept[0] if key and key.isdigit())
    # Signed anew, as empty as a bucket that could not be read: only the notary's number tells that the message is an old one.
    voice = Speaker("detectors", fence=5)
    broker.claim(0, bucket, voice.says("detector-state", b"0/" + bucket, b"\xc1"))
    assert play(tmp_path, said(decoy(), 0), broker=broker) == [one]


def test_a_message_that_does_not_come_is_a_finding_that_names_how_many(tmp_path: Path) -> None:
    told = play(tmp_path, said(decoy(), 0), said(decoy(3), 3))
    (lost,) = [one for one in told if one.detector == "T01"]
    assert (lost.value, lost.principal, lost.subject, lost.act, lost.severity) == (2, "notary", "agent", "alert", "high")
    assert "2 messages of notary" in lost.text
    opened = [event.resource.id for events in spooled(agent_settings(tmp_path, "detectors")).values() for event in events]
    assert lost.id in opened


def test_messages_in_another_order_are_said_and_the_late_one_is_an_old_one(tmp_path: Path) -> None:
    told = play(tmp_path, said(decoy(0), 0), said(decoy(2), 2), said(decoy(1), 1))
    assert sorted((one.detector, one.principal) for one in told) == [("D13", "eve-0"), ("D13", "eve-2"), ("T01", "notary")]


def test_what_is_missing_is_seen_over_a_restart_and_told_under_one_id(tmp_path: Path) -> None:
    broker = Broker()
    play(tmp_path, said(decoy(), 0), broker=broker)
    play(tmp_path, said(decoy(2), 2), broker=broker)
    assert [one.value for one in broker.findings if one.detector == "T01"] == [1]


def test_each_run_of_a_notary_counts_from_0() -> None:
    heard = Heard({"notary": (7, 41)})
    assert heard.take("notary", Number(8, 0)) == 0
    assert heard.take("notary", Number(8, 1)) == 0
    assert Heard({"notary": (7, 41)}).take("notary", Number(8, 3)) == 3, "the first of a run are missing"
    assert Heard({}).take("notary", Number(8, 3)) == 0, "nobody knows what came before we listened"
    assert heard.take("notary.b", Number(3, 17)) == 0
    assert heard.newest() == {"notary": (8, 1), "notary.b": (3, 17)}


def test_an_earlier_run_that_writes_late_moves_nothing() -> None:
    heard = Heard({"notary": (8, 1)})
    assert heard.take("notary", Number(7, 99)) == 0
    assert heard.newest() == {"notary": (8, 1)}


@pytest.mark.parametrize("n", [0, 4])
def test_a_number_is_taken_once(n: int) -> None:
    with pytest.raises(ParseError, match="came before"):
        Heard({"notary": (8, 4)}).take("notary", Number(8, n))
