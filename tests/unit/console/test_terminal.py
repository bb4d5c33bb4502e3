"""What the terminal says where the console's pages say the same."""

import pytest

from tallystick_infra.cli.respond_show import lock_end
from tallystick_schemas.messages import Lock


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "no end"),
        ({"level": "revoke"}, "for good"),
        ({"until": "2026-11-23T21:11:54.123456Z"}, "2026-11-23T21:11:54"),
        ({"state": "unlocked"}, ""),
    ],
)
def test_a_lock_without_an_end_says_so(facts: dict[str, str], said: str) -> None:
    lock = Lock(**({"subject": "principal:ana", "state": "locked", "command": "c", "reason": "r", "by": "bo", "at": "a"} | facts))  # type: ignore[arg-type]
    assert lock_end(lock) == said
