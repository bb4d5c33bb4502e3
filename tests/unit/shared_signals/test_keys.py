"""Keys rotate without a gap, and lie where nobody else reads them."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.errors import SecurityWarning
from joserfc.jwk import RSAKey
from tests.support.signals import AUD, ISS, NOW, Liar, issuer_in

from tallystick_stream_jobs.shared_signals.errors import KeyringBroken, KeysUnavailable, RotationRefused, SetRefused
from tallystick_stream_jobs.shared_signals.jwks import KeyCache, parse_jwks
from tallystick_stream_jobs.shared_signals.keyfile import KeyFile, change_keyring, ensure_keyring, read_keyring
from tallystick_stream_jobs.shared_signals.keyring import Keyring, new_key
from tallystick_stream_jobs.shared_signals.sets import sign
from tallystick_stream_jobs.shared_signals.settings import IssuerSettings
from tallystick_stream_jobs.shared_signals.verify import check_set

LEAD, GRACE, CACHED = 7200.0, 86_400.0, 3600.0
OLD, NEW = new_key(NOW), new_key(NOW)


def kids(ring, now):
    return {key.kid for key in ring.shown(now)}


def test_the_next_key_is_shown_before_it_signs_and_the_old_one_after():
    ring = Keyring((OLD,)).rotated(NEW, NOW, LEAD, GRACE)
    assert (ring.signer(NOW).kid, kids(ring, NOW)) == (OLD.kid, {OLD.kid, NEW.kid})
    assert ring.signer(NOW + LEAD - 1).kid == OLD.kid
    assert (ring.signer(NOW + LEAD).kid, kids(ring, NOW + LEAD)) == (NEW.kid, {OLD.kid, NEW.kid})
    assert kids(ring, NOW + LEAD + GRACE - 1) == {OLD.kid, NEW.kid}
    assert kids(ring, NOW + LEAD + GRACE) == {NEW.kid}


def test_a_second_rotation_waits_for_the_first():
    ring = Keyring((OLD,)).rotated(NEW, NOW, LEAD, GRACE)
    with pytest.raises(RotationRefused, match=NEW.kid):
        ring.rotated(new_key(NOW), NOW + 1, LEAD, GRACE)
    third = new_key(NOW)
    after = ring.rotated(third, NOW + LEAD, LEAD, GRACE)
    assert kids(after, NOW + LEAD) == {OLD.kid, NEW.kid, third.kid}
    assert after.signer(NOW + LEAD).kid == NEW.kid


def test_a_key_in_wrong_hands_is_gone_at_once():
    ring = Keyring((OLD,)).compromised(NEW, NOW)
    assert (ring.signer(NOW).kid, kids(ring, NOW)) == (NEW.kid, {NEW.kid})


def test_a_clock_that_goes_back_still_signs():
    assert Keyring((OLD,)).signer(NOW - 1e6).kid == OLD.kid


def test_a_receiver_that_caches_takes_every_token_around_a_rotation():
    """For each moment at which it could have filled its cache: what is signed while that cache is fresh verifies without a fetch in between."""
    ring = Keyring((OLD,)).rotated(NEW, NOW, LEAD, GRACE)
    issuer = IssuerSettings("ours", ISS, AUD, jwks_uri="https://idp.example.org/jwks")
    for filled in (NOW, NOW + LEAD / 2, NOW + LEAD - 1, NOW + LEAD, NOW + LEAD + GRACE - 1):
        fetched = []

        def fetch(filled=filled, fetched=fetched):
            fetched.append(filled)
            return b'{"keys":' + str([key.public() for key in ring.shown(filled)]).replace("'", '"').encode() + b"}"

        cache = KeyCache(issuer, fetch)
        for later in (0.0, CACHED / 2, CACHED - 1):
            token = sign(Liar.claims(filled + later), ring.signer(filled + later)).encode()
            check_set(token, issuer, lambda kid, at=filled + later, cache=cache: cache.key(kid, at), filled + later, 86_400)
        assert len(fetched) == 1


def test_the_file_is_made_once_and_private(tmp_path):
    path = tmp_path / "keys" / "signals.json"
    ring = ensure_keyring(path, NOW)
    assert (path.stat().st_mode & 0o777, ensure_keyring(path, NOW + 1)) == (0o600, ring)
    assert ring.keys[0].private().private_key.key_size == 2048
    assert "d" not in ring.keys[0].public()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda p: p.chmod(0o604), "open to other users"),
        (lambda p: p.write_text("x"), "not a keyring"),
        (lambda p: p.unlink(), "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_trusted_signs_nothing(tmp_path, spoil, says):
    path = tmp_path / "signals.json"
    keys = KeyFile(path, NOW)
    spoil(path)
    with pytest.raises(KeyringBroken, match=says):
        keys.ring()


def test_a_running_process_sees_a_rotation(tmp_path):
    path = tmp_path / "signals.json"
    keys = KeyFile(path, NOW)
    change_keyring(path, lambda ring: ring.rotated(NEW, NOW, LEAD, GRACE))
    assert keys.ring() == read_keyring(path)
    assert NEW.kid in kids(keys.ring(), NOW)


def test_an_unknown_key_is_looked_for_but_seldom(tmp_path):
    liar, fetched = Liar.new(), []
    issuer = issuer_in(tmp_path, liar.key)

    def fetch():
        fetched.append(1)
        return (tmp_path / "idp.jwks").read_bytes()

    cache = KeyCache(issuer, fetch)
    assert cache.key(liar.key.kid, NOW) is not None
    with pytest.raises(KeysUnavailable, match="a moment ago"):
        cache.key("made-up", NOW + 30)
    with pytest.raises(SetRefused, match="invalid_key"):
        cache.key("made-up", NOW + 60)
    for second in range(59):
        with pytest.raises(KeysUnavailable):
            cache.key("made-up", NOW + 61 + second)
    assert len(fetched) == 2
    rotated = new_key(NOW)
    issuer_in(tmp_path, rotated)
    assert cache.key(rotated.kid, NOW + 121) is not None


def test_keys_outlive_an_issuer_that_is_away_for_a_while(tmp_path):
    liar = Liar.new()
    issuer = issuer_in(tmp_path, liar.key)
    answers = [(tmp_path / "idp.jwks").read_bytes()]

    def fetch():
        return answers.pop()

    cache = KeyCache(issuer, fetch)
    cache.key(liar.key.kid, NOW)
    assert cache.key(liar.key.kid, NOW + 7200) is not None
    with pytest.raises(KeysUnavailable):
        cache.key(liar.key.kid, NOW + 25 * 3600)


def test_key_sets_are_read_with_limits():
    from tallystick_schemas.errors import ParseError

    with pytest.raises(ParseError, match="at most"):
        parse_jwks(b" " * 65_537)
    with pytest.raises(ParseError, match="at most 20"):
        parse_jwks(b'{"keys":[' + b",".join([b"{}"] * 21) + b"]}")
    with pytest.raises(ParseError):
        parse_jwks(b"[" * 10_000)
    with pytest.warns(SecurityWarning):
        weak = RSAKey.import_key(rsa.generate_private_key(65537, 1024)).as_dict(private=False)
    with pytest.warns(SecurityWarning):
        found = parse_jwks(json.dumps({"keys": [{**weak, "kid": "weak"}, {**OLD.public(), "use": "enc"}]}).encode())
    assert found == {}
    assert parse_jwks(b'{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"a"},{"kty":"RSA","kid":"b"},1]}') == {}
