"""The gateway's ASGI application: decide, record, answer. A Refusal anywhere before the first byte becomes a sentence.

Not recorded are only /healthz, which tells nothing, and what never became a request (see `protocol`).
"""

import logging
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from msgspec import UNSET

from tallystick_schemas.events import Source, Usage

from ..enforcement.table import LockTable
from ..instants import Instant, now
from ..serving import Limits
from . import hub_api
from .catalog import Catalog, Listing, check_revision, missing
from .counting import Counting
from .errors import AuditUnavailable, Refusal, StoreChanged, not_found, try_later
from .events import EventSink, Journal, RequestLog
from .exchange import Exchange, Headers, Receive, Send
from .files import POLICIES, FileDoor
from .locks import refusal_of
from .probe import is_canary, stand_ins, subject_of, unknown
from .repo_meta import META_NAME
from .routes import Route, parse_route
from .strangers import network_of
from .token_file import TokenFile
from .tokens import TokenRecord
from .transfer import UnderWay

log: Final = logging.getLogger(__name__)
MAX_BODY: Final = 256 * 1024
_READS: Final = frozenset({"GET", "HEAD"})


class Gateway:
    """`collection` is the default for repositories whose owner names none. `public_url` is what links begin with; where it is empty, they begin
    with the address of ours that the request came to, which its sender cannot choose as he can its Host header."""

    def __init__(
        self,
        catalog: Catalog,
        tokens: TokenFile,
        locks: LockTable,
        sink: EventSink,
        collection: str,
        clock: Callable[[], Instant] = now,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        public_url: str = "",
    ) -> None:
        self._catalog, self._tokens, self._locks, self._collection, self._clock = catalog, tokens, locks, collection, clock
        self._journal = Journal(sink, clock)
        self._under_way = UnderWay()
        self._files = FileDoor(catalog.store, limits.stall_s, self._under_way)
        locks.watch(self._under_way.changed)
        self._body_s, self._public_url = limits.body_s, public_url
        self._counting = Counting(lambda one: self._journal.fact(one.action, **one.fields), lambda: not self._journal.owes, clock)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, self._counting.flush)
        elif scope["type"] == "http":
            await self._http(Exchange(scope, receive, send, uuid.uuid4().hex))

    async def _http(self, exchange: Exchange) -> None:
        source = Source(ip=exchange.client, user_agent=exchange.headers.get("user-agent", "")[:300] or None)
        request = RequestLog(self._journal, exchange.request_id, exchange.method, source)
        try:
            refusal = await self._refusal(exchange, request)
            if refusal is not None:
                await self._record(exchange, request, refusal)
                await exchange.refuse(refusal.told)
        except AuditUnavailable as error:
            log.error("request %s: nothing is served: %s", exchange.request_id, error)
            await exchange.refuse(
                try_later("AuditUnavailable", "This access cannot be recorded now, so it is not granted. Try again shortly.", 2)
            )

    async def _record(self, exchange: Exchange, request: RequestLog, refusal: Refusal) -> None:
        """A refusal is written down before it is told; strangers' are counted once there are many."""
        refused = request.refused(refusal)
        if request.known or self._counting.is_told(network_of(exchange.client), refused):
            await request.refuse(refused)

    async def _refusal(self, exchange: Exchange, request: RequestLog) -> Refusal | None:
        """Serve, or say why not."""
        try:
            await self._serve(exchange, request)
        except Refusal as refusal:
            return refusal
        except StoreChanged as error:
            return try_later("Changed", f"{error}; ask again.", 1)
        except AuditUnavailable:
            raise
        except Exception as error:
            if exchange.started:
                raise
            log.exception("request %s failed", exchange.request_id)
            return Refusal(
                HTTPStatus.INTERNAL_SERVER_ERROR, "Internal", f"The gateway failed ({type(error).__name__}); its operator can see why."
            )
        return None

    async def _serve(self, exchange: Exchange, request: RequestLog) -> None:
        route = parse_route(exchange.raw_path)
        if route.door == "health":
            await exchange.json(200, {"status": "ok"})
            return
        request.asks(route)
        exchange.query  # noqa: B018 - refused here, before anything is looked up
        _check_method(route, exchange.method)
        token = self._authenticate(exchange.headers, request)
        if route.door == "probe":
            await self._probe(exchange, request, token)
            return
        if is_canary(token):
            raise Refusal(
                HTTPStatus.FORBIDDEN, "CanaryOnly", "This token opens nothing but the probe.", outcome="denied", policies=["probe.only"]
            )
        found = await self._find(route)
        if isinstance(found, tuple):
            request.names(*found, self._collection)
        # After the repository was found, so that a denial names what was asked for; before anything is told about it.
        if (refusal := self._lock_refusal(token)) is not None:
            raise refusal
        if isinstance(found, Exception):
            raise found
        listing, path = found
        _check_meta(listing, route)
        _check_roles(listing, route, token)
        check_revision(route, listing)
        if route.door in ("files", "resolve") and path in listing.manifest.files:
            await self._files.serve(exchange, request, listing, path, lambda: self._still_refusal(listing, route, token))
            return
        body, headers = await self._listing(route, exchange, listing, path)
        await request.allow(POLICIES, counts=False)
        request.done("artifact.list", Usage(bytes=await exchange.json(200, body, headers)))

    def _authenticate(self, headers: Headers, request: RequestLog) -> TokenRecord:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        instant = self._clock()
        record = self._tokens.book(instant.mono).find(token.strip()) if scheme.lower() == "bearer" and token else None
        if record is None:
            raise _unauthorized("A valid bearer token is needed; the operator makes one with `tallystick token add`.")
        request.actor = record.actor()
        if record.expired(instant.wall):
            raise _expired()
        request.known = True
        return record

    def _still_refusal(self, listing: Listing, route: Route, shown: TokenRecord) -> Refusal | None:
        """Why a download under way may not go on: by the token file and the locks of now."""
        token = self._tokens.newest().standing(shown)
        if token is None:
            return _unauthorized("This token was taken out of the gateway's file; ask the operator for a new one.")
        if token.expired(self._clock().wall):
            return _expired()
        try:
            _check_roles(listing, route, token)
        except Refusal as refusal:
            return refusal
        return self._lock_refusal(token)

    def _lock_refusal(self, token: TokenRecord) -> Refusal | None:
        denial = self._locks.check(token.principal, token.credential, self._clock(), token.issued_at())
        return refusal_of(denial) if denial is not None else None

    async def _probe(self, exchange: Exchange, request: RequestLog, canary: TokenRecord) -> None:
        """204 when one of the subject's tokens would be let in; else the refusal that it would get."""
        kind, name = subject_of(exchange.query)
        request.probes(kind, name)
        if not is_canary(canary):
            raise Refusal(
                HTTPStatus.FORBIDDEN, "NotACanary", "Only the canary's token may probe.", outcome="denied", policies=["probe.canary"]
            )
        instant = self._clock()
        found = stand_ins(self._tokens.book(instant.mono), kind, name)
        refusals = [self._stand_in_refusal(record, instant) for record in found]
        if not found:
            # No token of it is known here; a lock may be, and says more than "unknown".
            nobody = TokenRecord("", name if kind == "principal" else "", "service", name if kind == "credential" else "")
            refusals = [self._lock_refusal(nobody) or unknown(kind, name)]
        held = [refusal for refusal in refusals if refusal is not None]
        if len(held) == len(refusals):
            raise max(held, key=lambda refusal: "lock" in refusal.facts)
        await request.allow(POLICIES, counts=False)
        await exchange.empty(204, {"cache-control": "no-store"})

    def _stand_in_refusal(self, record: TokenRecord, instant: Instant) -> Refusal | None:
        if record.expired(instant.wall):
            return _expired()
        return self._lock_refusal(record)

    async def _find(self, route: Route) -> tuple[Listing, str] | Refusal | StoreChanged:
        if route.kind is None:
            return not_found("EntryNotFound", "Name models or datasets, and a repository.")
        try:
            return await self._catalog.find(route)
        except Refusal as refusal:
            return refusal
        except StoreChanged as error:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "Changed", f"{error}.", told=missing(route)) if error.hidden else error

    async def _listing(self, route: Route, exchange: Exchange, listing: Listing, path: str) -> tuple[Any, Headers]:
        """The JSON that answers what is no file."""
        headers: Headers = {"x-repo-commit": listing.commit}
        if route.door == "info":
            return hub_api.info(listing), headers
        if route.door == "paths":
            wanted = hub_api.wanted_paths(await exchange.body(MAX_BODY, self._body_s))
            return hub_api.paths_info(listing, wanted), headers
        if route.door == "resolve" or not hub_api.is_folder(listing, path):
            raise not_found("EntryNotFound", f"{listing.repo.id} holds no file {path}.", commit=listing.commit)
        recursive = exchange.query.get("recursive", [""])[0].lower() in ("true", "1")
        rows, cursor = hub_api.tree(listing, path, exchange.query.get("cursor", [""])[0], recursive=recursive)
        if cursor is not None:
            here = f"{self._public_url or exchange.reached}{exchange.raw_path.decode('ascii', 'replace')}"
            headers["link"] = f'<{here}?recursive={str(recursive).lower()}&cursor={quote(cursor, safe="")}>; rel="next"'
        return rows, headers


def _unauthorized(text: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized", text, outcome="denied", policies=["token.valid"])


def _expired() -> Refusal:
    return _unauthorized("This token has expired; ask the operator for a new one.")


def _check_method(route: Route, method: str) -> None:
    allowed = {"POST"} if route.door == "paths" else _READS
    if method not in allowed:
        text = f"{method} is not something this path can do."
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", text, facts={"allow": ", ".join(sorted(allowed))})


def _told(listing: Listing, route: Route) -> Refusal | None:
    """What a client gets in place of the refusal, where the owner hides the repository."""
    return missing(route) if listing.manifest.meta.hidden else None


def _check_meta(listing: Listing, route: Route) -> None:
    """What is wrong is the owner's and the operator's to know: the log and `tallystick doctor` tell it."""
    if listing.manifest.fault:
        text = f"{listing.repo.id} is closed for everybody: its {META_NAME} has a mistake, which `tallystick doctor` names to the operator."
        told = _told(listing, route)
        raise Refusal(HTTPStatus.FORBIDDEN, "ClosedRepo", text, outcome="denied", policies=["repo.meta"], told=told)


def _check_roles(listing: Listing, route: Route, token: TokenRecord) -> None:
    roles = listing.manifest.meta.roles
    if roles is not UNSET and not set(roles) & set(token.roles):
        text = f"{listing.repo.id} is for the roles {', '.join(roles) or '(none)'}, and this token carries none of them."
        told = _told(listing, route)
        raise Refusal(HTTPStatus.FORBIDDEN, "GatedRepo", text, outcome="denied", policies=["repo.roles"], told=told)


async def _lifespan(receive: Receive, send: Send, at_end: Callable[[], None]) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            at_end()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
