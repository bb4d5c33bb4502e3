"""Which making of the topic a shard's offsets belong to (SPEC section 5, generation records)."""

from kafka import KafkaAdminClient

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


def generation_of(ledger: Ledger, state: State, shard: int) -> str:
    """The topic id that the shard's newest generation record names; empty when there is none."""
    raw = ledger.newest_generation(shard)
    if raw is None:
        return ""
    header = parse_header(Kind.GENERATION, parse_entry(raw).header)
    assert isinstance(header, Generation)
    assert header.generation == state.generation, "the ledger's newest generation is the fold's"
    return header.topic_id
