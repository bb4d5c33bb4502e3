"""Verified batches for tests of detectors."""

from collections.abc import Sequence

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.events import Actor, Event, Resource, Usage, encode_event
from tallystick_schemas.messages import Finding, VerifiedBatch, VerifiedSegment
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.detectors.engine import Engine

START = 1_795_406_400.0


def read(
    who: str,
    part: str,
    at: float,
    *,
    model: str = "models/atlas",
    attrs: dict[str, str] | None = None,
    roles: list[str] | None = None,
    outcome: str = "allowed",
    credential: str = "cred",
) -> tuple[float, bytes]:
    """(seconds since START, event): `who` asks for one object."""
    event = Event(
        v=1,
        salt=to_base64url(bytes(16)),
        time=wire_time(START + at),
        action="access.check",
        actor=Actor(who, "human", credential=credential, roles=roles),
        resource=Resource("model", model, "3", part, "frontier", "restricted"),
        outcome=outcome,  # type: ignore[arg-type]  # tests try others
        usage=Usage(objects=1),
        attrs=attrs,
    )
    return at, encode_event(event)


def segment(index: int, events: Sequence[tuple[float, bytes]]) -> VerifiedSegment:
    append_ms = int((START + max(at for at, _ in events)) * 1000)
    return VerifiedSegment(index, "gateway", "0" * 32, 0, append_ms, [(pos, raw) for pos, (_, raw) in enumerate(events)])


def batch(segments: Sequence[VerifiedSegment], shard: int = 0) -> VerifiedBatch:
    return VerifiedBatch(1, shard, list(segments), [])


def run(batches: Sequence[VerifiedBatch], engine: Engine | None = None) -> list[Finding]:
    engine = engine or Engine()
    return [finding for one in batches for finding in engine.process(one)]
