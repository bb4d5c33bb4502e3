"""The connector that pushes to a receiver set up by hand, against a real HTTP server."""

import json
import logging
import traceback

import msgspec
import pytest
from joserfc import jws
from tests.support.receiver import NOW, Reply, decision, delivery, json_reply, receiver

from tallystick_schemas.errors import SettingsError
from tallystick_stream_jobs.connectors.errors import AddressRefused, ConnectorError, Refused, Retry
from tallystick_stream_jobs.connectors.registry import load
from tallystick_stream_jobs.shared_signals.errors import TokenRefused
from tallystick_stream_jobs.shared_signals.keyring import Keyring, new_key
from tallystick_stream_jobs.shared_signals.vocabulary import ACCOUNT_DISABLED, ACCOUNT_ENABLED, SESSION_REVOKED

KEY, NEXT = new_key(NOW - 10), new_key(NOW)
TAKEN = Reply(202, b"")
SECRET = "SSWS s3cret-of-the-receiver"
FILES = {"okta.header": SECRET.encode(), "signals.json": msgspec.json.encode(Keyring((KEY,)))}


def connector(url, files=FILES, **more):
    table = {"kind": "ssf-push", "url": f"{url}/path-s3cret", "iss": "https://signals.example.org", "aud": "https://okta.example.org"}
    given = {"profile": "okta", "authorization_file": "okta.header", "allow_private": True, **more}
    return load({"okta": {**table, **given}}, lambda name: files[name], "test")["okta"]


def said(request, key=KEY):
    return json.loads(jws.deserialize_compact(request.body, key.private(), algorithms=["RS256"]).payload)


def test_each_event_of_a_lock_is_told_in_order():
    with receiver(lambda _: TAKEN) as there:
        assert connector(there.url).deliver(delivery(), NOW) == "told: session-revoked, account-disabled"
        first, second = there.requests
    assert [next(iter(said(one)["events"])) for one in (first, second)] == [SESSION_REVOKED, ACCOUNT_DISABLED]
    assert (first.headers["content-type"], first.headers["authorization"]) == ("application/secevent+jwt", SECRET)
    assert said(first)["events"][SESSION_REVOKED]["subject"] == {
        "user": {"format": "iss_sub", "iss": "https://signals.example.org", "sub": "ann"}
    }


def test_a_repeat_has_the_same_jti():
    with receiver(lambda _: TAKEN) as there:
        for attempt in (1, 2):
            connector(there.url).deliver(delivery(attempts=attempt), NOW + attempt)
        jtis = [said(request)["jti"] for request in there.requests]
    assert jtis[:2] == jtis[2:]
    assert len(set(jtis)) == 2


def test_an_unlock_is_told_and_only_what_is_wanted():
    with receiver(lambda _: TAKEN) as there:
        connector(there.url).deliver(delivery(decision("unlocked")), NOW)
        assert list(said(there.requests[0])["events"]) == [ACCOUNT_ENABLED]
        one = connector(there.url, events=[SESSION_REVOKED])
        assert one.deliver(delivery(decision("unlocked")), NOW) == "nothing that this receiver is told of"
        assert len(there.requests) == 1


def test_what_a_signal_caused_is_not_told_on():
    one = msgspec.structs.replace(decision(), id="set-0123")
    with receiver(lambda _: TAKEN) as there:
        assert connector(there.url).deliver(delivery(one), NOW) == "nothing that this receiver is told of"
        assert there.requests == []


def test_a_rotation_is_followed():
    files = dict(FILES)
    with receiver(lambda _: TAKEN) as there:
        one = connector(there.url, files, events=[SESSION_REVOKED])
        one.deliver(delivery(), NOW)
        files["signals.json"] = msgspec.json.encode(Keyring((KEY,)).rotated(NEXT, NOW, 100, 100))
        one.deliver(delivery(), NOW + 99)
        one.deliver(delivery(), NOW + 100)
        assert said(there.requests[1], KEY)["jti"] == said(there.requests[2], NEXT)["jti"]


@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        (json_reply({"err": "invalid_audience", "description": "who?"}, 400), TokenRefused, r"invalid_audience \(who\?\)"),
        (json_reply({"err": "invalid_key"}, 400), Retry, "invalid_key"),
        (json_reply({"err": "authentication_failed"}, 400), Retry, "authentication_failed"),
        (Reply(400, b"\x1b[31mno"), TokenRefused, "without an error code"),
        (Reply(400, b'{"err":"\\u001b[31mred"}'), TokenRefused, r"refused the token:  \[31mred"),
        (Reply(401), Refused, "answered 401"),
        (Reply(500), Retry, "answered 500"),
        (Reply(429, headers={"retry-after": "7"}), Retry, "answered 429"),
        (Reply(302, headers={"location": "http://127.0.0.1:1/"}), Refused, "redirects"),
        (Reply(hang=True), Retry, "in time"),
    ],
    ids=str,
)
def test_what_the_receiver_says_is_told_and_no_secret_is(reply, error, says, caplog):
    caplog.set_level(logging.DEBUG)
    with receiver(lambda _: reply) as there, pytest.raises(error, match=says) as refused:
        connector(there.url, timeout_s=0.4).deliver(delivery(), NOW)
    text = "".join(traceback.format_exception(refused.value)) + "".join(
        record.getMessage() for record in caplog.records if record.name.startswith(("tallystick", "httpx", "httpcore"))
    )
    assert "s3cret" not in text
    assert "\x1b" not in str(refused.value)
    assert isinstance(refused.value, ConnectorError)


def test_private_addresses_get_nothing_unless_allowed():
    with receiver(lambda _: TAKEN) as there:
        with pytest.raises(AddressRefused):
            connector(there.url.replace("http", "https"), allow_private=False).deliver(delivery(), NOW)
        assert there.requests == []


def test_a_keyring_that_is_none_is_said_at_the_start():
    with pytest.raises(SettingsError, match=r"keys/signals\.json is not a keyring"):
        connector("http://x", {**FILES, "signals.json": b"{"})
    with pytest.raises(SettingsError, match=r"keys/signals\.json holds no key"):
        connector("http://x", {**FILES, "signals.json": b'{"keys":[]}'})
    with pytest.raises(SettingsError, match="events has urn:x"):
        connector("http://x", events=["urn:x"])
