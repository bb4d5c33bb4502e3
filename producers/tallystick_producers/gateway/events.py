"""The two events of a request, under one id: the decision before the first byte, and what then happened."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Protocol

from tallystick_schemas.drills import DRILL_ATTR, drill_of
from tallystick_schemas.events import Actor, Resource, Source, Usage, Why
from tallystick_schemas.probes import PROBE_ATTR
from tallystick_schemas.signing import wire_time

from ..instants import Instant, now
from .catalog import Listing
from .errors import AuditUnavailable, Refusal
from .routes import KINDS, Route
from .strangers import Refused

log: Final = logging.getLogger(__name__)
ANONYMOUS: Final = Actor("anonymous", "human")
_FOLDERS: Final = {kind: folder for folder, kind in KINDS.items()}
_DURABLE_S: Final = 10.0
"""A disk that takes longer is treated as one that refuses."""


class EventSink(Protocol):
    """The recorder, as far as the gateway needs it. Whatever these raise means: not recorded."""

    @property
    def record(self) -> Callable[..., str]: ...
    @property
    def record_async(self) -> Callable[..., Coroutine[Any, Any, str]]: ...


class Journal:
    """The sink, with what is owed to it. What happened after a decision can't be taken back when the sink refuses it: it is kept, and recorded before
    the next decision, which waits for it. So nothing more is served while something is unrecorded, and no more can be owed than was under way.
    """

    def __init__(self, sink: EventSink, clock: Callable[[], Instant] = now) -> None:
        self._sink, self._clock = sink, clock
        self._owed: deque[tuple[str, dict[str, Any]]] = deque()

    @property
    def owes(self) -> bool:
        """Whether the sink has yet to take something."""
        return bool(self._owed)

    async def decision(self, action: str, **fields: Any) -> None:
        """On disk when this returns; AuditUnavailable, and nothing may be served, when it can't be."""
        try:
            async with asyncio.timeout(_DURABLE_S):
                while self._owed:
                    owed, facts = self._owed[0]
                    self._sink.record(owed, **facts)
                    self._owed.popleft()
                await self._sink.record_async(action, durable=True, **fields)
        except TimeoutError as error:
            raise AuditUnavailable(f"not on disk after {_DURABLE_S:.0f} s") from error
        except Exception as error:  # whatever it was: what isn't recorded isn't served
            raise AuditUnavailable(f"{type(error).__name__}: {error}") from error

    def fact(self, action: str, **fields: Any) -> None:
        """What happened, now or as soon as the sink takes it."""
        fields["time"] = wire_time(self._clock().wall)
        try:
            self._sink.record(action, **fields)
        except Exception as error:  # noqa: BLE001 - owed, not lost
            log.error("%s of request %s is recorded later: %s", action, fields["attrs"]["request_id"], error)
            self._owed.append((action, fields))


class RequestLog:
    """One request's facts, gathered while it is served."""

    def __init__(self, journal: Journal, request_id: str, method: str, source: Source) -> None:
        self._journal, self.request_id, self._source = journal, request_id, source
        self.actor = ANONYMOUS
        self.known = False
        """Whether a token that counts was shown."""
        self.resource = Resource("endpoint", "gateway")
        self._attrs = {"request_id": request_id, "method": method}

    def asks(self, route: Route) -> None:
        """What the path names, whether it exists or not."""
        if route.kind is not None:
            name = route.repo or "/".join(route.names)
            part = route.path if route.repo and route.path else None
            self.resource = Resource(route.kind, f"{_FOLDERS[route.kind]}/{name}"[:1000], part=part[:1000] if part else None)

    def names(self, listing: Listing, path: str, collection: str) -> None:
        """What the request is about."""
        meta = listing.manifest.meta
        self.resource = Resource(
            kind=listing.repo.kind,
            id=listing.repo.id,
            version=listing.version,
            part=path or None,
            collection=meta.collection or collection,
            sensitivity=meta.sensitivity,
        )
        self._attrs["parts"] = str(listing.parts)
        if path and path in meta.canary:
            self._attrs["canary"] = "true"

    def probes(self, kind: str, name: str) -> None:
        """A probe is no access: it names the subject, moves nothing, and says so."""
        self.resource = Resource(kind, name[:1000])
        self._attrs[PROBE_ATTR] = "true"

    async def allow(self, policies: Sequence[str], *, counts: bool) -> None:
        """Durably, before anything is served; AuditUnavailable when it can't be. `counts`: the content of one object is about to flow."""
        why, usage = Why(policies=list(policies)), self._usage(Usage(objects=1) if counts else None)
        await self._journal.decision("access.check", outcome="allowed", why=why, usage=usage, **self._common({}))

    async def refuse(self, refused: Refused) -> None:
        """Durably, before the refusal is told; AuditUnavailable when it can't be."""
        await self._journal.decision(refused.action, **refused.fields)

    def refused(self, refusal: Refusal) -> Refused:
        """A request that is not granted is an event as well."""
        # A step-up is a decision about somebody who is known: no failure to say who it is.
        action = "auth.fail" if refusal.status == HTTPStatus.UNAUTHORIZED and "lock" not in refusal.facts else "access.check"
        why = Why(policies=list(refusal.policies) or None, text=refusal.text[:1000])
        common = self._common({"status": str(int(refusal.status)), **_lock_of(refusal)})
        return Refused(action, {"outcome": refusal.outcome, "why": why, "usage": self._usage(None), **common})

    def _usage(self, usage: Usage | None) -> Usage | None:
        return Usage(objects=0) if PROBE_ATTR in self._attrs else usage

    def progress(self, action: str, sent: int) -> None:
        """A long transfer says how far it is; its bytes are counted once, by `done`."""
        self._journal.fact(action, outcome="allowed", **self._common({"progress": str(sent)}))

    def done(self, action: str, usage: Usage, problem: Refusal | str = "") -> None:
        """What happened: the true number of bytes that went out, also when the client left, or was stopped, in the middle."""
        if isinstance(problem, Refusal):
            why, outcome = Why(policies=list(problem.policies), text=problem.text[:1000]), problem.outcome
            self._journal.fact(
                action, outcome=outcome, why=why, usage=usage, **self._common({"error": problem.text[:200], **_lock_of(problem)})
            )
        else:
            attrs = {"error": problem} if problem else {}
            self._journal.fact(action, outcome="error" if problem else "allowed", usage=usage, **self._common(attrs))

    def _common(self, attrs: Mapping[str, str]) -> dict[str, Any]:
        run = drill_of(self.actor.principal)
        marks = {DRILL_ATTR: run} if run is not None else {}
        return {"actor": self.actor, "resource": self.resource, "source": self._source, "attrs": {**self._attrs, **attrs, **marks}}


def _lock_of(refusal: Refusal) -> dict[str, str]:
    return {"lock": refusal.facts["lock"]} if "lock" in refusal.facts else {}
