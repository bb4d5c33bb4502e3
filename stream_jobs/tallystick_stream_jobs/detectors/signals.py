"""D07a and D12: what the notary noticed about agents. Their subject is an agent, never the people whose events it carries."""

from typing import Final

from tallystick_schemas.messages import Finding, Signal
from tallystick_schemas.signing import wire_time
from tallystick_schemas.verdicts import Verdict

from .base import Act, Meta, Parameter, Severity, State, finding_id

_AGAIN_S: Final = 3600.0
_BAD_WINDOW_S: Final = 600.0

D07A: Final = Meta(
    id="D07a",
    title="An agent's key is used twice",
    techniques=("T1552.004",),
    severity="critical",
    most="suspend",
    blind_spots="A copy of the key that speaks only when the true agent is silent for good.",
)
D12: Final = Meta(
    id="D12",
    title="Telemetry does not hold together",
    techniques=("T1562.008",),
    severity="medium",
    most="alert",
    blind_spots="An agent that was never enrolled is silent from the beginning.",
    parameters={"bad_signatures": Parameter(5, "in 10 min", "DETECTORS.md")},
)


def observe_signal(state: State, shard: int, signal: Signal) -> Finding | None:
    """A finding about the signal's agent, or None. A fork suspends at once; a run that goes on after a newer one is only told (twice)."""
    verdict = signal.verdict
    if verdict == Verdict.FORK and signal.agent:
        return _tell(state, D07A, shard, signal, "suspend", f"{signal.agent}: {signal.reason}.")
    if verdict <= Verdict.OUT_OF_ORDER and "older run goes on" in signal.reason and "(2)" in signal.reason:
        return _tell(
            state, D07A, shard, signal, "alert", f"{signal.agent}: {signal.reason}; forked workers of one agent look the same.", "high"
        )
    if verdict == Verdict.BAD_SIGNATURE and signal.agent:
        times: list[float] = state.setdefault("bad", [])
        times.append(signal.append_ms / 1000)
        del times[:-5]
        if len(times) == 5 and times[-1] - times[0] <= _BAD_WINDOW_S:
            return _tell(state, D12, shard, signal, "alert", f"{signal.agent}: five bad signatures within ten minutes.")
    if verdict == Verdict.OUT_OF_ORDER and "missing" in signal.reason:
        return _tell(state, D12, shard, signal, "signal", f"{signal.agent}: {signal.reason}.", "low")
    return None


def _tell(state: State, meta: Meta, shard: int, signal: Signal, act: Act, text: str, severity: Severity | None = None) -> Finding | None:
    now, mark = signal.append_ms / 1000, f"{meta.id}:{act}"
    if now - state.get(mark, -_AGAIN_S) < _AGAIN_S:
        return None
    state[mark] = now
    place = (shard, signal.index, 0)
    return Finding(
        id=finding_id(meta, signal.agent, place),
        detector=meta.id,
        version=meta.version,
        title=meta.title,
        severity=severity or meta.severity,
        principal=signal.agent,
        time=wire_time(now),
        value=1,
        threshold=1,
        window_s=0,
        evidence=[place],
        act=act,
        deterministic=meta is D07A and act == "suspend",
        techniques=list(meta.techniques),
        text=text,
        emitted_ms=0,
    )
