"""Every part takes the spellings of a name for one principal, and what only looks alike for another."""

import json

import pytest
from tests.support.facts import batch, read, run, segment
from tests.support.responding import NOW, Deciding, finding
from tests.support.signals import AUD, ISS
from tests.support.signals import NOW as HEARD_AT

from tallystick_dashboard.boards import LockBoard
from tallystick_producers.encoding import Encoder
from tallystick_producers.enforcement.table import LockTable
from tallystick_producers.gateway.tokens import parse_tokens, token_record
from tallystick_producers.instants import Instant
from tallystick_schemas.events import Actor, Event, Resource, encode_event, parse_event
from tallystick_schemas.messages import Lock
from tallystick_schemas.names import canonical_subject
from tallystick_schemas.orders import order_of
from tallystick_schemas.settings import ClickHouseSettings, JobSettings, KafkaSettings, LogSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import verified_partition
from tallystick_stream_jobs.detectors.reading import decode_event
from tallystick_stream_jobs.responder.protected import Protected
from tallystick_stream_jobs.shared_signals.inbox import news_of
from tallystick_stream_jobs.shared_signals.inbox import order_of as signal_order
from tallystick_stream_jobs.shared_signals.settings import IssuerSettings
from tallystick_stream_jobs.shared_signals.subjects import canonical, principal_of, principal_subject
from tallystick_stream_jobs.shared_signals.verify import Heard
from tallystick_stream_jobs.shared_signals.vocabulary import SESSION_REVOKED

TWINS = [
    ("grace@example.org", "Grace@Example.org"),
    ("andr\u00e9", "andre\u0301"),
    ("arn:aws:sts::1:assumed-role/A/Ada@example.org", "arn:aws:sts::1:assumed-role/A/Ada@EXAMPLE.org"),
]
OTHERS = [("Alice", "alice"), ("grace@example.org", "gr\u0430ce@example.org"), ("a@example.org", "a@example.org ")]
SALT = "AAAAAAAAAAAAAAAAAAAAAA"
both = pytest.mark.parametrize(("one", "other"), [*TWINS, *(pair[::-1] for pair in TWINS)])
apart = pytest.mark.parametrize(("one", "other"), OTHERS)


def lock(subject: str, state: str = "locked") -> Lock:
    return Lock(subject=subject, state=state, command="c", reason="r", by="b", at=wire_time(NOW))  # type: ignore[arg-type]


def order(name: str, **attrs: str) -> bytes:
    actor, resource = Actor("Bob@Example.org", "human"), Resource("principal", name)
    return encode_event(Event(1, SALT, wire_time(NOW), "credential.suspend", actor, resource, "allowed", attrs=attrs or None))


def table(*locks: Lock) -> LockTable:
    one = LockTable(30.0)
    assert one.heartbeat(NOW, Instant(NOW, 0.0))
    for each in locks:
        one.apply(each)
    return one


@both
def test_a_lock_is_felt_and_shown_under_every_spelling(one: str, other: str) -> None:
    here = Instant(NOW, 1.0)
    assert table(lock(f"principal:{one}")).check(other, None, here) is not None
    # What we write names the canonical form, and lifts what it locked.
    form = canonical_subject(f"principal:{one}")
    assert table(lock(form), lock(form, "unlocked")).check(other, None, here) is None
    deciding = Deciding()
    deciding.put(lock(form))
    board = LockBoard(deciding.book.topic)
    assert board.of(other, None, NOW) is not None
    assert board.get(f"principal:{other}") is not None


@apart
def test_a_lock_is_not_felt_by_who_only_looks_alike(one: str, other: str) -> None:
    assert table(lock(f"principal:{one}")).check(other, None, Instant(NOW, 1.0)) is None


def test_credentials_are_compared_by_their_bytes() -> None:
    assert table(lock("credential:Tok@Example.org")).check("a", "tok@example.org", Instant(NOW, 1.0)) is None
    assert canonical_subject("credential:Tok@Example.org") == "credential:Tok@Example.org"


@both
def test_what_is_counted_for_one_principal_meets_in_one_place(one: str, other: str) -> None:
    assert verified_partition(one) == verified_partition(other)
    events = [read((one, other)[number % 2], f"part-{number}", float(number)) for number in range(25)]
    [found] = [each for each in run([batch([segment(at, [each])]) for at, each in enumerate(events)]) if each.detector == "D01"]
    assert canonical_subject(f"principal:{one}") == f"principal:{found.principal}"


@both
def test_readers_take_the_form_and_leave_the_bytes(one: str, other: str) -> None:
    raw = order(one)
    assert decode_event(raw).actor.principal == "bob@example.org"
    assert parse_event(raw).actor.principal == "Bob@Example.org"
    ordered = order_of(parse_event(order(other, principal=other)), (0, 1, 2))
    assert ordered is not None
    assert (ordered.lock.subject, ordered.principal) == (canonical_subject(f"principal:{one}"), canonical_subject(f"principal:{one}")[10:])


@both
def test_what_we_record_has_the_form(one: str, other: str) -> None:
    raw = Encoder().encode("credential.suspend", Actor(one, "human"), Resource("principal", other), "allowed", None, None, None, None, None)
    event = parse_event(raw)
    assert f"principal:{event.actor.principal}" == f"principal:{event.resource.id}" == canonical_subject(f"principal:{one}")
    kept = Encoder().encode("artifact.read", Actor(one, "human"), Resource("model", other), "allowed", None, None, None, None, None)
    assert parse_event(kept).resource.id == other, "a model's name is no principal's"


@both
def test_a_token_speaks_for_the_form(one: str, other: str) -> None:
    line = json.dumps({"sha256": "0" * 64, "principal": other, "kind": "human", "credential": "C1"}).encode()
    (record,) = parse_tokens(line).records()
    assert record.principal == token_record("ts_x", one, "human").principal
    assert record.credential == "C1"


@both
def test_a_second_detector_backs_the_first_and_protection_holds_under_every_spelling(one: str, other: str) -> None:
    deciding = Deciding()
    deciding.on(finding("D05", "alert", who=one, credential=None))
    assert deciding.memory.seconds(finding("D01", "step-up", who=other, number=2), NOW) == ["D05"]
    protected = Deciding(frozenset({canonical_subject(f"principal:{one}")[10:]}))
    assert protected.on(finding(who=other, credential=None)).choice == "recommend"
    settings = JobSettings(KafkaSettings(), ClickHouseSettings(), LogSettings("test"), "", protected=(other,))
    assert Protected(settings).names(NOW) == {canonical_subject(f"principal:{one}")[10:]}


def heard(email: str) -> Heard:
    subject = {"format": "email", "email": email}
    return Heard(iss=ISS, jti="j", at=HEARD_AT, event=SESSION_REVOKED, payload={}, subject=subject, txn=None, sha256="0" * 64)


def test_a_signal_about_a_capital_letter_locks_whom_it_means() -> None:
    issuer = IssuerSettings("idp", ISS, AUD, jwks_file="f", lock=True, lock_domains=("Example.org",))
    news = signal_order(heard("Grace@Example.org"), issuer, HEARD_AT)
    assert news is not None
    event = Event(
        1, SALT, wire_time(NOW), news.action, news.fields["actor"], news.fields["resource"], "allowed", attrs=news.fields["attrs"]
    )
    ordered = order_of(event, (0, 1, 2))
    assert ordered is not None
    assert table(ordered.lock).check("grace@example.org", None, Instant(NOW, 1.0)) is not None
    assert signal_order(heard("grace@elsewhere.example"), issuer, HEARD_AT) is None
    assert news_of(heard("Grace@Example.org"), issuer).fields["resource"].id == "grace@example.org"


def test_a_stream_hears_of_every_spelling_of_its_subject() -> None:
    wished = canonical({"format": "email", "email": "Grace@EXAMPLE.org"})
    assert wished == canonical(principal_subject("grace@example.org", ISS))
    assert canonical({"format": "opaque", "id": "Grace@EXAMPLE.org"}) != canonical({"format": "opaque", "id": "grace@example.org"})
    assert principal_of({"format": "iss_sub", "iss": ISS, "sub": "Andre\u0301"}, ISS) == "Andr\u00e9"
