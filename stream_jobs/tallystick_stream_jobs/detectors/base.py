"""What a detector is: facts about itself, and one pure rule over a principal's bounded state."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, Protocol

from tallystick_schemas.messages import Finding, Place
from tallystick_schemas.signing import wire_time

from .facts import Fact

Act = Literal["signal", "alert", "step-up", "suspend"]
Severity = Literal["info", "low", "medium", "high", "critical"]
State = dict[str, Any]
"""A rule's memory of one principal: plain values only, since it travels as msgpack. Bounded by the rule."""


@dataclass(frozen=True)
class Parameter:
    """A threshold: its value, unit, and where it comes from."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Meta:
    """What a detector says about itself."""

    id: str
    title: str
    techniques: tuple[str, ...]
    severity: Severity
    most: Act
    blind_spots: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    version: int = 1


class Rule(Protocol):
    """Deterministic: the same facts in the same order give the same findings, however they were cut into batches."""

    meta: Meta

    def observe(self, state: State, fact: Fact) -> Finding | None:
        """Take one fact in; a finding when it crosses the line."""
        ...


def finding_id(meta: Meta, principal: str, place: Place) -> str:
    """The same crossing has the same id, in every replay (BLAKE2b, 16 bytes)."""
    text = f"{meta.id}\0{meta.version}\0{principal}\0{place[0]}:{place[1]}:{place[2]}"
    return blake2b(text.encode(), digest_size=16).hexdigest()


def make_finding(  # noqa: PLR0913 - a finding shows all of it
    meta: Meta,
    fact: Fact,
    *,
    value: float,
    threshold: float,
    window_s: int,
    evidence: list[Place],
    act: Act,
    deterministic: bool,
    text: str,
    credential: str | None,
    severity: Severity | None = None,
) -> Finding:
    """A finding about the fact's principal. `emitted_ms` is put in by the shell, which has a clock."""
    event = fact.event
    return Finding(
        id=finding_id(meta, event.actor.principal, fact.place),
        detector=meta.id,
        version=meta.version,
        title=meta.title,
        severity=severity or meta.severity,
        principal=event.actor.principal,
        credential=credential,
        time=wire_time(fact.time),
        value=value,
        threshold=threshold,
        window_s=window_s,
        resource=event.resource.id,
        collection=event.resource.collection or None,
        evidence=[(place[0], place[1], place[2]) for place in evidence][-50:],
        act=act,
        deterministic=deterministic,
        techniques=list(meta.techniques),
        text=text,
        emitted_ms=0,
    )


def one_credential(state: State, credential: str, at: float, window_s: float) -> str | None:
    """The credential when all that spoke within the window spoke with one; it is what gets locked then (docs/adr/0010).

    Two are remembered, the ones that spoke last: a token of yesterday must not make today's finding one about a principal.
    """
    spoke: dict[str, float] = state.setdefault("spoke", {})
    spoke[credential] = max(at, spoke.get(credential, at))
    if len(spoke) > 1:
        newest = max(spoke.values())
        for old in [name for name, last in spoke.items() if newest - last > window_s]:
            del spoke[old]
        while len(spoke) > 2:
            del spoke[min(spoke, key=lambda name: (spoke[name], name))]
    return next(iter(spoke)) or None if len(spoke) == 1 else None
