"""Who plays in the demonstration: readers and a thief, each a thread with an ordinary HTTP client and a line of its own speed."""

import http.client
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

READ_BYTES = 64 * 1024
LINE_BYTES_PER_S = 10_000_000
"""80 Mbit/s: how fast one of them can take bytes in. A faster line would have the small shards of this stage out of the door before a busy
machine has had its turn; shards as large as real ones take minutes on any line."""


@dataclass(frozen=True)
class Answer:
    """What a request came to; `at` in seconds since 1970, when its status was known. `cut`: the gateway ended it in the middle."""

    status: int
    size: int
    at: float
    text: str = ""
    cut: bool = False


@dataclass
class Client:
    """One principal's HTTP client."""

    gateway: str
    token: str
    bytes_taken: int = 0
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def get(self, path: str) -> Answer:
        """GET, read to the end at the line's speed."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(urlsplit(self.gateway).netloc, timeout=30)
        self._connection.request("GET", quote(path), headers={"Authorization": f"Bearer {self.token}", "User-Agent": "demo/1"})
        response = self._connection.getresponse()
        at, began, size = time.time(), time.monotonic(), 0
        kept, cut = b"", False
        try:
            while block := response.read(READ_BYTES):
                size += len(block)
                kept = kept or block
                time.sleep(max(0.0, size / LINE_BYTES_PER_S - (time.monotonic() - began)))
        except ConnectionError:
            cut = True
            self.close()
        if response.status < 300:
            self.bytes_taken += size
        return Answer(response.status, size, at, kept.decode("utf-8", "replace") if response.status >= 400 else "", cut)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Reader(threading.Thread):
    """A colleague: a few shards, with pauses; remembers every status."""

    def __init__(self, name: str, client: Client, paths: list[str], pause_s: float) -> None:
        super().__init__(name=name, daemon=True)
        self.client, self._paths, self._pause_s = client, paths, pause_s
        self.answers: list[Answer] = []

    def run(self) -> None:
        for path in self._paths:
            self.answers.append(self.client.get(path))
            time.sleep(self._pause_s)
        self.client.close()


class Thief(threading.Thread):
    """Takes everything, one shard after the other, until somebody says no."""

    def __init__(self, client: Client, paths: list[str]) -> None:
        super().__init__(name="thief", daemon=True)
        self.client, self._paths = client, paths
        self.taken: list[Answer] = []
        self.denied: Answer | None = None
        self.cut: Answer | None = None

    def run(self) -> None:
        for path in self._paths:
            answer = self.client.get(path)
            if answer.cut:  # the lock came in the middle; it tries again
                self.cut, answer = answer, self.client.get(path)
            if answer.status in (401, 403):  # a step-up, or a lock
                self.denied = answer
                break
            self.taken.append(answer)
        self.client.close()
