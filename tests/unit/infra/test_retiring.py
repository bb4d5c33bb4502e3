"""What may be retired by whom, and what is said again of what a retired key said."""

from dataclasses import replace

import pytest
from tests.support.history import private_key
from tests.support.rotating import KEY, PUBLIC, said
from tests.unit.control_plane.test_retiring import AGENT, LOG, RETIRED, ring, role

from tallystick_infra.errors import BadOrder
from tallystick_infra.operator import Operator
from tallystick_infra.retiring import check_retirable, pinned_keys, said_again
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Keyring

FIRST, SECOND = Operator(private_key("operator")), Operator(private_key("operator-2"))


def test_which_keys_are_pinned_and_which_are_over() -> None:
    found = pinned_keys(LOG, ring(RETIRED))
    assert [(one.whose, one.key, one.retired) for one in found] == [
        ("operator", KEY["operator"], True),
        ("operator", KEY["operator-2"], False),
        ("sealer", KEY["sealer"], False),
        ("sealer", KEY["sealer-2"], False),
    ]


@pytest.mark.parametrize(("operator", "key"), [(FIRST, "sealer"), (SECOND, "sealer-2"), (SECOND, "operator")])
def test_what_may_be_retired(operator: Operator, key: str) -> None:
    check_retirable(LOG, operator, ring(), KEY[key])


SEALED_OUT = said("operator-2", "retire", KEY["sealer-2"])
REFUSED: dict[str, tuple[Operator, Keyring, str, str]] = {
    "a stranger": (SECOND, ring(), "0" * 16, "not pinned here"),
    "twice": (SECOND, ring(RETIRED), KEY["operator"], "retired already"),
    "itself": (SECOND, ring(), KEY["operator-2"], "keys next operator"),
    "the next operator": (FIRST, ring(), KEY["operator-2"], "pinned after"),
    "by a retired operator": (FIRST, ring(RETIRED), KEY["sealer"], "was retired; pin it"),
    "by one who is not pinned": (Operator(private_key("mallory")), ring(), KEY["sealer"], "not pinned or"),
    "the last sealer": (SECOND, ring(SEALED_OUT), KEY["sealer"], "keys next sealer"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_not(name: str) -> None:
    operator, known, key, why = REFUSED[name]
    with pytest.raises(BadOrder, match=why):
        check_retirable(LOG, operator, known, key)


def test_the_only_sealer_is_not_retired() -> None:
    with pytest.raises(BadOrder, match="no other sealer"):
        check_retirable(replace(LOG, sealer_keys=(PUBLIC["sealer"],)), SECOND, ring(), KEY["sealer"])


def test_what_stood_is_said_again_by_who_goes_on() -> None:
    [again] = said_again(SECOND, ring(role("operator", 4)), KEY["operator"], (), 0.0)
    assert (again.agent, again.key, again.n, again.signer) == ("gw", key_id(AGENT.public_key().public_bytes_raw()), 5, KEY["operator-2"])
    after = ring(role("operator", 4), RETIRED, again.raw)
    assert [one.raw for one in after] == [again.raw]


@pytest.mark.parametrize("known", [ring(role("operator-2", 4)), ring(role("operator", 1), role("operator-2", 4))], ids=["alone", "later"])
def test_what_another_said_is_not(known: Keyring) -> None:
    assert said_again(SECOND, known, KEY["operator"], (), 0.0) == []


def test_what_a_thief_said_is_left_out_and_a_number_at_the_limit_hinders_nobody() -> None:
    known = ring(role("operator", 2**63 - 1))
    assert said_again(SECOND, known, KEY["operator"], ("gw",), 0.0) == []
    [again] = said_again(SECOND, known, KEY["operator"], (), 0.0)
    assert again.n == 2**63 - 1
