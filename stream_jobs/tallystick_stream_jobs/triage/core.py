"""One partition's triage: what a detector found goes in, what people and the responder hear comes out. Pure; time is the events' own.

The order: mode; exemption, suppression, grant; repeat of an open finding; storm. Nothing is ever dropped: a finding that nobody should be
bothered with says why in `suppressed`.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import msgspec

from tallystick_schemas.messages import Finding, VerifiedBatch

from ..detectors.facts import LATENESS_S
from ..detectors.reading import decode_event
from ..detectors.vouching import ScopeOf, anybody
from ..policy.model import DetectionPolicy
from . import storms
from .grants import Grants
from .state import Open, State, Storm, decode_state, encode_state

MAX_OPEN: Final = 4096
_SEVERITIES: Final = ("info", "low", "medium", "high", "critical")
_ACTS: Final = ("signal", "alert", "step-up", "suspend")


class Triage:
    """`watch` each batch, then `take` each of its findings in order."""

    def __init__(self, policy: DetectionPolicy, state: State, scope_of: ScopeOf = anybody) -> None:
        self._state = state
        self._grants = Grants(state, scope_of)
        self.use(policy)

    @classmethod
    def restore(cls, policy: DetectionPolicy, raw: bytes, scope_of: ScopeOf = anybody) -> "Triage":
        """As it was kept; ParseError."""
        return cls(policy, decode_state(raw), scope_of)

    def use(self, policy: DetectionPolicy) -> None:
        """Another policy from here on; what is open stays open."""
        self._policy = policy
        self._grants.use(policy)

    @property
    def epoch(self) -> str:
        """Names the life of this state: it is another after the state was lost."""
        return self._state.epoch

    @property
    def offset(self) -> int:
        """Findings of messages before it were told."""
        return self._state.offset

    def watch(self, batch: VerifiedBatch) -> None:
        self._grants.watch(batch)

    def take(self, finding: Finding, roles: Collection[str] = ()) -> list[Finding]:
        """The finding as it is told, and a storm's beside it when there is one to tell."""
        at = datetime.fromisoformat(finding.time).timestamp()
        policy = self._policy
        suppressed = finding.suppressed or policy.exemption(finding, at, roles) or policy.suppression(finding, at)
        suppressed = suppressed or self._grants.covering(finding, at)
        judged = _with(finding, mode=policy.mode(finding.detector), suppressed=suppressed)
        key = f"{_lane(finding)}\0{finding.version}\0{finding.principal}\0{finding.credential or ''}"
        known = self._state.opens.get(key)
        if known is not None and abs(at - known.opened) < policy.noise.dedup_minutes * 60:
            return [_again(judged, known)]
        storm = None if suppressed else self._storm(judged, at)
        if storm is not None:
            judged = _with(judged, suppressed=f"part of storm {self._state.storms[_lane(finding)].id}")
        self._open(key, judged, at)
        return [judged, *([storm] if isinstance(storm, Finding) else [])]

    def _storm(self, finding: Finding, at: float) -> Finding | bool | None:
        """None: no storm. True, or the storm's finding: this one belongs to it.

        What is certain, or serious enough to suspend alone, is never hidden: else a thief would raise a storm first.
        """
        lane = _lane(finding)
        storm = self._state.storms.get(lane)
        if storm is None:
            storm = self._state.storms[lane] = Storm([])
        if not storms.count(storm, at, self._policy.noise):
            storms.over(storm)
            return None
        if finding.deterministic or finding.act == "suspend":
            return None
        told = storms.join(storm, finding, at, self._policy.noise)
        return True if told is None else _with(told, mode=self._policy.mode(storms.STORM))

    def _open(self, key: str, finding: Finding, at: float) -> None:
        opens, length = self._state.opens, self._policy.noise.dedup_minutes * 60 + LATENESS_S
        opens.pop(key, None)
        while opens and (len(opens) >= MAX_OPEN or at - next(iter(opens.values())).opened > length):
            del opens[next(iter(opens))]
        storm = finding.suppressed if finding.suppressed and finding.suppressed.startswith("part of storm ") else None
        opens[key] = Open(finding.id, finding.time, at, 1, finding.severity, finding.act, storm)

    def snapshot(self, offset: int) -> bytes:
        """The state, to be kept once the findings of all messages before `offset` were told and recorded."""
        # After a restart the first batches are those that were told before: what is known of the later ones must not be forgotten.
        self._state.offset = max(self._state.offset, offset)
        raw: bytes = encode_state(self._state)
        return raw


def _lane(finding: Finding) -> str:
    """What is counted together: nobody hides what acts under findings that rest on a word which he may not give."""
    return f"{finding.detector} unvouched" if finding.unvouched else finding.detector


def _again(finding: Finding, known: Open) -> Finding:
    """The open finding once more, with what is known now. It leaves its storm when it wants to act more than it did."""
    known.count += 1
    if _ACTS.index(finding.act) > _ACTS.index(known.act):
        known.act, known.storm = finding.act, None
    known.severity = max(known.severity, finding.severity, key=_SEVERITIES.index)
    return _with(
        finding,
        id=known.id,
        time=known.time,
        updated=finding.time,
        count=known.count,
        severity=known.severity,
        suppressed=finding.suppressed or known.storm,
    )


def _with(finding: Finding, **changes: Any) -> Finding:
    return msgspec.structs.replace(finding, **changes)


def roles_of(batch: VerifiedBatch, finding: Finding) -> set[str]:
    """Roles that the finding's principal spoke with, in those events of its evidence that this batch holds."""
    wanted = {(index, pos) for shard, index, pos in finding.evidence if shard == batch.shard}
    found: set[str] = set()
    for segment in batch.segments:
        for pos, raw in segment.events:
            if (segment.index, pos) in wanted:
                actor = decode_event(raw).actor
                found.update(actor.roles or () if actor.principal == finding.principal else ())
    return found
