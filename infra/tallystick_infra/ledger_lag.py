"""How far the ledger is behind Kafka, shard by shard, and which shard stands still. The core takes numbers; `measure` asks both stores."""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import clickhouse_connect

from tallystick_schemas.entries import Entry, parse_entry
from tallystick_stream_jobs.notary.events_topic import Bounds, KafkaEvents, is_made_of

from .deployment import Deployment

STILL_S: Final = 30.0
_AGAIN_S: Final = 3.0


@dataclass(frozen=True)
class ShardLag:
    """Records that Kafka has and the ledger has not (below 0: the other way round), and the ledger's newest offset with its age in seconds.

    `same`: whether Kafka has there the record that the ledger's entry is about, or can no longer be asked.
    """

    behind: int
    offset: int
    age_s: float
    same: bool = True


def trouble(before: Mapping[int, ShardLag], now: Mapping[int, ShardLag]) -> list[str]:
    """A sentence for each shard that stands still, or that Kafka holds less of than the ledger. `before`: a look some seconds ago."""
    found = []
    for shard, lag in sorted(now.items()):
        if lag.behind < 0:
            found.append(f"shard {shard}: Kafka ends {-lag.behind} records below the ledger: was it restored from an older copy?")
        elif not lag.same:
            found.append(
                f"shard {shard}: Kafka has another record at offset {lag.offset} than the ledger: was it restored from an older copy, and written to since?"
            )
        elif lag.behind > 0 and lag.age_s > STILL_S and before[shard].offset == lag.offset and before[shard].behind > 0:
            found.append(f"shard {shard} stands still for {lag.age_s:.0f} s, {lag.behind} records wait in Kafka")
    return found


def measure(deployment: Deployment) -> dict[int, ShardLag]:
    """Of each shard, now."""
    # The ledger first: what is stored meanwhile makes Kafka look ahead, never behind.
    query = "SELECT shard, hex(argMax(entry, index)) FROM ledger_entries GROUP BY shard"
    with closing(clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())) as client:
        known = {shard: parse_entry(bytes.fromhex(entry)) for shard, entry in client.query(query).result_rows}
    topic = KafkaEvents(deployment.kafka(), deployment.log().shards)
    now = time.time()
    return {shard: _lag(topic, shard, bounds, known.get(shard), now) for shard, bounds in topic.bounds().items()}


def _lag(topic: KafkaEvents, shard: int, bounds: Bounds, newest: Entry | None, now: float) -> ShardLag:
    if newest is None:
        return ShardLag(bounds.end, -1, 0.0)
    held = bounds.first <= newest.offset < bounds.end
    same = not held or is_made_of(newest, topic.record(shard, newest.offset))
    return ShardLag(bounds.end - newest.offset - 1, newest.offset, now - newest.append_ms / 1000, same)


def measure_twice(deployment: Deployment) -> tuple[dict[int, ShardLag], list[str]]:
    """The lags, and what is wrong; looked at again after some seconds before anything is said to be."""
    lags = measure(deployment)
    if not trouble(lags, lags):
        return lags, []
    time.sleep(_AGAIN_S)
    again = measure(deployment)
    return again, trouble(lags, again)
