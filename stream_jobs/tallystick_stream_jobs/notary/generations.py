"""Which making of the topic a shard's offsets belong to (SPEC section 5, generation records)."""

from tallystick_schemas.entries import parse_entry
from tallystick_schemas.headers import Generation, Kind, parse_header
from tallystick_schemas.state import State

from .ledger import Ledger


def generation_of(ledger: Ledger, state: State, shard: int) -> str:
    """The topic id that the shard's newest generation record names; empty when there is none."""
    raw = ledger.newest_generation(shard)
    if raw is None:
        return ""
    header = parse_header(Kind.GENERATION, parse_entry(raw).header)
    assert isinstance(header, Generation)
    assert header.generation == state.generation, "the ledger's newest generation is the fold's"
    return header.topic_id
