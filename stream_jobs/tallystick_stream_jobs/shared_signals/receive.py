"""The door for tokens that issuers push (RFC 8935): 202 when it is on disk, 400 with the error code, 503 when it shall come again."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tallystick_producers.errors import ProducerError
from tallystick_producers.gateway.counting import Counting
from tallystick_producers.gateway.strangers import Refused
from tallystick_producers.gateway.token_file import TokenFile
from tallystick_producers.instants import Instant
from tallystick_producers.seldom import Seldom
from tallystick_schemas.names import same_principal

from .errors import KeysUnavailable, SetRefused, StateBroken
from .inbox import Inbox, Recorded, refused
from .requests import empty, guarded, principal_of_token, read_body
from .verify import MAX_SET_BYTES
from .vocabulary import SET_TYPE

log: Final = logging.getLogger(__name__)


class ReceiverApi:
    """One path an issuer, so that whose token it claims to be is never the token's own word."""

    def __init__(self, inboxes: Mapping[str, Inbox], tokens: TokenFile, recorder: Recorded, clock: Callable[[], float] = time.time) -> None:
        self._inboxes, self._tokens, self._recorder, self._clock = inboxes, tokens, recorder, clock
        self._not_now = {inbox.issuer.name: Seldom() for inbox in inboxes.values()}
        self._counting = Counting(self._tell, clock=lambda: Instant(clock(), clock()))

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
            # A made-up key id is enough for this one, so whoever reaches the door may ask for it as often as he likes.
            others = self._not_now[inbox.issuer.name].ask(self._clock())
            if others is not None:
                log.error("a token for %s is not taken now: %s%s", inbox.issuer.iss, error, others)
            return JSONResponse({"error": "not now; send it again"}, 503, {"retry-after": "5"})
        return empty(202)

    async def _note(self, inbox: Inbox, token: bytes, error: SetRefused) -> None:
        """Strangers must fill neither the history nor the log: what is too much is counted."""
        one = refused(inbox.issuer, token, error)
        if self._counting.is_told(inbox.issuer.name, Refused(one.action, one.fields)):
            log.warning("a token for %s is refused: %s", inbox.issuer.iss, error)
            await self._recorder.record_async(one.action, durable=False, **one.fields)

    def _tell(self, one: Refused) -> None:
        number, issuer = one.fields["attrs"]["stands_for"], one.fields["resource"].id
        log.warning("%s more tokens for %s are refused, the last: %s", number, issuer, one.fields["why"].text)
        try:
            self._recorder.record(one.action, **one.fields)
        except ProducerError as error:
            log.error("that %s tokens for %s were refused cannot be recorded: %s", number, issuer, error)

    def end(self) -> None:
        """Tell what was counted."""
        self._counting.flush()
        for name, seldom in self._not_now.items():
            if others := seldom.rest():
                log.error("tokens for issuer %s were not taken%s", name, others)


def _refusal(error: SetRefused) -> Response:
    """RFC 8935, section 2.3."""
    return JSONResponse({"err": error.err, "description": error.description}, 400, {"cache-control": "no-store", "content-language": "en"})
