"""Grants and job manifests: whether one covers a finding, and that means all of what was done, not just the event that crossed the line.

A finding counts many events and shows the last. So for each principal that a grant names it is remembered what it did outside of the grant: a
finding is covered when nothing of that falls into its window, and its evidence was watched from the beginning.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from tallystick_schemas.messages import Finding, VerifiedBatch, VerifiedSegment
from tallystick_schemas.names import canonical

from ..detectors.facts import LATENESS_S, Fact, make_fact, object_key
from ..detectors.reading import decode_event
from ..detectors.vouching import ScopeOf, Warrant, anybody
from ..policy.model import DetectionPolicy, Grant
from .state import State, Watch, Watched

_TOUCHING: Final = ("artifact.", "dataset.", "model.", "access.check")
_OUTSIDE: Final = 64
MAX_OBJECTS: Final = 100_000
"""Distinct objects remembered in one partition, over all grants; what is over that counts as over each cap."""
_MANY_EVIDENCE: Final = 50
"""A finding shows so many places at most: from there on there may be older ones."""


class _Name(msgspec.Struct):
    principal: str


class _Who(msgspec.Struct):
    actor: _Name


_who: Final = msgspec.json.Decoder(_Who).decode


class Grants:
    """The grants of a policy over one partition's state."""

    def __init__(self, state: State, scope_of: ScopeOf = anybody) -> None:
        self._state, self._scope_of = state, scope_of
        self._grants: dict[str, Grant] = {}
        self._by_principal: dict[str, list[Grant]] = {}
        self._objects = sum(len(one.objects) for watch in state.watches.values() for one in watch.principals.values())

    def use(self, policy: DetectionPolicy) -> None:
        """From here on these grants. One that is new or was changed is watched from here; one that is gone is forgotten."""
        self._grants = {grant.id: grant for grant in policy.grants}
        watches, state = self._state.watches, self._state
        state.watches = {
            name: watches[name]
            if name in watches and watches[name].print == _print(grant)
            else Watch(_print(grant), state.at, dict(state.indexes))
            for name, grant in self._grants.items()
        }
        self._objects = sum(len(one.objects) for watch in state.watches.values() for one in watch.principals.values())
        self._by_principal = {}
        for grant in policy.grants:
            for principal in grant.principals:
                self._by_principal.setdefault(principal, []).append(grant)

    def watch(self, batch: VerifiedBatch) -> None:
        """Take in what the principals of grants did. The batch's findings are judged after it; taking it in twice changes nothing."""
        for segment in batch.segments:
            if self._by_principal:
                self._segment(batch.shard, segment)
            self._state.at = max(self._state.at, segment.append_ms / 1000)
            self._state.indexes[batch.shard] = max(self._state.indexes.get(batch.shard, -1), segment.index)

    def _segment(self, shard: int, segment: VerifiedSegment) -> None:
        warrant = Warrant(segment.agent, self._scope_of(segment.agent, segment.key))
        for pos, raw in segment.events:
            grants = self._by_principal.get(canonical(_who(raw).actor.principal))
            if grants is None:
                continue
            event = decode_event(raw)
            # Else any agent could take a grant away by saying that somebody went beyond it.
            if event.action.startswith(_TOUCHING) and (warrant.whole or warrant.covers(event)):
                fact = make_fact(event, segment.append_ms, (shard, segment.index, pos))
                for grant in grants:
                    self._note(grant, fact)

    def _note(self, grant: Grant, fact: Fact) -> None:
        principals, principal = self._state.watches[grant.id].principals, fact.event.actor.principal
        watched = principals.get(principal)
        if watched is None:
            watched = principals[principal] = Watched([], set())
        if not grant.covers(fact.event.resource.id, fact.time):
            watched.outside = sorted({*watched.outside, fact.time})[-_OUTSIDE:]
            return
        key = object_key(fact.event)
        if key is None or grant.objects is None or len(watched.objects) > grant.objects or self._objects >= MAX_OBJECTS:
            return
        before = len(watched.objects)
        watched.objects.add(blake2b(key.encode("utf-8", "replace"), digest_size=8).digest())
        self._objects += len(watched.objects) - before

    def covering(self, finding: Finding, at: float) -> str | None:
        """The sentence of the grant that covers a finding made at `at`, or None."""
        for grant in self._by_principal.get(finding.principal, ()):
            if not grant.hears(finding) or finding.resource is None or not grant.covers(finding.resource, at):
                continue
            if self._within(grant, finding, at):
                return grant.sentence()
        return None

    def _within(self, grant: Grant, finding: Finding, at: float) -> bool:
        watch = self._state.watches[grant.id]
        watched = watch.principals.get(finding.principal)
        if watched is None:
            return False
        if grant.objects is not None and (len(watched.objects) > grant.objects or self._objects >= MAX_OBJECTS):
            return False
        first = at - finding.window_s - (LATENESS_S if finding.window_s else 0.0)
        if any(first < time <= at for time in watched.outside) or _forgot(watched, first):
            return False
        return watch.since < first or _watched(finding, watch.began)


def _forgot(watched: Watched, first: float) -> bool:
    """Whether times within the window may have been pushed out by newer ones."""
    return len(watched.outside) >= _OUTSIDE and watched.outside[0] > first


def _watched(finding: Finding, began: Mapping[int, int]) -> bool:
    return len(finding.evidence) < _MANY_EVIDENCE and all(index > began.get(shard, -1) for shard, index, _ in finding.evidence)


def _print(grant: Grant) -> bytes:
    """Changes when a grant's reach does."""
    text = repr((grant.principals, grant.resources, grant.since, grant.until))
    return blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
