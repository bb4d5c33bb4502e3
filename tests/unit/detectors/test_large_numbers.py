"""The largest numbers that the format lets an agent say stop no detector: they would stop detection for everybody."""

import msgspec
import pytest
from tests.support.detecting import T0, batch, reborn, segment

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.events import Actor, Event, Resource, Usage, encode_event
from tallystick_schemas.messages import encode_json
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.detectors.engine import BUCKETS, Engine

MOST = 2**63 - 1


def loud(at: float, action: str) -> bytes:
    usage = Usage(bytes=MOST, objects=MOST, tokens_in=MOST, tokens_out=MOST, duration_ms=MOST)
    attrs = {"collection_bytes": "9" * 18, "parts": "9" * 18}
    resource = Resource("model", "m", "1", "part", "models", "restricted")
    return encode_event(
        Event(
            1,
            to_base64url(bytes(16)),
            wire_time(T0 + at),
            action,
            Actor("big@example.org", "human", "c"),
            resource,
            "allowed",
            usage=usage,
            attrs=attrs,
        )
    )


@pytest.mark.parametrize("action", ["artifact.download", "dataset.export", "inference.request", "access.check"])
def test_counts_at_the_bound_are_kept_and_told(action: str) -> None:
    engine = Engine()
    found = []
    for number in range(60):
        found += engine.process(batch(segment(number, [loud(number * 120.0, action)] * 5, number * 120.0)))
    again = reborn(engine)
    assert [again.snapshot(number) for number in range(BUCKETS)] == [engine.snapshot(number) for number in range(BUCKETS)]
    for one in found:
        assert msgspec.json.decode(encode_json(one))["id"] == one.id
    if action == "artifact.download":
        assert "D02" in {one.detector for one in found}
