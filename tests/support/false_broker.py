"""Somebody who took the port of a stopped broker: speaks Kafka as far as a password, keeps what clients say, knows no password."""

import base64
import hashlib
import hmac
import secrets
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

API_VERSIONS, HANDSHAKE, AUTHENTICATE = 18, 17, 36
_UNSUPPORTED = 35
_TOP = {API_VERSIONS: 0, HANDSHAKE: 1, AUTHENTICATE: 0, 0: 13, 1: 17, 3: 12, 22: 4}
"""Highest version of each request that it says to know. Those after the password are as a broker's."""


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


class FalseBroker:
    """Listens on `port` of loopback (0: a free one). `mechanisms` are those that it says to know; `password`: one that it does know."""

    def __init__(self, port: int = 0, mechanisms: tuple[str, ...] = ("SCRAM-SHA-512",), password: str | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._mechanisms, self._password = mechanisms, password
        self.heard: list[bytes] = []
        """Everything that was sent to it, a request each."""
        self.asked: list[int] = []
        """The kind of each request."""
        self.proofs: list[dict[str, str]] = []
        self.ended = threading.Event()
        """A client hung up after it had been shown the signature."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping = True
        # A thread that waits in accept() is woken by a caller alone.
        with socket.create_connection(("127.0.0.1", self.port)):
            self._thread.join(10)
        self._listener.close()

    def _run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping:
                connection.close()
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        first, shown = b"", False
        try:
            with connection, connection.makefile("rb") as stream:
                while len(head := stream.read(4)) == 4:
                    request = stream.read(struct.unpack(">i", head)[0])
                    self.heard.append(request)
                    kind, version, correlation = struct.unpack_from(">hhi", request)
                    self.asked.append(kind)
                    if kind == API_VERSIONS:
                        answer = self._versions(version)
                    elif kind == HANDSHAKE:
                        answer = struct.pack(">hi", 0, len(self._mechanisms)) + b"".join(map(_string, self._mechanisms))
                    elif kind == AUTHENTICATE:
                        token = self._token(request)
                        said = self._final(first, token) if first else self._first(token)
                        first, shown = first or token, bool(first)
                        answer = struct.pack(">hh", 0, -1) + struct.pack(">i", len(said)) + said
                    else:
                        return  # it is believed, and knows no more
                    connection.sendall(struct.pack(">ii", len(answer) + 4, correlation) + answer)
        except OSError:
            pass  # the client hung up: that is what is looked for
        finally:
            if shown:
                self.ended.set()

    @staticmethod
    def _versions(version: int) -> bytes:
        """ApiVersions, version 0: a client that asks for more is told to ask for less."""
        entries = b"".join(struct.pack(">hhh", kind, 0, top) for kind, top in _TOP.items())
        return struct.pack(">hi", _UNSUPPORTED if version else 0, len(_TOP)) + entries

    @staticmethod
    def _token(request: bytes) -> bytes:
        """SaslAuthenticate, version 0: header (kind, version, correlation, client), then the bytes."""
        (named,) = struct.unpack_from(">h", request, 8)
        return request[10 + max(named, 0) + 4 :]

    def _first(self, token: bytes) -> bytes:
        """RFC 5802, 3: the client's nonce goes on with the server's; salt and iterations are as the server likes."""
        said = dict(part.split("=", 1) for part in token.decode().removeprefix("n,,").split(","))
        self._salt = secrets.token_bytes(16)
        self._said = f"r={said['r']}{secrets.token_hex(8)},s={base64.b64encode(self._salt).decode()},i=4096"
        return self._said.encode()

    def _final(self, first: bytes, token: bytes) -> bytes:
        """A signature that is right when the password is known, and made up when not."""
        final = token.decode()
        self.proofs.append(dict(part.split("=", 1) for part in final.split(",")))
        signature = secrets.token_bytes(64)
        if self._password is not None:
            salted = hashlib.pbkdf2_hmac("sha512", self._password.encode(), self._salt, 4096)
            key = hmac.digest(salted, b"Server Key", "sha512")
            whole = ",".join([first.decode().removeprefix("n,,"), self._said, final.rpartition(",p=")[0]])
            signature = hmac.digest(key, whole.encode(), "sha512")
        return b"v=" + base64.b64encode(signature)


@contextmanager
def false_broker(port: int = 0, mechanisms: tuple[str, ...] = ("SCRAM-SHA-512",), password: str | None = None) -> Iterator[FalseBroker]:
    one = FalseBroker(port, mechanisms, password)
    try:
        yield one
    finally:
        one.close()
