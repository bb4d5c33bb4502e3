"""Fetching tokens from an issuer that is polled (RFC 8936): acknowledge what is on disk, report what is refused, wait, again."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from tallystick_schemas.errors import TallystickError

from ..connectors.errors import Refused
from ..connectors.http import Http
from .detached import detached
from .errors import SetRefused
from .inbox import Inbox
from .push import wait_s

log: Final = logging.getLogger(__name__)
_BATCH: Final = 50
_ANSWER_BYTES: Final = 4 << 20
_LONG_POLL_S: Final = 45.0
"""How long an answer may be held back at the other side."""


class _Answer(msgspec.Struct, rename="camel"):
    """RFC 8936, section 2.4."""

    sets: dict[str, str] = {}
    more_available: bool = False


class PollClient:
    """One issuer. What is taken is acknowledged with the next request: if we crash between, it comes again and is known."""

    def __init__(self, inbox: Inbox, http: Http | None = None, clock: Callable[[], float] = time.time) -> None:
        issuer = inbox.issuer
        self._inbox, self._url, self._token_file, self._clock = inbox, issuer.poll_url, issuer.poll_token_file, clock
        self._http = http or Http(allow_private=issuer.allow_private, timeout_s=_LONG_POLL_S, max_bytes=_ANSWER_BYTES)
        self._acks: list[str] = []
        self._errors: dict[str, dict[str, str]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            try:
                await self.once(wait=True)
                failures = 0
            except TallystickError as error:
                failures += 1
                wait = wait_s(failures, getattr(error, "after_s", None), random.random())  # noqa: S311 - spreads load, guards nothing
                log.warning("polling %s: %s; again in %.1f s", self._inbox.issuer.iss, error, wait)
                await asyncio.sleep(wait)

    async def once(self, *, wait: bool) -> int:
        """One request; how many tokens came. ConnectorError, or KeysUnavailable: then nothing of the rest is acknowledged."""
        request = {"maxEvents": _BATCH, "returnImmediately": not wait, "ack": self._acks, "setErrs": self._errors}
        answer = await detached(lambda: self._post(msgspec.json.encode(request)), f"tallystick-poll-{self._inbox.issuer.name}")
        self._acks, self._errors = [], {}
        for jti, token in list(answer.sets.items())[:_BATCH]:
            try:
                await self._inbox.accept(token.encode("utf-8", "replace"), self._clock())
                self._acks.append(jti)
            except SetRefused as error:
                log.warning("%s: token %.60r is refused: %s", self._inbox.issuer.iss, jti, error)
                self._errors[jti] = {"err": error.err, "description": error.description}
        return len(answer.sets)

    def _post(self, body: bytes) -> _Answer:
        headers = {"content-type": "application/json", "accept": "application/json", **self._authorization()}
        answer = self._http.send("POST", self._url, headers=headers, content=body).check()
        try:
            return msgspec.json.decode(answer.body, type=_Answer)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Refused(f"{answer.host} answered a poll with something that RFC 8936 does not know") from error

    def _authorization(self) -> dict[str, Any]:
        if not self._token_file:
            return {}
        try:
            return {"authorization": f"Bearer {Path(self._token_file).read_text(encoding='ascii').strip()}"}
        except (OSError, UnicodeError) as error:
            raise Refused(f"the token for polling {self._inbox.issuer.name} cannot be read from {self._token_file}") from error
