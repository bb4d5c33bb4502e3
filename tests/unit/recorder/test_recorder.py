"""The recorder with a real spool and no Kafka: what is recorded is on disk, signed and linked, whatever way it came in."""

import asyncio
import threading
import time
from dataclasses import replace

import pytest
from tests.support.recorder import ALICE, ATLAS, agent_settings, free_all, recorded_ids, rows, spooled, wait_for

from tallystick_producers import Actor, InvalidEvent, Recorder, RecorderClosed, Resource, SpoolFull, Usage, Why
from tallystick_schemas.errors import SettingsError


def test_events_are_signed_segments_in_the_spool_after_close(tmp_path):
    settings = agent_settings(tmp_path)
    with Recorder.open(settings) as recorder:
        ids = [recorder.record("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": str(i)}) for i in range(1500)]
    assert recorded_ids(settings) == [str(i) for i in range(1500)]
    [(run, events)] = spooled(settings).items()
    assert [event.action for event in (events[0], events[-1])] == ["agent.start", "agent.stop"]
    assert ids == [f"agent-1/{run}/{i + 1}" for i in range(1500)]
    assert len({event.salt for event in events}) == len(events)


def test_every_field_arrives_as_given(tmp_path):
    settings = agent_settings(tmp_path)
    when = "2026-01-02T03:04:05.000006Z"
    with Recorder.open(settings) as recorder:
        recorder.record(
            "dataset.export",
            actor=Actor("bob", "service", credential="c", mfa=True, roles=["r"]),
            resource=Resource("dataset", "d", sensitivity="restricted"),
            outcome="denied",
            why=Why(text="no"),
            usage=Usage(bytes=0),
            attrs={"ä": "\u2028"},
            time=when,
        )
    event = spooled(settings).popitem()[1][1]
    assert (event.time, event.outcome, event.actor.roles, event.usage, event.attrs) == (
        when,
        "denied",
        ["r"],
        Usage(bytes=0),
        {"ä": "\u2028"},
    )


def test_a_durable_event_is_on_disk_when_record_returns(tmp_path):
    settings = agent_settings(tmp_path, linger_ms=60_000)
    with Recorder.open(settings) as recorder:
        recorder.record("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": "1"}, durable=True)
        assert recorded_ids(settings) == ["1"]


def test_the_linger_time_closes_a_segment_that_nobody_waits_for(tmp_path):
    settings = agent_settings(tmp_path, linger_ms=1)
    with Recorder.open(settings) as recorder:
        recorder.record("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": "1"})
        wait_for(lambda: recorded_ids(settings), "the segment")
        assert recorded_ids(settings) == ["1"]


def test_what_comes_after_a_rest_does_not_wait_for_the_linger_time_and_what_follows_it_does(tmp_path):
    settings = agent_settings(tmp_path, linger_ms=60_000)
    with Recorder.open(settings) as recorder:
        for number in range(3):
            recorder.record("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": str(number)})
        wait_for(lambda: recorded_ids(settings), "the first segment")
        first = recorded_ids(settings)
        recorder.record("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": "later"})
        time.sleep(0.3)
        assert recorded_ids(settings) == first
    assert recorded_ids(settings) == ["0", "1", "2", "later"]


def test_a_full_segment_does_not_wait_for_the_linger_time(tmp_path):
    settings = agent_settings(tmp_path, linger_ms=60_000)
    with Recorder.open(settings) as recorder:
        for i in range(1024):
            recorder.record("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": str(i)})
        wait_for(lambda: len(recorded_ids(settings)) >= 1000, "full segments")
        written = recorded_ids(settings)
        assert written == [str(i) for i in range(len(written))]


def test_segments_close_at_256_kib(tmp_path):
    settings = agent_settings(tmp_path, linger_ms=60_000)
    with Recorder.open(settings) as recorder:
        for i in range(40):
            recorder.record("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": str(i), "x": "x" * 15_000})
        recorder.flush()
        assert max(size for (size,) in rows(settings, "SELECT size FROM segments")) <= 256 * 1024 + 4096
        assert recorded_ids(settings) == [str(i) for i in range(40)]


def test_threads_share_a_recorder_and_each_keeps_its_order(tmp_path):
    settings = agent_settings(tmp_path)
    names = []
    with Recorder.open(settings) as recorder:

        def work(worker: int) -> None:
            for i in range(300):
                names.append(
                    recorder.record("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": f"{worker}-{i}"}, durable=i % 50 == 0)
                )

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = recorded_ids(settings)
    assert len(found) == len(set(names)) == 2400
    for worker in range(8):
        assert [one for one in found if one.startswith(f"{worker}-")] == [f"{worker}-{i}" for i in range(300)]


def test_coroutines_share_commits(tmp_path):
    settings = agent_settings(tmp_path, linger_ms=60_000)

    async def work(recorder: Recorder) -> list[str]:
        one = [recorder.record_async("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": str(i)}) for i in range(200)]
        return await asyncio.gather(*one)

    with Recorder.open(settings) as recorder:
        ids = asyncio.run(work(recorder))
        assert sorted(recorded_ids(settings), key=int) == [str(i) for i in range(200)]
        assert len(set(ids)) == 200
        assert recorder.stats().segments < 100


def test_a_coroutine_that_gave_up_leaves_its_event_recorded(tmp_path):
    settings = agent_settings(tmp_path)

    async def work(recorder: Recorder) -> None:
        task = asyncio.create_task(recorder.record_async("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": "1"}))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Recorder.open(settings) as recorder:
        asyncio.run(work(recorder))
    assert recorded_ids(settings) == ["1"]


def test_runs_sort_by_age_although_the_clock_goes_back(tmp_path, monkeypatch):
    settings = agent_settings(tmp_path)
    runs = []
    for now in (2_000_000_000.0, 1_000_000_000.0, 1_500_000_000.0):
        monkeypatch.setattr("tallystick_producers.writer.time.time", lambda now=now: now)
        with Recorder.open(settings) as recorder:
            runs.append(recorder.record("artifact.read", actor=ALICE, resource=ATLAS).split("/")[1])
    assert runs == sorted(runs)
    assert len(set(runs)) == 3


def test_a_recorder_opens_and_closes_without_kafka(tmp_path):
    recorder = Recorder.open(agent_settings(tmp_path))
    assert recorder.is_open
    recorder.close()
    recorder.close()
    assert not recorder.is_open
    with pytest.raises(RecorderClosed):
        recorder.record("artifact.read", actor=ALICE, resource=ATLAS)
    assert recorder.stats().recorded == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "artifact.steal"},
        {"actor": Actor("", "human")},
        {"actor": Actor("alice", "robot")},
        {"resource": Resource("model", 7)},
        {"outcome": "maybe"},
        {"usage": Usage(bytes=-1)},
        {"usage": Usage(bytes=2**63)},
        {"usage": Usage(bytes=1.5)},
        {"attrs": {"a": 1}},
        {"attrs": {"a": "x" * 17_000}},
        {"attrs": {"a": "\0"}},
        {"attrs": {"a": "\ud800"}},
        {"time": "2026-13-01T00:00:00.000000Z"},
        {"time": "2026-02-31T00:00:00.000000Z"},
        {"time": "1899-12-31T00:00:00.000000Z"},
        {"why": {"deep": [[[[[[[[[1]]]]]]]]]}},
        {"actor": None},
    ],
    ids=lambda wrong: next(iter(wrong.items()))[0] + "=" + str(next(iter(wrong.values())))[:30].encode("ascii", "replace").decode(),
)
def test_what_is_not_an_event_is_refused_and_not_recorded(tmp_path, wrong):
    fields = {"action": "artifact.read", "actor": ALICE, "resource": ATLAS, **wrong}
    settings = agent_settings(tmp_path)
    with Recorder.open(settings) as recorder:
        with pytest.raises(InvalidEvent):
            recorder.record(fields.pop("action"), **fields)
        assert recorder.stats().recorded == 1
    assert len(spooled(settings).popitem()[1]) == 2


@pytest.mark.parametrize("agent", ["", "with space", "a" * 129, "ümlaut"])
def test_a_name_that_no_notary_would_take_is_refused_at_the_start(tmp_path, agent):
    with pytest.raises(SettingsError):
        Recorder.open(replace(agent_settings(tmp_path), agent=agent))


def test_a_full_spool_raises_when_told_to_and_says_so(tmp_path):
    settings = agent_settings(tmp_path, when_full="raise", spool_max_bytes=20_000)
    with Recorder.open(settings) as recorder:
        taken: list[str] = []

        def fill() -> None:
            while len(taken) < 10_000:
                taken.append(recorder.record("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": str(len(taken))}))

        with pytest.raises(SpoolFull, match="is Kafka reachable"):
            fill()
        assert "not recorded: the spool" in recorder.stats().last_error
    assert recorded_ids(settings) == [str(i) for i in range(len(taken))]
    assert 0 < len(taken) < 200


def test_a_full_spool_blocks_until_there_is_room(tmp_path, caplog):
    settings = agent_settings(tmp_path, spool_max_bytes=20_000, linger_ms=1)
    with Recorder.open(settings) as recorder:
        done = []

        def work() -> None:
            for i in range(150):
                recorder.record("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": str(i)})
                done.append(i)

        thread = threading.Thread(target=work)
        thread.start()
        wait_for(lambda: "recording of agent-1 waits" in caplog.text, "a word about the full spool")
        assert len(done) < 150
        freed = []
        while thread.is_alive():
            freed += free_all(settings)
            thread.join(0.01)
        recorder.flush()
        freed += free_all(settings)
    assert freed == [str(i) for i in range(150)]


def test_closing_ends_those_who_wait_for_room(tmp_path, caplog):
    settings = agent_settings(tmp_path, spool_max_bytes=1)
    recorder = Recorder.open(settings)
    ended = []

    def work() -> None:
        try:
            while True:
                recorder.record("artifact.read", actor=ALICE, resource=ATLAS)
        except RecorderClosed as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: "waits" in caplog.text, "the full spool")
    recorder.close()
    thread.join()
    assert len(ended) == 1


def test_heartbeats_tell_how_it_goes(tmp_path):
    settings = agent_settings(tmp_path, heartbeat_s=0.02)
    with Recorder.open(settings) as recorder:
        wait_for(lambda: recorder.stats().recorded > 3, "heartbeats")
    events = spooled(settings).popitem()[1]
    beats = [event for event in events if event.action == "agent.heartbeat"]
    assert beats
    assert all(event.actor == Actor("agent-1", "service") and event.resource == Resource("agent", "agent-1") for event in beats)
    assert {"waiting", "aside"} <= beats[0].attrs.keys()


def test_a_batch_and_its_place_are_one(tmp_path):
    settings = agent_settings(tmp_path)
    with Recorder.open(settings) as recorder:
        assert recorder.place("log") is None
        lines = [recorder.encode("artifact.read", ALICE, ATLAS, attrs={"id": str(i)}) for i in range(1000)]
        recorder.record_batch_at("log", "1000", lines)
        assert (recorder.place("log"), len(recorded_ids(settings))) == ("1000", 1000)
        recorder.record_batch_at("log", "1001", [{"action": "artifact.read", "actor": ALICE, "resource": ATLAS, "attrs": {"id": "1000"}}])
        recorder.record_batch_at("log", "1002", [])
        assert recorder.place("log") == "1002"
    with Recorder.open(settings) as recorder:
        assert recorder.place("log") == "1002"
    assert recorded_ids(settings) == [str(i) for i in range(1001)]


def test_the_spool_is_private(tmp_path):
    settings = agent_settings(tmp_path)
    Recorder.open(settings).close()
    directory = tmp_path / "spool" / "agent-1"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "spool.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("action", "said"), [("artifact.downlod", r"did you mean 'artifact\.download'\?"), ("xyz", r"which has access\.check, ")]
)
def test_an_unknown_action_is_told_with_the_nearest(tmp_path, action, said):
    with Recorder.open(agent_settings(tmp_path, "near")) as recorder, pytest.raises(InvalidEvent, match=said):
        recorder.record(action, actor=ALICE, resource=ATLAS)
