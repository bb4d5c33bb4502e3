"""Verified batches for detectors: events made in one line, and an engine driven as the job drives it."""

from collections.abc import Iterable, Sequence

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.events import Actor, Event, Resource, Usage, encode_event
from tallystick_schemas.messages import Finding, Signal, VerifiedBatch, VerifiedSegment, encode_batch, parse_batch
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.detectors.engine import BUCKETS, Engine

T0 = 1_795_406_400.0
"""2026-11-23 04:00 UTC, the beginning of a pane of D01."""


def read(
    at: float,
    part: str,
    principal: str = "dave@example.org",
    credential: str | None = "cred-1",
    *,
    model: str = "acme/atlas-7b",
    parts: int | None = None,
    roles: list[str] | None = None,
    sensitivity: str | None = "restricted",
    canary: bool = False,
    action: str = "artifact.download",
    outcome: str = "allowed",
    objects: int | None = 1,
) -> bytes:
    """One event `at` seconds after T0."""
    attrs = {**({"parts": str(parts)} if parts is not None else {}), **({"canary": "true"} if canary else {})}
    return encode_event(
        Event(
            1,
            to_base64url(bytes(16)),
            wire_time(T0 + at),
            action,
            Actor(principal, "human", credential, roles=roles),
            Resource("model", model, "1", part, "models", sensitivity),  # type: ignore[arg-type]  # words of the vocabulary
            outcome,  # type: ignore[arg-type]
            usage=Usage(objects=objects),
            attrs=attrs or None,
        )
    )


def segment(index: int, events: Sequence[bytes], at: float = 0.0, first_pos: int = 0) -> VerifiedSegment:
    """A segment that the broker took `at` seconds after T0."""
    numbered = list(enumerate(events, first_pos))
    return VerifiedSegment(index, "gateway-1", "0" * 32, 0, int((T0 + at) * 1000), numbered)


def signal(index: int, verdict: int, reason: str = "", at: float = 0.0, agent: str = "gateway-1") -> Signal:
    return Signal(index, verdict, agent, "k" * 16, "0" * 32, 0, int((T0 + at) * 1000), reason)


def batch(*segments: VerifiedSegment, shard: int = 0, signals: Sequence[Signal] = ()) -> VerifiedBatch:
    """As it comes out of Kafka."""
    return parse_batch(encode_batch(VerifiedBatch(1, shard, list(segments), list(signals))))


def timeline(events: Iterable[tuple[float, bytes]], shard: int = 0, first: int = 0) -> list[VerifiedBatch]:
    """One segment an event, taken by the broker at the event's time."""
    return [batch(segment(first + n, [raw], at), shard=shard) for n, (at, raw) in enumerate(events)]


def pull(count: int, every: float = 1.0, *, start: float = 0.0, first: int = 0, **fields: object) -> list[tuple[float, bytes]]:
    """`count` distinct parts of one model, one each `every` seconds."""
    at = [start + n * every for n in range(count)]
    return [(when, read(when, f"part-{first + n}", **fields)) for n, when in enumerate(at)]  # type: ignore[arg-type]


def findings(batches: Iterable[VerifiedBatch], engine: Engine | None = None) -> list[Finding]:
    engine = engine or Engine()
    return [finding for one in batches for finding in engine.process(one)]


def of(found: Iterable[Finding], detector: str) -> list[Finding]:
    return [finding for finding in found if finding.detector == detector]


def reborn(engine: Engine) -> Engine:
    """The engine after its buckets were kept and read again."""
    again = Engine()
    for number in range(BUCKETS):
        again.restore(number, engine.snapshot(number))
    return again
