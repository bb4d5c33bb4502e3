"""Orders and decisions as the ledger gives them: the same on a site in memory and on a real ClickHouse that holds the same rows."""

from collections.abc import Iterator, Mapping

import pytest
from tests.support.clickhouse import running_clickhouse
from tests.support.history_tables import LIES, change_everywhere, insert_rows
from tests.support.owning import Agent, Site, SiteSources, entry_of, finding_told, lock, order_message
from tests.support.responding import finding
from tests.support.signing import directive, role_key

from tallystick_schemas.bodies import examine_body
from tallystick_schemas.entries import entry_leaf
from tallystick_schemas.envelope import Number
from tallystick_schemas.events import Actor, Resource, event_leaf
from tallystick_schemas.orders import Order
from tallystick_schemas.records import parse_record
from tallystick_schemas.roles import Keyring
from tallystick_stream_jobs.responder.history import Words, asking, read_words
from tallystick_stream_jobs.responder.lock_events import lock_event
from tallystick_stream_jobs.responder.order_history import Found, Ordered, read_acting, read_decided, read_orders

ME = Actor("responder", "service")
pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]


def made() -> Site:
    """Three orders, one of them of long ago; those of keys that were revoked since, and of nobody; and words about decisions."""
    site = Site()
    site.clock -= 86_400
    order_message(site, Order(lock(command="old", at=site.clock)))
    site.clock += 86_400
    others = [("cli", ""), ("console", ""), ("gateway", ""), ("mallory", ""), ("cli", "mallory"), ("signals", ""), ("console", "old")]
    for n, (agent, key) in enumerate(others):
        site.clock += 1
        order_message(site, Order(lock(command=f"c{n}", at=site.clock)), agent, key=key, start=n + 2)
    site.locks.append((role_key("signals"), directive("signals", n=2, revoked=True)))
    site.locks.append((role_key("console", "old"), directive("console", key="old", revoked=True)))
    # An agent with two keys: what the one may, the other may not. And one that is both.
    site.locks.append((role_key("gateway", "second"), directive("gateway", ["commander"], key="second")))
    site.locks.append((role_key("both"), directive("both", ["responder", "commander"])))
    eve = {"actor": Actor("responder", "service"), "resource": Resource("principal", "eve")}
    for agent in ("responder", "gateway", "both"):
        words = Agent(site, agent, start=20)
        site.append(words.segment("incident.decide", **eve, attrs={"decision": f"{agent}-decided"}))
        site.append(words.segment("credential.suspend", **eve, attrs={"decision": f"{agent}-locked", "command": "x"}))
    # A lock, and what an agent without a role says of the same name under higher numbers: more of it than anybody looks at.
    held = lock(command="true", subject="principal:thief", at=site.clock)
    action, resource, why, attrs = lock_event(held, Number(5, 0), "d")
    site.append(Agent(site, "responder", start=30).segment(action, actor=ME, resource=resource, why=why, attrs=attrs))
    for n in range(4):
        words = Agent(site, "gateway", start=31 + n)
        site.append(words.segment(action, actor=ME, resource=resource, why=why, attrs={**attrs, "number": f"9999999999999 {n}"}))
    for n, more in enumerate([{}, {"act": "step-up"}, {"act": "alert"}, {"mode": "observe"}, {"suppressed": "exempt"}, {"count": 2}]):
        finding_told(site, finding(number=n, **more), start=40 + n)  # type: ignore[arg-type]  # fields of a finding
    finding_told(site, finding(number=9), "gateway", start=50)
    finding_told(site, finding(number=9), key="mallory", start=51)
    return site


class RealStore:
    """The site's ledger in a store, asked as the responder."""

    def __init__(self, server: object, site: Site, *, lies: bool = False) -> None:
        self.lies = lies
        self._client = server.client(role="responder")  # type: ignore[attr-defined]
        owner = self._owner = server.client()  # type: ignore[attr-defined]
        events, entries = [], []
        for index, record in site.ledger.items():
            entry = entry_of(record, index)
            entries.append((0, index, entry, entry_leaf(entry), bytes(32)))
            events += [(0, index, pos, raw, event_leaf(raw)) for pos, raw in enumerate(examine_body(parse_record(record)).items)]
        for _ in range(2):  # twice, as after a crash
            insert_rows(owner, "events", events)
            insert_rows(owner, "ledger_entries", entries)

    def insert_far_above(self) -> None:
        """Entries that are nobody's, as whoever has the store's password inserts them: in this shard, and in one that is none."""
        rows = [(shard, index, b"", bytes(32), bytes(32)) for shard, index in ((0, 10**15), (0, 1 << 63), (4_000_000_000, 7))]
        insert_rows(self._owner, "ledger_entries", rows)

    def orders(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Ordered:
        return read_orders(asking(self._client), keyring, marks, since)

    def words(self, keyring: Keyring, marks: Mapping[int, int]) -> Words:
        return read_words(asking(self._client), keyring, marks)

    def acting(self, keyring: Keyring, marks: Mapping[int, int], since: float) -> Found:
        return read_acting(asking(self._client), keyring, marks, since)

    def decided(self, keyring: Keyring, commands: list[str]) -> set[str]:
        return read_decided(asking(self._client), keyring, commands)


SITE = made()


@pytest.fixture(scope="module", params=["in memory", "ClickHouse", "ClickHouse whose columns lie"])
def sources(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteSources | RealStore]:
    if request.param == "in memory":
        yield SiteSources(SITE, "responder")
        return
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as server:
        store = RealStore(server, SITE, lies=request.param != "ClickHouse")
        if store.lies:
            change_everywhere(server.client(), "events", LIES)
            change_everywhere(server.client(), "ledger_entries", {"agent": "mallory", "key": "", "kind": "7", "verdict": "9"})
        yield store


def commands(read: Ordered) -> list[str]:
    return [order.lock.command for order in read.orders]


def test_commanders_orders_of_the_time_are_read_oldest_first_with_their_places(sources: SiteSources | RealStore) -> None:
    read = sources.orders(SITE.keyring(), {}, SITE.clock - 3600)
    assert (commands(read), read.marks) == (["c0", "c1"], {0: len(SITE.log) - 1})
    assert [order.lock.evidence for order in read.orders] == [[(0, 1, 0)], [(0, 2, 0)]]


def test_above_the_marks_and_since(sources: SiteSources | RealStore) -> None:
    assert commands(sources.orders(SITE.keyring(), {0: 1}, SITE.clock - 3600)) == ["c1"]
    assert commands(sources.orders(SITE.keyring(), {}, 0.0)) == ["old", "c0", "c1"]
    assert commands(sources.orders(SITE.keyring(), {0: len(SITE.log) - 1}, 0.0)) == []


def test_responders_alone_say_what_was_decided(sources: SiteSources | RealStore) -> None:
    asked = [f"{agent}-{what}" for agent in ("responder", "gateway") for what in ("decided", "locked")]
    assert sources.decided(SITE.keyring(), [*asked, "c0"]) == {"responder-decided", "responder-locked"}


def test_no_number_of_others_words_hides_a_lock(sources: SiteSources | RealStore) -> None:
    """Three events of any recorder, and Kafka's data lost, lifted a lock: the newest three of a name were looked at before whose they were."""
    words = {held.lock.subject: (held.lock.command, held.number) for held in sources.words(SITE.keyring(), {}).held}
    assert words["principal:thief"] == ("true", Number(5, 0))


def test_findings_that_ask_for_a_lock_are_read(sources: SiteSources | RealStore) -> None:
    read = sources.acting(SITE.keyring(), {}, SITE.clock - 3600)
    assert sorted((one.id, one.count) for one in read.findings) == [("F-0", 1), ("F-1", 1), ("F-5", 2)]
    assert read.marks == {0: len(SITE.log) - 1}
    assert sources.acting(SITE.keyring(), read.marks, 0.0).findings == []
    assert sources.acting(SITE.keyring(), {}, SITE.clock + 1).findings == []


def test_what_is_older_than_the_newest_entries_is_found_by_columns(
    sources: SiteSources | RealStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site in memory has no columns, and finds the same."""
    monkeypatch.setattr("tallystick_schemas.stored_bytes.NEWEST", 3)
    found = commands(sources.orders(SITE.keyring(), {}, 0.0))
    lying = isinstance(sources, RealStore) and sources.lies
    assert found == ([] if lying else ["old", "c0", "c1"])


def test_a_row_far_above_ends_nobodys_looking(sources: SiteSources | RealStore) -> None:
    """Last, since it stays. One such row was the highest that had been looked at, and no order after it was found. In memory there is no such row."""
    if isinstance(sources, RealStore):
        sources.insert_far_above()
    for marks in ({}, {0: 1}):
        read = sources.orders(SITE.keyring(), marks, SITE.clock - 3600)
        assert (commands(read)[-1], read.marks) == ("c1", {0: len(SITE.log) - 1})
        assert sources.words(SITE.keyring(), marks).marks == {0: len(SITE.log) - 1}
    assert sources.decided(SITE.keyring(), ["responder-decided"]) == {"responder-decided"}
