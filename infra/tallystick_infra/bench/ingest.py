"""`bench ingest`: events over 16 agents from processes of their own, from the first record() to the last receipt."""

import time
from typing import Any

import clickhouse_connect
import msgspec
from kafka import TopicPartition

from tallystick_producers.consumer import Consumer
from tallystick_schemas.envelope import parse_claim
from tallystick_schemas.messages import parse_batch
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import VERIFIED, VERIFIED_PARTITIONS
from tallystick_stream_jobs.detectors.state import FENCE, Fence
from tallystick_stream_jobs.detectors.state_topic import StateTopic

from ..supervisor import Supervisor
from .load import driving, results
from .scratch import costs, machine

AGENTS = [f"bench-{number:02d}" for number in range(16)]
_PROCESSES = 2


def ingest(supervisor: Supervisor, events: int) -> dict[str, Any]:
    """Events a second, and what they cost. `lost` is counted by id in the store, not believed."""
    rest = costs(supervisor)
    with driving(supervisor, events, 0, AGENTS, _PROCESSES) as drivers:
        driven = results(drivers)
    after = costs(supervisor)
    recorded = sum(result["events"] for result in driven)
    seconds = max(result["ended"] for result in driven) - min(result["began"] for result in driven)
    client = clickhouse_connect.get_client(**supervisor.deployment.clickhouse().client_kwargs())
    stored, event_bytes = client.query(
        "SELECT uniqExact(shard, index, pos), avg(length(raw)) FROM events WHERE action = 'artifact.read' AND purpose = 'evaluation'"
    ).result_rows[0]
    cpu = {name: (after[name][0] - rest[name][0]) / recorded * 1e6 for name in after}
    cpu["drivers"] = sum(result["cpu_s"] for result in driven) / recorded * 1e6
    return {
        "events": recorded,
        "seconds": round(seconds, 2),
        "events_per_s": round(recorded / seconds),
        "lost": recorded - stored,
        "event_bytes": round(event_bytes),
        "detected_events": detected(supervisor.deployment.kafka_admin()),
        "cpu_us_per_event": {name: round(value, 2) for name, value in cpu.items()},
        "rss_mib": {name: size >> 20 for name, (_, size) in after.items()},
        "rss_at_rest_mib": sum(size for _, size in rest.values()) >> 20,
        "rss_total_mib": sum(size for _, size in after.values()) >> 20,
        "machine": machine(),
        "measured": f"{len(AGENTS)} agents in {_PROCESSES} processes, first record() to last receipt; lost = recorded minus distinct places in the store",
    }


def detected(kafka: KafkaSettings, wait_s: float = 60.0) -> int:
    """Events on `verified` that the detectors have behind their fence, once they stand at its end."""
    deadline = time.monotonic() + wait_s
    consumer = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest", max_partition_fetch_bytes=8 << 20)
    count, state = 0, StateTopic(kafka)
    try:
        partitions = [TopicPartition(VERIFIED, number) for number in range(VERIFIED_PARTITIONS)]
        while True:
            ends, fences = consumer.end_offsets(partitions), {p: _fence(state, p.partition) for p in partitions}
            if all(fences[p] >= ends[p] for p in partitions) or time.monotonic() > deadline:
                break
            time.sleep(1.0)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        while any(consumer.position(p) < fences[p] for p in partitions):
            for partition, records in consumer.poll(timeout_ms=500).items():
                for record in records:
                    if record.offset < fences[partition]:
                        count += sum(len(segment.events) for segment in parse_batch(parse_claim(record.value or b"").body).segments)
    finally:
        consumer.close()
        state.close()
    return count


def _fence(state: StateTopic, partition: int) -> int:
    """As the topic has it, whoever signed it: nobody acts on this."""
    values, _ = state.read(partition, 0)
    fences = [parse_claim(value).body for key, value in values if key == FENCE and value]
    return msgspec.json.decode(fences[-1], type=Fence).offset if fences else 0
