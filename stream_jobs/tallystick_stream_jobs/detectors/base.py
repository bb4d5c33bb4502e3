"""What a detector is: facts about itself, and one pure rule over a principal's bounded state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from math import isfinite
from typing import Any, Literal, Protocol, runtime_checkable

from tallystick_schemas.messages import Finding, Place, Signal
from tallystick_schemas.signing import wire_time

from ..errors import ParametersRefused
from .facts import Fact

Act = Literal["signal", "alert", "step-up", "suspend"]
Severity = Literal["info", "low", "medium", "high", "critical"]
State = dict[str, Any]
"""A rule's memory of one principal: plain values only, since it travels as msgpack. Bounded by the rule."""


@dataclass(frozen=True)
class Parameter:
    """A threshold: its value, unit, and where it comes from; `least` and `most` are what may be set, both included."""

    value: float
    unit: str
    source: str
    least: float = 1
    most: float = 1e15


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
    """Deterministic: the same facts in the same order give the same findings, however they were cut into batches.

    A class attribute `actions` (words of the vocabulary) or a method `cares(action, outcome)` spares a rule the facts that it would leave alone.
    A class attribute `alone = True` says that it reads its state, the fact, and of `fact.peers` settled days at the most: then its order among
    the facts of other principals is free (`asking`).
    """

    meta: Meta

    def observe(self, state: State, fact: Fact) -> Finding | None:
        """Take one fact in; a finding when it crosses the line."""
        ...


@runtime_checkable
class Noticing(Protocol):
    """A rule that also takes in what the notary noticed about agents."""

    meta: Meta

    def notice(self, state: State, shard: int, signal: Signal) -> Finding | None:
        """Take one signal in; `state` is the agent's, shared by all rules that notice."""
        ...


@runtime_checkable
class Weighing(Protocol):
    """A rule whose input is what other rules found about a principal."""

    meta: Meta

    def weigh(self, state: State, finding: Finding) -> Finding | None:
        """Take one finding in."""
        ...


@runtime_checkable
class Expecting(Protocol):
    """A rule that waits for an agent's heartbeats (`beat` in its state)."""

    meta: Meta

    def overdue(self, state: State, agent: str, now: float) -> Finding | None:
        """Asked as the clock of the agent's shard goes on, in steps of ten seconds."""
        ...


def problems(meta: Meta, given: Mapping[str, float]) -> list[str]:
    """What is wrong with thresholds for this detector, one sentence each."""
    found = []
    for name, value in given.items():
        known = meta.parameters.get(name)
        if known is None:
            found.append(f"{meta.id} has no parameter {name} (it has {', '.join(sorted(meta.parameters)) or 'none'})")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            found.append(f"{meta.id}.{name} is {value!r}, not a number")
        elif not known.least <= value <= known.most:
            found.append(f"{meta.id}.{name} is {value:g} {known.unit}; it may be {known.least:g} to {known.most:g}")
    return found


def in_force(meta: Meta, given: Mapping[str, float] | None) -> Meta:
    """The metadata with these thresholds in place of the defaults; ParametersRefused with all that is wrong."""
    if not given:
        return meta
    if found := problems(meta, given):
        raise ParametersRefused(found)
    changed = {name: replace(meta.parameters[name], value=float(value), source="set in the policy file") for name, value in given.items()}
    return replace(meta, parameters={**meta.parameters, **changed})


def finding_id(meta: Meta, principal: str, place: Place, mark: str = "") -> str:
    """The same crossing has the same id, in every replay (BLAKE2b, 16 bytes)."""
    text = f"{meta.id}\0{meta.version}\0{principal}\0{place[0]}:{place[1]}:{place[2]}"
    return blake2b((text + mark).encode(), digest_size=16).hexdigest()


def figure(number: float) -> Any:
    """As it is shown: a whole number has no point, whether a detector counted it as one or not.

    Not declared a float: compiled, what is declared one becomes one.
    """
    return int(number) if float(number).is_integer() else number


def proof_of(fact: Fact) -> Place | None:
    """Where the record of the fact's event is on `events`; None where the segment does not say."""
    segment = fact.segment
    return None if segment is None or segment.offset < 0 else (fact.place[0], segment.offset, fact.place[2])


def make_finding(  # noqa: PLR0913 - a finding shows all of it
    meta: Meta,
    fact: Fact,
    *,
    value: float,
    threshold: float,
    window_s: int,
    evidence: list[Place],
    act: Act,
    deterministic: bool = False,
    text: str,
    credential: str | None = None,
    severity: Severity | None = None,
    features: Mapping[str, float] | None = None,
    baseline: float | None = None,
    peers: float | None = None,
    missing: Sequence[str] = (),
) -> Finding:
    """A finding about the fact's principal. `emitted_ms` is put in by the shell, which has a clock.

    Without a figure that the rule wanted (`missing`), the value is a floor, and a floor never acts: it is an alert at the most.
    """
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
        value=figure(value),
        threshold=figure(threshold),
        window_s=window_s,
        resource=event.resource.id,
        collection=event.resource.collection or None,
        evidence=[(place[0], place[1], place[2]) for place in evidence][-50:],
        act="alert" if missing and act in ("step-up", "suspend") else act,
        deterministic=deterministic,
        baseline=None if baseline is None else figure(baseline),
        peers=None if peers is None else figure(peers),
        techniques=list(meta.techniques),
        text=text,
        emitted_ms=0,
        features={name: round(float(number), 4) for name, number in (features or {}).items()},
        missing=list(missing),
        proof=proof_of(fact),
    )
