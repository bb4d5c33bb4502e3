"""Whether Kafka or a store answers: one question, asked at all of its addresses at once, with a bound for everything, a name's look-up included.

A port that takes connections proves nothing: the kernel takes them for a process that is stopped, and the client libraries wait for minutes.
"""

import contextlib
import queue
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass
from typing import Final

from tallystick_schemas.settings import ClickHouseSettings, KafkaSettings

from .tls import kafka_context, trusting

LOOK_S: Final = 1.0
"""Patience of who only looks: he can look again."""
ORDER_S: Final = 3.0
"""Patience of who has something to say: a lock that a slow broker would have taken must not be refused."""
_GRACE_S: Final = 0.25
"""So much longer than for a socket is waited for the sentence about it."""
_CLIENT: Final = b"tallystick"
_VERSIONS: Final = struct.pack(">hhih", 18, 0, 1, len(_CLIENT)) + _CLIENT
_ASK_KAFKA: Final = struct.pack(">i", len(_VERSIONS)) + _VERSIONS
"""ApiVersions, version 0: every broker answers it, before any password."""
_ASK_STORE: Final = b"GET /ping HTTP/1.1\r\nHost: store\r\nConnection: close\r\n\r\n"


class Unanswered(OSError):
    """Nobody answered. `silent`: one took the connection and said nothing, as a stopped or overloaded process does; `full`: one took no connection and
    refused none, as it does once its queue is full of such connections; `hung_up`: one ended it."""

    def __init__(self, said: str, *, silent: bool = False, full: bool = False, hung_up: bool = False) -> None:
        self.silent, self.full, self.hung_up = silent, full, hung_up
        super().__init__(said)


@dataclass(frozen=True)
class Question:
    """What is sent, and where to. Any byte is an answer, whatever it says; so is a handshake that fails."""

    addresses: tuple[str, ...]
    sent: bytes
    tls: ssl.SSLContext | None


def of_kafka(kafka: KafkaSettings) -> Question:
    """One of its brokers is enough. SettingsError for certificates that cannot be read."""
    return Question(tuple(one.strip() for one in kafka.bootstrap.split(",")), _ASK_KAFKA, kafka_context(kafka))


def of_clickhouse(store: ClickHouseSettings) -> Question:
    """Its HTTP interface. SettingsError for a certificate that cannot be read."""
    return Question((f"{store.host}:{store.port}",), _ASK_STORE, trusting(store.ca_cert) if store.secure else None)


def ask(question: Question, patience_s: float = LOOK_S) -> None:
    """Return at the first answer; Unanswered once every address failed, or a little after `patience_s`."""
    until = time.monotonic() + patience_s + _GRACE_S
    told: queue.SimpleQueue[Unanswered | None] = queue.SimpleQueue()
    for address in question.addresses:
        # A thread each: nothing else bounds a name's look-up. One that hangs ends with the process.
        threading.Thread(
            target=lambda one=address: told.put(_trouble(question, one, patience_s)), name="tallystick-ask", daemon=True
        ).start()
    troubles: list[Unanswered] = []
    with contextlib.suppress(queue.Empty):
        for _ in question.addresses:
            if (trouble := told.get(timeout=max(0.0, until - time.monotonic()))) is None:
                return
            troubles.append(trouble)
    said = "; ".join(map(str, troubles)) or f"nobody answers at {', '.join(question.addresses)} within {patience_s:g} s"
    seen = {name: any(getattr(one, name) for one in troubles) for name in ("silent", "full", "hung_up")}
    raise Unanswered(said, **seen)


def _trouble(question: Question, address: str, patience_s: float) -> Unanswered | None:
    """Why there is no answer from an address; None when there is one."""
    host, _, port = address.rpartition(":")
    connected = False
    try:
        with socket.create_connection((host.strip("[]"), int(port)), patience_s) as raw:
            connected = True
            with question.tls.wrap_socket(raw, server_hostname=host.strip("[]")) if question.tls else raw as talk:
                talk.sendall(question.sent)
                return None if talk.recv(1) else Unanswered(f"{address} hangs up without a word", hung_up=True)
    except TimeoutError:
        said = "takes connections and says nothing" if connected else "takes no connection and refuses none"
        return Unanswered(f"{address} {said}", silent=connected, full=not connected)
    except ssl.SSLError:
        return None  # it spoke; what is wrong with its words, the client says
    except (OSError, ValueError) as error:
        return Unanswered(f"nobody answers at {address}: {error}")
