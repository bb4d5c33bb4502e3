"""Proven revocation as a state machine: after each lock every point is asked until it refuses. Pure: it is given now and the answers.

A point is a gateway that a canary can be tried at, a connector that can ask the other side (introspection), or an SDK, which can only be believed:
its acknowledgement is noted and never called a proof.
"""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from tallystick_schemas.enforcement import CONNECTOR
from tallystick_schemas.locks import in_force
from tallystick_schemas.messages import Decision, Denial, Finding, LockAck, Point
from tallystick_schemas.signing import wire_time

from .core import seconds_of
from .findings import not_proven

Key = tuple[str, str]
"""(command, point)."""
_FIRST_S: Final = 0.02
_SLOWEST_S: Final = 1.0
_LATE_S: Final = 5.0
_GONE_S: Final = 3_600.0
"""A point that has been silent for so long is not there any more. One that is silent for less may still serve: it is asked."""
_MAX_FINDINGS: Final = 10_000


@dataclass(frozen=True)
class ProofLimits:
    """Seconds until a lock must hold everywhere, between two reports that it does not, and hours after which nobody asks any more."""

    within_s: float = 10.0
    again_s: float = 60.0
    for_h: float = 24.0
    held_s: float = 300.0
    """After so long a point that refused is asked again, as long as the lock holds: a door may forget what it knew."""


class Seen(NamedTuple):
    """What one point answered. `how` in words; `works` None: no answer that says either."""

    works: bool | None
    how: str


class Question(NamedTuple):
    """Something to be asked now. `probe` is None for a connector."""

    decision: Decision
    point: str
    probe: str | None


class _Heard(NamedTuple):
    point: Point
    at: float


@dataclass
class _Open:
    decision: Decision
    ask_at: float
    wait_s: float = _FIRST_S
    told_at: float = 0.0
    told: int = 0
    asking: bool = False


class Prover:
    """Not thread-safe. `put` is the only way for denials in; values that other methods give are to be written first."""

    def __init__(self, limits: ProofLimits) -> None:
        self._limits = limits
        self._points: dict[str, _Heard] = {}
        self._acks: dict[Key, tuple[LockAck, float]] = {}
        self._found: dict[str, int] = {}
        self._open: dict[Key, _Open] = {}
        self._held: dict[Key, _Open] = {}
        self.denials: dict[Key, Denial] = {}

    def heard(self, point: Point, broker_s: float) -> None:
        """A point says that it is there; the broker's clock, since its own may be wrong."""
        self._points[point.name] = _Heard(point, broker_s)

    def left(self, name: str) -> None:
        """A point signed off."""
        self._points.pop(name, None)

    def acknowledged(self, ack: LockAck, broker_s: float) -> None:
        """A point says that it has applied a lock: noted, with our clock, and not believed."""
        self._acks[(ack.command, ack.point)] = (ack, broker_s)
        if len(self._acks) > _MAX_FINDINGS:
            del self._acks[next(iter(self._acks))]

    def found(self, finding: Finding) -> None:
        """When a finding was made, for the first hop."""
        self._found[finding.id] = finding.emitted_ms
        if len(self._found) > _MAX_FINDINGS:
            del self._found[next(iter(self._found))]

    def put(self, denial: Denial, decision: Decision | None = None, now: float = 0.0) -> None:
        """The newest word about one proof; with its decision, it goes on being asked for where it is open."""
        key = (denial.command, denial.point)
        self.denials[key] = denial
        if denial.state == "refused":
            one = self._open.pop(key, None) or (_Open(decision, now) if decision is not None else None)
            if one is not None:
                self._held[key] = _Open(one.decision, max(now, seconds_of(denial.tried_at)) + self._limits.held_s)
        elif decision is not None and key not in self._open:
            self._open[key] = _Open(decision, now)

    def ended(self, key: Key) -> None:
        """Nobody asks for it any more."""
        self._open.pop(key, None)
        self._held.pop(key, None)
        self.denials.pop(key, None)

    def decided(self, decision: Decision, connectors: list[str], now: float) -> list[Denial]:
        """Proofs to begin, one a point that can be asked or believed."""
        lock = decision.lock
        if lock is None:
            return []
        self._held = {key: one for key, one in self._held.items() if one.decision.subject != lock.subject or key[0] == lock.command}
        if lock.state != "locked":
            return []
        there = [one.point.name for one in self._points.values() if now - one.at < _GONE_S and one.point.kind != "connector"]
        return [
            Denial(
                command=lock.command,
                subject=lock.subject,
                point=name,
                state="probing",
                locked_at=lock.at,
                tried_at=wire_time(now),
                drill=decision.drill,
            )
            for name in [*there, *(CONNECTOR + one for one in connectors)]
            if (lock.command, name) not in self.denials
        ]

    def overtaken(self, decision: Decision) -> list[Key]:
        """Open proofs about the subject that a newer order makes pointless."""
        lock = decision.lock
        return [
            key for key, one in self._open.items() if lock is not None and one.decision.subject == lock.subject and key[0] != lock.command
        ]

    def _again(self, now: float) -> None:
        """Points that refused a while ago are open again, while the lock is in force."""
        for key, one in [(key, one) for key, one in self._held.items() if one.ask_at <= now]:
            del self._held[key]
            if in_force(one.decision.lock, now):
                self._open[key] = one

    def due(self, now: float) -> list[Question]:
        """What is to be asked now; each is asked once at a time."""
        self._again(now)
        found: list[Question] = []
        for (_, name), one in list(self._open.items()):
            if one.asking or now < one.ask_at:
                continue
            point = self._points.get(name)
            if name.startswith(CONNECTOR) or (point is not None and point.point.probe):
                one.asking = True
                found.append(Question(one.decision, name, point.point.probe if point is not None else None))
            else:
                one.ask_at = now + _SLOWEST_S
        return found

    def answered(self, key: Key, seen: Seen, now: float) -> Denial | None:
        """What the answer makes of the proof; None when nobody asks any more. Refused is the end of it."""
        one, denial = self._open.get(key), self.denials.get(key)
        if one is None or denial is None:
            return None
        one.asking = False
        age = now - seconds_of(denial.locked_at)
        one.wait_s = min(one.wait_s * 2, _SLOWEST_S) if age < self._limits.within_s else _LATE_S
        one.ask_at = now + one.wait_s
        state: Literal["probing", "refused", "still-works", "unreachable"] = "refused"
        if seen.works is not False:
            state = "probing" if age < self._limits.within_s else ("still-works" if seen.works else "unreachable")
        return self._with_hops(
            replace(
                denial,
                state=state,
                tried_at=wire_time(now),
                attempts=denial.attempts + 1,
                how=seen.how[:300],
                refused_at=wire_time(now) if state == "refused" else None,
            ),
            one.decision,
            now,
        )

    def _with_hops(self, denial: Denial, decision: Decision, now: float) -> Denial:
        """Milliseconds: finding to lock; and from the lock to the decision's being told, the acknowledgement, the denial."""
        locked = seconds_of(denial.locked_at)
        hops = {"decision": (seconds_of(decision.at) - locked) * 1000}
        found = self._found.get(decision.findings[0]) if decision.findings else None
        if found is not None:
            hops["lock"] = locked * 1000 - found
        ack = self._acks.get((denial.command, denial.point))
        if ack is not None:
            hops["ack"] = (ack[1] - locked) * 1000
        if denial.state == "refused":
            hops["denial"] = (now - locked) * 1000
        return replace(
            denial,
            hops_ms={name: round(value, 3) for name, value in hops.items()},
            acked_at=wire_time(ack[1]) if ack is not None else denial.acked_at,
        )

    def believed(self, now: float) -> list[Denial]:
        """Points that cannot be asked, once they acknowledged or the time is over: what is known of them, which is no proof."""
        values: list[Denial] = []
        for key, one in self._open.items():
            point, denial = self._points.get(key[1]), self.denials[key]
            if key[1].startswith(CONNECTOR) or (point is not None and point.point.probe) or denial.state != "probing":
                continue
            acked = key in self._acks
            if acked or now - seconds_of(denial.locked_at) >= self._limits.within_s:
                how = "it cannot be asked, and says that it has applied the lock" if acked else "it cannot be asked, and has not answered"
                values.append(self._with_hops(replace(denial, state="unreachable", tried_at=wire_time(now), how=how), one.decision, now))
        return values

    def unproven(self, now: float) -> list[Finding]:
        """R01 for each open proof that is late, again after `again_s`; to be sent at least once."""
        found: list[Finding] = []
        for key, one in self._open.items():
            denial = self.denials[key]
            age = now - seconds_of(denial.locked_at)
            if denial.state not in ("still-works", "unreachable") or self._is_believed(key, denial) or now < one.told_at:
                continue
            one.told, one.told_at = one.told + 1, now + self._limits.again_s
            found.append(not_proven(one.decision, denial, now, age, self._limits.within_s, one.told))
        return found

    def _is_believed(self, key: Key, denial: Denial) -> bool:
        return denial.state == "unreachable" and denial.attempts == 0 and key in self._acks

    def over(self, now: float) -> list[Key]:
        """Proofs that nobody will get any more: too old, or only believed, or the lock has ended by itself."""
        found = []
        for key, one in self._open.items():
            lock, denial = one.decision.lock, self.denials[key]
            ended = lock is not None and lock.until is not None and seconds_of(lock.until) <= now
            # One that refused before is asked for as long as the lock holds.
            old = denial.refused_at is None and now - seconds_of(denial.locked_at) >= self._limits.for_h * 3600
            if ended or old or self._is_believed(key, denial):
                found.append(key)
        return found

    def close(self, key: Key) -> None:
        """It stays as it is, and nobody asks any more."""
        self._open.pop(key, None)

    @property
    def waiting(self) -> bool:
        """Whether something is open: the shell turns faster then."""
        return bool(self._open)

    def old(self, now: float, kept_days: float) -> list[Key]:
        """Finished proofs that nobody looks at any more; the history has them."""
        return [
            key for key, denial in self.denials.items() if key not in self._open and now - seconds_of(denial.tried_at) > kept_days * 86_400
        ]
