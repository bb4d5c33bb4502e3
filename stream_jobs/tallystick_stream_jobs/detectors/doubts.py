"""Events that their agent may not vouch for, kept apart: beside a principal's states stand those in which such events count as well.

From the first such event on a principal has two: what only vouched events came to, and what all of them came to. A finding of the first acts as the
policy says; one that only the second makes names the agents, and leads to recommendations. So nobody is locked on the word of somebody who may not give
it, and nobody can take a finding back by adding words of his own. Peers' figures are read there and never moved.
"""

from typing import Any, Final

import msgspec

from tallystick_schemas.messages import Finding

from .kept import pack, unpack
from .peers import Peers, Shelf

DOUBTED: Final = "doubted"
"""Among a principal's states: those in which all events count."""
AGENTS: Final = "unvouched"
"""In those: agent -> day of its newest event that it may not vouch for."""
_FORGET_DAYS: Final = 30
_MOST_AGENTS: Final = 16


def doubted_of(states: dict[str, Any], day: int) -> dict[str, Any] | None:
    """The states in which all events count, if a principal has them; a month after the last such event it has them no more."""
    doubted: dict[str, Any] | None = states.get(DOUBTED)
    if doubted is None:
        return None
    agents: dict[str, int] = doubted[AGENTS]
    for gone in [agent for agent, newest in agents.items() if newest < day - _FORGET_DAYS]:
        del agents[gone]
    if not agents:
        del states[DOUBTED]
        return None
    return doubted


def noted(states: dict[str, Any], agent: str, day: int) -> dict[str, Any]:
    """The states in which all events count, after one more of an agent that may not vouch for it. They begin as what vouched events came to."""
    doubted: dict[str, Any] | None = states.get(DOUBTED)
    if doubted is None:
        doubted = unpack(pack(states))
        doubted[AGENTS] = {}
        states[DOUBTED] = doubted
    agents: dict[str, int] = doubted[AGENTS]
    agents.pop(agent, None)
    agents[agent] = day
    if len(agents) > _MOST_AGENTS:
        del agents[next(iter(agents))]
    return doubted


def agents_of(doubted: dict[str, Any]) -> list[str]:
    """Whose words findings of these states rest on without their being allowed to give them."""
    return sorted(doubted[AGENTS])


def marked(finding: Finding, agents: list[str]) -> Finding:
    return msgspec.structs.replace(finding, unvouched=agents) if agents else finding


class Onlooker(Peers):
    """The peers as they are read beside; what is told here moves nothing."""

    def __init__(self, true: Peers) -> None:
        super().__init__({})
        self._true = true

    def turn_to(self, shelf: Shelf, collections: dict[str, dict[str, Any]]) -> None:  # noqa: ARG002 - the port's
        """What is written goes nowhere."""
        self.collections, self.changed = {}, set()

    def move(self, measure: str, day: int, old: int | None, new: int) -> None:
        """Nothing."""

    def counts(self, measure: str, day: int) -> dict[int, int]:
        return self._true.counts(measure, day)
