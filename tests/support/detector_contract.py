"""The contract of a detector, for ours and for anybody's own: `check_contract(factory, speaks, silent)`.

`factory` makes the rules to run (one rule, or one with those that it listens to); `speaks` is a stream in which detector `name` must be heard, `silent`
one in which it must not. Each law is a function, so that a property test can choose its own cuts, delays and places.
"""

import random
from collections.abc import Callable, Sequence

from tallystick_schemas.messages import Finding
from tallystick_stream_jobs.detectors.base import Rule
from tallystick_stream_jobs.detectors.engine import BUCKETS, Engine
from tallystick_stream_jobs.detectors.facts import LATENESS_S

from .streams import Item, event, messages, ordered, reborn, run

Factory = Callable[[], tuple[Rule, ...]]
MAX_STATE = 32 * 1024
"""Bytes of one principal for one rule, whatever the principal does."""


def found(factory: Factory, items: Sequence[Item], cuts: Sequence[int] = ()) -> list[Finding]:
    return run(messages(items, cuts), Engine(factory()))


def outcomes(findings: Sequence[Finding]) -> set[tuple[str, str, str]]:
    """What matters to whoever acts: which detector says of whom that what is due."""
    return {(one.detector, one.principal, one.act) for one in findings}


def law_of_determinism(factory: Factory, items: Sequence[Item]) -> None:
    assert found(factory, items) == found(factory, items)


def law_of_cuts(factory: Factory, items: Sequence[Item], cuts: Sequence[int]) -> None:
    """Wherever batches end: the same findings."""
    assert found(factory, items, cuts) == found(factory, items)


def law_of_interleaving(factory: Factory, items: Sequence[Item], lags: Sequence[float]) -> None:
    """However much later one shard is read than another, up to ten minutes: the same findings, since each principal's own order is the same."""
    mixed = sorted(items, key=lambda one: one.arrives + lags[one.shard % len(lags)])
    assert sorted(one.id for one in found(factory, mixed)) == sorted(one.id for one in found(factory, items))


def law_of_lateness(factory: Factory, items: Sequence[Item], delays: Sequence[float]) -> None:
    """Each event up to ten minutes late: the same outcome."""
    late = [
        one if one.signal or one.append is not None else one._replace(append=one.at + delays[number % len(delays)])
        for number, one in enumerate(items)
    ]
    assert all(0 <= delay < LATENESS_S for delay in delays)
    assert outcomes(found(factory, ordered(late))) == outcomes(found(factory, items))


def law_of_snapshots(factory: Factory, items: Sequence[Item], kill: int, back: int) -> None:
    """Kept after `kill` messages, read again by another process, which goes on from `back` messages earlier: the same findings."""
    batches, first = messages(items, range(len(items))), Engine(factory())
    told = run(batches[:kill], first)
    told += run(batches[max(0, kill - back) :], reborn(first, Engine(factory())))
    assert told == found(factory, items)


def law_of_rest(factory: Factory, items: Sequence[Item]) -> None:
    """Who does not speak may be held as bytes: neither findings nor state change, to the byte."""
    for cuts in (range(len(items)), range(0, len(items), 7)):
        batches, awake, resting = messages(items, cuts), Engine(factory()), Engine(factory(), hot=0)
        assert run(batches, resting) == run(batches, awake)
        assert [resting.snapshot(number) for number in range(BUCKETS)] == [awake.snapshot(number) for number in range(BUCKETS)]


def law_of_replay(factory: Factory, items: Sequence[Item], back: int) -> None:
    """Messages that come again change neither findings nor state, to the byte."""
    batches, engine = messages(items, range(len(items))), Engine(factory())
    told = run(batches, engine)
    before = [engine.snapshot(number) for number in range(BUCKETS)]
    assert run(batches[-back:], engine) == []
    assert [engine.snapshot(number) for number in range(BUCKETS)] == before
    assert told == found(factory, items)


def law_of_content(findings: Sequence[Finding], items: Sequence[Item], rules: tuple[Rule, ...]) -> None:
    """A finding shows what it weighed, and leads to events of its principal."""
    metas = {rule.meta.id: rule.meta for rule in rules}
    raws = {}
    for batch in messages(items):
        for segment in batch.segments:
            raws |= {(batch.shard, segment.index, pos): raw for pos, raw in segment.events}
    order = ("signal", "alert", "step-up", "suspend")
    for one in findings:
        meta = metas[one.detector]
        assert one.title == meta.title
        assert one.techniques == list(meta.techniques)
        assert order.index(one.act) <= order.index(meta.most)
        assert one.evidence
        assert len(one.evidence) <= 50
        assert one.text.endswith(".")
        assert one.features or one.subject == "agent" or meta.id == "D13" or not meta.parameters
        if one.missing:
            assert one.act in ("signal", "alert"), "a floor never acts"
        if one.subject == "principal":
            assert all(f'"{one.principal}"'.encode() in raws[place] for place in one.evidence)
    assert len({one.id for one in findings}) == len(findings)


def law_of_bounds(factory: Factory, items: Sequence[Item], principals: int = 400) -> None:
    """Many principals, of whom few are kept; and one who does everything a thousand times over."""
    engine = Engine(factory(), most=2)
    few = [one for one in items[:: max(1, len(items) // 3)] if not one.signal]
    run(messages([event(one.at, f"user-{number}", **_more(one)) for number in range(principals) for one in few]), engine)
    assert engine.sizes()[0] <= 2 * BUCKETS
    busy = Engine(factory())
    crowd = [
        event(n * 0.7, "busy", f"p{n}", model=f"m{n // 150}", collection=f"c{n // 150}", attrs={"parts": "900"}, **_kind(n))
        for n in range(4000)
    ]
    run(messages(crowd), busy)
    assert busy.sizes()[1] < MAX_STATE * len(factory()), busy.sizes()


def _more(one: Item) -> dict[str, object]:
    return {"action": "model.infer", "prompt": "x"} if b"model.infer" in one.raw else {"country": "DE"}


def _kind(n: int) -> dict[str, object]:
    kinds: list[dict[str, object]] = [
        {"bytes": 10_000_000, "country": ("DE", "US", "JP", "BR")[n % 4], "credential": f"c{n % 97}", "sensitivity": "restricted"},
        {"outcome": "denied"},
        {"action": "artifact.list"},
        {"action": "model.infer", "prompt": f"x{n}"},
        {},
        {"attrs": {"canary": "true"}, "credential": f"c{n}"},
    ]
    return {key: value for key, value in kinds[n % 6].items() if key != "attrs"}


def check_contract(factory: Factory, name: str, speaks: Sequence[Item], silent: Sequence[Item], seed: int = 0) -> None:
    """All laws, at a few places chosen by `seed`. An AssertionError names the one that does not hold."""
    chance = random.Random(seed)
    heard = found(factory, speaks)
    assert name in {one.detector for one in heard}, "it must speak"
    assert name not in {one.detector for one in found(factory, silent)}, "it must be silent"
    law_of_content(heard, speaks, factory())
    law_of_bounds(factory, speaks)
    for items in (speaks, silent):
        size = len(items)
        law_of_determinism(factory, items)
        law_of_cuts(factory, items, sorted(chance.sample(range(size), size // 2)))
        law_of_interleaving(factory, items, [chance.uniform(0, 590) for _ in range(7)])
        law_of_lateness(factory, items, [chance.uniform(0, 590) for _ in range(31)])
        law_of_snapshots(factory, items, chance.randrange(size + 1), chance.randrange(8))
        law_of_rest(factory, items)
        law_of_replay(factory, items, size)
