"""What the record shows of one drill, gathered: signed events with their places, and what the parts said on their topics. Pure."""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field, fields

from msgspec.structs import replace

from tallystick_schemas.drills import DRILL_ATTR, drill_of, drill_of_subject
from tallystick_schemas.events import Event
from tallystick_schemas.messages import Decision, Delivery, Denial, Finding, Lock, Place
from tallystick_schemas.verdicts import Verdict

Said = Finding | Lock | Decision | Delivery | Denial


@dataclass(frozen=True)
class Fact:
    """One event of the history. `recorded`: the broker's time of its segment, seconds since 1970; `agent` signed it."""

    place: Place
    recorded: float
    agent: str
    event: Event


@dataclass(frozen=True)
class Refused:
    """One entry of the ledger that was not plainly accepted: a forged, forked, late segment of an agent."""

    recorded: float
    agent: str
    verdict: Verdict


@dataclass
class Seen:
    """One drill's part of the record. Topics keep the newest word under each key."""

    facts: dict[Place, Fact] = field(default_factory=dict)
    refused: dict[tuple[int, int], Refused] = field(default_factory=dict)
    """By (shard, index)."""
    findings: dict[str, Finding] = field(default_factory=dict)
    locks: list[Lock] = field(default_factory=list)
    decisions: dict[str, Decision] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    denials: dict[tuple[str, str], Denial] = field(default_factory=dict)

    def take(self, said: Said) -> None:
        """One more word of a topic."""
        if isinstance(said, Finding):
            # When it was told first counts; its text may be newer.
            first = self.findings.get(said.id)
            self.findings[said.id] = said if first is None else replace(said, emitted_ms=first.emitted_ms)
        elif isinstance(said, Lock):
            self.locks.append(said)
        elif isinstance(said, Decision):
            self.decisions[said.id] = said
        elif isinstance(said, Delivery):
            self.deliveries[said.id] = said
        else:
            self.denials[(said.command, said.point)] = said

    def ordered(self) -> list[Fact]:
        """Events by the time at which they were recorded, then by place."""
        return sorted(self.facts.values(), key=lambda fact: (fact.recorded, fact.place))

    def copy(self) -> "Seen":
        """As it is now, for somebody who looks while more comes in."""
        return Seen(*(copy(getattr(self, one.name)) for one in fields(self)))


def run_of_event(event: Event, findings: Iterable[tuple[str, str]] = ()) -> str | None:
    """The drill that an event belongs to: by its mark, by who did it, by what it is about. `findings`: (id, run) of findings that are known."""
    marked = (event.attrs or {}).get(DRILL_ATTR)
    named = marked or drill_of(event.actor.principal) or drill_of(event.resource.id)
    if named is None and event.resource.kind in ("principal", "credential"):
        named = drill_of_subject(f"{event.resource.kind}:{event.resource.id}")
    return named or (dict(findings).get(event.resource.id) if event.resource.kind == "finding" else None)


def run_of_message(said: Said) -> str | None:
    """The drill that a word on a topic belongs to."""
    if isinstance(said, Finding):
        return said.drill or drill_of(said.principal)
    if isinstance(said, Delivery):
        return run_of_message(said.decision)
    return said.drill or drill_of_subject(said.subject)


def short_name(principal: str, run: str) -> str:
    """A player's name as the scenario has it."""
    return principal.removeprefix(f"drill-{run}-").removesuffix("@drill.invalid")


def plain(words: str, run: str) -> str:
    """A sentence about a drill without what all its names have in common."""
    return words.replace(f"drill-{run}-", "").replace("@drill.invalid", "").replace(f"drill-{run}/", "")
