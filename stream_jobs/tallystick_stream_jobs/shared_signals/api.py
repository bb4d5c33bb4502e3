"""What receivers ask of us as a transmitter: SSF 1.0's management endpoints, discovery, the key set, and polling (RFC 8936)."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tallystick_producers.gateway.token_file import TokenFile

from ..connectors.errors import Refused
from ..connectors.guard import check_url
from .errors import StreamRefused
from .keyfile import KeyFile
from .polling import Polls
from .requests import answer, empty, guarded, principal_of_token, read_json
from .settings import ReceiverSettings, SignalsSettings
from .store import Store
from .streams import Stream, created, patched, replaced, shown, with_status
from .subjects import canonical, check_simple
from .transmitter import Told, Transmitter
from .vocabulary import POLL, PUSH

_WELL_KNOWN: Final = "/.well-known/ssf-configuration"


def configuration(settings: SignalsSettings) -> dict[str, Any]:
    """SSF 1.0, section 7.1."""
    base = settings.issuer
    return {
        "spec_version": "1_0",
        "issuer": base,
        "jwks_uri": f"{base}/ssf/jwks.json",
        "delivery_methods_supported": [PUSH, POLL],
        "configuration_endpoint": f"{base}/ssf/streams",
        "status_endpoint": f"{base}/ssf/status",
        "add_subject_endpoint": f"{base}/ssf/subjects:add",
        "remove_subject_endpoint": f"{base}/ssf/subjects:remove",
        "verification_endpoint": f"{base}/ssf/verify",
        "critical_subject_members": [],
        "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6750"}],
        "default_subjects": settings.default_subjects,
    }


class TransmitterApi:
    """The endpoints. A receiver sees its own streams alone: another's is 404, as if there were none."""

    def __init__(
        self,
        settings: SignalsSettings,
        store: Store,
        keys: KeyFile,
        tokens: TokenFile,
        transmitter: Transmitter,
        told: Told,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._store, self._keys, self._tokens = settings, store, keys, tokens
        self._transmitter, self._told, self._clock = transmitter, told, clock
        self._polls = Polls(store, keys, told, clock)

    def routes(self) -> list[Route]:
        """For the application. An issuer with a path has its document behind the well-known name (RFC 8615)."""
        path = urlsplit(self._settings.issuer).path
        return [
            Route(_WELL_KNOWN + path, guarded(self._configuration), methods=["GET"]),
            Route("/ssf/jwks.json", guarded(self._jwks), methods=["GET"]),
            Route("/ssf/streams", guarded(self._streams), methods=["GET", "POST", "PATCH", "PUT", "DELETE"]),
            Route("/ssf/status", guarded(self._status), methods=["GET", "POST"]),
            Route("/ssf/subjects:add", guarded(self._add), methods=["POST"]),
            Route("/ssf/subjects:remove", guarded(self._remove), methods=["POST"]),
            Route("/ssf/verify", guarded(self._verify), methods=["POST"]),
            Route("/ssf/poll/{stream_id}", guarded(self._poll), methods=["POST"]),
        ]

    async def _configuration(self, _request: Request) -> Response:
        return JSONResponse(configuration(self._settings), headers={"cache-control": "max-age=3600"})

    async def _jwks(self, _request: Request) -> Response:
        keys = self._keys.ring().jwks(self._clock())
        return JSONResponse(
            keys, headers={"cache-control": f"max-age={self._settings.jwks_max_age_s}"}, media_type="application/jwk-set+json"
        )

    def _receiver(self, request: Request) -> ReceiverSettings:
        principal = principal_of_token(request, self._tokens)
        receiver = self._settings.receiver(principal)
        if receiver is None:
            raise StreamRefused(403, f"{principal} is no receiver here; the operator adds [signals.receivers.{principal}]")
        return receiver

    async def _find(self, receiver: ReceiverSettings, stream_id: object) -> Stream:
        if not isinstance(stream_id, str) or not stream_id:
            raise StreamRefused(400, "stream_id is missing")
        stream = await asyncio.to_thread(self._store.stream, stream_id)
        if stream is None or stream.receiver != receiver.name:
            raise StreamRefused(404, f"there is no stream {stream_id[:64]} of yours")
        return stream

    async def _say(self, stream: Stream, words: str) -> None:
        await asyncio.to_thread(self._told, "policy.update", stream, words[:900])

    async def _streams(self, request: Request) -> Response:
        receiver = self._receiver(request)
        if request.method == "POST":
            return await self._create(receiver, await read_json(request))
        if request.method in ("PATCH", "PUT"):
            return await self._change(receiver, await read_json(request), patched if request.method == "PATCH" else replaced)
        stream_id = request.query_params.get("stream_id")
        if request.method == "DELETE":
            stream = await self._find(receiver, stream_id)
            await asyncio.to_thread(self._store.drop_stream, stream.id)
            await self._say(stream, "deleted by its receiver")
            return empty(204)
        if stream_id is not None:
            return answer(shown(await self._find(receiver, stream_id), self._settings, receiver))
        return answer([shown(one, self._settings, receiver) for one in await asyncio.to_thread(self._store.streams, receiver.name)])

    async def _create(self, receiver: ReceiverSettings, request: dict[str, Any]) -> Response:
        if len(await asyncio.to_thread(self._store.streams, receiver.name)) >= self._settings.max_streams:
            raise StreamRefused(409, f"{receiver.name} has {self._settings.max_streams} streams, which is all that it may have")
        stream = created(secrets.token_hex(16), receiver.name, request)
        _check_endpoint(stream, receiver)
        await asyncio.to_thread(self._store.put_stream, stream)
        await self._say(stream, f"created by its receiver: {', '.join(stream.delivered) or 'no events'}")
        return answer(shown(stream, self._settings, receiver), 201)

    async def _change(
        self, receiver: ReceiverSettings, request: dict[str, Any], change: Callable[[Stream, dict[str, Any], dict[str, Any]], Stream]
    ) -> Response:
        before = await self._find(receiver, request.get("stream_id"))

        def changed(stream: Stream) -> Stream:
            after = change(stream, request, shown(stream, self._settings, receiver))
            _check_endpoint(after, receiver)
            return after

        stream = await self._changed(before.id, changed)
        await self._say(stream, f"changed by its receiver: {', '.join(stream.delivered) or 'no events'}")
        return answer(shown(stream, self._settings, receiver))

    async def _changed(self, stream_id: str, change: Callable[[Stream], Stream], *, clear: bool = False) -> Stream:
        stream = await asyncio.to_thread(self._store.change_stream, stream_id, change, clear=clear)
        if stream is None:
            raise StreamRefused(404, f"there is no stream {stream_id} any more")
        return stream

    async def _status(self, request: Request) -> Response:
        receiver = self._receiver(request)
        if request.method == "GET":
            stream = await self._find(receiver, request.query_params.get("stream_id"))
        else:
            wish = await read_json(request)
            before = await self._find(receiver, wish.get("stream_id"))
            stream = await self._changed(before.id, lambda one: with_status(one, wish), clear=wish.get("status") == "disabled")
            await self._say(stream, f"{stream.status} by its receiver{f': {stream.reason}' if stream.reason else ''}")
            self._transmitter.ready.set()
        reason = {"reason": stream.reason} if stream.reason else {}
        return answer({"stream_id": stream.id, "status": stream.status, **reason})

    async def _add(self, request: Request) -> Response:
        await self._want(request, wanted=True)
        return empty(200)

    async def _remove(self, request: Request) -> Response:
        await self._want(request, wanted=False)
        return empty(204)

    async def _want(self, request: Request, *, wanted: bool) -> None:
        receiver = self._receiver(request)
        wish = await read_json(request)
        stream = await self._find(receiver, wish.get("stream_id"))
        if not isinstance(wish.get("verified", True), bool):
            raise StreamRefused(400, "verified must be true or false")
        subject = canonical(check_simple(wish.get("subject")))
        if not await asyncio.to_thread(self._store.want, stream.id, subject, wanted=wanted, limit=self._settings.max_subjects):
            raise StreamRefused(429, f"the stream has {self._settings.max_subjects} subjects, which is all that it may have", 3600)
        await self._say(stream, f"{'added' if wanted else 'removed'} by its receiver: {subject}")

    async def _verify(self, request: Request) -> Response:
        receiver = self._receiver(request)
        wish = await read_json(request)
        stream = await self._find(receiver, wish.get("stream_id"))
        await asyncio.to_thread(self._transmitter.verify, stream, receiver, wish.get("state"), self._clock())
        return empty(204)

    async def _poll(self, request: Request) -> Response:
        receiver = self._receiver(request)
        wish = await read_json(request, 256 * 1024)
        stream = await self._find(receiver, request.path_params["stream_id"])
        if stream.method != POLL:
            raise StreamRefused(404, "this stream is pushed")
        return answer(await self._polls.answer(stream, wish))


def _check_endpoint(stream: Stream, receiver: ReceiverSettings) -> None:
    """What a name resolves to is checked at each push; here what can be seen at once."""
    if stream.method == PUSH:
        try:
            check_url(stream.endpoint_url, allow_private=receiver.allow_private)
        except Refused as error:
            raise StreamRefused(400, f"endpoint_url: {error}") from error


def encode_stream(stream: Stream) -> dict[str, Any]:
    """A stream without its secret, for people."""
    return {name: value for name, value in msgspec.to_builtins(stream).items() if name != "authorization"}
