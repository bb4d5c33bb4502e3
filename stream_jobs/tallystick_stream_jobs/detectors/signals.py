"""Findings about agents, from what the notary noticed of them."""

from typing import Final

from tallystick_schemas.messages import Finding, Signal
from tallystick_schemas.signing import wire_time

from .base import Act, Meta, Severity, State, finding_id

_AGAIN_S: Final = 3600.0


def tell(
    state: State,
    meta: Meta,
    shard: int,
    signal: Signal,
    act: Act,
    text: str,
    *,
    severity: Severity | None = None,
    deterministic: bool = False,
) -> Finding | None:
    """A finding about the signal's agent, unless the same was told within the hour."""
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
        deterministic=deterministic,
        techniques=list(meta.techniques),
        text=text,
        emitted_ms=0,
        subject="agent",
    )
