"""RFC 8935 as issuers see it, honest ones and others: what is taken, what is refused with which code, and what the history has of it."""

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from joserfc import jws
from starlette.requests import Request
from tests.support.signals import AUD, ISS, NOW, Door, Liar, issuer_in, settings_in

from tallystick_producers.errors import SpoolFull
from tallystick_schemas.signing import wire_time
from tallystick_stream_jobs.shared_signals.requests import guarded
from tallystick_stream_jobs.shared_signals.vocabulary import (
    ACCOUNT_DISABLED,
    ACCOUNT_ENABLED,
    CREDENTIAL_CHANGE,
    SESSION_REVOKED,
    STREAM_UPDATED,
    VERIFICATION,
)

LIAR, STRANGER = Liar.new(), Liar.new()
CLAIMS = Liar.claims


def open_door(folder, **changes):
    return Door(settings_in(folder, issuers=(issuer_in(folder, LIAR.key, **changes),)))


@pytest.fixture
def door(tmp_path):
    return open_door(tmp_path)


def locking(folder, **changes):
    return open_door(folder, **{"lock": True, "lock_domains": ("example.org",), **changes})


def b64(value):
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def test_a_session_revoked_becomes_an_event(door):
    token = LIAR.token()
    answer = door.push(token)
    assert (answer.status_code, answer.content) == (202, b"")
    (event,) = door.sink.durable
    assert (event.action, event.actor.principal, event.resource.kind, event.resource.id) == (
        "incident.open",
        "signals:idp",
        "foreign-subject",
        "mallory@example.org",
    )
    assert event.attrs == {
        "iss": ISS,
        "jti": "jti-1",
        "txn": "txn-1",
        "sha256": sha256(token).hexdigest(),
        "event": SESSION_REVOKED,
        "event_time": wire_time(NOW),
        "subject": '{"email":"mallory@example.org","format":"email"}',
    }
    assert event.why.text == f"{ISS} says session-revoked: Landspeed violation"


@pytest.mark.parametrize(
    ("event", "more", "action", "kind"),
    [
        (CREDENTIAL_CHANGE, {"change_type": "revoke"}, "credential.revoke", "foreign-credential"),
        (CREDENTIAL_CHANGE, {"change_type": "create"}, "incident.open", "foreign-subject"),
        (ACCOUNT_DISABLED, {}, "incident.open", "foreign-subject"),
        (ACCOUNT_ENABLED, {}, "incident.note", "foreign-subject"),
        ("https://example.org/events/unheard-of", {}, "incident.note", "foreign-subject"),
        (VERIFICATION, {"state": "x"}, "incident.note", "foreign-stream"),
        (STREAM_UPDATED, {"status": "paused"}, "incident.note", "foreign-stream"),
    ],
)
def test_each_event_type_is_taken_and_written_down(tmp_path, event, more, action, kind):
    """Also in a deployment where this issuer may lock: only what takes access away orders anything."""
    door = locking(tmp_path)
    claims = CLAIMS(events={event: {"event_timestamp": int(NOW), **more}})
    assert door.push(LIAR.token(claims)).status_code == 202
    first, *orders = door.sink.durable
    assert (first.action, first.resource.kind) == (action, kind)
    assert bool(orders) == (event == ACCOUNT_DISABLED or more.get("change_type") == "revoke")


def test_news_are_never_orders(tmp_path):
    """What is only heard stands about kinds of resource that the responder takes no order for."""
    from tallystick_schemas.orders import order_of

    door = open_door(tmp_path)
    for number, (event, more) in enumerate([(SESSION_REVOKED, {}), (CREDENTIAL_CHANGE, {"change_type": "revoke"}), (ACCOUNT_DISABLED, {})]):
        door.push(LIAR.token(CLAIMS(jti=f"j{number}", events={event: {"event_timestamp": int(NOW), **more}})))
    assert len(door.sink.durable) == 3
    assert [order_of(event, (0, 0, 0)) for event in door.sink.durable] == [None] * 3


def test_a_repeat_is_taken_and_changes_nothing(tmp_path):
    door = locking(tmp_path)
    for _ in range(3):
        assert door.push(LIAR.token()).status_code == 202
    assert door.actions() == ["incident.open", "credential.suspend"]
    again = Door(door.signals.settings)
    assert again.push(LIAR.token()).status_code == 202
    assert again.actions() == []


def test_what_cannot_be_recorded_is_not_taken(tmp_path):
    door = locking(tmp_path)
    door.sink.failure = SpoolFull("spool", 1, 1)
    assert door.push(LIAR.token()).status_code == 503
    door.sink.failure = None
    assert door.push(LIAR.token()).status_code == 202
    assert door.actions() == ["incident.open", "credential.suspend"]


# What may lock


def test_an_order_names_its_command_and_its_end(tmp_path):
    door = locking(tmp_path, lock_minutes=30.0)
    door.push(LIAR.token())
    order = door.sink.durable[1]
    command = "set-" + sha256(f"{ISS}\0jti-1".encode()).hexdigest()[:32]
    assert (order.action, order.resource.kind, order.resource.id) == ("credential.suspend", "principal", "mallory@example.org")
    assert order.attrs == {"command": command, "until": wire_time(NOW + 1800), "iss": ISS, "jti": "jti-1"}


@pytest.mark.parametrize("domains", [(), ("*",)])
def test_nothing_locks_by_default(tmp_path, domains):
    door = open_door(tmp_path, lock_domains=domains)
    door.push(LIAR.token())
    assert door.actions() == ["incident.open"]


@pytest.mark.parametrize(
    ("subject", "locks"),
    [
        ({"format": "email", "email": "mallory@example.org"}, True),
        ({"format": "email", "email": "mallory@EXAMPLE.org"}, True),
        ({"format": "email", "email": "mallory@elsewhere.org"}, False),
        ({"format": "email", "email": "mallory@elsewhere.org@notexample.org"}, False),
        ({"format": "iss_sub", "iss": ISS, "sub": "mallory@example.org"}, True),
        ({"format": "iss_sub", "iss": "https://other.example.org", "sub": "mallory@example.org"}, False),
        ({"format": "complex", "user": {"format": "email", "email": "mallory@example.org"}}, True),
        ({"user": {"format": "email", "email": "mallory@example.org"}, "device": {"format": "opaque", "id": "d"}}, True),
        ({"format": "opaque", "id": "mallory@example.org"}, False),
        ({"format": "email", "email": ["mallory@example.org"]}, False),
        ("mallory@example.org", False),
    ],
    ids=str,
)
def test_an_issuer_locks_only_those_it_answers_for(tmp_path, subject, locks):
    door = locking(tmp_path)
    assert door.push(LIAR.token(CLAIMS(sub_id=subject))).status_code == 202
    assert ("credential.suspend" in door.actions()) == locks


def test_the_subject_inside_the_event_counts_where_there_is_no_other(tmp_path):
    door = locking(tmp_path)
    payload = {"event_timestamp": int(NOW), "subject": {"user": {"format": "email", "email": "eve@example.org"}}}
    door.push(LIAR.token(CLAIMS(sub_id=None, events={SESSION_REVOKED: payload})))
    assert door.sink.durable[1].resource.id == "eve@example.org"


# Abuse


def none_alg():
    return b64({"alg": "none", "typ": "secevent+jwt", "kid": LIAR.key.kid}) + b"." + b64(CLAIMS()) + b"."


def with_the_public_key_as_secret():
    public = LIAR.key.private().as_pem(private=False)
    signed = b64({"alg": "HS256", "typ": "secevent+jwt", "kid": LIAR.key.kid}) + b"." + b64(CLAIMS())
    return signed + b"." + urlsafe_b64encode(hmac.digest(public, signed, "sha256")).rstrip(b"=")  # joserfc refuses to make one


def tampered():
    header, _, signature = LIAR.token().split(b".")
    return b".".join([header, b64(CLAIMS(jti="other")), signature])


def deep():
    claims = json.dumps(CLAIMS()).encode()[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}"
    header = {"alg": "RS256", "typ": "secevent+jwt", "kid": LIAR.key.kid}
    return jws.serialize_compact(header, claims, LIAR.key.private(), algorithms=["RS256"]).encode()


def twice():
    claims = b'{"iss":"https://evil.example.org",' + json.dumps(CLAIMS()).encode()[1:]
    header = {"alg": "RS256", "typ": "secevent+jwt", "kid": LIAR.key.kid}
    return jws.serialize_compact(header, claims, LIAR.key.private(), algorithms=["RS256"]).encode()


TWO = {SESSION_REVOKED: {"event_timestamp": int(NOW)}, ACCOUNT_DISABLED: {"event_timestamp": int(NOW)}}
ABUSE = {
    "alg none": (none_alg, "invalid_key"),
    "HS256 with the public key": (with_the_public_key_as_secret, "invalid_key"),
    "another algorithm than pinned": (lambda: LIAR.token(alg="RS384"), "invalid_key"),
    "a wrong key under a known id": (lambda: STRANGER.token(kid=LIAR.key.kid), "authentication_failed"),
    "a key that the issuer has not": (STRANGER.token, "invalid_key"),
    "no key id": (lambda: LIAR.token(kid=""), "invalid_key"),
    "tampered claims": (tampered, "authentication_failed"),
    "a wrong issuer": (lambda: LIAR.token(CLAIMS(iss="https://evil.example.org")), "invalid_issuer"),
    "no issuer": (lambda: LIAR.token(CLAIMS(iss=None)), "invalid_issuer"),
    "a wrong audience": (lambda: LIAR.token(CLAIMS(aud="https://other.example.org")), "invalid_audience"),
    "no audience": (lambda: LIAR.token(CLAIMS(aud=None)), "invalid_audience"),
    "an access token": (lambda: LIAR.token(typ="at+jwt"), "invalid_request"),
    "no jti": (lambda: LIAR.token(CLAIMS(jti=None)), "invalid_request"),
    "two events": (lambda: LIAR.token(CLAIMS(events=TWO)), "invalid_request"),
    "no event": (lambda: LIAR.token(CLAIMS(events={})), "invalid_request"),
    "an event that is no object": (lambda: LIAR.token(CLAIMS(events={SESSION_REVOKED: "now"})), "invalid_request"),
    "sub": (lambda: LIAR.token(CLAIMS(sub="mallory")), "invalid_request"),
    "exp": (lambda: LIAR.token(CLAIMS(exp=int(NOW) + 60)), "invalid_request"),
    "no event_timestamp": (lambda: LIAR.token(CLAIMS(events={SESSION_REVOKED: {}})), "invalid_request"),
    "event_timestamp no number": (lambda: LIAR.token(CLAIMS(events={SESSION_REVOKED: {"event_timestamp": "now"}})), "invalid_request"),
    "event_timestamp beyond all time": (
        lambda: LIAR.token(CLAIMS(events={SESSION_REVOKED: {"event_timestamp": 1e300}})),
        "invalid_request",
    ),
    "iat in the future": (lambda: LIAR.token(CLAIMS(iat=int(NOW) + 400)), "invalid_request"),
    "iat long ago": (lambda: LIAR.token(CLAIMS(iat=int(NOW) - 604_801)), "invalid_request"),
    "no iat": (lambda: LIAR.token(CLAIMS(iat=None)), "invalid_request"),
    "deep JSON": (deep, "invalid_request"),
    "a claim twice": (twice, "invalid_request"),
    "an encrypted token": (lambda: b"a.b.c.d.e", "invalid_request"),
    "garbage": (lambda: b"\xff\xfe..", "invalid_request"),
    "nothing": (lambda: b"", "invalid_request"),
    "a long header": (lambda: LIAR.token()[:-1].replace(b".", b"A" * 3000 + b".", 1), "invalid_request"),
}


@pytest.mark.parametrize("name", ABUSE)
def test_abuse_is_refused_with_its_code_and_locks_nobody(tmp_path, name):
    make, err = ABUSE[name]
    door = locking(tmp_path)
    answer = door.push(make())
    assert (answer.status_code, answer.json()["err"]) == (400, err)
    assert answer.json()["description"]
    assert door.sink.durable == []
    (note,) = door.sink.events
    assert (note.action, note.outcome, note.attrs["err"]) == ("incident.note", "denied", err)
    assert door.push(LIAR.token()).status_code == 202, "an honest token must still be taken"


def test_a_giant_body_is_not_read(door):
    answer = door.push(b"a" * 65_537)
    assert (answer.status_code, door.sink.events) == (413, [])


def test_a_flood_of_refused_tokens_is_told_ten_times_and_then_counted(door, caplog):
    for _ in range(40):
        assert door.push(none_alg()).status_code == 400
    door.signals.stop_telling()
    told = [event.attrs.get("stands_for") for event in door.sink.events]
    assert told == [None] * 10 + ["30"]
    assert {event.action for event in door.sink.events} == {"incident.note"}
    assert len([line for line in caplog.messages if "refused" in line]) == 11


def test_a_flood_of_unknown_key_ids_is_one_line_of_the_log_and_a_count(door, caplog):
    """Nobody can tell before the next look at the issuer's keys whether such a key is new: each is answered 503, and none is an event."""
    assert door.push(LIAR.token()).status_code == 202
    answers = {door.push(LIAR.token(CLAIMS(jti=f"j{number}"), kid=f"made-up-{number}")).status_code for number in range(40)}
    assert answers == {503}
    about = [line for line in caplog.messages if "not taken" in line]
    assert len(about) == 1, "whoever reaches the door could fill the disk with our log"
    door.signals.stop_telling()
    assert [line for line in caplog.messages if "not taken" in line][1:] == [
        "tokens for issuer idp were not taken (and 39 others since the last such line)"
    ]


def test_an_error_of_ours_is_one_line_of_the_log_whoever_asks(caplog):
    async def broken(_):
        raise SpoolFull("spool", 1, 1)

    answering, request = guarded(broken), Request({"type": "http", "method": "GET", "path": "/ssf/streams", "headers": []})
    answers = {asyncio.run(answering(request)).status_code for _ in range(40)}
    assert answers == {503}
    assert len([line for line in caplog.messages if "cannot be answered now" in line]) == 1


def test_what_was_counted_and_cannot_be_recorded_is_said_in_the_log(door, caplog):
    for _ in range(11):
        door.push(none_alg())
    door.sink.failure = SpoolFull("spool", 1, 1)
    door.signals.stop_telling()
    assert any(line.startswith("that 1 tokens for") and "cannot be recorded" in line for line in caplog.messages)


def test_another_content_type_is_refused(door):
    assert door.push(LIAR.token(), **{"content-type": "application/json"}).json()["err"] == "invalid_request"
    assert door.push(LIAR.token(), **{"content-type": "application/secevent+jwt; charset=utf-8"}).status_code == 202


def test_nobody_else_is_heard(door):
    assert door.push(LIAR.token(), issuer="other").status_code == 404


def test_a_lenient_issuer_may_have_sub_exp_and_no_timestamp(tmp_path):
    """Older transmitters do; one event, signature, issuer and audience hold for them as well."""
    door = open_door(tmp_path, strict=False)
    old = CLAIMS(sub="x", exp=int(NOW) + 60, events={SESSION_REVOKED: {}})
    assert door.push(LIAR.token(old, typ="JWT")).status_code == 202
    assert door.sink.durable[0].attrs["event_time"] == wire_time(NOW)
    assert door.push(LIAR.token(CLAIMS(events=TWO))).json()["err"] == "invalid_request"


def test_an_issuer_may_have_to_show_a_token(tmp_path):
    door = open_door(tmp_path, require_token=True)
    assert door.push(LIAR.token()).status_code == 401
    assert door.push(LIAR.token(), who="okta").json()["err"] == "access_denied"
    assert door.push(LIAR.token(), who="idp").status_code == 202


def test_a_key_set_that_cannot_be_read_means_later(tmp_path):
    door = open_door(tmp_path)
    (tmp_path / "idp.jwks").unlink()
    answer = door.push(LIAR.token())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    issuer_in(tmp_path, LIAR.key)
    door.now += 60
    assert door.push(LIAR.token()).status_code == 202


def test_an_audience_may_be_one_of_several(door):
    assert door.push(LIAR.token(CLAIMS(aud=["https://other.example.org", AUD]))).status_code == 202
