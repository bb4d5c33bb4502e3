"""How far the ledger is behind Kafka, shard by shard, and which shard stands still. The core takes numbers; `measure` asks both stores."""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import clickhouse_connect
from kafka import TopicPartition

from tallystick_producers.consumer import Consumer
from tallystick_schemas.stored_bytes import APPEND_MS, OFFSET
from tallystick_schemas.topics import EVENTS

from .deployment import Deployment

STILL_S: Final = 30.0
_AGAIN_S: Final = 3.0


@dataclass(frozen=True)
class ShardLag:
    """Records that Kafka has and the ledger has not (below 0: the other way round), and the ledger's newest offset with its age in seconds."""

    behind: int
    offset: int
    age_s: float


def trouble(before: Mapping[int, ShardLag], now: Mapping[int, ShardLag]) -> list[str]:
    """A sentence for each shard that stands still, or that Kafka holds less of than the ledger. `before`: a look some seconds ago."""
    found = []
    for shard, lag in sorted(now.items()):
        if lag.behind < 0:
            found.append(f"shard {shard}: Kafka ends {-lag.behind} records below the ledger: was it restored from an older copy?")
        elif lag.behind > 0 and lag.age_s > STILL_S and before[shard].offset == lag.offset and before[shard].behind > 0:
            found.append(f"shard {shard} stands still for {lag.age_s:.0f} s, {lag.behind} records wait in Kafka")
    return found


def measure(deployment: Deployment) -> dict[int, ShardLag]:
    """Of each shard, now."""
    # The ledger first: what is stored meanwhile makes Kafka look ahead, never behind.
    newest = "(shard, index) IN (SELECT shard, max(index) FROM ledger_entries GROUP BY shard)"
    query = f"SELECT shard, {OFFSET}, {APPEND_MS} FROM ledger_entries WHERE {newest}"  # noqa: S608  # constants alone
    with closing(clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())) as client:
        known = {shard: (int(offset), at / 1000) for shard, offset, at in client.query(query).result_rows}
    with closing(Consumer(**deployment.kafka().client_kwargs(), group_id=None)) as consumer:
        ends = consumer.end_offsets([TopicPartition(EVENTS, shard) for shard in range(deployment.log().shards)])
    now, never = time.time(), (-1, time.time())
    lags = {place.partition: (end, *known.get(place.partition, never)) for place, end in ends.items()}
    return {shard: ShardLag(end - offset - 1, offset, now - at) for shard, (end, offset, at) in lags.items()}


def measure_twice(deployment: Deployment) -> tuple[dict[int, ShardLag], list[str]]:
    """The lags, and what is wrong; looked at again after some seconds before anything is said to be."""
    lags = measure(deployment)
    if not trouble(lags, lags):
        return lags, []
    time.sleep(_AGAIN_S)
    again = measure(deployment)
    return again, trouble(lags, again)
