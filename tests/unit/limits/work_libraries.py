"""What libraries do with bytes before we are asked, as we let them: of a connection, a fetch of Kafka, a callback of the console, another system's answer."""

import asyncio
import atexit
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx
from aiokafka.record.memory_records import MemoryRecords as AioRecords
from kafka.record.memory_records import MemoryRecords
from tests.support.console import LOG, SECRET, Simulator
from tests.support.talking import talk

from tallystick_dashboard.app import build_app
from tallystick_dashboard.cookies import Cookies
from tallystick_dashboard.guard import CSRF_HEADER
from tallystick_dashboard.hub import Hub
from tallystick_dashboard.settings import ConsoleSettings
from tallystick_dashboard.used_links import UsedLinks, sign_in_link
from tallystick_producers.batches import Batches
from tallystick_producers.refused import Refused

LOOP: Final = asyncio.new_event_loop()
atexit.register(LOOP.close)
_FEW: Final = 16
_URL: Final = "http://127.0.0.1:47050"


def head(raw: bytes) -> None:
    """A connection's bytes in one piece."""
    LOOP.run_until_complete(talk([raw]))


def drip(raw: bytes) -> None:
    """A few at a time."""
    LOOP.run_until_complete(talk(raw[at : at + _FEW] for at in range(0, len(raw), _FEW)))


def _fetch(library: Callable[[bytes], Any]) -> Callable[[bytes], None]:
    def read(raw: bytes) -> None:
        batches = Batches(raw, library, Refused("events"))
        while (batch := batches.next_batch()) is not None:
            for _ in batch:
                pass

    return read


with_kafka_python: Final = _fetch(MemoryRecords)
"""Every record of every batch of a fetch."""
with_aiokafka: Final = _fetch(AioRecords)


@cache
def _console() -> httpx.AsyncClient:
    """The console's application, and somebody who is signed in."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    simulator = Simulator()
    hub = Hub(ConsoleSettings(secret_file="", state_dir=folder.name, port=0), LOG, simulator, simulator)
    app = build_app(hub, SECRET, UsedLinks(SECRET, Path(folder.name) / "used-links"))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=_URL)
    LOOP.run_until_complete(client.get(sign_in_link(SECRET, "", hub.clock(), "analyst")))
    client.headers.update(
        {
            "origin": _URL,
            CSRF_HEADER: client.cookies[Cookies.of(SECRET, secure=False).csrf],
            "content-type": "application/json",
        }
    )
    return client


def callback(raw: bytes) -> int:
    """Ask for a callback with this body; the answer's status."""
    return LOOP.run_until_complete(_console().post("/_dash-update-component", content=raw)).status_code


@cache
def _iam() -> tuple[Any, Any]:
    from botocore.parsers import create_parser
    from botocore.session import get_session

    return create_parser("query"), get_session().get_service_model("iam").operation_model("ListAccessKeys").output_shape


def iam(raw: bytes) -> None:
    """As botocore reads an answer of IAM."""
    parser, shape = _iam()
    parser.parse({"status_code": 200, "headers": {}, "body": raw}, shape)
