"""Two libraries check signatures, and give one answer: also about keys and signatures that verifiers disagree about."""

import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings
from nacl.exceptions import BadSignatureError
from tests.support.curve import BASE, LOW, NEUTRAL, L, encoded, sign_oddly, times

from tallystick_schemas import signatures
from tallystick_schemas.signatures import fits, openssl_accepts

_SECRET, _NONCE = 12345678901234567890, 98765432109876543210


@pytest.mark.parametrize(("secret", "nonce"), [(_SECRET, _NONCE), (0, _NONCE), (_SECRET, 0), (0, 0)])
def test_both_libraries_agree_about_every_point_of_low_order(secret: int, nonce: int) -> None:
    """Each key and each R off by each of the eight points: about what is signed eight times, as what fits depends on its hash."""
    accepted = 0
    for key_off, r_off, n in itertools.product(LOW, LOW, range(8)):
        signed = b"message %d" % n
        public, signature = sign_oddly(secret, nonce, signed, key_off, r_off)
        assert fits(public, signature, signed) == openssl_accepts(public, signature, signed)
        accepted += fits(public, signature, signed)
    # The ones without an offset fit, and those whose offsets cancel out by chance; most do not.
    assert 8 <= accepted < 256


def test_a_neutral_r_fits_as_openssl_says_though_libsodium_refuses_it() -> None:
    public, signature = sign_oddly(_SECRET, 0, b"said", NEUTRAL, NEUTRAL)
    with pytest.raises(BadSignatureError):
        bindings.crypto_sign_open(signature + b"said", public)
    assert fits(public, signature, b"said")
    assert not fits(public, signature, b"sail")


def test_what_asks_whether_libsodium_is_as_known_is_refused_for_the_reason_that_is_said() -> None:
    """The key is true, and each signature is one step from a true one."""
    public, true = sign_oddly(_SECRET, _NONCE, b"", NEUTRAL, NEUTRAL)
    off_by_a_point, spelt_again = (bytes.fromhex(odd) for odd in signatures._ODD)
    assert public == signatures._ODD_KEY
    assert fits(public, true, b"")
    assert any(sign_oddly(_SECRET, _NONCE, b"", NEUTRAL, low)[1] == off_by_a_point for low in LOW[1::2])
    assert int.from_bytes(spelt_again[32:], "little") == int.from_bytes(true[32:], "little") + L
    assert not fits(public, off_by_a_point, b"")
    assert not fits(public, spelt_again, b"")


def test_a_library_that_multiplies_by_the_cofactor_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "_sodium_accepts", lambda *_: True)
    assert signatures._knows_the_rules() is False
    monkeypatch.setattr(signatures, "_SODIUM", signatures._knows_the_rules())
    key = Ed25519PrivateKey.generate()
    assert fits(key.public_key().public_bytes_raw(), key.sign(b"said"), b"said")
    assert not fits(key.public_key().public_bytes_raw(), key.sign(b"other"), b"said")


def test_libsodium_is_asked_here() -> None:
    """Without this, a library that is as fast as before would pass unseen."""
    assert signatures._SODIUM


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_fits_nothing(length: int) -> None:
    key = Ed25519PrivateKey.generate()
    public = (key.public_key().public_bytes_raw() * 2)[:length]
    assert not fits(public, key.sign(b"said"), b"said")


@pytest.mark.parametrize("length", [0, 63, 65, 128])
def test_a_signature_of_another_length_does_not_fit(length: int) -> None:
    """Also one whose last bytes could be read as the first of what is signed."""
    key = Ed25519PrivateKey.generate()
    signature = (key.sign(b"said") + b"said" * 16)[:length]
    assert not fits(key.public_key().public_bytes_raw(), signature, b"said"[max(0, length - 64) :])


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.integers(0, 96 * 8 - 1))
def test_a_bit_that_is_turned_is_seen_and_both_agree(seed: bytes, signed: bytes, bit: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(signed)
    assert fits(public, signature, signed)
    both = bytearray(public + signature)
    both[bit // 8] ^= 1 << bit % 8
    turned = bytes(both[:32]), bytes(both[32:]), signed
    assert not fits(*turned)
    assert not openssl_accepts(*turned)


def test_the_points_of_low_order_are_all_known() -> None:
    assert {(int.from_bytes(encoded(point), "little") & (1 << 255) - 1).to_bytes(32, "little") for point in LOW} == signatures._LOW_ORDER
    assert all(times(8, point) == NEUTRAL for point in LOW)
    assert encoded(BASE) == (4 * pow(5, -1, 2**255 - 19) % (2**255 - 19)).to_bytes(32, "little")
