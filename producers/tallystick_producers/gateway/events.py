"""The two events of a request, under one id: the decision before the first byte, and what then happened."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol

from tallystick_schemas.errors import TallystickError
from tallystick_schemas.events import Actor, Resource, Source, Usage, Why

from .catalog import Listing
from .errors import AuditUnavailable, Refusal

ANONYMOUS: Final = Actor("anonymous", "human")
_FOLDERS: Final = {"model": "models", "dataset": "datasets"}


class EventSink(Protocol):
    """The recorder, as far as the gateway needs it."""

    @property
    def record(self) -> Callable[..., str]: ...
    @property
    def record_async(self) -> Callable[..., Coroutine[Any, Any, str]]: ...


class RequestLog:
    """One request's facts, gathered while it is served."""

    def __init__(self, sink: EventSink, request_id: str, method: str, source: Source) -> None:
        self._sink, self.request_id, self._method, self._source = sink, request_id, method, source
        self.actor = ANONYMOUS
        self.resource = Resource("endpoint", "gateway")
        self._attrs = {"request_id": request_id, "method": method}

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

    async def allow(self, policies: Sequence[str], *, counts: bool) -> None:
        """Durably, before anything is served; AuditUnavailable when it cannot be. `counts`: the content of one object is about to flow."""
        usage = Usage(objects=1) if counts else None
        await self._durably("access.check", outcome="allowed", why=Why(policies=list(policies)), usage=usage)

    async def refuse(self, refusal: Refusal) -> None:
        """A request that is not granted is an event as well."""
        action = "auth.fail" if refusal.status == 401 else "access.check"
        attrs = {"status": str(int(refusal.status)), **({"lock": refusal.facts["lock"]} if "lock" in refusal.facts else {})}
        why = Why(policies=list(refusal.policies) or None, text=refusal.text[:1000])
        await self._durably(action, outcome=refusal.outcome, why=why, attrs=attrs)

    async def _durably(self, action: str, *, attrs: Mapping[str, str] | None = None, **fields: Any) -> None:
        try:
            await self._sink.record_async(
                action,
                durable=True,
                actor=self.actor,
                resource=self.resource,
                source=self._source,
                attrs={**self._attrs, **(attrs or {})},
                **fields,
            )
        except TallystickError as error:
            raise AuditUnavailable(str(error)) from error

    def progress(self, action: str, sent: int) -> None:
        """A long transfer says how far it is; its bytes are counted once, by `done`."""
        self._sink.record(
            action, actor=self.actor, resource=self.resource, source=self._source, attrs={**self._attrs, "progress": str(sent)}
        )

    def done(self, action: str, sent: int, duration_ms: int, error: str = "") -> None:
        """What happened: the true number of bytes that went out, also when the client left in the middle."""
        usage = Usage(bytes=sent, objects=1, duration_ms=duration_ms)
        attrs = {**self._attrs, **({"error": error} if error else {})}
        self._sink.record(
            action,
            actor=self.actor,
            resource=self.resource,
            source=self._source,
            outcome="error" if error else "allowed",
            usage=usage,
            attrs=attrs,
        )
