"""Credentials minted meanwhile, asked of a real ClickHouse over its own interface."""

from contextlib import closing
from pathlib import Path

import clickhouse_connect
import pytest
from tests.support.clickhouse import running_clickhouse
from tests.support.history_tables import change_everywhere, change_principals, insert_rows
from tests.support.owning import entry_of
from tests.support.receiver import NOW, decision
from tests.support.signing import OPERATORS, directive, key_of

from tallystick_schemas.blast_radius import read_plan
from tallystick_schemas.entries import entry_leaf
from tallystick_schemas.events import Actor, Event, Resource, encode_event, event_leaf
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Keyring
from tallystick_schemas.segments import SegmentSigner, new_run
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.connectors.errors import ConnectorError
from tallystick_stream_jobs.outbox.minted import History, Minted, together
from tallystick_stream_jobs.outbox.minted import minted_meanwhile as minted_by_many
from tallystick_stream_jobs.responder.history import asking
from tallystick_stream_jobs.responder.known import sentence
from tallystick_stream_jobs.responder.seen import named_in_history

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]


def event(at, principal, credential, action="artifact.read", resource=Resource("model", "m"), outcome="allowed"):  # noqa: B008 - frozen
    actor = Actor(principal, "human", credential=credential)
    return encode_event(Event(1, "AAAAAAAAAAAAAAAAAAAAAA", wire_time(NOW + at), action, actor, resource, outcome))


RING = Keyring.of(OPERATORS)
RING.take(directive("gateway"))


EVENTS = [
    event(-9000, "ann", "old"),
    event(-600, "ann", "tok-1"),  # the evidence
    event(-500, "ann", "tok-1", "credential.issue", Resource("credential", "tok-2")),
    event(-400, "ann", "tok-3", "auth.logon", Resource("endpoint", "sso")),
    event(-390, "ann", "tok-3"),
    event(-300, "ann", "old"),
    event(-200, "eve", "tok-of-eve"),
    event(-100, "ann", "tok-1", "credential.issue", Resource("credential", "tok-denied"), "denied"),
    event(-7200, "ann", "earlier"),
    event(60, "ann", "later"),
    event(-9000, "Kim@Example.org", "kim-old"),
    event(-300, "kim@example.org", "kim-old"),
    event(-200, "KIM@example.org", "kim-new"),
    event(-200, "andre\u0301", "andre-new"),
    event(-200, "Ann", "tok-of-another"),
    event(-5, "bob", "desk", "credential.suspend", Resource("principal", "ann")),  # the order
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_clickhouse(Path(tmp_path_factory.mktemp("minted"))) as server:
        insert_rows(server.client(), "events", [(0, 0, pos, raw, event_leaf(raw)) for pos, raw in enumerate(EVENTS)])
        entry = entry_of(SegmentSigner("gateway", key_of("gateway"), new_run(1, b"8bytes..")).sign(EVENTS, wire_time(NOW)).record, 0)
        insert_rows(server.client(), "ledger_entries", [(0, 0, entry, entry_leaf(entry), bytes(32))])
        yield server


@pytest.fixture(scope="module")
def history(server):
    return History(server.settings(role="outbox"))


def minted_meanwhile(history, one):
    (found,) = minted_by_many(history, RING, [one])
    return found


def locked(evidence, subject="principal:ann"):
    import msgspec

    return msgspec.structs.replace(decision(subject=subject), evidence=evidence)


def test_from_the_first_evidence_to_the_lock(history):
    found = minted_meanwhile(history, locked([(0, 0, 4), (0, 0, 1)], "credential:tok-1"))
    assert found == [
        Minted("tok-2", "2026-11-23 03:51:40.000000", (0, 0, 2)),
        Minted("tok-3", "2026-11-23 03:53:20.000000", (0, 0, 3)),
    ]


def test_no_number_of_earlier_credentials_hides_a_new_one(history, monkeypatch):
    monkeypatch.setattr("tallystick_stream_jobs.outbox.minted._ROWS", 4)
    assert [one.credential for one in minted_meanwhile(history, locked([(0, 0, 1)], "credential:tok-1"))] == ["tok-2", "tok-3"]


def test_the_evidence_of_an_order_is_the_order_so_an_hour_is_looked_through(history):
    assert [one.credential for one in minted_meanwhile(history, locked([(0, 0, 15)]))] == ["tok-1", "tok-2", "tok-3"]
    assert [one.credential for one in minted_meanwhile(history, locked([]))] == ["tok-1", "tok-2", "tok-3"]


def test_somebody_without_a_name_has_nothing(history):
    import msgspec

    assert minted_meanwhile(history, msgspec.structs.replace(locked([], "credential:x"), principal=None)) == []


def test_a_name_is_a_parameter_and_never_sql(history):
    assert minted_meanwhile(history, locked([], "principal:' OR 1=1 --")) == []
    assert minted_meanwhile(history, locked([], "principal:a\\\tb\n'{x:String}")) == []


def test_many_at_once_are_answered_each_for_itself(history):
    import msgspec

    eve = msgspec.structs.replace(locked([(0, 0, 1)], "principal:eve"), principal="eve")  # the evidence is ann's: an hour is looked through
    nobody = msgspec.structs.replace(locked([], "credential:x"), principal=None)
    found = minted_by_many(
        history, RING, [nobody, locked([(0, 0, 4), (0, 0, 1)], "credential:tok-1"), locked([], "principal:o'neill\\"), eve]
    )
    assert [[one.credential for one in each] for each in found] == [[], ["tok-2", "tok-3"], [], ["tok-of-eve"]]


@pytest.mark.parametrize("name", ["ü" * 500, "\\" * 1000, "ann"])
def test_as_much_as_goes_together_fits_into_one_question(history, name):
    import msgspec

    evidence = [(4_000_000_000, 10**12 + n, 65_535) for n in range(50)]
    many = [msgspec.structs.replace(locked(evidence, f"principal:{name}{n}"), principal=None) for n in range(100)]
    count = together(many)
    assert 1 < count < 100
    assert minted_by_many(history, RING, many[:count]) == [[]] * count


def test_a_monstrous_name_is_asked_for_alone():
    monster, one = locked([], f"principal:{'ü' * 8000}"), locked([])
    assert together([monster, one]) == 1
    assert together([one, monster]) == 1
    assert together([]) == 0


def test_a_store_that_does_not_answer_is_a_connectors_error(history):
    import dataclasses

    away = dataclasses.replace(history._settings, port=1)
    with pytest.raises(ConnectorError):
        minted_meanwhile(History(away), locked([]))
    with pytest.raises(ConnectorError):
        minted_meanwhile(History(dataclasses.replace(history._settings, password="wrong")), locked([]))


def test_every_spelling_is_looked_at_as_one_principal(history):
    names = ("principal:kim@EXAMPLE.org", "principal:andr\u00e9")
    found = minted_by_many(history, RING, [locked([], name) for name in names])
    assert [[one.credential for one in each] for each in found] == [["kim-new"], ["andre-new"]]


@pytest.mark.parametrize(
    ("name", "events"),
    [("kim@example.org", 3), ("Kim@Example.ORG", 3), ("andr\u00e9", 1), ("ann", 9), ("Ann", 1), ("nobody", 0)],
)
def test_what_a_lock_would_hit_counts_every_spelling(history, name, events):
    plan = planned(history, f"principal:{name}")
    assert (plan.events, plan.broken, plan.unread) == (events, 0, False)
    assert plan.basis.startswith("Found by searchable columns and read from what agents signed")


def planned(history, subject):
    with closing(clickhouse_connect.get_client(**history._settings.client_kwargs())) as client:
        return read_plan(asking(client), RING, subject, NOW + 100)


def test_what_a_lock_would_hit_by_credential(history):
    plan = planned(history, "credential:tok-1")
    assert (plan.events, plan.principals.examples, plan.artifacts.examples) == (3, ["ann"], ["model m"])
    assert plan.last_seen == wire_time(NOW - 100)


def test_no_more_than_the_newest_are_read_and_that_is_told(history, monkeypatch):
    monkeypatch.setattr("tallystick_schemas.blast_radius.MOST", 2)
    plan = planned(history, "credential:tok-1")
    assert (plan.events, plan.unread, plan.last_seen) == (2, True, wire_time(NOW - 100))
    assert "Only the newest 2 events were read" in plan.basis


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("principal:kim@example.org", "seen"),
        ("principal:andr\u00e9", "seen"),
        ("principal:Bob", "unknown-subject"),
        ("credential:kim-new", "seen"),
        ("credential:Kim-New", "unknown-subject"),
        ("principal:nobody", "unknown-subject"),
    ],
)
def test_whom_the_history_knows(history, subject, said):
    looked = named_in_history(history._settings, subject, RING)
    assert (looked.by_bytes, looked.broken) == (True, 0)
    assert sentence(subject, looked).startswith(said)
    assert ("principal:bob" in sentence(subject, looked)) is (subject == "principal:Bob")


@pytest.fixture
def renamed(server):
    """`bob`'s events under another name, in the column that searches read."""
    client = server.client()
    change_principals(client, {"bob": "mallory"})
    yield
    change_principals(client, {"mallory": "bob"})
    client.close()


@pytest.mark.parametrize(("subject", "said"), [("principal:bob", "seen"), ("principal:mallory", "unknown-subject")])
def test_a_column_decides_nothing_about_who_was_seen(history, renamed, subject, said):
    assert sentence(subject, named_in_history(history._settings, subject, RING)).startswith(said)


@pytest.fixture(params=["nobody's segment", "another key", "a key that no operator named"])
def invented(server, request):
    """An event that no agent signed, as whoever has the store's password inserts it: at a place of its own, with an entry of its own."""
    client, raw = server.client(), event(-50, "ghost", "ghost-token")
    agent, key, signed = {
        "nobody's segment": ("gateway", "gateway", EVENTS[:1]),
        "another key": ("gateway", "mallory", [raw]),
        "a key that no operator named": ("ghostly", "ghostly", [raw]),
    }[request.param]
    made = SegmentSigner(agent, key_of(key), new_run(2, b"8bytes..")).sign(signed, wire_time(NOW)).record
    mine = key_id(key_of("gateway").public_key().public_bytes_raw()).encode()
    its = key_id(key_of(key).public_key().public_bytes_raw()).encode()
    entry = entry_of(made if agent != "gateway" else made.replace(its, mine), 7)
    insert_rows(client, "events", [(0, 7, 0, raw, event_leaf(raw))])
    insert_rows(client, "ledger_entries", [(0, 7, entry, entry_leaf(entry), bytes(32))])
    yield
    for table in ("events", "ledger_entries"):
        client.command(f"ALTER TABLE {table} DELETE WHERE index = 7 SETTINGS mutations_sync = 2")
    client.close()


@pytest.mark.parametrize("subject", ["principal:ghost", "credential:ghost-token"])
def test_an_event_that_nobody_signed_is_hit_by_no_lock(history, invented, subject):
    plan = planned(history, subject)
    assert (plan.events, plan.broken, plan.last_seen, plan.principals.count) == (0, 1, None, 0)
    assert "Left out: 1 event that the store has of it and no agent signed" in plan.basis


def test_a_column_puts_nobodys_events_under_a_lock(history, renamed):
    assert planned(history, "principal:mallory").events == 0


@pytest.mark.parametrize("subject", ["principal:ghost", "credential:ghost-token"])
def test_an_event_that_nobody_signed_makes_nobody_known(history, invented, subject):
    """A lock about a name that was mistyped would look right."""
    told = sentence(subject, named_in_history(history._settings, subject, RING))
    assert told.startswith("unknown-subject")
    assert told.endswith("1 event of the store with such a name is not what an agent signed")


def test_columns_alone_are_told_where_there_are_too_many_events(history, monkeypatch):
    monkeypatch.setattr("tallystick_stream_jobs.responder.known.MOST_READ", 1)
    looked = named_in_history(history._settings, "principal:nobody", RING)
    assert (looked.found, looked.by_bytes) == ([], False)
    assert sentence("principal:nobody", looked).endswith("`tallystick audit verify` says whether they hold")


@pytest.mark.parametrize("subject", ["principal:ghost"])
def test_an_event_that_nobody_signed_mints_nothing(history, invented, subject):
    assert minted_meanwhile(history, locked([], subject)) == []


def test_no_column_hides_or_invents_a_credential(history, server):
    """Last, since it changes the table: everything is `eve`'s, of one credential, and of long ago."""
    client = server.client()
    change_everywhere(
        client, "events", {"principal": "eve", "credential": "desk", "time": "1971-01-01 00:00:00.000000", "action": "artifact.read"}
    )
    client.close()
    assert [one.credential for one in minted_meanwhile(history, locked([(0, 0, 4), (0, 0, 1)], "credential:tok-1"))] == ["tok-2", "tok-3"]
    assert [one.credential for one in minted_meanwhile(history, locked([], "principal:eve"))] == ["tok-of-eve"]
    assert [one.credential for one in minted_meanwhile(history, locked([], "principal:kim@EXAMPLE.org"))] == ["kim-new"]
