"""Which making of the topic a shard's offsets belong to (SPEC section 5, generation records)."""

from collections.abc import Mapping

from kafka import KafkaAdminClient, TopicPartition

from tallystick_producers.consumer import Consumer
from tallystick_schemas.entries import parse_entry
from tallystick_schemas.headers import Generation, Kind, parse_header
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.state import State

from .ledger import Ledger


def current_topic_id(kafka: KafkaSettings, topic: str) -> str:
    """Kafka's id of the topic as it is now: another one means that it was deleted and made again."""
    admin = KafkaAdminClient(**kafka.client_kwargs())
    try:
        return str(admin.describe_topics([topic])[0]["topic_id"])
    finally:
        admin.close()


def ends_of(kafka: KafkaSettings, topic: str, shards: int) -> Mapping[int, int]:
    """The offset after each partition's newest record."""
    consumer = Consumer(**kafka.client_kwargs(), group_id=None, enable_auto_commit=False)
    try:
        ends = consumer.end_offsets([TopicPartition(topic, shard) for shard in range(shards)])
        return {place.partition: int(end) for place, end in ends.items()}
    finally:
        consumer.close()


def generation_of(ledger: Ledger, state: State, shard: int) -> str:
    """The topic id that the shard's newest generation record names; empty when there is none."""
    raw = ledger.newest_generation(shard)
    if raw is None:
        return ""
    header = parse_header(Kind.GENERATION, parse_entry(raw).header)
    assert isinstance(header, Generation)
    assert header.generation == state.generation, "the ledger's newest generation is the fold's"
    return header.topic_id
