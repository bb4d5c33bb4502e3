"""A batch that unpacks to far more than it is, in a whole deployment: the history has a malformed entry for each of its records, goes on, and verifies."""

import clickhouse_connect
import pytest
from kafka import KafkaProducer
from tests.support.deployment import check_exactly_once, check_history, record, running, wait_confirmed

from tallystick_infra.deployment import Deployment
from tallystick_producers import Recorder
from tallystick_schemas.topics import EVENTS
from tallystick_schemas.verdicts import Verdict

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(280)]
RECORDS, BYTES = 3, 20 << 20


def write_bomb(deployment: Deployment) -> None:
    """With the password of agent `one`: three records of 20 MiB in one batch."""
    producer = KafkaProducer(
        **deployment.agent("one").kafka.client_kwargs(),
        compression_type="lz4",
        max_request_size=1 << 30,
        batch_size=1 << 30,
        linger_ms=60_000,
    )
    sent = [producer.send(EVENTS, value=bytes(BYTES), partition=0) for _ in range(RECORDS)]
    producer.flush(60)
    offsets = [one.get(60).offset for one in sent]
    assert offsets == list(range(offsets[0], offsets[0] + RECORDS))
    producer.close()


def test_the_history_says_that_it_was_there_and_goes_on(tmp_path):
    with running(tmp_path / "data", ["notary", "sealer"]) as supervisor:
        write_bomb(supervisor.deployment)
        with Recorder.open(supervisor.deployment.agent("two")) as recorder:
            ids = record(recorder, 50, "after")
            wait_confirmed(supervisor, recorder)
        client = clickhouse_connect.get_client(**supervisor.deployment.clickhouse().client_kwargs())
        found = client.query(
            "SELECT count() FROM ledger_entries FINAL WHERE shard = 0 AND verdict = {v:UInt8}", {"v": int(Verdict.MALFORMED)}
        )
        assert found.result_rows == [(RECORDS,)]
        check_exactly_once(supervisor, ids, "after@example.org")
        check_history(supervisor)
