"""Which messages of `verified` came, by the notaries' numbers: each counts its messages to a partition without a gap. Pure.

An event that comes twice changes nothing, since indexes rise within a shard; numbers show what does not come at all.
"""

from collections.abc import Mapping

from tallystick_schemas.envelope import Number
from tallystick_schemas.errors import ParseError


class Heard:
    """One partition's, by notary. A notary's start begins a new count, at 0, under a higher fence."""

    def __init__(self, newest: Mapping[str, tuple[int, int]]) -> None:
        self._newest = {agent: Number(*number) for agent, number in newest.items()}

    def take(self, agent: str, number: Number) -> int:
        """How many messages are missing before this one; ParseError when it came before."""
        known = self._newest.get(agent)
        if known is not None and number.fence < known.fence:
            return 0  # an earlier life of it, which wrote late: what is old in it the engine has seen
        if known is not None and number <= known:
            raise ParseError(f"message {number.n} of {agent} came before")
        self._newest[agent] = number
        if known is None:
            return 0  # nobody knows how far its count was when we began to listen
        return number.n - known.n - 1 if number.fence == known.fence else number.n

    def newest(self) -> dict[str, tuple[int, int]]:
        """To be kept."""
        return {agent: (number.fence, number.n) for agent, number in self._newest.items()}
