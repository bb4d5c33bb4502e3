"""Streams of verified events for the contract of detectors: per detector one in which it must speak, and one in which it must not."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.events import Actor, Event, Resource, Source, Usage, encode_event
from tallystick_schemas.messages import Finding, Signal, VerifiedBatch, VerifiedSegment, encode_batch, parse_batch
from tallystick_schemas.signing import wire_time
from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.detectors.engine import BUCKETS, Engine

T0 = 1_795_406_400.0
"""2026-11-23 04:00 UTC, a Monday; the beginning of an hour and of a pane of every detector's but the day's."""
OFFSETS = 1_000_000
"""A segment's record lies at its index and so much."""
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


class Item(NamedTuple):
    """One event, or one signal of the notary; times in seconds after T0. Each principal's events come through one shard, in order."""

    at: float
    shard: int
    raw: bytes = b""
    signal: Signal | None = None
    append: float | None = None
    agent: str = "gateway-1"
    """Who signed it."""

    @property
    def arrives(self) -> float:
        return self.at if self.append is None else self.append


def event(at: float, who: str = "eve", part: str = "p", **more: Any) -> Item:
    """An event of `who`; `more` overrides fields by the names below."""
    get = more.get
    usage = Usage(objects=get("objects", 1), bytes=get("bytes"), prompt_hash=get("prompt"))
    source = Source(country=more["country"]) if "country" in more else None
    actor = Actor(who, get("kind", "human"), get("credential", f"cred-{who}"), roles=get("roles"))
    resource = Resource(
        get("of", "model"), get("model", "acme/atlas"), "1", part, get("collection", "models"), get("sensitivity", "internal")
    )
    made = Event(
        1,
        to_base64url(bytes(16)),
        wire_time(T0 + at),
        get("action", "artifact.download"),
        actor,
        resource,
        get("outcome", "allowed"),
        usage=usage,
        source=source,
        attrs=get("attrs"),
    )
    return Item(at, get("shard", sum(who.encode()) % 7), encode_event(made), append=get("append"))


def notice(at: float, verdict: Verdict, reason: str = "", agent: str = "gateway-1") -> Item:
    return Item(at, 0, signal=Signal(0, int(verdict), agent, "k" * 16, "0" * 32, 0, int((T0 + at) * 1000), reason))


def pull(count: int, every: float = 1.0, start: float = 0.0, first: int = 0, **more: Any) -> list[Item]:
    """`count` distinct parts, one each `every` seconds."""
    return [event(start + n * every, part=f"part-{first + n}", **more) for n in range(count)]


def beat(at: float, agent: str = "gateway-1", action: str = "agent.heartbeat", clock: float = 0.0, shard: int = 3) -> Item:
    """A heartbeat that the broker took at `at`; the agent's clock is off by `clock` seconds."""
    raw = event(at + clock, agent, "", action=action, kind="service", of="agent", model=agent, objects=None).raw
    return Item(at, shard, raw.replace(b',"part":""', b""), append=at, agent=agent)


def messages(items: Iterable[Item], cuts: Iterable[int] = ()) -> list[VerifiedBatch]:
    """As they come out of Kafka, in order of arrival. A batch ends where the shard changes and at the cuts (numbers of items)."""
    ends, made, indexes = set(cuts), [], dict[int, int]()
    held: list[Any] = []

    def close(shard: int) -> None:
        segments, signals = [one for one in held if isinstance(one, VerifiedSegment)], [one for one in held if isinstance(one, Signal)]
        for batch in (VerifiedBatch(1, shard, segments, []), VerifiedBatch(1, shard, [], signals)):
            if batch.segments or batch.signals:
                made.append(parse_batch(encode_batch(batch)))
        held.clear()

    last: int | None = None
    for number, item in enumerate(items):
        if last is not None and (item.shard != last or number in ends or item.signal is not None):
            close(last)
        last = item.shard
        index = indexes[item.shard] = indexes.get(item.shard, -1) + 1
        if item.signal is not None:
            held.append(Signal(index, *[getattr(item.signal, name) for name in item.signal.__struct_fields__[1:]]))
        else:
            place = int((T0 + item.arrives) * 1000), [(0, item.raw)], OFFSETS + index
            held.append(VerifiedSegment(index, item.agent, "0" * 32, 0, *place))
    if last is not None:
        close(last)
    return made


def run(batches: Iterable[VerifiedBatch], engine: Engine) -> list[Finding]:
    return [finding for batch in batches for finding in engine.process(batch)]


def reborn(engine: Engine, again: Engine) -> Engine:
    """`again` with every bucket of `engine`, as it would be kept and read."""
    for number in range(BUCKETS):
        again.restore(number, engine.snapshot(number))
    return again


def crowd(objects: int, day: float, every: float = 30.0) -> list[Item]:
    """Thirty peers, each with so many objects on one day."""
    return [one for who in range(30) for one in pull(objects, every, day * DAY + who, who=f"peer-{who}", collection=f"own-{who}")]


def ordered(*parts: Sequence[Item]) -> list[Item]:
    return sorted((one for part in parts for one in part), key=lambda one: one.arrives)


def _office(days: int) -> list[Item]:
    """Nine o'clock UTC, each day."""
    return [event(day * DAY + 5 * HOUR, part=f"day-{day}") for day in range(days)]


def _hours(count: int, each: int) -> list[Item]:
    return [one for hour in range(count) for one in pull(each, 5.0, hour * HOUR, first=hour * each)]


def _recon(lists: int, reads: int, pause: float = 30.0) -> list[Item]:
    listed = [event(n * 10.0, part="", model=f"acme/m{n}", action="artifact.list") for n in range(lists)]
    return [*listed, *pull(reads, 10.0, lists * 10.0 + pause)]


def _asked(count: int, every: float, different: int) -> list[Item]:
    return [event(n * every, part="", action="model.infer", prompt=f"h{n % different}") for n in range(count)]


def _together(second: str) -> list[Item]:
    """Objects (collection), then refusals (discovery) or nothing."""
    refused = [event(600 + n, part=f"no-{n}", outcome="denied") for n in range(45)]
    return ordered(pull(30), refused if second == "refused" else [])


def _family(days: int, peers: bool) -> list[Item]:
    known = [event(day * DAY, part=f"d{day}") for day in range(days)]
    others = [
        event(day * DAY + who, f"peer-{who}", collection="secret" if peers else "models", sensitivity="restricted")
        for day in range(days)
        for who in range(8)
    ]
    return ordered(known, others, [event(days * DAY, part="x", collection="secret", sensitivity="restricted")])


SPEAKS: dict[str, list[Item]] = {
    "D01": ordered(pull(10, start=-2 * DAY), crowd(5, -1), pull(45, first=500)),
    "D02": ordered(
        [one for hour in range(24) for one in pull(2, 60.0, -2 * DAY + hour * HOUR, first=hour, bytes=5_000_000)],
        pull(12, 20.0, first=500, bytes=30_000_000, attrs={"collection_bytes": "1000000000"}),
    ),
    "D03": pull(20, 60.0, attrs={"parts": "20"}, sensitivity="restricted"),
    "D04": pull(170, 400.0),
    "D05": [event(n * 0.5, part=f"x{n}", action="artifact.list") for n in range(20)],
    "D06": _family(9, peers=False),
    "D07a": [notice(1, Verdict.FORK, "two keys"), notice(2, Verdict.FORK, "two keys", "gateway-2")],
    "D07b": [event(0, country="DE"), event(1800, part="q", country="US"), event(1900, part="r", country="US")],
    "D08": ordered(_office(30), [event(29 * DAY + 20 * HOUR, part="night")]),
    "D09": ordered(_hours(18, 4), pull(60, 5.0, 30 * HOUR, first=900)),
    "D10": _asked(600, 5.0, 600),
    "D11": _recon(6, 12),
    "D12": [
        *[beat(n * 30.0) for n in range(4)],
        *[event(100 + n * 10.0, part=f"p{n}", shard=3) for n in range(40)],
        *[notice(600 + n, Verdict.BAD_SIGNATURE, "bad") for n in range(5)],
        *[beat(700 + n * 30.0, "gateway-2", clock=120.0) for n in range(3)],
    ],
    "D13": [event(1, part="decoy", attrs={"canary": "true"})],
    "D14": _together("refused"),
    "D15": pull(420, 2.0),
}
"""Detector -> a stream in which it must speak (D14: with the detectors that it listens to)."""

SILENT: dict[str, list[Item]] = {
    "D01": pull(24, first=500),
    "D02": pull(12, 20.0, bytes=4_000_000),
    "D03": pull(17, 60.0, attrs={"parts": "20"}, sensitivity="restricted"),
    "D04": pull(159, 400.0),
    "D05": [event(n * 1.0, part=f"x{n}", action="artifact.list") for n in range(40)],
    "D06": _family(9, peers=True),
    "D07a": [notice(1, Verdict.OUT_OF_ORDER, "2 missing"), notice(2, Verdict.BAD_SIGNATURE, "bad")],
    "D07b": [event(0, country="DE"), event(600, part="q", country="FR"), event(9 * HOUR, part="r", country="US")],
    "D08": _office(35),
    "D09": ordered(_hours(18, 40), pull(45, 5.0, 30 * HOUR, first=900)),
    "D10": _asked(480, 5.0, 480),
    "D11": _recon(4, 12),
    "D12": [
        *[beat(n * 30.0, clock=0.5) for n in range(20)],
        beat(600, action="agent.stop"),
        *[event(600 + n * 10.0, part=f"p{n}", shard=3) for n in range(40)],
        *[notice(600 + n * 200, Verdict.BAD_SIGNATURE, "bad") for n in range(5)],
    ],
    "D13": [event(1, part="decoy", attrs={"canary": "true"}, outcome="denied"), event(2, part="other", attrs={"canary": "no"})],
    "D14": _together("nothing"),
    "D15": pull(150, 10.0),
}
"""Detector -> a stream in which it must not."""
