"""The shell of proofs: asks points in threads, writes down what they answered, tells people, and looks for credentials minted meanwhile."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from tallystick_producers import Actor, Recorder, Resource, Why
from tallystick_schemas.enforcement import CONNECTOR, Enforcement, PointKey
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Decision, Delivery, Denial, Finding, LockAck, Point, encode_json, parse_finding, parse_message
from tallystick_schemas.probes import PROOF_KIND
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ENFORCEMENT, FINDINGS, PROOFS

from ..connectors.errors import ConnectorError
from ..triage.record import record_told
from .asking import Asker
from .core import seconds_of
from .findings import minted
from .minted import Minted, principal_of, together
from .proofs import Key, Prover, Question, Seen

log: Final = logging.getLogger(__name__)
ME: Final = Actor("outbox", "service")
_AT_ONCE: Final = 8
_BEAT_S: Final = 3.0
_LOOKS_S: Final = (3.0, 60.0)
"""When to look for minted credentials, after the lock: once for people who wait, once when slow agents have told their events."""
_LOOK_S: Final = 0.5
"""From one look to the next: a look at one lock costs the store as much as a look at several."""
_RECENT_S: Final = 600.0


class Writer(Protocol):
    """Writes a message for sure, or raises."""

    def write(self, topic: str, key: str, body: bytes) -> None: ...
    def remove(self, topic: str, key: str) -> None: ...


class _Look(NamedTuple):
    at: float
    decision: Decision


@dataclass(frozen=True)
class Tools:
    """What the shell works with. `minted` asks the history; ConnectorError when it does not answer."""

    asker: Asker
    minted: Callable[[Sequence[Decision]], list[list[Minted]]]
    writer: Writer
    recorder: Recorder


class Proving:
    """Owned by the outbox's loop."""

    def __init__(self, prover: Prover, tools: Tools, kept_days: float, enforcement: Enforcement) -> None:
        self._prover, self._tools, self._kept_days, self._enforcement = prover, tools, kept_days, enforcement
        self._pool = ThreadPoolExecutor(_AT_ONCE, "tallystick-proofs")
        self._asking: dict[Future[Seen], Question] = {}
        self._looking: Future[list[list[Minted]]] | None = None
        self._looked_for: list[_Look] = []
        self._looks: list[_Look] = []
        self._look_at = 0.0
        self._told: set[tuple[str, str]] = set()
        self._beat_at = 0.0

    def resume(self, denials: Mapping[bytes, bytes], decisions: Mapping[str, Decision], now: float) -> None:
        """Bodies of topic `proofs` that an outbox signed; open ones are asked for again. `decisions` by command."""
        for key, value in denials.items():
            try:
                denial = parse_message(Denial, value)
            except ParseError as error:
                log.error("topic %s, key %r: %s", PROOFS, key, error)
                continue
            self._prover.put(denial, decisions.get(denial.command), now)
        for decision in decisions.values():
            if decision.lock is not None and decision.lock.state == "locked" and now - seconds_of(decision.lock.at) < _RECENT_S:
                self._looks.append(_Look(now + _LOOKS_S[0], decision))

    def enforcement(self, key: bytes | None, value: bytes | None, broker_ms: int) -> None:
        """One message of topic `enforcement`; ParseError when it is nobody's word."""
        word = self._enforcement.take(key, value, broker_ms / 1000)
        if isinstance(word, LockAck):
            self._prover.acknowledged(word, broker_ms / 1000)
        elif word.left:
            self._prover.left(word.name)
        else:
            self._prover.heard(word, broker_ms / 1000)

    def finding(self, body: bytes) -> None:
        """When it was made is the beginning of the first hop. ParseError."""
        self._prover.found(parse_finding(body))

    def take(self, decision: Decision, now: float) -> None:
        """Begin to prove a lock; end the proofs that it makes pointless."""
        for key in self._prover.overtaken(decision):
            self._end(key, f"{decision.id} took its place before it was proven")
        for denial in self._prover.decided(decision, self._tools.asker.introspecting(), now):
            self._write(denial)
            # If we crash here, the decision is read again, and the points that are missing are added.
            self._prover.put(denial, decision, now)
        if decision.lock is not None and decision.lock.state == "locked":
            self._looks += [_Look(now + after, decision) for after in _LOOKS_S]

    def delivered(self, delivery: Delivery, now: float) -> None:
        """A connector acknowledges in the other side's name."""
        lock = delivery.decision.lock
        if lock is not None:
            name = CONNECTOR + delivery.connector
            ack = LockAck(point=name, subject=lock.subject, command=lock.command, state=lock.state, applied_at=wire_time(now))
            self._tools.writer.write(ENFORCEMENT, PointKey(name, lock.subject).encode().decode(), encode_json(ack))
            self._prover.acknowledged(ack, now)

    @property
    def busy(self) -> bool:
        return bool(self._asking)

    @property
    def waiting(self) -> bool:
        return self._prover.waiting

    def turn(self, now: float, connectors: list[str]) -> None:
        """Take answers in, ask what is due, tell what is late, look for minted credentials."""
        for future in [one for one in self._asking if one.done()]:
            question = self._asking.pop(future)
            value = self._prover.answered((question.decision.id, question.point), future.result(), now)
            if value is not None:
                self._learned(value, now)
        for question in self._prover.due(now):
            self._asking[self._pool.submit(self._tools.asker.ask, question, now)] = question
        for value in self._prover.believed(now):
            self._learned(value, now)
        for finding in self._prover.unproven(now):
            log.error("%s", finding.text)
            self._find(finding)
        for key in self._prover.over(now):
            self._prover.close(key)
        self._look(now)
        self._beat(now, connectors)

    def _learned(self, value: Denial, now: float) -> None:
        """The event, then the state: a crash in between asks again, and the history has both answers."""
        known = self._prover.denials[(value.command, value.point)]
        if value.state != known.state:
            log.info("%s at %s: %s after %d tries (%s)", value.subject, value.point, value.state, value.attempts, value.how)
            self._record(value)
            self._write(value)
        self._prover.put(value, None, now)

    def _end(self, key: Key, why: str) -> None:
        denial = self._prover.denials[key]
        self._record(denial, why)
        self._tools.writer.remove(PROOFS, f"{key[0]}\0{key[1]}")
        self._prover.ended(key)

    def _write(self, denial: Denial) -> None:
        self._tools.writer.write(PROOFS, f"{denial.command}\0{denial.point}", encode_json(denial))

    def _find(self, finding: Finding) -> None:
        self._tools.writer.write(FINDINGS, finding.principal, encode_json(finding))
        record_told(self._tools.recorder, finding, ME)

    def _record(self, denial: Denial, why: str = "") -> None:
        attrs = {
            "command": denial.command,
            "subject": denial.subject[:400],
            "point": denial.point,
            "state": denial.state,
            "attempts": str(denial.attempts),
            **{f"hop.{name}": f"{value:.3f}" for name, value in denial.hops_ms.items()},
            **({"drill": denial.drill} if denial.drill else {}),
        }
        self._tools.recorder.record(
            "incident.update",
            actor=ME,
            resource=Resource(PROOF_KIND, f"{denial.command}/{denial.point}"[:1000]),
            outcome={"refused": "denied", "still-works": "allowed"}.get(denial.state, "error"),  # type: ignore[arg-type]  # of the three
            why=Why(text=why or denial.how),
            attrs=attrs,
            durable=True,
        )

    def _look(self, now: float) -> None:
        """One question at a time, for the oldest locks that are due: a principal once."""
        if self._looking is not None and self._looking.done():
            looking, self._looking = self._looking, None
            self._saw(looking, now)
        if self._looking is None and now >= self._look_at:
            due = {principal_of(one.decision): one for one in reversed(self._looks) if one.at <= now}
            if due:
                oldest = list(reversed(due.values()))
                self._looked_for, self._look_at = oldest[: together([one.decision for one in oldest])], now + _LOOK_S
                self._looks = [one for one in self._looks if one not in self._looked_for]
                self._looking = self._pool.submit(self._tools.minted, [one.decision for one in self._looked_for])

    def _saw(self, looking: Future[list[list[Minted]]], now: float) -> None:
        error = looking.exception()
        if isinstance(error, ConnectorError):
            log.warning("credentials minted before %d locks are looked for again: %s", len(self._looked_for), error)
            self._looks += [_Look(now + _LOOKS_S[1], one.decision) for one in self._looked_for]
        elif error is not None:
            raise error
        else:
            for look, found in zip(self._looked_for, looking.result(), strict=True):
                self._minted(look.decision, found, now)

    def _minted(self, decision: Decision, found: list[Minted], now: float) -> None:
        """R03 for each, once: under the same id after a crash."""
        covered = decision.subject.startswith("principal:")
        for one in found:
            if (decision.id, one.credential) not in self._told:
                principal = principal_of(decision) or ""
                self._find(minted(decision, principal, one.credential, one.first, one.place, now, lock=not covered))
                self._told.add((decision.id, one.credential))

    def _beat(self, now: float, connectors: list[str]) -> None:
        """Connectors are points as well, and are there while we are."""
        if now < self._beat_at:
            return
        self._beat_at = now + _BEAT_S
        for name in connectors:
            self._say(Point(name=CONNECTOR + name, kind="connector", version="1", at=wire_time(now)))

    def clean(self, now: float) -> None:
        """Let go of what is old; the history keeps it."""
        for command, point in self._prover.old(now, self._kept_days):
            self._tools.writer.remove(PROOFS, f"{command}\0{point}")
            self._prover.ended((command, point))
        self._told = {one for one in self._told if one[0] in {key[0] for key in self._prover.denials}}

    def close(self, connectors: list[str]) -> None:
        """Nobody waits for answers: what is open is asked for by the next process."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for name in connectors:
            self._say(Point(name=CONNECTOR + name, kind="connector", version="1", at=wire_time(time.time()), left=True))

    def _say(self, point: Point) -> None:
        self._tools.writer.write(ENFORCEMENT, point.name, encode_json(point))
