"""Section [signals]: every mistake is told at once, and what would lock without a guard is one."""

import pytest
from tests.support.signals import settings_in

from tallystick_schemas.errors import SettingsError
from tallystick_stream_jobs.shared_signals.settings import build_signals

GOOD = {"iss": "https://idp.example.org", "aud": "us", "jwks_uri": "https://idp.example.org/jwks"}


def build(folder, command_agents=("console", "cli"), **table):
    agent = settings_in(folder, command_agents=command_agents).agent
    given = {"agent": agent, "state_dir": str(folder), "keys_file": str(folder / "k"), "tokens_file": str(folder / "t")}
    return build_signals(table, {}, given)


def mistakes(folder, **table):
    with pytest.raises(SettingsError) as refused:
        build(folder, **table)
    return "\n".join(refused.value.mistakes)


def test_they_are_off_without_a_word(tmp_path):
    settings = build(tmp_path)
    assert (settings.enabled, settings.host, settings.issuer, settings.issuers, settings.receivers) == (
        False,
        "127.0.0.1",
        "http://127.0.0.1:47070",
        (),
        (),
    )


def test_tables_become_receivers_and_issuers(tmp_path):
    settings = build(tmp_path, receivers={"okta": {"profile": "okta", "aud": "a"}, "b": {}}, issuers={"idp": GOOD})
    assert [(one.name, one.profile, one.audience) for one in settings.receivers] == [("okta", "okta", "a"), ("b", "ssf", "b")]
    (issuer,) = settings.issuers
    assert (issuer.name, issuer.algorithms, issuer.strict, issuer.lock) == ("idp", ("RS256",), True, False)


def test_every_mistake_is_told_at_once(tmp_path):
    text = mistakes(
        tmp_path,
        colour="red",
        port="x",
        receivers={"okta": {"profile": "azure"}},
        issuers={"idp": {"iss": "x"}},
    )
    for said in ("'colour'", "[signals] port", "[signals.receivers.okta] profile", "[signals.issuers.idp] aud is missing"):
        assert said in text


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"issuers": {"idp": {**GOOD, "algorithms": ["HS256"]}}}, "algorithms must be"),
        ({"issuers": {"idp": {**GOOD, "algorithms": ["none"]}}}, "algorithms must be"),
        ({"issuers": {"idp": {**GOOD, "algorithms": []}}}, "algorithms must be"),
        ({"issuers": {"idp": {**GOOD, "jwks_file": "f"}}}, "either jwks_uri or jwks_file"),
        ({"issuers": {"idp": {"iss": "x", "aud": "y"}}}, "either jwks_uri or jwks_file"),
        ({"issuers": {"idp": {**GOOD, "lock": True}}}, "lock needs lock_domains"),
        ({"issuers": {"idp": {**GOOD, "lock": True, "lock_domains": ["*"]}}}, 'lock needs "signals" among'),
        ({"issuers": {"idp": {**GOOD, "lock_minutes": 0}}}, "every automatic lock has an end"),
        ({"issuers": "idp"}, "must be tables"),
        ({"key_lead_s": 60}, "key_lead_s must not be shorter"),
        ({"public_url": "signals.example.org"}, "and must be an http"),
        ({"public_url": "https://signals.example.org/"}, "without a slash"),
    ],
    ids=str,
)
def test_what_would_be_unsafe_is_refused(tmp_path, table, says):
    assert says in mistakes(tmp_path, **table)


def test_an_issuer_that_may_lock(tmp_path):
    table = {"idp": {**GOOD, "lock": True, "lock_domains": ["example.org"]}}
    assert build(tmp_path, ("console", "signals"), issuers=table).issuers[0].lock
