"""What decisions are called elsewhere, and the tokens that say it."""

import json
from dataclasses import replace

import msgspec
import pytest
from joserfc import jws
from tests.support.signals import NOW, decision

from tallystick_stream_jobs.shared_signals.events import happenings
from tallystick_stream_jobs.shared_signals.keyring import new_key
from tallystick_stream_jobs.shared_signals.sets import claims_of, sign, verification
from tallystick_stream_jobs.shared_signals.vocabulary import ACCOUNT_DISABLED, ACCOUNT_ENABLED, CREDENTIAL_CHANGE, SESSION_REVOKED

ISS = "https://signals.example.org"
KEY = new_key(NOW)
MALLORY = {"format": "email", "email": "mallory@example.org"}


def told(one):
    return [happening.event for happening in happenings(one, ISS)]


def test_the_ladder_in_their_words():
    assert told(decision(level="step-up")) == [SESSION_REVOKED]
    assert told(decision(level="suspend")) == [SESSION_REVOKED, ACCOUNT_DISABLED]
    assert told(decision(level="revoke")) == [SESSION_REVOKED, ACCOUNT_DISABLED]
    assert told(decision(state="unlocked")) == [ACCOUNT_ENABLED]
    assert told(decision(subject="credential:cred-1")) == [CREDENTIAL_CHANGE]


def test_nothing_is_told_where_nothing_was_locked():
    assert told(msgspec.structs.replace(decision(), lock=None)) == []


@pytest.mark.parametrize("command", ["set-0123", "expire-set-0123"])
def test_what_a_signal_caused_is_not_told_on(command):
    """Two deployments that hear each other would lock each other for ever."""
    assert told(decision(command)) == []


def test_a_credential_is_told_about_its_owner():
    (one,) = happenings(decision(subject="credential:cred-1", principal="mallory@example.org"), ISS)
    assert one.subject == MALLORY
    assert (one.payload["change_type"], one.payload["friendly_name"]) == ("revoke", "cred-1")
    (one,) = happenings(decision(subject="credential:cred-1"), ISS)
    assert one.subject == {"format": "opaque", "id": "cred-1"}


def test_names_that_are_no_addresses_stand_under_our_issuer():
    assert happenings(decision(subject="principal:ci/nightly"), ISS)[0].subject == {"format": "iss_sub", "iss": ISS, "sub": "ci/nightly"}


def test_there_is_always_a_reason():
    assert happenings(decision(reason=""), ISS)[0].payload["reason_admin"] == {"en": "no reason was given"}


@pytest.mark.parametrize("profile", ["ssf", "okta", "google"])
def test_a_token(profile):
    claims = claims_of(happenings(decision(), ISS)[0], iss=ISS, aud="receiver", stream="s1", profile=profile)
    checked = jws.deserialize_compact(sign(claims, KEY), KEY.private(), algorithms=["RS256"])
    assert checked.headers() == {"alg": "RS256", "typ": "secevent+jwt", "kid": KEY.kid}
    said = json.loads(checked.payload)
    assert set(said) == {"iss", "jti", "iat", "aud", "txn", "sub_id", "events"}
    assert (said["iss"], said["aud"], said["txn"], said["sub_id"], said["iat"]) == (ISS, "receiver", "cmd-1", MALLORY, int(NOW))
    ((event, payload),) = said["events"].items()
    assert event == SESSION_REVOKED
    assert payload.pop("subject", None) == {"ssf": None, "okta": {"user": MALLORY}, "google": MALLORY}[profile]
    assert payload == {"event_timestamp": int(NOW), "initiating_entity": "policy", "reason_admin": {"en": "Bulk pull"}}


def test_the_same_decision_gives_the_same_bytes_and_another_stream_another_jti():
    first, second = happenings(decision(), ISS)
    made = [sign(claims_of(first, iss=ISS, aud="a", stream="s1", profile="ssf"), KEY) for _ in range(2)]
    assert made[0] == made[1]
    names = {
        claims_of(one, iss=ISS, aud="a", stream=stream, profile="ssf")["jti"]
        for one in (first, second, replace(first, txn="cmd-2"))
        for stream in ("s1", "s2")
    }
    assert len(names) == 6


def test_a_verification_is_about_the_stream():
    claims = verification(iss=ISS, aud="a", stream="s1", at=1, nonce="n", state="abc")
    assert claims["sub_id"] == {"format": "opaque", "id": "s1"}
    assert list(claims["events"].values()) == [{"state": "abc"}]
    assert list(verification(iss=ISS, aud="a", stream="s1", at=1, nonce="n", state=None)["events"].values()) == [{}]
