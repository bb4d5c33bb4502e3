"""What the detectors believe of what was kept: by signature, place and owner, and never an older value for a newer one."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.detecting import batch, read, segment
from tests.support.detector_job import Broker, Nothing, make_job, said
from tests.support.recorder import agent_settings, spooled
from tests.support.signing import DEPLOYMENT, OPERATOR, Speaker, keyring, opener

from tallystick_producers import Recorder
from tallystick_schemas.directives import ADOPT
from tallystick_schemas.envelope import Opener, parse_claim
from tallystick_schemas.headers import Directive
from tallystick_schemas.keys import key_id
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_schemas.topics import DETECTOR_STATE
from tallystick_stream_jobs.detectors.adoption import Adoption
from tallystick_stream_jobs.detectors.job import DetectorsJob
from tallystick_stream_jobs.detectors.keeper import Keeper, Snapshot
from tallystick_stream_jobs.detectors.state import FENCE, OWNER, place
from tallystick_stream_jobs.errors import SnapshotFenced
from tallystick_stream_jobs.shell import Message
from tallystick_stream_jobs.triage.desk import open_desk

POLICY = "detectors: {D01: {parameters: {alert: 3}}}\n"
Value = tuple[bytes | None, bytes | None]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "detection.yaml").write_text(POLICY)
    return tmp_path


def message(n: int) -> Message:
    return Message(0, n, 0, None, said(batch(segment(n, [read(n, f"part-{n}")], n)), n))


async def take(made: DetectorsJob, *numbers: int) -> None:
    for n in numbers:
        commit = await made.process([message(n)])
        assert commit is not None
        await commit()


def live(home: Path, broker: Broker, *numbers: int, fence: int = 1, adopting: Opener | None = None) -> int:
    """One life of the process with these messages, whatever it asked for; the offset that it asked for."""

    async def run() -> int:
        with Recorder.open(agent_settings(home, "detectors")) as recorder:
            adoption = Nothing() if adopting is None else Adoption(adopting.keyring, recorder)
            made = make_job(broker, open_desk(str(home / "detection.yaml"), str(home), recorder), adoption, fence)
            wanted = made.start([0])[0]
            await take(made, *numbers)
            await made.tick(1.0)
            await made.stop()
            return wanted

    return asyncio.run(run())


def kept(home: Path) -> Broker:
    """Two of the three objects that make a finding, in the state of an owner that is gone."""
    broker = Broker()
    live(home, broker, 0, 1)
    assert broker.findings == []
    return broker


def goes_on(home: Path, broker: Broker) -> bool:
    """Whether the third object is the third one for the next owner."""
    live(home, broker, 2, fence=9)
    return [one.detector for one in broker.findings if one.detector == "D01"] == ["D01"]


def signed_by(speaker: Speaker, partition: int = 0) -> Callable[[Value], Value]:
    def change(value: Value) -> Value:
        key, raw = value
        assert key is not None
        assert raw is not None
        claim = parse_claim(raw)
        return key, speaker.signer.sign(DETECTOR_STATE, place(partition, key), claim.number, claim.body)

    return change


def unsigned(value: Value) -> Value:
    return value[0], parse_claim(value[1] or b"").body or None


def test_what_its_owner_kept_is_read_on(home: Path) -> None:
    assert goes_on(home, kept(home))


@pytest.mark.parametrize(
    ("flaw", "change"),
    [
        ("unsigned", unsigned),
        ("another role's", signed_by(Speaker("responder"))),
        ("of somebody without a role", signed_by(Speaker("mallory"))),
        ("another deployment's", signed_by(Speaker("detectors", deployment="other"))),
        ("another partition's", signed_by(Speaker("detectors"), 1)),
        ("changed", lambda value: (value[0], value[1][:-1] + bytes([value[1][-1] ^ 1]))),
        ("under another key", lambda value: (b"63" if value[0] and value[0].isdigit() else value[0], value[1])),
    ],
)
def test_what_no_owner_kept_here_is_nobodys_word(flaw: str, change: Callable[[Value], Value], home: Path) -> None:
    broker = kept(home)
    broker.kept[0] = [change(value) for value in broker.kept[0]]
    assert not goes_on(home, broker), flaw


def test_tombstones_and_garbage_delete_nothing(home: Path) -> None:
    broker = kept(home)
    broker.kept[0] += [(key, None) for key, _ in broker.kept[0]] + [(key, b"garbage") for key, _ in broker.kept[0]] + [(None, b"x")]
    assert goes_on(home, broker)


def test_an_old_value_after_a_newer_one_is_an_old_one(home: Path) -> None:
    broker = kept(home)
    old = [value for value in broker.kept[0] if value[0] != OWNER]
    live(home, broker, 3, fence=5)
    broker.findings.clear()
    broker.kept[0] += old
    assert live(home, broker, fence=9) == 4, "the fence of the newer owner"
    assert broker.findings == []


def test_an_old_value_of_the_same_owner_is_an_old_one_as_well(home: Path) -> None:
    broker = Broker()

    async def run() -> None:
        made = make_job(broker, open_desk(str(home / "detection.yaml"), str(home), None))
        made.start([0])
        await take(made, 0)
        await made.stop()
        first = list(broker.kept[0])
        await take(made, 1)
        await made.stop()
        broker.kept[0] += first

    asyncio.run(run())
    assert goes_on(home, broker)


@pytest.mark.parametrize("what", ["a bucket is missing", "a bucket is rolled back", "the triage is missing"])
def test_what_was_lost_is_read_again_from_what_kafka_has_and_said(what: str, home: Path) -> None:
    broker = kept(home)
    bucket = next(key for key, _ in broker.kept[0] if key and key.isdigit())
    live(home, broker, 2, fence=5)
    told = len(broker.findings)
    newest = max(n for n, (key, _) in enumerate(broker.kept[0]) if key == (b"triage" if what.startswith("the triage") else bucket))
    if what.endswith("missing"):
        key = broker.kept[0][newest][0]
        broker.kept[0] = [value for value in broker.kept[0] if value[0] != key]
    else:
        del broker.kept[0][newest]
    assert live(home, broker, fence=9) == 0
    (lost,) = broker.findings[told:]
    assert (lost.detector, lost.subject, lost.principal, lost.act) == ("T02", "agent", "detectors", "alert")
    assert ("is missing" if what.endswith("missing") else "older than what was kept last") in lost.text
    opened = [event.resource.id for events in spooled(agent_settings(home, "detectors")).values() for event in events]
    assert lost.id in opened


def test_an_owner_that_lost_its_partition_keeps_nothing_more(home: Path) -> None:
    broker = Broker()

    async def run() -> None:
        first = make_job(broker, open_desk(str(home / "detection.yaml"), str(home), None), fence=1)
        first.start([0])
        await take(first, 0, 1)
        # It is stopped for a while (SIGSTOP), and somebody else takes its partition up.
        second = make_job(broker, open_desk(str(home / "detection.yaml"), str(home), None), fence=2)
        second.start([0])
        await take(second, 0, 1)
        await second.stop()
        held = list(broker.kept[0])
        with pytest.raises(SnapshotFenced):
            await first.tick(1e9)
        await first.stop()
        assert broker.kept[0] == held

    asyncio.run(run())


def test_what_a_former_owner_writes_all_the_same_is_read_by_nobody(home: Path) -> None:
    """Between its look and its write somebody else may take over: then readers see it by the fence."""
    broker = kept(home)

    async def write_late() -> None:
        stale = Keeper(broker, Speaker("detectors", 2).voice(), opener(), lambda above: above + 1, Nothing())
        stale.take_up([0])
        live_again = make_job(broker, open_desk(str(home / "detection.yaml"), str(home), None), fence=4)
        live_again.start([0])
        await live_again.stop()
        bucket = next(int(key) for key, _ in broker.kept[0] if key and key.isdigit())
        await stale.keep(broker, 0, Snapshot(77, {}, b"", {bucket: b""}))  # type: ignore[arg-type]  # sends as an outlet does

    asyncio.run(write_late())
    assert goes_on(home, broker)


def test_who_finds_a_newer_owner_claims_a_higher_fence(home: Path) -> None:
    broker = kept(home)
    live(home, broker, fence=100)
    live(home, broker, 2, fence=3)
    fences = [parse_claim(value).number.fence for key, value in broker.kept[0] if key == OWNER and value]
    assert fences == [1, 100, 101]
    assert [one.detector for one in broker.findings] == ["D01"]


def test_two_owners_that_started_in_one_moment_have_different_fences(home: Path) -> None:
    broker = kept(home)
    live(home, broker, fence=1)
    assert [parse_claim(value).number.fence for key, value in broker.kept[0] if key == OWNER and value] == [1, 2]


def adopting(n: int) -> Opener:
    """What is known once an operator lets the detectors read on what an earlier version kept."""
    ring = keyring()
    header = Directive(1, key_id(OPERATOR.public_key().public_bytes_raw()), wire_time(1.0), ADOPT, "detectors", n, {})
    assert ring.take(sign_record(header, OPERATOR)) is None
    return Opener(DEPLOYMENT, ring)


def of_the_version_before(home: Path) -> Broker:
    broker = kept(home)
    broker.kept[0] = [unsigned(value) for value in broker.kept[0] if value[0] != OWNER]
    return broker


def test_state_of_the_version_before_is_read_on_once_when_an_operator_says_so(home: Path) -> None:
    broker = of_the_version_before(home)
    before = list(broker.kept[0])
    live(home, broker, 2, fence=9, adopting=adopting(1))
    assert [one.detector for one in broker.findings] == ["D01"]
    assert FENCE in Broker.state(with_values(broker.kept[0][len(before) :])), "it stands signed now"
    said = [event for events in spooled(agent_settings(home, "detectors")).values() for event in events if event.action == "policy.update"]
    assert [event.resource.id for event in said if event.resource.kind == "detector-state"] == ["0"]

    again = with_values(before)
    live(home, again, 2, fence=20, adopting=adopting(1))
    assert again.findings == [], "the directive was used"
    once_more = with_values(before)
    live(home, once_more, 2, fence=30, adopting=adopting(2))
    assert [one.detector for one in once_more.findings] == ["D01"], "a newer directive is another word"


def test_what_is_signed_goes_before_what_may_be_adopted(home: Path) -> None:
    broker = kept(home)
    broker.kept[0] = [(key, b"garbage") for key, _ in broker.kept[0]] + broker.kept[0]
    live(home, broker, 2, fence=9, adopting=adopting(1))
    assert [one.detector for one in broker.findings] == ["D01"]


def with_values(values: list[Value]) -> Broker:
    broker = Broker()
    broker.kept[0] = list(values)
    return broker
