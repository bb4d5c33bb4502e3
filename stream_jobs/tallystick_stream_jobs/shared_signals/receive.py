"""The door for tokens that issuers push (RFC 8935): 202 when it is on disk, 400 with the error code, 503 when it shall come again."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tallystick_producers.errors import ProducerError
from tallystick_producers.gateway.token_file import TokenFile
from tallystick_schemas.names import same_principal

from .errors import KeysUnavailable, SetRefused, StateBroken
from .inbox import Inbox, Recording, refused
from .requests import empty, guarded, principal_of_token, read_body
from .verify import MAX_SET_BYTES
from .vocabulary import SET_TYPE

log: Final = logging.getLogger(__name__)
_NOTES_S: Final = 1.0
"""At most one refused token a second and issuer is written down: strangers must not fill the history."""


class ReceiverApi:
    """One path an issuer, so that whose token it claims to be is never the token's own word."""

    def __init__(
        self, inboxes: Mapping[str, Inbox], tokens: TokenFile, recorder: Recording, clock: Callable[[], float] = time.time
    ) -> None:
        self._inboxes, self._tokens, self._recorder, self._clock = inboxes, tokens, recorder, clock
        self._noted: dict[str, float] = {}

    def routes(self) -> list[Route]:
        return [Route("/ssf/receive/{issuer}", guarded(self._receive), methods=["POST"])]

    async def _receive(self, request: Request) -> Response:
        inbox = self._inboxes.get(request.path_params["issuer"])
        if inbox is None:
            return JSONResponse({"error": "nobody is heard here"}, 404)
        if inbox.issuer.require_token and not same_principal(principal_of_token(request, self._tokens), inbox.issuer.name):
            return _refusal(SetRefused("access_denied", "this bearer token may not push here"))
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != SET_TYPE:
            return _refusal(SetRefused("invalid_request", f"the content type must be {SET_TYPE}"))
        return await self._take(inbox, (await read_body(request, MAX_SET_BYTES)).strip())

    async def _take(self, inbox: Inbox, token: bytes) -> Response:
        try:
            await inbox.accept(token, self._clock())
        except SetRefused as error:
            await self._note(inbox, token, error)
            return _refusal(error)
        except (KeysUnavailable, ProducerError, StateBroken) as error:
            log.error("a token of %s is not taken now: %s", inbox.issuer.iss, error)
            return JSONResponse({"error": "not now; send it again"}, 503, {"retry-after": "5"})
        return empty(202)

    async def _note(self, inbox: Inbox, token: bytes, error: SetRefused) -> None:
        log.warning("a token for %s is refused: %s", inbox.issuer.iss, error)
        now = self._clock()
        if now - self._noted.get(inbox.issuer.name, 0.0) >= _NOTES_S:
            self._noted[inbox.issuer.name] = now
            one = refused(inbox.issuer, token, error)
            await self._recorder.record_async(one.action, durable=False, **one.fields)


def _refusal(error: SetRefused) -> Response:
    """RFC 8935, section 2.3."""
    return JSONResponse({"err": error.err, "description": error.description}, 400, {"cache-control": "no-store", "content-language": "en"})
