"""The grading: what was expected against what the record shows. Pure, and it trusts nobody who played: what is in no signed event did not happen."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import msgspec

from tallystick_schemas.drills import drill_of_subject, drill_principal
from tallystick_schemas.messages import Finding, Place
from tallystick_schemas.words import counted

from .scenario import Scenario
from .seen import Fact, Seen, plain
from .sights import SeeCut, SeeDecision, SeeDelivery, SeeFinding, SeeLock, SeeProbe, SeeRefused, SeeTaken, Sight

_TAKING: Final = frozenset(
    {"artifact.download", "artifact.read", "artifact.copy", "dataset.read", "dataset.query", "dataset.export", "model.load"}
)
_MAX_PLACES: Final = 50


def size(count: int) -> str:
    """`count` bytes in words: kB (1000 bytes) below a megabyte, so that nothing that was lost reads as 0."""
    return f"{count / 1e6:.1f} MB" if count >= 1_000_000 else f"{count / 1e3:.1f} kB"


@dataclass(frozen=True)
class Sighting:
    """Something was seen: when (seconds since 1970), in words, and where the record has it."""

    at: float
    words: str
    places: list[Place]


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """One expectation, judged. `after_s` counts from the first hostile event."""

    words: str
    met: bool
    within_s: float | None = None
    after_s: float | None = None
    at: float | None = None
    seen: str = ""
    places: list[Place] = []


class Lost(msgspec.Struct, frozen=True):
    """What hostile principals got."""

    objects: int
    bytes: int
    most_objects: int | None = None
    most_bytes: int | None = None

    @property
    def within(self) -> bool:
        return (self.most_objects is None or self.objects <= self.most_objects) and (
            self.most_bytes is None or self.bytes <= self.most_bytes
        )


class Grades(msgspec.Struct, frozen=True):
    """All marks of one drill."""

    began: float
    expected: list[Mark]
    must_not: list[Mark]
    lost: Lost
    hops_ms: dict[str, float]

    @property
    def all_seen(self) -> bool:
        """Everything expected was seen, in time."""
        return all(mark.met for mark in self.expected)

    @property
    def passed(self) -> bool:
        return self.all_seen and all(mark.met for mark in self.must_not) and self.lost.within


def grade(scenario: Scenario, run: str, seen: Seen, played_at: float) -> Grades:
    """`played_at`: when the play began, for drills whose hostile principals never appear in the record."""
    judge = Judge(scenario, run, seen)
    began = judge.began(played_at)
    return Grades(
        began,
        [_expected(sight, judge.look(sight), began) for sight in scenario.expect],
        [_forbidden(sight, judge.look(sight)) for sight in scenario.must_not],
        judge.lost(),
        judge.hops(),
    )


def _expected(sight: Sight, found: list[Sighting], began: float) -> Mark:
    if not found:
        return Mark(sight.words(), met=False, within_s=sight.within_s)
    first = min(found, key=lambda one: one.at)
    after = round(max(0.0, first.at - began), 3)
    return Mark(sight.words(), after <= sight.within_s, sight.within_s, after, first.at, first.words, first.places[:_MAX_PLACES])


def _forbidden(sight: Sight, found: list[Sighting]) -> Mark:
    if not found:
        return Mark(f"no {sight.words().removeprefix('a ')}", met=True)
    first = min(found, key=lambda one: one.at)
    return Mark(f"no {sight.words().removeprefix('a ')}", met=False, at=first.at, seen=first.words, places=first.places[:_MAX_PLACES])


class Judge:
    """Looks one drill's record through."""

    def __init__(self, scenario: Scenario, run: str, seen: Seen) -> None:
        self._scenario, self._run, self._seen = scenario, run, seen
        self._hostile = {drill_principal(run, name) for name in scenario.hostile}
        self._facts = seen.ordered()

    def began(self, played_at: float) -> float:
        """When the first hostile event was recorded, agents' refused segments among them."""
        times = [fact.recorded for fact in self._facts if fact.event.actor.principal in self._hostile]
        times += [entry.recorded for entry in self._seen.refused.values()]
        return min(times, default=played_at)

    def look(self, sight: Sight) -> list[Sighting]:
        """Everything in the record that is such a sight."""
        return [replace(one, words=plain(one.words, self._run)) for one in _LOOKS[type(sight)](self, sight)]

    def findings(self, sight: SeeFinding) -> Iterable[Sighting]:
        for finding in self._seen.findings.values():
            wanted = finding.detector == sight.detector and bool(finding.suppressed) == sight.suppressed
            wanted = wanted and (sight.feature is None or sight.feature in finding.features)
            if wanted and self._is(finding.principal, sight.of) and self._proven(finding):
                why = f" Suppressed: {finding.suppressed}." if finding.suppressed else ""
                yield Sighting(finding.emitted_ms / 1000, f"{finding.detector} {finding.title}: {finding.text}{why}", finding.evidence)

    def decisions(self, sight: SeeDecision) -> Iterable[Sighting]:
        for fact in self._of_responder("incident.decide"):
            attrs, text = fact.event.attrs or {}, (fact.event.why.text if fact.event.why else None) or ""
            choice = attrs.get("choice") or text.partition(":")[0]
            detectors = (attrs.get("detectors") or attrs.get("detector", "")).split(", ")
            if choice == sight.choice and (sight.detector is None or sight.detector in detectors) and self._decides_about(fact, sight.of):
                yield Sighting(_seconds(fact.event.time), f"{choice}: {text.removeprefix(f'{choice}: ')}", [fact.place])

    def locks(self, sight: SeeLock) -> Iterable[Sighting]:
        for fact in self._of_responder("credential.suspend", "credential.revoke"):
            subject = f"{fact.event.resource.kind}:{fact.event.resource.id}"
            attrs = fact.event.attrs or {}
            lock = next((one for one in self._seen.locks if one.command == attrs.get("command") and one.state == "locked"), None)
            if lock is None or not self._is_subject(subject, sight.of):
                continue
            if (sight.level is None or lock.level == sight.level) and (sight.subject is None or subject.startswith(f"{sight.subject}:")):
                yield Sighting(_seconds(lock.at), f"{subject} is locked ({lock.level}) by {lock.by}: {lock.reason}", [fact.place])

    def cuts(self, sight: SeeCut) -> Iterable[Sighting]:
        for fact in self._denied(sight.of):
            if fact.event.action == "artifact.download":
                sent = (fact.event.usage.bytes if fact.event.usage else None) or 0
                words = f"the download of {fact.event.resource.part} ended after {size(sent)}"
                yield Sighting(_seconds(fact.event.time), words, [fact.place])

    def refusals(self, sight: SeeRefused) -> Iterable[Sighting]:
        for fact in self._denied(sight.of):
            wanted = sight.credential is None or (fact.event.actor.credential or "").endswith(f"-{sight.credential}")
            if fact.event.action != "artifact.download" and wanted:
                status = (fact.event.attrs or {}).get("status", "–")
                words = f"{fact.event.resource.id}/{fact.event.resource.part or ''} was answered {status}"
                yield Sighting(_seconds(fact.event.time), words, [fact.place])

    def probes(self, sight: SeeProbe) -> Iterable[Sighting]:
        by_command: dict[str, list[Any]] = {}
        for denial in self._seen.denials.values():
            if self._is_subject(denial.subject, sight.of):
                by_command.setdefault(denial.command, []).append(denial)
        for command, denials in by_command.items():
            if all(denial.state == "refused" and denial.refused_at for denial in denials):
                places = [fact.place for fact in self._facts if (fact.event.attrs or {}).get("command") == command]
                points = ", ".join(sorted(denial.point for denial in denials))
                yield Sighting(max(_seconds(denial.refused_at) for denial in denials), f"refused at {points}", places)

    def deliveries(self, sight: SeeDelivery) -> Iterable[Sighting]:
        for delivery in self._seen.deliveries.values():
            wanted = delivery.connector == sight.connector and delivery.state == "done" and delivery.attempts >= sight.attempts
            if (
                wanted
                and delivery.done_at
                and delivery.decision.choice != "reinstate"
                and self._is_subject(delivery.decision.subject, sight.of)
            ):
                words = f"{delivery.connector} took it at attempt {delivery.attempts}{f': {delivery.detail}' if delivery.detail else ''}"
                yield Sighting(_seconds(delivery.done_at), words, delivery.decision.evidence)

    def taken(self, sight: SeeTaken) -> Iterable[Sighting]:
        had: set[tuple[str | None, ...]] = set()
        for fact in self._facts:
            if self._is(fact.event.actor.principal, sight.of) and fact.event.outcome == "allowed":
                had |= _objects(fact)
                if len(had) >= sight.objects:
                    yield Sighting(fact.recorded, f"{counted(len(had), 'object was', 'objects were')} read", [fact.place])
                    return

    def lost(self) -> Lost:
        """Distinct objects and bytes that hostile principals got, as the door and the agents recorded them."""
        objects: set[tuple[str | None, ...]] = set()
        read = 0
        for fact in self._facts:
            if fact.event.actor.principal in self._hostile and (had := _objects(fact)):
                objects |= had
                read += (fact.event.usage.bytes if fact.event.usage else None) or 0
        budget = self._scenario.budget
        return Lost(len(objects), read, budget.objects if budget else None, budget.bytes if budget else None)

    def hops(self) -> dict[str, float]:
        """From the event that crossed the line to the refusals, in ms, for the first lock."""
        lock = next((one for one in self._seen.locks if one.state == "locked"), None)
        finding = self._seen.findings.get(lock.finding) if lock is not None and lock.finding else None
        if lock is None or finding is None:
            return {}
        crossed = max((fact.recorded for place in finding.evidence if (fact := self._seen.facts.get(place))), default=None)
        told, locked = finding.emitted_ms / 1000, _seconds(lock.at)
        hops = {"recorded_to_finding": told - crossed} if crossed is not None else {}
        hops["finding_to_lock"] = locked - told
        for name, sight in (("lock_to_cut", SeeCut()), ("lock_to_refused", SeeRefused()), ("lock_to_probe_refused", SeeProbe())):
            if found := [one.at for one in self.look(sight)]:
                hops[name] = min(found) - locked
        return {name: round(seconds * 1000, 1) for name, seconds in hops.items()}

    def _proven(self, finding: Finding) -> bool:
        """Whether the history has all that the finding cites, of this very drill."""
        return bool(finding.evidence) and all(place in self._seen.facts or place[:2] in self._seen.refused for place in finding.evidence)

    def _of_responder(self, *actions: str) -> Iterable[Fact]:
        """What the responder's own agent signed."""
        return (fact for fact in self._facts if fact.agent == "responder" and fact.event.action in actions)

    def _denied(self, of: str | None) -> Iterable[Fact]:
        """What the gateway refused because of a lock."""
        for fact in self._facts:
            locked = fact.event.outcome == "denied" and "lock" in (fact.event.attrs or {})
            if fact.agent == "gateway" and locked and self._is(fact.event.actor.principal, of):
                yield fact

    def _decides_about(self, fact: Fact, of: str | None) -> bool:
        finding = self._seen.findings.get(fact.event.resource.id)
        if finding is not None:
            return self._is(finding.principal, of)
        return self._is_subject((fact.event.attrs or {}).get("subject", ""), of)

    def _is(self, principal: str, of: str | None) -> bool:
        return principal == drill_principal(self._run, of) if of is not None else principal.startswith(f"drill-{self._run}-")

    def _is_subject(self, subject: str, of: str | None) -> bool:
        if drill_of_subject(subject) != self._run:
            return False
        kind, _, name = subject.partition(":")
        if of is None:
            return True
        return name == drill_principal(self._run, of) if kind == "principal" else name.rpartition("-")[0] == f"drill-{self._run}-{of}"


_LOOKS: Final[dict[type[Any], Callable[[Judge, Any], Iterable[Sighting]]]] = {
    SeeFinding: Judge.findings,
    SeeDecision: Judge.decisions,
    SeeLock: Judge.locks,
    SeeCut: Judge.cuts,
    SeeRefused: Judge.refusals,
    SeeProbe: Judge.probes,
    SeeDelivery: Judge.deliveries,
    SeeTaken: Judge.taken,
}


def _objects(fact: Fact) -> set[tuple[str | None, ...]]:
    """What an event took: one object when content flowed, whole or in part."""
    event = fact.event
    if event.action not in _TAKING or event.usage is None or not (event.outcome == "allowed" or event.usage.bytes):
        return set()
    return {(event.resource.id, event.resource.version, event.resource.part)}


def _seconds(wire: str) -> float:
    return datetime.fromisoformat(wire).timestamp()
