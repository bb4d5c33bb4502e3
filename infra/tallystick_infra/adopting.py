"""The operator's word, in the history, that the sealer may go on from the newest checkpoint that was signed."""

import time
from contextlib import closing

import clickhouse_connect

from tallystick_schemas.directives import ADOPT
from tallystick_schemas.receipts import SEALER
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.sealer.kafka_link import read_published
from tallystick_stream_jobs.sealer.kept import KeptNotes
from tallystick_stream_jobs.sealer.recovery import KEPT, STORE, TOPIC, Seen, adoption, newest_of
from tallystick_stream_jobs.sealer.rounds import Notes
from tallystick_stream_jobs.sealer.sealer import newest_stored
from tallystick_stream_jobs.sealer.state import KEPT_NAME
from tallystick_stream_jobs.sealer.store import ClickHouseSealStore

from .control import next_adoption
from .deployment import Deployment
from .enrolling import known_roles, operator_of
from .enrolment import read_directives
from .errors import NothingSigned, OrderRefused
from .operator import record_sender


def adopt_newest(deployment: Deployment, reason: str, timeout_s: float) -> Seen:
    """Let the sealer go on from the newest that was signed; which it is. Back once the history has the word."""
    newest = newest_signed(deployment)
    with closing(clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())) as client:
        # Topic `locks` does not carry this word: what was adopted before stands in the history.
        number = next_adoption(SEALER, known_roles(deployment), read_directives(client, deployment.log()).keyring)
    value = adoption(newest.checkpoint, reason)
    record = operator_of(deployment).directive(ADOPT, SEALER, value, number, time.time())
    with record_sender(deployment.kafka(), deployment.log()) as sender:
        sender.send(SEALER, record)
        if sender.wait([record], timeout_s)[0].verdict == Verdict.SEEN:
            # Somebody adopted at the same time, under the same number: the first in the history counts.
            raise OrderRefused(Verdict.SEEN.label)
    return newest


def newest_signed(deployment: Deployment) -> Seen:
    """The newest root checkpoint of the deployment's sealers in the store, on topic `checkpoints` and in the kept notes of this machine.

    SealerSplit where two of its size differ; NothingSigned where there is none.
    """
    log = deployment.log()
    notes = Notes(log, log.sealer_keys[0])
    end = KeptNotes(deployment.path / "sealer" / KEPT_NAME, notes, mend=False).end
    seen = [Seen(KEPT, end)] if end is not None else []
    with closing(clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())) as client:
        seen += [Seen(STORE, found) for found in newest_stored(ClickHouseSealStore(client), notes, log.root_origin, 0)]
    seen += [Seen(TOPIC, found) for one in read_published(deployment.kafka(), notes) if (found := notes.open(one.note)) is not None]
    newest = newest_of(seen, log.root_origin)
    if newest is None:
        raise NothingSigned(log.root_origin)
    return newest
