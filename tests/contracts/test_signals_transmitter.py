"""SSF 1.0's management endpoints and RFC 8936's polling, as a receiver sees them."""

import pytest
from tests.support.signals import ALICE, MALLORY, URL, Door, decision, events_of, transmitting

from tallystick_producers.gateway.tokens import add_token
from tallystick_stream_jobs.shared_signals.vocabulary import (
    ACCOUNT_DISABLED,
    ACCOUNT_ENABLED,
    POLL,
    PUSH,
    SESSION_REVOKED,
    SUPPORTED,
    VERIFICATION,
)


@pytest.fixture
def door(tmp_path):
    return transmitting(tmp_path)


# Discovery


def test_the_configuration_is_found_without_a_token(door):
    found = door.ask("GET", "/.well-known/ssf-configuration", who=None).json()
    assert (found["spec_version"], found["issuer"], found["default_subjects"]) == ("1_0", URL, "ALL")
    assert found["delivery_methods_supported"] == [PUSH, POLL]
    assert found["authorization_schemes"] == [{"spec_urn": "urn:ietf:rfc:6750"}]
    for name in ("jwks_uri", "configuration_endpoint", "status_endpoint", "add_subject_endpoint", "remove_subject_endpoint"):
        path = found[name].removeprefix(URL)
        assert door.ask("PURGE", path, who=None).status_code == 405, f"{name} leads nowhere"


def test_an_issuer_with_a_path_has_its_document_behind_the_well_known_name(tmp_path):
    door = transmitting(tmp_path, public_url=f"{URL}/lab")
    assert door.ask("GET", "/.well-known/ssf-configuration/lab", who=None).json()["issuer"] == f"{URL}/lab"


def test_the_key_set_shows_no_private_part_and_may_be_cached(door):
    answer = door.ask("GET", "/ssf/jwks.json", who=None)
    (key,) = answer.json()["keys"]
    assert set(key) == {"kty", "kid", "use", "alg", "n", "e"}
    assert answer.headers["cache-control"] == "max-age=3600"


# Who may ask


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, "/ssf/streams") for method in ("GET", "POST", "PATCH", "PUT", "DELETE")),
        ("GET", "/ssf/status"),
        ("POST", "/ssf/status"),
        ("POST", "/ssf/subjects:add"),
        ("POST", "/ssf/subjects:remove"),
        ("POST", "/ssf/verify"),
        ("POST", "/ssf/poll/s"),
    ],
)
def test_management_needs_a_known_token(door, method, path):
    for who in (None, "ts_wrong", ""):
        answer = door.ask(method, path, {} if method != "GET" else None, who=who)
        assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert door.sink.events == []


def test_a_token_of_somebody_who_is_no_receiver_is_403(tmp_path):
    door = transmitting(tmp_path)
    door.tokens["gone"] = add_token(tmp_path / "tokens.jsonl", "gone", "service")
    again = Door(door.signals.settings)
    assert again.ask("GET", "/ssf/streams", who=door.tokens["gone"]).status_code == 403
    assert again.ask("GET", "/ssf/streams", who="other").status_code == 200


def test_one_receiver_does_not_see_the_streams_of_another(door):
    stream = door.stream()["stream_id"]
    door.decide(decision())
    for method, path, body in (
        ("GET", f"/ssf/streams?stream_id={stream}", None),
        ("DELETE", f"/ssf/streams?stream_id={stream}", None),
        ("PATCH", "/ssf/streams", {"stream_id": stream}),
        ("PUT", "/ssf/streams", {"stream_id": stream}),
        ("GET", f"/ssf/status?stream_id={stream}", None),
        ("POST", "/ssf/status", {"stream_id": stream, "status": "disabled"}),
        ("POST", "/ssf/subjects:add", {"stream_id": stream, "subject": MALLORY}),
        ("POST", "/ssf/verify", {"stream_id": stream}),
        ("POST", f"/ssf/poll/{stream}", {"returnImmediately": True}),
    ):
        assert door.ask(method, path, body, who="other").status_code == 404, (method, path)
    assert door.ask("GET", "/ssf/streams", who="other").json() == []
    assert len(door.poll(stream)["sets"]) == 2


# Configuration


def test_a_stream_is_created_read_and_deleted(door):
    made = door.stream(events_requested=[SESSION_REVOKED, "urn:unknown"], description="ours")
    assert made == {
        "stream_id": made["stream_id"],
        "iss": URL,
        "aud": "okta",
        "events_supported": list(SUPPORTED),
        "events_requested": [SESSION_REVOKED, "urn:unknown"],
        "events_delivered": [SESSION_REVOKED],
        "delivery": {"method": POLL, "endpoint_url": f"{URL}/ssf/poll/{made['stream_id']}"},
        "min_verification_interval": 60,
        "description": "ours",
    }
    assert door.ask("GET", f"/ssf/streams?stream_id={made['stream_id']}").json() == made
    assert door.ask("GET", "/ssf/streams").json() == [made]
    gone = door.ask("DELETE", f"/ssf/streams?stream_id={made['stream_id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert door.ask("GET", f"/ssf/streams?stream_id={made['stream_id']}").status_code == 404
    assert door.ask("DELETE", "/ssf/streams").status_code == 400
    assert door.actions() == ["policy.update", "policy.update"]


def test_a_push_stream_keeps_its_secret_to_itself(door):
    delivery = {"method": PUSH, "endpoint_url": "https://receiver.example.org/e", "authorization_header": "Bearer s3cret"}
    made = door.stream(delivery=delivery)
    assert made["delivery"] == {"method": PUSH, "endpoint_url": "https://receiver.example.org/e"}
    assert "s3cret" not in door.ask("GET", "/ssf/streams").text
    assert door.signals.store.stream(made["stream_id"]).authorization == "Bearer s3cret"
    assert all("s3cret" not in str(event) for event in door.sink.events)


def test_patch_changes_what_it_names_and_put_forgets_what_it_does_not(door):
    delivery = {"method": PUSH, "endpoint_url": "https://receiver.example.org/e", "authorization_header": "Bearer s3cret"}
    made = door.stream(delivery=delivery, description="ours", events_requested=[SESSION_REVOKED])
    patched = door.ask("PATCH", "/ssf/streams", {"stream_id": made["stream_id"], "iss": URL, "events_requested": [ACCOUNT_ENABLED]})
    assert patched.json() == {**made, "events_requested": [ACCOUNT_ENABLED], "events_delivered": [ACCOUNT_ENABLED]}
    assert door.signals.store.stream(made["stream_id"]).authorization == "Bearer s3cret"
    replaced = door.ask("PUT", "/ssf/streams", {"stream_id": made["stream_id"], "events_requested": [ACCOUNT_ENABLED]}).json()
    assert "description" not in replaced
    assert replaced["delivery"]["method"] == POLL
    assert door.signals.store.stream(made["stream_id"]).authorization == ""


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_what_is_ours_can_be_repeated_and_not_changed(door, method):
    made = door.stream()
    assert door.ask(method, "/ssf/streams", {**made, "description": "mine"}).status_code == 200
    for bent in ({"iss": "https://evil.example.org"}, {"aud": "other"}, {"events_delivered": []}, {"admin": True}):
        assert door.ask(method, "/ssf/streams", {"stream_id": made["stream_id"], **bent}).status_code == 400, bent
    assert door.ask(method, "/ssf/streams", {}).status_code == 400
    assert door.ask(method, "/ssf/streams", {"stream_id": "nobody"}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"a":1,"a":2}',
        b'{"description":' + b"[" * 5000 + b"]" * 5000 + b"}",
        {"events_requested": "all"},
        {"events_requested": ["urn:e"] * 51},
        {"description": "x" * 1025},
        {"delivery": {"method": "urn:ietf:rfc:1149"}},
        {"delivery": {"method": PUSH}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://u:p@receiver.example.org"}},
        {"delivery": {"method": PUSH, "endpoint_url": "file:///etc/passwd"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://r.example.org", "authorization_header": "a\r\nx: y"}},
        {"stream_id": "mine"},
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_stream_that_makes_no_sense_is_400(door, body):
    assert door.ask("POST", "/ssf/streams", body).status_code == 400
    assert door.ask("GET", "/ssf/streams").json() == []


def test_a_body_that_is_too_large_is_413(door):
    assert door.ask("POST", "/ssf/streams", b" " * 65_537).status_code == 413


def test_plain_http_is_for_receivers_on_private_addresses(door):
    delivery = {"method": PUSH, "endpoint_url": "http://10.0.0.1/e"}
    assert door.ask("POST", "/ssf/streams", {"delivery": delivery}, who="other").status_code == 400
    assert door.ask("POST", "/ssf/streams", {"delivery": delivery}, who="okta").status_code == 201


def test_streams_are_bounded(tmp_path):
    door = transmitting(tmp_path, max_streams=2)
    door.stream(), door.stream()
    assert door.ask("POST", "/ssf/streams", {}).status_code == 409
    door.stream(who="other")


# Status


def test_status_is_read_and_written(door):
    stream = door.stream()["stream_id"]
    assert door.ask("GET", f"/ssf/status?stream_id={stream}").json() == {"stream_id": stream, "status": "enabled"}
    paused = {"stream_id": stream, "status": "paused", "reason": "maintenance"}
    assert door.ask("POST", "/ssf/status", paused).json() == paused
    assert door.ask("GET", f"/ssf/status?stream_id={stream}").json() == paused
    for bad in ({"status": "off"}, {"status": "paused", "reason": 1}, {"status": "paused", "subject": MALLORY}, {}):
        assert door.ask("POST", "/ssf/status", {"stream_id": stream, **bad}).status_code == 400
    assert door.ask("GET", "/ssf/status").status_code == 400


def test_paused_holds_back_and_disabled_lets_go(door):
    stream = door.stream()["stream_id"]
    door.ask("POST", "/ssf/status", {"stream_id": stream, "status": "paused"})
    door.decide(decision("cmd-1"))
    assert door.poll(stream)["sets"] == {}
    door.ask("POST", "/ssf/status", {"stream_id": stream, "status": "enabled"})
    assert events_of(door, door.poll(stream)) == [SESSION_REVOKED, ACCOUNT_DISABLED]
    door.ask("POST", "/ssf/status", {"stream_id": stream, "status": "disabled"})
    door.decide(decision("cmd-2"))
    door.ask("POST", "/ssf/status", {"stream_id": stream, "status": "enabled"})
    assert door.poll(stream)["sets"] == {}


# Subjects


def test_a_removed_subject_is_not_told_of_where_all_are(door):
    stream = door.stream(events_requested=[SESSION_REVOKED])["stream_id"]
    gone = door.ask("POST", "/ssf/subjects:remove", {"stream_id": stream, "subject": MALLORY})
    assert (gone.status_code, gone.content) == (204, b"")
    door.decide(decision("cmd-1"))
    door.decide(decision("cmd-2", "principal:alice@example.org"))
    (claims,) = [door.said(token) for token in door.poll(stream)["sets"].values()]
    assert claims["sub_id"] == ALICE
    back = door.ask("POST", "/ssf/subjects:add", {"stream_id": stream, "subject": MALLORY, "verified": True})
    assert (back.status_code, back.content) == (200, b"")
    door.decide(decision("cmd-3"))
    assert len(door.poll(stream)["sets"]) == 2


def test_only_added_subjects_are_told_of_where_none_are(tmp_path):
    door = transmitting(tmp_path, default_subjects="NONE", max_subjects=1)
    stream = door.stream(events_requested=[SESSION_REVOKED])["stream_id"]
    door.decide(decision("cmd-1"))
    assert door.poll(stream)["sets"] == {}
    # Members in another order are the same subject.
    door.ask("POST", "/ssf/subjects:add", {"stream_id": stream, "subject": dict(reversed(MALLORY.items()))})
    door.decide(decision("cmd-2"))
    assert len(door.poll(stream)["sets"]) == 1
    full = door.ask("POST", "/ssf/subjects:add", {"stream_id": stream, "subject": ALICE})
    assert (full.status_code, full.headers["retry-after"]) == (429, "3600")


@pytest.mark.parametrize(
    "subject",
    [
        None,
        "mallory",
        {},
        {"format": "email"},
        {"format": "email", "email": ""},
        {"format": "aliases", "identifiers": []},
        {**MALLORY, "x": 1},
    ],
)
def test_a_subject_that_is_none_is_400(door, subject):
    stream = door.stream()["stream_id"]
    for path in ("/ssf/subjects:add", "/ssf/subjects:remove"):
        assert door.ask("POST", path, {"stream_id": stream, "subject": subject}).status_code == 400


# Verification


def test_a_verification_comes_with_its_state_and_not_too_often(door):
    stream = door.stream()["stream_id"]
    done = door.ask("POST", "/ssf/verify", {"stream_id": stream, "state": "VGhpcw=="})
    assert (done.status_code, done.content) == (204, b"")
    soon = door.ask("POST", "/ssf/verify", {"stream_id": stream})
    assert (soon.status_code, int(soon.headers["retry-after"]) <= 61) == (429, True)
    (claims,) = [door.said(token) for token in door.poll(stream)["sets"].values()]
    assert claims["events"] == {VERIFICATION: {"state": "VGhpcw=="}}
    assert claims["sub_id"] == {"format": "opaque", "id": stream}
    door.now += 60
    assert door.ask("POST", "/ssf/verify", {"stream_id": stream}).status_code == 204
    assert len(door.poll(stream)["sets"]) == 2


def test_a_state_must_be_a_text_and_the_stream_open(door):
    stream = door.stream()["stream_id"]
    for state in (1, "x" * 1025, {}):
        assert door.ask("POST", "/ssf/verify", {"stream_id": stream, "state": state}).status_code == 400
    door.ask("POST", "/ssf/status", {"stream_id": stream, "status": "disabled"})
    assert door.ask("POST", "/ssf/verify", {"stream_id": stream}).status_code == 400
