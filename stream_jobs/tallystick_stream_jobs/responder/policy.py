"""Which findings lock, by the ladder and its guards: pure, and given the time. Each guard says a sentence; the lowest rung that all allow is taken."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tallystick_schemas.locks import in_force
from tallystick_schemas.messages import Alternative, Finding, Lock
from tallystick_schemas.names import canonical
from tallystick_schemas.notices import BREAKER_OPEN
from tallystick_schemas.times import is_time, seconds_of

from .ladder import DETERMINISTIC, RUNGS, Rung, asked, counts, lower, most
from .memory import DAY_S, WITNESS, Memory
from .names import imitated

STEP_UPS: Final = 3
"""How many times more step-ups than suspensions the breaker lets through: they cost an honest person a fresh token, not the day."""
Said = tuple[Rung, str]
"""The highest rung that a guard allows, and its sentence."""


@dataclass(frozen=True)
class Verdict:
    """What to do about a finding; why; what each guard said; and what was not done, and why not."""

    choice: Rung
    reason: str
    policy: dict[str, str]
    alternatives: list[Alternative]


@dataclass(frozen=True)
class Weighing:
    """A finding with all that the guards look at. `standing`: the newest word about the subject that would be locked."""

    finding: Finding
    seconds: list[str]
    memory: Memory
    standing: Lock | None
    protected: frozenset[str]
    """By their canonical names."""
    breaker_limit: int
    now: float
    unproven: str = ""
    """Why its evidence lets nobody act: what came of looking at a signed event of it, and of who signed."""

    def without_proof(self, reason: str) -> "Weighing":
        """The same with evidence that nobody can act on, and why."""
        return replace(self, unproven=reason)

    @property
    def detector(self) -> str:
        return self.finding.detector

    @property
    def wish(self) -> Rung:
        """What it comes to when no guard objects: a second detector lifts a step-up to what the two of them may do."""
        wish = asked(self.finding)
        if wish == "note":
            return "recommend" if self.seconds and self.finding.act == "alert" else "note"
        return most(self.detector, seconded=True) if self.seconds and wish == "step-up" else wish


def decide(weighing: Weighing) -> Verdict:
    """`now` and all times in seconds since 1970."""
    wish = choice = weighing.wish
    said = {
        "asked": weighing.finding.act,
        WITNESS: counts(weighing.finding) or weighing.finding.act,
        "seconds": ", ".join(weighing.seconds),
    }
    reasons: dict[Rung, str] = {}
    for name, guard in GUARDS.items():
        allowed, sentence = guard(weighing)
        said[name] = sentence
        if RUNGS.index(allowed) < RUNGS.index(choice):
            reasons |= dict.fromkeys(RUNGS[RUNGS.index(allowed) + 1 : RUNGS.index(choice) + 1], sentence)
            choice = lower(choice, allowed)
    return Verdict(choice, _reason(weighing, choice, wish, reasons), said, _alternatives(weighing, choice, reasons))


def _reason(weighing: Weighing, choice: Rung, wish: Rung, reasons: dict[Rung, str]) -> str:
    if choice != wish:
        return reasons[RUNGS[RUNGS.index(choice) + 1]]
    if choice == "note":
        return f"{weighing.detector} asks for {weighing.finding.act} only"
    backed = f" {', '.join(weighing.seconds)} said so too." if weighing.seconds else ""
    return f"{weighing.finding.text}{backed}"


def _alternatives(weighing: Weighing, choice: Rung, reasons: dict[Rung, str]) -> list[Alternative]:
    """Every other rung. Those above: why they were out of reach; those below: why they were not enough."""
    others = []
    for rung in RUNGS:
        if rung == choice:
            continue
        if RUNGS.index(rung) > RUNGS.index(choice):
            others.append(Alternative(rung, reasons.get(rung) or f"{weighing.detector} asks for {weighing.finding.act}, not for more"))
        else:
            others.append(Alternative(rung, _BELOW[rung]))
    return [*others, Alternative("revoke", "automation never revokes: two people do")]


_BELOW: Final[dict[Rung, str]] = {
    "note": "it would go on meanwhile",
    "recommend": "until somebody reads it, it would go on",
    "step-up": "who holds a stolen credential may hold the way to a fresh one as well",
}


def _suppression(w: Weighing) -> Said:
    return ("note", f"suppressed: {w.finding.suppressed}") if w.finding.suppressed else ("suspend", "not suppressed")


def _mode(w: Weighing) -> Said:
    allowed: dict[str, Rung] = {"observe": "note", "recommend": "recommend", "auto": "suspend"}
    return allowed[w.finding.mode], f"{w.detector} is in mode {w.finding.mode}"


def _inputs(w: Weighing) -> Said:
    if w.finding.missing:
        return "recommend", f"{w.detector} lacks {', '.join(w.finding.missing[:5])}: a floor never acts"
    return ("suspend", "all inputs were there") if w.finding.evidence else ("recommend", "it names no evidence, so nobody can check it")


def _proof(w: Weighing) -> Said:
    """Whoever may write findings locks nobody by that: an event must say it, signed by an agent that may vouch for it."""
    return (
        ("recommend", f"its evidence was not proven: {w.unproven}")
        if w.unproven
        else ("suspend", "an event of it was proven, and its agent may vouch for it")
    )


def _subject(w: Weighing) -> Said:
    if w.finding.subject == "agent" and w.detector not in DETERMINISTIC:
        return "recommend", f"it is about how the agent {w.finding.principal} records, which locks nobody out"
    if w.finding.subject == "agent":
        return "suspend", f"about the agent {w.finding.principal}, whose key somebody else has as well"
    return "suspend", "about somebody whose accesses are recorded"


def _age(w: Weighing) -> Said:
    if not is_time(w.finding.time):
        return "recommend", "when it happened cannot be read"
    hours = (w.now - seconds_of(w.finding.time)) / 3600
    if hours * 3600 > DAY_S:
        return "recommend", f"it happened {hours:.0f} hours ago: what is so old is for people"
    return "suspend", "of today"


def _evidence(w: Weighing) -> Said:
    """Two independent detectors, unless the detector's own row allows it alone."""
    allowed = most(w.detector, seconded=bool(w.seconds))
    if w.seconds:
        return allowed, f"{w.detector} and, independent of it, {', '.join(w.seconds)} may {allowed} together"
    if w.detector in DETERMINISTIC:
        return allowed, f"{w.detector} is deterministic: it may {allowed} alone"
    if allowed == "suspend":
        return allowed, f"{w.detector} may suspend alone"
    return allowed, f"{w.detector} alone may not go beyond {allowed}; a second, independent detector has not spoken"


def _names(w: Weighing) -> Said:
    like = imitated(canonical(w.finding.principal), w.protected)
    return "suspend", f"{w.finding.principal!a} looks like the protected {like} and is another" if like else "imitates nobody"


def _protection(w: Weighing) -> Said:
    owners = w.memory.owners(f"credential:{w.finding.credential}") if w.finding.credential else ()
    for name in (w.finding.principal, *owners):
        if canonical(name) in w.protected:
            return "recommend", f"{name} is protected: two people decide"
    return "suspend", f"{w.finding.principal} is not protected"


def _people(w: Weighing) -> Said:
    """What people lifted stays lifted for this finding; a new finding is a new matter."""
    last = w.standing
    if last is not None and last.state == "unlocked" and last.finding == w.finding.id and last.by != "responder":
        return "recommend", f"{last.by} lifted the lock of this very finding: {last.reason}"
    return "suspend", "nobody lifted a lock of this finding"


def _breaker(w: Weighing) -> Said:
    if in_force(w.standing, w.now):
        return "suspend", "no new lock: one is in force"
    suspended, stepped = w.memory.acted("suspend", w.now), w.memory.acted("step-up", w.now)
    if w.wish == "suspend" and suspended >= w.breaker_limit:
        return "recommend", f"{BREAKER_OPEN}: {suspended} automatic suspensions within 10 minutes, people decide from here"
    if w.wish == "step-up" and stepped >= STEP_UPS * w.breaker_limit:
        return "recommend", f"{BREAKER_OPEN}: {stepped} automatic step-ups within 10 minutes, people decide from here"
    return "suspend", f"{suspended} of {w.breaker_limit} automatic suspensions within 10 minutes"


GUARDS: Final[dict[str, Callable[[Weighing], Said]]] = {
    "suppression": _suppression,
    "mode": _mode,
    "inputs": _inputs,
    "proof": _proof,
    "subject": _subject,
    "age": _age,
    "evidence": _evidence,
    "names": _names,
    "protection": _protection,
    "people": _people,
    "breaker": _breaker,
}
"""In the order in which they are asked. A decision's `policy` carries what each said."""
