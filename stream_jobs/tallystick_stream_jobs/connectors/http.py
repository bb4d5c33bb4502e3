"""The one way out: HTTP with a guard on addresses, time-outs, a size limit, TLS verified, no proxy and no redirect."""

import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx
import msgspec

from .errors import Refused, Retry
from .guard import GuardedBackend, Resolve, check_url, resolve

# It tells each request's whole address, and with some receivers the address is the secret.
logging.getLogger("httpx").setLevel(logging.WARNING)
_LATER: Final = frozenset({408, 409, 423, 425, 429})
_LONGEST_AFTER_S: Final = 3_600.0


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are lower case."""

    host: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def check(self, *also: int) -> "Answer":
        """Itself for 2xx and the statuses in `also`; else Retry or Refused by what the status means (RFC 9110)."""
        if 200 <= self.status < 300 or self.status in also:
            return self
        if self.status >= 500 or self.status in _LATER:
            raise Retry(f"{self.host} answered {self.status}", _after_s(self.headers))
        raise Refused(f"{self.host} answered {self.status}")

    def json(self) -> Any:
        """The body as JSON; Retry when it is none: some proxy speaks, and may be gone later."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Retry(f"{self.host} answered {self.status} with something that is not JSON") from error


def _after_s(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds, when it is a number, within the hour (RFC 9110, 10.2.3)."""
    given = headers.get("retry-after", "")
    if given.isascii() and given.isdigit() and len(given) < 10:
        return min(float(given), _LONGEST_AFTER_S)
    try:
        # A date needs the other side's clock: its own Date header is the only one that we have.
        wait = (parsedate_to_datetime(given) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(wait, 0.0), _LONGEST_AFTER_S)


class _Transport(httpx.HTTPTransport):
    """httpx's own, with our backend under it. One connection a request: nothing is reused, so nothing can outlive its check."""

    def __init__(self, context: ssl.SSLContext, backend: GuardedBackend) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context, network_backend=backend, max_connections=1, max_keepalive_connections=0, http2=False
        )


class Http:
    """Thread-safe. `timeout_s` bounds each step (connect, write, read) and, tripled, the whole exchange; `max_bytes` the answer's body."""

    def __init__(
        self,
        *,
        allow_private: bool = False,
        timeout_s: float = 10.0,
        max_bytes: int = 1 << 20,
        cafile: str | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._allow_private, self._timeout_s, self._max_bytes, self._resolve = allow_private, timeout_s, max_bytes, resolve
        self._context = ssl.create_default_context(cafile=cafile)

    def send(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None) -> Answer:
        """The answer, whatever its status below 300 or from 400 on. Retry: no answer in time. Refused: a redirect, a bad address, too long an answer."""
        check_url(url, allow_private=self._allow_private)
        host = urlsplit(url).hostname or ""
        try:
            with self._client() as client, client.stream(method, url, headers=headers, content=content) as response:
                body = self._body(host, response.iter_raw)
        except (httpx.TimeoutException, httpx.TransportError) as error:
            raise Retry(f"{host} did not answer as it should: {_kind(error)}") from None  # its text may hold the address
        except httpx.InvalidURL as error:
            raise Refused(f"the address of {host} is not one") from error
        answer = Answer(host, response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)
        if 300 <= answer.status < 400:
            raise Refused(f"{host} redirects to {_target(host, answer)}, which is not followed; put the final address into connectors.toml")
        return answer

    def _client(self) -> httpx.Client:
        backend = GuardedBackend(allow_private=self._allow_private, total_s=3 * self._timeout_s, resolve=self._resolve)
        # Asked for as it is: a small body that swells when unpacked would go round the size limit.
        return httpx.Client(
            transport=_Transport(self._context, backend),
            timeout=self._timeout_s,
            follow_redirects=False,
            trust_env=False,
            headers={"accept-encoding": "identity", "user-agent": "tallystick"},
        )

    def _body(self, host: str, chunks: Callable[[], Any]) -> bytes:
        body = bytearray()
        for chunk in chunks():
            body += chunk
            if len(body) > self._max_bytes:
                raise Refused(f"{host} answers with more than {self._max_bytes} bytes")
        return bytes(body)


def _kind(error: Exception) -> str:
    return {"ConnectTimeout": "no connection in time", "ReadTimeout": "no answer in time"}.get(type(error).__name__, type(error).__name__)


def _target(host: str, answer: Answer) -> str:
    other = urlsplit(answer.headers.get("location", "")).hostname
    return f"another host, {other}" if other and other != host else "another address of its own"
