"""Stream and SQL agree: the same made events through the engine and through a real ClickHouse.

What holds, and why:
1. A condition holds of the same events in both, whatever their fields hold: both match text with RE2, and absence is the same.
2. Fed in the order of event time, both find the same crossings: principal, place, value. In each pane the running measure is the same.
3. Fed up to ten minutes out of order, both find the same people. A late event can complete several windows at once, which overlap then, and
   the stream tells of the first; so it tells at most as often (that the windows themselves are the same is tests/unit/sigma's).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.clickhouse import running_clickhouse
from tests.support.detecting import T0, batch, segment
from tests.support.sigma import base, correlation, definition, selection
from tests.support.sigma_history import forget, insert_batches

from tallystick_schemas.encoding import to_base64url
from tallystick_schemas.events import Actor, Event, Resource, Source, Usage, Why, encode_event
from tallystick_schemas.events import parse_event as parse
from tallystick_schemas.messages import VerifiedBatch
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.detectors.engine import Engine
from tallystick_stream_jobs.sigma.backtest import crossings
from tallystick_stream_jobs.sigma.matching import Bind
from tallystick_stream_jobs.sigma.rule import UserRule

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server.client()


TEXTS = st.sampled_from(
    [None, "", "a", "A", "alpha.BIN", "K", "\u212a", "ſ", "s", "ß", "SS", "İ", "i", "x\ny", "50%", "a_b", "a\\b", "ü.bin", "null"]
)
IPS = st.sampled_from(
    [
        None,
        "",
        "10.1.2.3",
        "010.1.2.3",
        "10.1.2",
        "11.0.0.0",
        "10.255.255.255",
        "::1",
        "fd00:20::7",
        "FD00:20:0::7",
        "::ffff:10.1.2.3",
        "fe80::1%0",
    ]
)
COUNTS = st.sampled_from([None, 0, 1, 7, 2**53 + 1, 2**63 - 1])


@st.composite
def events(draw: st.DrawFn) -> tuple[int, int, Event]:
    """(seconds of the broker's clock since T0, seconds that the agent's differs, event)."""
    taken, off = draw(st.integers(0, 7200)), draw(st.sampled_from([0, 0, 0, -30, -600, -601, 599, 600, 601, 90_000]))
    usage = draw(st.none() | st.builds(Usage, bytes=COUNTS, objects=COUNTS))
    made = Event(
        1,
        to_base64url(bytes(16)),
        wire_time(T0 + taken + off),
        draw(st.sampled_from(["artifact.list", "artifact.read", "artifact.download"])),
        Actor(
            draw(st.sampled_from(["ann", "bob"])),
            "human",
            mfa=draw(st.sampled_from([None, True, False])),
            roles=draw(st.none() | st.lists(TEXTS.filter(bool))),
        ),
        Resource("model", draw(st.sampled_from(["m-1", "m-2"])), version=draw(TEXTS), part=draw(TEXTS), collection=draw(TEXTS)),
        draw(st.sampled_from(["allowed", "denied"])),
        why=draw(st.none() | st.builds(Why, ticket=TEXTS, text=TEXTS)),
        usage=usage,
        source=draw(st.none() | st.builds(Source, ip=IPS, country=TEXTS, asn=COUNTS)),
        attrs=draw(st.none() | st.dictionaries(st.sampled_from(["canary", "owner"]), TEXTS.map(lambda text: text or ""))),
    )
    return taken, off, made


SELECTIONS = [
    "{part: a}",
    "{part|cased: A}",
    "{part: ''}",
    "{part: '*'}",
    "{part: '?'}",
    "{part: '*.bin'}",
    "{part|contains: k}",
    "{part|startswith: [a, S]}",
    "{part|endswith|cased: bin}",
    "{part|contains: 'a\\b'}",
    "{part: 'a_b'}",
    "{part: 'x?y'}",
    "{part|re: 'x.y'}",
    "{part|re|s: 'x.y'}",
    "{part|re|m: '^y$'}",
    "{part|re|i: 'ſ|ss|ü'}",
    "{part|re: '^$'}",
    "{part: null}",
    "{part|exists: true}",
    "{part|fieldref: collection}",
    "{part|neq: a}",
    "{version: 7}",
    "{ip|cidr: 10.0.0.0/8}",
    "{ip|cidr: 'fd00:20::/32'}",
    "{ip|cidr: '::/0'}",
    "{ip|cidr: 10.1.2.3/32}",
    "{bytes: 0}",
    "{bytes|gte: 1}",
    "{bytes|lt: 9007199254740992}",
    "{bytes|gte: -5}",
    "{bytes|exists: false}",
    "{bytes|fieldref: objects}",
    "{asn: 7}",
    "{mfa: true}",
    "{mfa: false}",
    "{mfa: null}",
    "{roles: a}",
    "{roles|contains|all: [a, s]}",
    "{roles|exists: true}",
    "{reason|contains: A}",
    "{attrs.canary: ''}",
    "{attrs.owner|fieldref: part}",
    "{attrs.nobody|exists: true}",
    "[{part: a}, {outcome: denied, country: null}]",
]
CONDITIONS = [definition(selection(items)).window.rules[0] for items in SELECTIONS]
CHECKS = [one.check() for one in CONDITIONS]


def _stream(given_events: list[tuple[int, int, Event]], order: list[int]) -> list[VerifiedBatch]:
    """One segment an event, in this order, over two shards whose indexes rise."""
    batches, index = [], [0, 0]
    for number in order:
        taken, _, event = given_events[number]
        shard = number % 2
        batches.append(batch(segment(index[shard], [encode_event(event)], taken), shard=shard))
        index[shard] += 1
    return batches


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(events(), min_size=1, max_size=60))
def test_conditions_hold_of_the_same_events(client: Client, made: list[tuple[int, int, Event]]) -> None:
    forget(client)
    insert_batches(client, _stream(made, list(range(len(made)))))
    bind = Bind()
    columns = ", ".join(f"toUInt8({one.sql(bind)})" for one in CONDITIONS)
    rows = client.query(f"SELECT raw, [{columns}] FROM events", parameters=bind.values).result_rows
    assert len(rows) == len(made)
    for raw, held in rows:
        event = parse(raw.encode())
        assert dict(zip(SELECTIONS, map(bool, held), strict=True)) == {
            items: check(event) for items, check in zip(SELECTIONS, CHECKS, strict=True)
        }, raw


BASES = (base("list", "artifact.list", 1), base("read", "artifact.read", 2), base("fetch", "artifact.download", 3))
BY = "group-by: [user]\ntimespan: 1h\n"
WINDOWS = {
    "single": selection("{outcome: denied}"),
    "count": correlation(f"type: event_count\nrules: [list, read]\n{BY}condition: {{gte: 3}}", *BASES[:2]),
    "count by group": correlation(
        "type: event_count\nrules: [list]\ngroup-by: [user, resource, bytes]\ntimespan: 47m\ncondition: {gt: 1}", BASES[0]
    ),
    "distinct": correlation(f"type: value_count\nrules: [list, fetch]\n{BY}condition: {{gte: 3, field: part}}", BASES[0], BASES[2]),
    "distinct numbers": correlation(f"type: value_count\nrules: [list]\n{BY}condition: {{gte: 2, field: bytes}}", BASES[0]),
    "sum": correlation(f"type: value_sum\nrules: [list]\n{BY}condition: {{gte: 8, field: objects}}", BASES[0]),
    "temporal": correlation(f"type: temporal\nrules: [list, read, fetch]\n{BY}", *BASES),
    "some": correlation(
        "type: temporal\nrules: [list, read, fetch]\ngroup-by: [user, country]\ntimespan: 10m\ncondition: {gte: 2}", *BASES
    ),
    "ordered": correlation("type: temporal_ordered\nrules: [list, read, fetch]\ngroup-by: [user]\ntimespan: 30m", *BASES),
    "ordered, one twice": correlation(f"type: temporal_ordered\nrules: [list, deny, list]\n{BY}", BASES[0], base("deny", "'*'", 5)),
}
RULES = {name: UserRule(definition(text)) for name, text in WINDOWS.items()}


@dataclass(frozen=True)
class Seen:
    """A crossing as both can say it."""

    principal: str
    place: tuple[int, int, int]
    value: int


def _in_sql(client: Client, rule: UserRule) -> tuple[set[Seen], set[tuple[str, str, int]]]:
    rows = crossings(client, rule.definition.window, T0 - 86_400, T0 + 2 * 86_400)
    return {Seen(one.principal, one.place, one.value) for one in rows}, {(one.principal, "\0".join(one.group), one.pane) for one in rows}


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(events(), min_size=1, max_size=60))
def test_crossings_are_the_same_in_the_order_of_event_time(client: Client, made: list[tuple[int, int, Event]]) -> None:
    def counts(number: int) -> tuple[float, int]:
        taken, off, _ = made[number]
        return (T0 + taken + off if abs(off) <= 600 else T0 + taken), number % 2

    batches = _stream(made, sorted(range(len(made)), key=counts))
    forget(client)
    insert_batches(client, batches)
    for name, rule in RULES.items():
        engine = Engine((rule,))
        found = [finding for one in batches for finding in engine.process(one)]
        streamed = {Seen(one.principal, one.evidence[-1], int(one.value)) for one in found}
        assert len(streamed) == len(found)
        assert _in_sql(client, rule)[0] == streamed, name


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=st.lists(events(), min_size=1, max_size=60), order=st.randoms(use_true_random=False))
def test_out_of_order_the_same_people_are_found(client: Client, made: list[tuple[int, int, Event]], order: Random) -> None:
    batches = _stream(made, sorted(range(len(made)), key=lambda number: made[number][0] + order.uniform(0, 60)))
    forget(client)
    insert_batches(client, batches)
    for name, rule in RULES.items():
        engine = Engine((rule,))
        found = [finding for one in batches for finding in engine.process(one)]
        _, in_sql = _in_sql(client, rule)
        assert {one.principal for one in found} == {principal for principal, _, _ in in_sql}, name
        assert len(found) <= len(in_sql), name
