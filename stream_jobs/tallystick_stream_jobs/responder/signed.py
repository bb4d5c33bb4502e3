"""Signed events of the ledger that a responder looks for: found, proven, and of the right role. What does not hold is logged."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tallystick_schemas.candidates import Question, find
from tallystick_schemas.evidence import Ask
from tallystick_schemas.roles import Keyring, Role
from tallystick_schemas.stored import Stored, read_signed

log: Final = logging.getLogger(__name__)


def look_for(
    ask: Ask, question: Question, role: tuple[Keyring, Role], seen: tuple[Mapping[int, int], Mapping[int, int]], parameters: dict[str, Any]
) -> Iterator[Stored]:
    """Events that agents with a role signed; `seen` are tips and marks."""
    keyring, wanted = role
    found = find(ask, question, *seen, parameters)
    if found.by_columns:
        log.info("%d older entries were searched by columns alone; `tallystick audit verify` says whether those hold", found.by_columns)
    read = read_signed(ask, keyring, found.places)
    for place, reason in (read.broken | read.away).items():
        log.error("the event at %d:%d:%d does not count: %s", *place, reason)
    return (one for one in read.held if wanted in one.holder.roles and question.asks_for(one.event))
