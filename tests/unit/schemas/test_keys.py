"""Public keys that verifiers could disagree about are refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_schemas.errors import ParseError
from tallystick_schemas.keys import check_public_key

# The eight points of low order and the non-canonical spellings: "Taming the many EdDSAs" (Chalkias et al., 2020), table 1.
LOW_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
]
NON_CANONICAL = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@pytest.mark.parametrize("key", LOW_ORDER + NON_CANONICAL)
def test_weak_keys_are_refused(key):
    with pytest.raises(ParseError):
        check_public_key(bytes.fromhex(key))


def test_real_keys_pass_and_other_lengths_do_not():
    for number in range(50):
        public = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")).public_key().public_bytes_raw()
        check_public_key(public)
        with pytest.raises(ParseError, match="32 bytes"):
            check_public_key(public[:31])


def test_a_point_off_the_curve_is_refused():
    with pytest.raises(ParseError, match="not a point"):
        check_public_key((2).to_bytes(32, "little"))
