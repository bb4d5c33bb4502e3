"""What is told of values that change nothing: a key's words from before its revocation are no news, forged ones and later ones are."""

import logging

import pytest
from tests.support.logs import ours
from tests.support.signing import DEPLOYMENT, Speaker, directive, keyring

from tallystick_producers.refused import Refused, is_past
from tallystick_schemas.envelope import Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.topics import ENFORCEMENT

REVOKED_AT = 1_795_406_400.0


def refusal(raw: bytes) -> ParseError:
    ring = keyring()
    ring.take(directive("gateway", n=2, revoked=True))
    with pytest.raises(ParseError) as refused:
        Opener(DEPLOYMENT, ring).open(ENFORCEMENT, b"gateway", raw)
    return refused.value


SAID = Speaker("gateway").says(ENFORCEMENT, b"gateway", b"{}")


def test_what_a_key_said_before_it_was_revoked_is_told_once_and_not_as_an_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    refused = Refused(ENFORCEMENT)
    for _ in range(3):
        refused.note(b"gateway", refusal(SAID), REVOKED_AT - 1)
    assert [(one.levelname, "which an operator revoked" in one.getMessage()) for one in ours(caplog)] == [("INFO", True)]
    assert refused.count == 0


@pytest.mark.parametrize(
    ("raw", "at_s"),
    [
        pytest.param(SAID, REVOKED_AT, id="said when it was revoked"),
        pytest.param(SAID, REVOKED_AT + 60, id="said after it was revoked, or put there again"),
        pytest.param(SAID, None, id="nobody knows when"),
        pytest.param(SAID[:-70] + bytes(70), REVOKED_AT - 1, id="forged"),
        pytest.param(b"garbage", REVOKED_AT - 1, id="garbage"),
    ],
)
def test_all_else_is_an_error(raw: bytes, at_s: float | None, caplog: pytest.LogCaptureFixture) -> None:
    refused = Refused(ENFORCEMENT)
    refused.note(b"gateway", refusal(raw), at_s)
    assert [one.levelname for one in ours(caplog)] == ["ERROR"]
    assert refused.count == 1
    assert not is_past(refusal(raw), REVOKED_AT if at_s is None else at_s)
