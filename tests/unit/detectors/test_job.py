"""The detectors' shell without Kafka: what a crash between two durable steps means, and a policy that changes under way."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from tests.support.detecting import batch, read, segment
from tests.support.detector_job import Broker, make_job, said
from tests.support.recorder import agent_settings, spooled
from tests.support.signing import opener

from tallystick_producers import Recorder
from tallystick_schemas.messages import parse_batch
from tallystick_schemas.topics import VERIFIED
from tallystick_stream_jobs.detectors import job
from tallystick_stream_jobs.detectors.state import FENCE, OWNER, Fence
from tallystick_stream_jobs.shell import Message
from tallystick_stream_jobs.triage.desk import open_desk

POLICY = "detectors: {D01: {parameters: {alert: 3}}}\nnoise: {dedup_minutes: 180}\n"


def messages(count: int) -> list[Message]:
    """One event a message: distinct objects of one principal, the second half more than an hour later."""
    at = [n + (0.0 if n < count // 2 else 3700.0) for n in range(count)]
    return [Message(0, n, 0, None, said(batch(segment(n, [read(when, f"part-{n}")], when)), n)) for n, when in enumerate(at)]


def live(broker: Broker, directory: Path, sent: list[Message], *, every: int = 3) -> None:
    """One life of the process: from the fence to the end or its death, keeping its state each `every` messages."""

    async def run() -> None:
        with Recorder.open(agent_settings(directory, "detectors")) as recorder:
            desk = open_desk(str(directory / "detection.yaml"), str(directory), recorder)
            made = make_job(broker, desk)
            first = made.start([0])[0]
            for n, message in enumerate(sent[first:]):
                commit = await made.process([message])
                assert commit is not None
                await commit()
                if n % every == 0:
                    made._keep_at = 0.0
                    await made.tick(1.0)
            await made.stop()

    asyncio.run(run())


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Path:
    (tmp_path / "detection.yaml").write_text(POLICY)
    return tmp_path


def events(directory: Path) -> list[tuple[str, str, str]]:
    settings = agent_settings(directory, "detectors")
    found = [event for events in spooled(settings).values() for event in events if event.action.startswith("incident.")]
    return [(event.action, event.resource.id, event.attrs["count"]) for event in found]


def test_a_crash_at_any_send_changes_neither_findings_nor_history(place, tmp_path_factory, monkeypatch) -> None:
    sent = messages(10)
    whole = Broker()
    live(whole, place, sent)
    wanted = {(one.id, one.count, one.act) for one in whole.findings}
    assert {count for _, count, _ in wanted} == {1, 2}
    for dies_at in range(1, whole.sends + 1):
        directory = tmp_path_factory.mktemp("life")
        (directory / "detection.yaml").write_text(POLICY)
        broker = Broker()
        broker.dies_at = dies_at
        with pytest.raises(KeyboardInterrupt):
            live(broker, directory, sent)
        live(broker, directory, sent)
        assert {(one.id, one.count, one.act) for one in broker.findings} == wanted, dies_at
        told = events(directory)
        assert len(told) == len(set(told)), (dies_at, told)
        assert {(name, int(count)) for _, name, count in told} == {(name, count) for name, count, _ in wanted}, dies_at


def test_a_change_of_the_policy_keeps_what_was_counted(place, monkeypatch) -> None:
    broker = Broker()

    async def run() -> None:
        desk = open_desk(str(place / "detection.yaml"), str(place), None)
        made = make_job(broker, desk)
        made.start([0])
        for message in messages(8)[:2]:
            await made.process([message])
        (place / "detection.yaml").write_text("detectors: {D01: {mode: observe, parameters: {alert: 4}}}\n# longer\n")
        await made.tick(1e9)
        for message in messages(8)[2:4]:
            await made.process([message])
        await asyncio.gather(*made._flying)

    asyncio.run(run())
    (one,) = broker.findings
    assert (one.value, one.threshold, one.mode) == (4, 4, "observe")


def test_nothing_is_kept_before_its_findings_are_told_and_no_finding_overtakes_another(place, monkeypatch) -> None:
    broker = Broker()

    async def run() -> None:
        with Recorder.open(agent_settings(place, "detectors")) as recorder:
            made = make_job(broker, open_desk(str(place / "detection.yaml"), str(place), recorder))
            made.start([0])
            first, second = asyncio.Event(), asyncio.Event()
            second.set()
            broker.held = [first, second]
            for message in messages(10):
                await made.process([message])
            one, two = made._flying
            keeping = asyncio.create_task(made.tick(1e9))
            while len(broker.findings) < 2 or not (place / "recorded-detection.yaml").exists():
                await asyncio.sleep(0)
            for _ in range(200):
                await asyncio.to_thread(recorder.flush)  # whoever does not wait would be through by then
            assert broker.state().keys() == {OWNER}
            assert not two.done()
            first.set()
            await keeping
            assert one.done()
            assert FENCE in broker.state()

    asyncio.run(run())
    assert [(action, count) for action, _, count in events(place)] == [("incident.open", "1"), ("incident.update", "2")]


def test_states_are_kept_less_often_the_more_there_is_to_keep_and_each_minute_at_the_least(place, monkeypatch) -> None:
    broker, fences = Broker(), []
    monkeypatch.setattr(job, "_KEEP_BYTES_S", 1)

    async def run() -> None:
        with Recorder.open(agent_settings(place, "detectors")) as recorder:
            made = make_job(broker, open_desk(str(place / "detection.yaml"), str(place), recorder))
            made.start([0])
            for now, message in zip((10.0, 16.0, 69.0, 70.0), messages(4), strict=True):
                await (await made.process([message]))()
                await made.tick(now)
                fences.append(msgspec.json.decode(broker.state()[FENCE], type=Fence).offset)

    asyncio.run(run())
    assert fences == [1] * 3 + [4]


def test_a_policy_that_changes_while_partitions_are_taken_up_holds_for_all_of_them(place, monkeypatch) -> None:
    broker = Broker()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        made = make_job(broker, open_desk(str(place / "detection.yaml"), str(place), None))

        def read_state(partition: int, first: int) -> tuple[list[tuple[bytes | None, bytes | None]], int]:
            if partition == 1 and not first:
                (place / "detection.yaml").write_text("detectors: {D01: {mode: observe, parameters: {alert: 4}}}\n# longer\n")
                asyncio.run_coroutine_threadsafe(made.tick(1e9), loop).result()
            return Broker.read(broker, partition, first)

        monkeypatch.setattr(broker, "read", read_state)
        await asyncio.to_thread(made.start, [0, 1])
        await made.tick(2e9)
        for message in messages(8)[:4]:
            opened = parse_batch(opener().open(VERIFIED, None, message.value).body)
            await made.process([message, message._replace(partition=1, value=said(opened, message.offset, 1))])
        await asyncio.gather(*made._flying)

    asyncio.run(run())
    assert [(one.value, one.threshold, one.mode) for one in broker.findings] == [(4, 4, "observe")] * 2
