"""`bench detect`: every detector over verified events, on one core. No broker and no store: the engine as its job drives it, messages decoded from bytes."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import psutil

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.events import Actor, Event, Resource, Source, Usage, encode_event
from tallystick_schemas.messages import VerifiedBatch, VerifiedSegment, encode_batch, parse_batch
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import VERIFIED_PARTITIONS, verified_partition
from tallystick_stream_jobs.collector import calm_collector, set_aside
from tallystick_stream_jobs.detectors import COMPILED
from tallystick_stream_jobs.detectors.engine import Engine

from .scratch import machine

PRINCIPALS: Final = 10_000
_START: Final = 1_795_406_400.0
_DAYS: Final = 10
_SEGMENT: Final = 64
_MESSAGE: Final = 8
_HARVESTERS: Final = 20
_SESSION: Final = 10
_PARTS: Final = 24
_MODELS: Final = 400
_TELL: Final = 100_000


def detect(events: int, progress: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
    """Ten days of ordinary sessions of 10,000 principals, twenty harvesters among them. Making the events is not measured; decoding them is."""
    calm_collector()
    engines = [Engine() for _ in range(VERIFIED_PARTITIONS)]
    before = psutil.Process().memory_info().rss
    found: dict[str, int] = {}
    seconds, cpu_s, count = 0.0, 0.0, 0
    for chunk in messages(events):
        began, cpu = time.perf_counter(), time.process_time()
        for partition, raw in chunk:
            for finding in engines[partition].process(parse_batch(raw)):
                found[finding.detector] = found.get(finding.detector, 0) + 1
            set_aside()
        cpu_s += time.process_time() - cpu
        seconds += time.perf_counter() - began
        last, count = count, count + sum(len(segment.events) for _, raw in chunk for segment in parse_batch(raw).segments)
        if count // _TELL > last // _TELL:
            progress(count)
    held = psutil.Process().memory_info().rss - before
    sizes = [engine.sizes() for engine in engines]
    principals = sum(one for one, _ in sizes)
    return {
        "events": count,
        "seconds": round(seconds, 2),
        "events_per_s": round(count / seconds),
        "cpu_seconds": round(cpu_s, 2),
        "events_per_cpu_s": round(count / cpu_s),
        "compiled": COMPILED,
        "principals": principals,
        "state_bytes_per_principal": round(sum(size for _, size in sizes) / principals),
        "memory_bytes_per_principal": round(held / principals),
        "findings": dict(sorted(found.items())),
        "machine": machine(),
    }


def messages(events: int, principals: int = PRINCIPALS) -> Iterator[list[tuple[int, bytes]]]:
    """Chunks of (partition, message) in order of time, as the notary sends them: eight segments a message, one shard."""
    held: dict[int, list[VerifiedSegment]] = {}
    for index, segment in enumerate(_segments(events, principals)):
        append_ms = int(segment[-1][0] * 1000)
        parts: dict[int, list[tuple[int, bytes]]] = {}
        for pos, (_, principal, raw) in enumerate(segment):
            parts.setdefault(verified_partition(principal), []).append((pos, raw))
        for partition, numbered in parts.items():
            held.setdefault(partition, []).append(VerifiedSegment(index, "bench", "0" * 32, 0, append_ms, numbered))
        if index % _MESSAGE == _MESSAGE - 1:
            yield [(partition, encode_batch(VerifiedBatch(1, 0, segments, []))) for partition, segments in held.items()]
            held = {}
    yield [(partition, encode_batch(VerifiedBatch(1, 0, segments, []))) for partition, segments in held.items()]


def _segments(events: int, principals: int) -> Iterator[list[tuple[float, str, bytes]]]:
    """Segments of (time, principal, event) in order of time."""
    chance = random.Random(4)  # noqa: S311 - a workload, the same each time
    segment: list[tuple[float, str, bytes]] = []
    step = _DAYS * 86_400 / events
    open_sessions: list[tuple[int, int, int]] = []
    for number in range(events):
        at = _START + number * step
        # Forty sessions overlap at any time; a session is ten parts of one model.
        while len(open_sessions) < 40:
            who = chance.randrange(principals)
            # Everybody has four models of daily use, of one team; harvesters take what they find.
            model = chance.randrange(_MODELS) if who < _HARVESTERS else (who * 40 + 40 * chance.randrange(4) + who % 40) % _MODELS
            open_sessions.append((who, model, 400 if who < _HARVESTERS else _SESSION))
        turn = chance.randrange(40)
        who, model, left = open_sessions[turn]
        segment.append((at, f"user-{who}@example.org", _event(at, who, model, left, chance)))
        open_sessions[turn] = (who, model, left - 1)
        if left == 1:
            open_sessions.pop(turn)
        if len(segment) == _SEGMENT:
            yield segment
            segment = []
    if segment:
        yield segment


def _event(at: float, who: int, model: int, left: int, chance: random.Random) -> bytes:
    kind = chance.random()
    action, usage = "artifact.download", Usage(objects=1, bytes=4_000_000)
    if kind < 0.05:
        action, usage = "artifact.list", Usage()
    elif kind < 0.20:
        action, usage = "model.infer", Usage(tokens_in=300, tokens_out=200, prompt_hash=f"{chance.getrandbits(64):016x}")
    elif kind < 0.40:
        action, usage = "access.check", Usage(objects=1)
    return encode_event(
        Event(
            1,
            to_base64url(chance.randbytes(16)),
            wire_time(at),
            action,
            Actor(f"user-{who}@example.org", "human", f"cred-{who}", roles=["research"]),
            Resource(
                "model",
                f"acme/model-{model}",
                "3",
                f"model-{left % _PARTS:05d}-of-{_PARTS:05d}.safetensors",
                f"team-{model % 40}",
                "internal",
            ),
            "denied" if chance.random() < 0.01 else "allowed",
            usage=usage,
            source=Source(ip="192.0.2.17", country="DE", user_agent="python-requests/2.32"),
            attrs={"parts": str(_PARTS)},
        )
    )
