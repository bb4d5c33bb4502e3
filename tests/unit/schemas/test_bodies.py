"""Bodies whose reading must not depend on the reader: places of an erasure, and long numbers."""

import pytest
from tests.support.history import HistoryBuilder, make_event, private_key, public_bytes

from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import parse_event
from tallystick_schemas.headers import Erase
from tallystick_schemas.keys import key_id
from tallystick_schemas.merkle import leaf_hashes, root_of
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_schemas.strict_json import check_json
from tallystick_schemas.verdicts import Verdict

GOOD = b'{"index":7,"pos":511}'
NOT_A_PLACE = {
    "second-key": b'{"index":7,"index":8,"pos":0}',
    "other-order": b'{"pos":0,"index":7}',
    "spaces": b'{"index": 7, "pos": 0}',
    "more-fields": b'{"index":7,"pos":0,"why":"x"}',
    "negative-index": b'{"index":-1,"pos":0}',
    "position-512": b'{"index":7,"pos":512}',
    "index-above-63-bits": b'{"index":9223372036854775808,"pos":0}',
    "not-json": b"7:0",
}


def verdict_of(items: list[bytes]) -> Verdict:
    operator, root = private_key("operator"), root_of(leaf_hashes(items)).hex()
    header = Erase(1, key_id(public_bytes(operator)), wire_time(0), 0, "alice", "asked", ["bob"], len(items), root)
    return HistoryBuilder(1).record(0, sign_record(header, operator, items)).entry.verdict


def test_places_in_their_one_form() -> None:
    assert verdict_of([GOOD, b'{"index":0,"pos":0}']) == Verdict.ACCEPTED


@pytest.mark.parametrize("flaw", sorted(NOT_A_PLACE))
def test_places_named_after_their_flaw(flaw: str) -> None:
    assert verdict_of([GOOD, NOT_A_PLACE[flaw]]) == Verdict.BODY_MISMATCH


@pytest.mark.parametrize("digits", [19, 20, 4301, 9000])
def test_no_limit_on_digits_that_an_interpreter_sets(digits: int) -> None:
    raw = make_event(1).replace(b'{"v":1', b'{"later":-%b,"v":1' % (b"1" * digits))
    assert parse_event(raw).v == 1


def test_a_version_of_many_digits_is_no_version_1() -> None:
    assert check_json(b'{"v":1%b}' % (b"0" * 5000))["v"] != 1


@pytest.mark.parametrize("number", [b"-1", b"9223372036854775808", b"1.0"])
def test_an_autonomous_system_has_a_number(number: bytes) -> None:
    raw = make_event(1).replace(b'"ip":', b'"asn":%b,"ip":' % number)
    with pytest.raises(ParseError):
        parse_event(raw)
