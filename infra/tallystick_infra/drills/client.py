"""An ordinary HTTP client of the gateway, with a line of its own speed, who notices when a download ends too early."""

import http.client
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlsplit

READ_BYTES: Final = 64 * 1024
_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class Answer:
    """What a request came to. `at`: when its status was known, seconds since 1970. `cut`: its body ended before it was whole."""

    status: int
    size: int
    at: float
    cut: bool = False
    text: str = ""


@dataclass
class Client:
    """One credential's line to the gateway; `rate` in bytes a second. Not for two threads."""

    gateway: str
    token: str
    rate: float = 30e6
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def get(self, path: str, method: str = "GET") -> Answer:
        """The answer to one request, read to its end at the line's speed. OSError when there is no gateway."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(urlsplit(self.gateway).netloc, timeout=_TIMEOUT_S)
        try:
            self._connection.request(method, quote(path), headers={"Authorization": f"Bearer {self.token}", "User-Agent": "drill/1"})
            response = self._connection.getresponse()
        except http.client.HTTPException as error:
            self.close()
            raise OSError(f"the gateway gave no answer: {error}") from error
        at, size, kept = time.time(), 0, b""
        expected = int(response.headers.get("content-length", "0")) if method == "GET" else 0
        try:
            for block in _blocks(response, self.rate):
                size += len(block)
                kept = kept or block
        except (http.client.HTTPException, OSError):
            self.close()  # cut in the middle; what came until then was counted
        cut = response.status < 300 and size < expected
        if cut:
            self.close()
        return Answer(response.status, size, at, cut, kept.decode("utf-8", "replace") if response.status >= 400 else "")

    def close(self) -> None:
        """Hang up; the next request dials again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _blocks(response: http.client.HTTPResponse, rate: float) -> Iterator[bytes]:
    began, size = time.monotonic(), 0
    while block := response.read(READ_BYTES):
        size += len(block)
        yield block
        time.sleep(max(0.0, size / rate - (time.monotonic() - began)))
