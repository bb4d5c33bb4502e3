"""Findings about agents, from what the notary noticed of them and from their heartbeats."""

from typing import Final

from tallystick_schemas.messages import Finding, Place, Signal
from tallystick_schemas.signing import wire_time

from .base import Act, Meta, Severity, State, finding_id

_AGAIN_S: Final = 3600.0


def tell(  # noqa: PLR0913 - a finding shows all of it
    state: State,
    meta: Meta,
    shard: int,
    signal: Signal,
    act: Act,
    text: str,
    *,
    value: float = 1,
    threshold: float = 1,
    severity: Severity | None = None,
    deterministic: bool = False,
) -> Finding | None:
    """A finding about the signal's agent, unless the same was told within the hour."""
    place, now = (shard, signal.index, 0), signal.append_ms / 1000
    return about_agent(
        state,
        meta,
        signal.agent,
        place,
        now,
        act,
        text,
        value=value,
        threshold=threshold,
        severity=severity,
        deterministic=deterministic,
        offset=signal.offset,
    )


def about_agent(  # noqa: PLR0913 - a finding shows all of it
    state: State,
    meta: Meta,
    agent: str,
    place: Place,
    now: float,
    act: Act,
    text: str,
    *,
    value: float = 1,
    threshold: float = 1,
    severity: Severity | None = None,
    deterministic: bool = False,
    mark: str = "",
    offset: int = -1,
) -> Finding | None:
    """A finding about an agent, unless one of the same detector, act and mark was told within the hour. `offset`: of the record at `place`."""
    told = f"{meta.id}:{act}{mark}"
    if now - state.get(told, -_AGAIN_S) < _AGAIN_S:
        return None
    state[told] = now
    return Finding(
        id=finding_id(meta, agent, place, mark),
        detector=meta.id,
        version=meta.version,
        title=meta.title,
        severity=severity or meta.severity,
        principal=agent,
        time=wire_time(now),
        value=value,
        threshold=threshold,
        window_s=0,
        evidence=[place],
        act=act,
        deterministic=deterministic,
        techniques=list(meta.techniques),
        text=text,
        emitted_ms=0,
        subject="agent",
        features={mark or act: value},
        proof=(place[0], offset, place[2]) if offset >= 0 else None,
    )
