"""D07a: an agent's key is used twice. Its subject is an agent, never the people whose events it carries."""

from collections.abc import Mapping
from typing import Final

from tallystick_schemas.messages import Finding, Signal
from tallystick_schemas.verdicts import Verdict

from .base import Meta, State, in_force
from .facts import Fact
from .signals import tell

META: Final = Meta(
    id="D07a",
    title="An agent's key is used twice",
    techniques=("T1552.004",),
    severity="critical",
    most="suspend",
    blind_spots="A copy of the key that speaks only when the true agent is silent for good.",
)


class KeyFork:
    """A fork suspends at once; a run that goes on after a newer one, twice, is only told: forked workers of one agent look the same."""

    actions: Final = frozenset[str]()

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)

    def observe(self, state: State, fact: Fact) -> Finding | None:  # noqa: ARG002 - it looks at no facts
        """Nothing: what it knows comes from the notary."""
        return None

    def notice(self, state: State, shard: int, signal: Signal) -> Finding | None:
        verdict = signal.verdict
        if verdict == Verdict.FORK and signal.agent:
            return tell(state, self.meta, shard, signal, "suspend", f"{signal.agent}: {signal.reason}.", deterministic=True)
        if verdict <= Verdict.OUT_OF_ORDER and "older run goes on" in signal.reason and "(2)" in signal.reason:
            text = f"{signal.agent}: {signal.reason}; forked workers of one agent look the same."
            return tell(state, self.meta, shard, signal, "alert", text, severity="high")
        return None
