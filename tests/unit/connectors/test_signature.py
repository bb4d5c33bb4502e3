"""Webhook signatures, as a receiver checks them."""

import hmac
from base64 import b64encode
from hashlib import sha256

import pytest

from tallystick_stream_jobs.connectors.signature import SignatureInvalid, Verifier, sign

NOW = 1_795_406_400.0
SECRET, BODY = b"0123456789abcdef01234567", b'{"a":1}'


def test_the_signature_is_that_of_standard_webhooks():
    """Computed here from the specification's words: base64 of HMAC-SHA256 over `id.timestamp.body`, after `v1,`."""
    mac = hmac.new(SECRET, b"cmd-1/siem.1795406400." + BODY, sha256).digest()
    assert sign(SECRET, "cmd-1/siem", BODY, NOW)["webhook-signature"] == "v1," + b64encode(mac).decode()


def test_a_genuine_delivery_counts_once():
    verifier, headers = Verifier(SECRET), sign(SECRET, "cmd-1/siem", BODY, NOW)
    assert verifier.check(headers, BODY, NOW + 1)
    assert not verifier.check(headers, BODY, NOW + 2)
    assert not verifier.check(sign(SECRET, "cmd-1/siem", BODY, NOW + 400), BODY, NOW + 400)


def test_what_was_seen_is_not_kept_for_ever():
    verifier = Verifier(SECRET)
    for number in range(50):
        now = NOW + 100 * number
        assert verifier.check(sign(SECRET, f"d-{number}", BODY, now), BODY, now)
    assert len(verifier._seen) <= 8


@pytest.mark.parametrize("late", [-301, 301, 1e9])
def test_a_delivery_from_another_time_is_a_replay(late):
    with pytest.raises(SignatureInvalid, match="timestamp"):
        Verifier(SECRET).check(sign(SECRET, "d", BODY, NOW), BODY, NOW + late)


@pytest.mark.parametrize("what", ["body", "webhook-id", "webhook-timestamp", "webhook-signature", "key"])
def test_nothing_may_be_changed(what):
    headers, body, secret = sign(SECRET, "d", BODY, NOW), BODY, SECRET
    if what == "body":
        body += b" "
    elif what == "key":
        secret = b"another"
    else:
        headers[what] = {"webhook-id": "e", "webhook-timestamp": str(int(NOW) + 1), "webhook-signature": "v1,AAAA"}[what]
    with pytest.raises(SignatureInvalid, match="fits"):
        Verifier(secret).check(headers, body, NOW)


@pytest.mark.parametrize(
    "headers", [{}, {"webhook-id": "d"}, {"webhook-id": "d", "webhook-timestamp": "now"}, {"webhook-id": "a.1", "webhook-timestamp": "2"}]
)
def test_headers_that_are_missing_or_malformed(headers):
    with pytest.raises(SignatureInvalid, match="malformed"):
        Verifier(SECRET).check(headers, BODY, NOW)


def test_a_dot_in_an_id_cannot_shift_the_parts():
    headers = sign(SECRET, "a.1", BODY, NOW)
    assert headers["webhook-id"] == "a%2E1"
    assert Verifier(SECRET).check(headers, BODY, NOW)


def test_while_a_secret_is_changed_old_and_new_are_good():
    verifier = Verifier(b"new" * 8, SECRET)
    assert verifier.check(sign(SECRET, "d", BODY, NOW), BODY, NOW)
    assert verifier.check(sign(b"new" * 8, "e", BODY, NOW), BODY, NOW)
