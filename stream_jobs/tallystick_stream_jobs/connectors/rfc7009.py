"""Token revocation by RFC 7009, at any authorization server that has it; whether a token is still active is asked by RFC 7662.

The standard revokes a token, not a name, so the tokens must be known here: a file in keys/ with one JSON object a line,
{"credential": "tok-7", "principal": "ann@example.org", "token": "…", "hint": "refresh_token"}. It is read anew each time. An unlock undoes nothing:
what is revoked stays so.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote_plus

import msgspec

from tallystick_schemas.messages import Delivery
from tallystick_schemas.names import same_principal
from tallystick_schemas.words import counted

from .base import Connector, act_of, subject_of
from .errors import Refused, Retry
from .http import Answer, Http
from .quoting import form
from .setup import Common, Setup


@dataclass(frozen=True, kw_only=True)
class Rfc7009Settings(Common):
    """`revocation_endpoint` and, where there is one, `introspection_endpoint`, as in the server's metadata (RFC 8414)."""

    revocation_endpoint: str
    client_id: str
    secret_file: str
    tokens_file: str
    introspection_endpoint: str | None = None


class KnownToken(msgspec.Struct, frozen=True):
    """One line of the tokens' file."""

    token: str
    credential: str | None = None
    principal: str | None = None
    hint: Literal["access_token", "refresh_token"] | None = None


class Rfc7009:
    """A token that is revoked stays so: only the newest order counts, and an unlock in time spares the token."""

    supersedes = True

    def __init__(self, http: Http, settings: Rfc7009Settings, secret: str, tokens: Callable[[], bytes]) -> None:
        self._http, self._settings, self._tokens = http, settings, tokens
        # RFC 6749, 2.3.1: both are form-encoded before they go into the header.
        pair = f"{quote_plus(settings.client_id)}:{quote_plus(secret)}"
        self._headers = {
            "authorization": "Basic " + b64encode(pair.encode()).decode(),
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
        }

    def deliver(self, delivery: Delivery, now: float) -> str:  # noqa: ARG002 - the port's
        """Each known token of the subject is revoked. A server answers 200 for one that is gone already (section 2.2), so a repeat is harmless."""
        if act_of(delivery) == "unlock":
            return "nothing to undo: a revoked token stays revoked, a new one must be issued"
        count = 0
        for one in self._known(delivery):
            hint = {"token_type_hint": one.hint} if one.hint else {}
            answer = self._post(self._settings.revocation_endpoint, {"token": one.token, **hint})
            if answer.status == 400:
                raise Refused(f"{answer.host} refused a token: {_error_of(answer)}")
            answer.check()
            count += 1
        return f"revoked {counted(count, 'token')}" if count else "nothing to do: no token of this subject is known here"

    def _known(self, delivery: Delivery) -> Iterator[KnownToken]:
        kind, name = subject_of(delivery)
        for number, line in enumerate(self._tokens().splitlines(), start=1):
            if not line.strip():
                continue
            try:
                one = msgspec.json.decode(line, type=KnownToken)
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                raise Refused(f"line {number} of keys/{self._settings.tokens_file} is not a token's entry") from None  # it may hold a token
            if one.credential == name if kind == "credential" else one.principal is not None and same_principal(one.principal, name):
                yield one

    def _post(self, url: str, fields: dict[str, str]) -> Answer:
        return self._http.send("POST", url, headers=self._headers, content=form(fields))


class Rfc7009AndAsk(Rfc7009):
    """With an introspection endpoint."""

    def still_works(self, delivery: Delivery, now: float) -> str | None:  # noqa: ARG002 - the port's
        """RFC 7662, 2.2: `active` of each token."""
        for one in self._known(delivery):
            answer = self._post(self._settings.introspection_endpoint or "", {"token": one.token}).check().json()
            if not isinstance(answer, dict) or answer.get("active") is not False:
                return f"the token of credential {one.credential or 'unknown'} is active"
        return None


def _error_of(answer: Answer) -> str:
    """The error code (RFC 6749, 5.2), if it is one of those that exist: the rest of the answer may quote the token."""
    known = ("invalid_request", "invalid_client", "unauthorized_client", "unsupported_token_type", "invalid_token")
    try:
        given = answer.json().get("error")
    except (Retry, AttributeError):
        given = None
    return given if given in known else "no reason given"


def build(setup: Setup) -> Connector:
    settings = setup.settings(Rfc7009Settings)
    setup.read_secret(settings.tokens_file)  # a mistake is told at the start, not with the first lock
    kind = Rfc7009AndAsk if settings.introspection_endpoint else Rfc7009
    return kind(setup.http(settings), settings, setup.secret(settings.secret_file), lambda: setup.read_secret(settings.tokens_file))
