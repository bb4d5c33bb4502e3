"""The recorder on a real broker: segments arrive in order, receipts free the spool, and nothing is lost whatever the broker does."""

from collections.abc import Iterator

import pytest
from kafka import KafkaProducer
from tests.support.recorder import ALICE, ATLAS, agent_settings, rows, spooled, wait_for
from tests.support.recorder_kafka import Broker, broker, give_roles, tiny_notary
from tests.support.signing import Speaker, directive, role_key

from tallystick_producers import ReceiptTimeout, Recorder, SegmentsRefused
from tallystick_schemas.receipts import Receipt, encode_receipts
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import LOCKS, RECEIPTS

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("kafka")) as started:
        yield started


@pytest.fixture
def kafka(one: Broker) -> KafkaSettings:
    return one.kafka


def put(recorder: Recorder, first: int, last: int) -> list[str]:
    ids = [str(i) for i in range(first, last)]
    for one in ids:
        recorder.record("artifact.read", actor=ALICE, resource=ATLAS, attrs={"id": one})
    return ids


def test_receipts_free_the_spool(tmp_path, kafka):
    settings = agent_settings(tmp_path, "free", kafka)
    with tiny_notary(kafka, "free") as notary, Recorder.open(settings) as recorder:
        ids = put(recorder, 0, 3000)
        recorder.wait_receipts(30)
        stats = recorder.stats()
        assert notary.ids() == ids
        assert (stats.waiting, stats.spool_bytes, stats.last_error, rows(settings, "SELECT count(*) FROM segments")) == (0, 0, "", [(0,)])
        assert stats.acknowledged == stats.segments == stats.sent


def test_what_was_left_is_sent_first_by_the_next_start_under_its_own_run(tmp_path, kafka):
    nobody = agent_settings(tmp_path, "left")
    with Recorder.open(nobody) as recorder:
        ids = put(recorder, 0, 1500)
    [old] = spooled(nobody)
    with tiny_notary(kafka, "left") as notary, Recorder.open(agent_settings(tmp_path, "left", kafka)) as recorder:
        ids += put(recorder, 1500, 3000)
        recorder.wait_receipts(30)
        assert notary.ids() == ids
        runs = [record.header.run for record in notary.seen]
    assert runs[0] == old
    assert runs == sorted(runs)
    assert len(set(runs)) == 2
    assert rows(nobody, "SELECT count(*) FROM runs") == [(0,)]
    assert not list((tmp_path / "spool" / "left").glob("*.run"))


def test_without_a_receipt_it_is_sent_again_and_recorded_once(tmp_path, kafka):
    settings = agent_settings(tmp_path, "again", kafka, resend_s=0.2)
    deaf = [True]
    with tiny_notary(kafka, "again", lambda _: None if deaf[0] else 0) as notary, Recorder.open(settings) as recorder:
        ids = put(recorder, 0, 2000)
        with pytest.raises(ReceiptTimeout):
            recorder.wait_receipts(0.5)
        wait_for(lambda: len(notary.seen) > 2 * recorder.stats().segments, "sent again")
        deaf[0] = False
        recorder.wait_receipts(30)
        # This notary began to answer in the middle of a round, so what it took first is not the first.
        assert sorted(notary.ids(), key=int) == ids
        assert recorder.stats().sent > recorder.stats().segments


def test_an_agent_that_is_not_enrolled_yet_waits_and_asks_with_one_segment(tmp_path, kafka):
    settings = agent_settings(tmp_path, "early", kafka)
    enrolled = [False]
    with tiny_notary(kafka, "early", lambda _: 0 if enrolled[0] else 5) as notary, Recorder.open(settings) as recorder:
        ids = put(recorder, 0, 600)
        wait_for(lambda: len(notary.seen) >= 3, "it asks again")
        assert "not enrolled" in recorder.stats().last_error
        asked = len(notary.seen)
        ids += put(recorder, 600, 9000)
        recorder.flush()
        wait_for(lambda: len(notary.seen) >= asked + 1, "it asks once more")
        assert len(notary.seen) <= asked + 2
        enrolled[0] = True
        recorder.wait_receipts(30)
        assert notary.ids() == ids


def test_refused_segments_are_kept_aside_reported_and_never_sent_again(tmp_path, kafka, caplog):
    settings = agent_settings(tmp_path, "refused", kafka, resend_s=0.2)
    with tiny_notary(kafka, "refused", lambda header: 4 if header.n == 0 else 0) as notary, Recorder.open(settings) as recorder:
        recorder.flush()
        wait_for(lambda: notary.seen, "the first segment")
        ids = put(recorder, 0, 10)
        with pytest.raises(SegmentsRefused):
            recorder.wait_receipts(30)
        assert recorder.stats().aside == 1
        assert "bad-signature" in caplog.text
        assert notary.ids() == ids
    with tiny_notary(kafka, "refused") as notary, Recorder.open(settings) as recorder:
        assert recorder.stats().aside == 1
        put(recorder, 10, 11)
        recorder.wait_receipts(30)
        assert [r.header.n for r in notary.seen if r.header.agent == "refused"].count(0) == 2  # the refused one, and the new run's


def test_a_process_that_ends_at_once_has_sent_what_it_recorded(tmp_path, kafka):
    with tiny_notary(kafka, "brief") as notary:
        for number in range(3):
            with Recorder.open(agent_settings(tmp_path, f"brief-{number}", kafka)) as recorder:
                put(recorder, number, number + 1)
        wait_for(lambda: len(notary.ids()) == 3, "events of recorders that were closed at once")
        assert notary.ids() == ["0", "1", "2"]


def test_sixteen_recorders_share_one_producer_and_one_reader(tmp_path, kafka):
    import threading

    before = {thread.name for thread in threading.enumerate()}
    recorders = [Recorder.open(agent_settings(tmp_path, f"many-{i}", kafka)) for i in range(16)]
    with tiny_notary(kafka, "many-") as notary:
        names = [thread.name for thread in threading.enumerate() if thread.name not in before]
        assert (names.count("tallystick-sender"), names.count("tallystick-receipts")) == (1, 1)
        for i, recorder in enumerate(recorders):
            put(recorder, i * 1000, (i + 1) * 1000)
        for recorder in recorders:
            recorder.wait_receipts(60)
        assert sorted(notary.ids(), key=int) == [str(i) for i in range(16_000)]
        for recorder in recorders:
            recorder.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff" * 1000,
        b'{"agent":"noise","run":"' + b"0" * 32 + b'","n":0,"verdict":-1,"shard":0,"index":0,"leaf":"","chain":""}',
    ],
)
def test_garbage_among_the_receipts_frees_nothing_and_stops_nothing(tmp_path, kafka, garbage):
    settings = agent_settings(tmp_path, "noise", kafka, resend_s=0.5)
    producer = KafkaProducer(**kafka.client_kwargs())
    with Recorder.open(settings) as recorder:
        put(recorder, 0, 10)
        recorder.flush()
        wait_for(lambda: recorder.stats().sent >= 1, "the segment")
        [run] = spooled(settings)
        producer.send(RECEIPTS, key=b"noise", value=garbage.replace(b"0" * 32, run.encode()))
        producer.flush()
        producer.close()
        with tiny_notary(kafka, "noise") as notary:
            ids = put(recorder, 10, 20)
            recorder.wait_receipts(30)
            assert notary.ids()[-10:] == ids
            assert recorder.stats().aside == 0


FORGERS = {
    "unsigned": None,
    "a stranger": Speaker("notary", key="mallory"),
    "another role": Speaker("responder"),
    "another deployment's notary": Speaker("notary", deployment="other"),
}


@pytest.mark.parametrize("forger", FORGERS.values(), ids=FORGERS)
def test_a_receipt_that_no_notary_gave_frees_nothing(tmp_path, kafka, forger):
    settings = agent_settings(tmp_path, "forged", kafka)
    notary, producer = Speaker("notary"), KafkaProducer(**kafka.client_kwargs(), acks="all")

    def told(speaker, run, n):
        body = encode_receipts([Receipt("forged", run, n, 0, 0, 0, "", "")])
        producer.send(RECEIPTS, key=b"forged", value=body if speaker is None else speaker.says(RECEIPTS, b"forged", body)).get(10)

    with Recorder.open(settings) as recorder:
        for first in (0, 10):
            put(recorder, first, first + 10)
            recorder.flush()
        wait_for(lambda: recorder.stats().sent == recorder.stats().segments, "all segments")
        kept = rows(settings, "SELECT run, n FROM segments ORDER BY n")
        for run, n in kept:
            told(forger, run, n)
        told(notary, *kept[-1])
        wait_for(lambda: recorder.stats().acknowledged, "the genuine receipt, which came last")
        assert rows(settings, "SELECT run, n FROM segments ORDER BY n") == kept[:-1]
    producer.close()


def test_the_first_receipt_of_a_fresh_agent_costs_no_second_sending(tmp_path, kafka):
    """It knows whose receipts count before it sends: else the first would be lost, and the segment sent again after resend_s."""
    with tiny_notary(kafka, "fresh") as notary:
        for number in range(3):
            with Recorder.open(agent_settings(tmp_path, f"fresh-{number}", kafka)) as recorder:
                put(recorder, number, number + 1)
                recorder.wait_receipts(30)
                assert recorder.stats().sent == recorder.stats().segments
        assert len(notary.ids()) == 3


def test_a_notary_whose_role_comes_later_is_believed_when_the_segment_is_sent_again(tmp_path, kafka):
    settings = agent_settings(tmp_path, "later", kafka, resend_s=0.5)
    second, producer = Speaker("notary.b"), KafkaProducer(**kafka.client_kwargs(), acks="all")
    with tiny_notary(kafka, "later", speaker=second) as notary, Recorder.open(settings) as recorder:
        ids = put(recorder, 0, 10)
        recorder.flush()
        wait_for(lambda: len(notary.seen) > recorder.stats().segments, "sent again, since nobody knows who answers")
        assert recorder.stats().acknowledged == 0
        producer.send(LOCKS, key=role_key("notary.b"), value=directive("notary.b", ["notary"])).get(10)
        recorder.wait_receipts(30)
        assert notary.ids() == ids
    producer.close()


def test_a_broker_that_is_killed_and_comes_back_gets_everything_once(tmp_path, one):
    settings = agent_settings(tmp_path, "killed", one.kafka, resend_s=1.0)
    with Recorder.open(settings) as recorder, tiny_notary(one.kafka, "killed") as notary:
        ids = put(recorder, 0, 1000)
        recorder.wait_receipts(30)
        one.kill()
        ids += put(recorder, 1000, 3000)
        recorder.flush()
        one.start()
        recorder.wait_receipts(60)
        assert notary.ids() == ids


def test_a_broker_that_lost_everything_gets_what_had_no_receipt(tmp_path, one):
    settings = agent_settings(tmp_path, "lost", one.kafka, resend_s=1.0)
    with Recorder.open(settings) as recorder:
        ids = put(recorder, 0, 2000)
        recorder.flush()
        wait_for(lambda: recorder.stats().sent >= recorder.stats().segments, "the broker has them")
        one.kill()
        one.lose_everything()
        one.start()
        with tiny_notary(one.kafka, "lost") as notary:
            recorder.wait_receipts(60)
            assert notary.ids() == ids


def test_a_role_that_a_topic_which_was_made_anew_carries_is_learned(tmp_path, one):
    """The reader stands far behind the end of the new topic: it goes on from the newest value, and would never hear who the notary is."""
    for _ in range(20):
        give_roles(one.kafka)
    settings = agent_settings(tmp_path, "anew", one.kafka, resend_s=1.0)
    with Recorder.open(settings) as recorder:
        ids = put(recorder, 0, 10)
        recorder.flush()
        wait_for(lambda: recorder.stats().sent >= recorder.stats().segments, "the broker has them")
        one.kill()
        one.lose_everything()
        one.start()
        give_roles(one.kafka, **{"notary.two": ["notary"]})
        with tiny_notary(one.kafka, "anew", speaker=Speaker("notary.two")) as notary:
            recorder.wait_receipts(60)
            assert notary.ids() == ids
