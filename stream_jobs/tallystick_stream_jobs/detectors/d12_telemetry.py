"""D12: telemetry that does not hold together. Its subject is an agent, never the people whose events it carries."""

from collections.abc import Mapping
from typing import Final

from tallystick_schemas.messages import Finding, Signal
from tallystick_schemas.verdicts import Verdict

from .base import Meta, Parameter, State, in_force
from .facts import Fact
from .signals import tell

_BAD_WINDOW_S: Final = 600.0
META: Final = Meta(
    id="D12",
    title="Telemetry does not hold together",
    techniques=("T1562.008",),
    severity="medium",
    most="alert",
    blind_spots="An agent that was never enrolled is silent from the beginning.",
    parameters={"bad_signatures": Parameter(5, "in 10 min", "DETECTORS.md", most=100)},
)


class Telemetry:
    """Gaps and bad signatures, by the notary's verdicts."""

    actions: Final = frozenset[str]()

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        self._bad = int(self.meta.parameters["bad_signatures"].value)

    def observe(self, state: State, fact: Fact) -> Finding | None:  # noqa: ARG002 - it looks at no facts
        """Nothing: what it knows comes from the notary."""
        return None

    def notice(self, state: State, shard: int, signal: Signal) -> Finding | None:
        verdict = signal.verdict
        if verdict == Verdict.BAD_SIGNATURE and signal.agent:
            times: list[float] = state.setdefault("bad", [])
            times.append(signal.append_ms / 1000)
            del times[: -self._bad]
            if len(times) == self._bad and times[-1] - times[0] <= _BAD_WINDOW_S:
                return tell(state, self.meta, shard, signal, "alert", f"{signal.agent}: {self._bad} bad signatures within ten minutes.")
        if verdict == Verdict.OUT_OF_ORDER and "missing" in signal.reason:
            return tell(state, self.meta, shard, signal, "signal", f"{signal.agent}: {signal.reason}.", severity="low")
        return None
