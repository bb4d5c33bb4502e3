"""Orders about names that nobody has ever seen: the decision says so, the lock waits for no answer, and it is a finding."""

import asyncio
import threading

import msgspec
import pytest
from tests.support.history import make_event
from tests.support.receiver import NOW, decision

from tallystick_schemas.events import parse_event
from tallystick_schemas.roles import Holder
from tallystick_schemas.stored import Stored
from tallystick_stream_jobs.outbox.findings import nobody_known
from tallystick_stream_jobs.responder.known import KNOWN, Looked, Named, is_known, named_by, near_sql, sentence, with_known
from tallystick_stream_jobs.responder.seen import SeenNames

HOLDER = Holder("gw", "0" * 16, b"", frozenset(), True, None, 0, b"")
ANN = Named("principal", "Ann@Example.org")


@pytest.mark.parametrize(
    ("subject", "found", "known"),
    [
        ("principal:ann@example.org", [ANN], True),
        ("principal:ann@example.org", [], False),
        ("principal:Ann", [Named("principal", "ann")], False),
        ("principal:andr\u00e9", [Named("principal", "andre\u0301")], True),
        ("credential:c1", [Named("credential", "c1")], True),
        ("credential:C1", [Named("credential", "c1")], False),
        ("principal:c1", [Named("credential", "c1")], False),
    ],
)
def test_who_is_known(subject, found, known):
    assert is_known(subject, found) is known
    assert sentence(subject, Looked(found, True)).startswith("seen" if known else "unknown-subject")


def test_the_sentence_names_who_is_near():
    assert sentence("principal:Ann", Looked([Named("principal", "ann")], True)).endswith("; it names principal:ann")
    assert sentence("principal:c1", Looked([Named("credential", "c1")], True)).endswith("; it names credential:c1")


def test_what_a_column_found_counts_by_its_bytes():
    mine = Stored(parse_event(make_event(1)), (0, 0, 0), HOLDER)  # of reader-1@example.org with cred-1
    assert named_by([mine], "reader-1@example.org") == [Named("principal", "reader-1@example.org")]
    assert named_by([mine], "cred-1") == [Named("credential", "cred-1")]
    assert named_by([mine], "mallory") == []


def test_what_no_agent_signed_is_told():
    told = sentence("principal:ann@example.org", Looked([], True, 1))
    assert told.endswith("; 1 event of the store with such a name is not what an agent signed")
    assert sentence("principal:ann@example.org", Looked([], True, 2)).endswith(
        "2 events of the store with such a name are not what an agent signed"
    )


def test_the_decision_says_when_columns_alone_were_looked_at():
    told = marked(decision("locked", "principal:ann@example.org"), lambda _: Looked([], False)).policy[KNOWN]
    assert told.startswith("unknown-subject")
    assert "searchable columns alone" in told


def test_only_names_beyond_ascii_pay_for_normal_forms():
    assert "normalize" not in near_sql("Ann@Example.org")
    assert near_sql("andr\u00e9").count("normalizeUTF8NFC") == 2


def marked(one, look, wait_s=20.0):
    return asyncio.run(SeenNames(look, wait_s).marked(one))


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (lambda _: Looked([ANN], True), "seen"),
        (lambda _: Looked([], True), "unknown-subject"),
        (lambda _: 1 / 0, "not checked: whether the history names it is not known (the store answered ZeroDivisionError)"),
    ],
)
def test_the_decision_says_what_the_history_knows(look, said):
    one = decision("locked", "principal:ann@example.org")
    told = marked(one, look)
    assert told.policy[KNOWN].startswith(said)
    assert msgspec.structs.replace(told, policy=one.policy) == one


def test_lifting_and_withdrawing_ask_nobody():
    for one in (decision("unlocked"), msgspec.structs.replace(decision(), lock=None)):
        assert marked(one, lambda _: 1 / 0) == one


def test_an_order_that_waits_for_a_second_person_is_looked_at_as_well():
    one = decision("locked", "principal:nobody")
    waits = msgspec.structs.replace(one, lock=None, proposed=one.lock)
    assert marked(waits, lambda _: Looked([], True)).policy[KNOWN].startswith("unknown-subject")


def test_a_store_that_hangs_holds_up_no_order_and_is_not_asked_twice():
    over, asked = threading.Event(), []

    def hang(subject):
        asked.append(subject)
        over.wait(60)
        raise OSError("at last")

    async def two():
        seen = SeenNames(hang, 0.01)
        first, second = await seen.marked(decision()), await seen.marked(decision())
        over.set()
        return first.policy[KNOWN], second.policy[KNOWN]

    first, second = asyncio.run(two())
    assert "did not answer in time" in first
    assert "owes an earlier answer" in second
    assert asked == ["principal:ann"]


def test_a_lock_about_nobody_is_a_finding_under_one_id():
    one = with_known(decision("locked", "principal:grace@example.org"), sentence("principal:grace@example.org", Looked([], True)))
    found = nobody_known(one, NOW)
    again = nobody_known(one, NOW + 9)
    assert found is not None
    assert again is not None
    assert (found.detector, found.resource, found.id) == ("R04", "principal:grace@example.org", again.id)
    assert "bob ordered a lock of principal:grace@example.org (command cmd-1): no event of the history names" in found.text
    assert (found.subject, found.act) == ("agent", "alert"), "it is nobody's doing, and locks nobody"


@pytest.mark.parametrize("said", ["seen: the history names it", "not checked: …", ""])
def test_no_finding_without_that_answer(said):
    assert nobody_known(with_known(decision(), said), NOW) is None
