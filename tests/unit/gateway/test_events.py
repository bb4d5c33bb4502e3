"""What is owed to the recorder: an access that happened is never forgotten, and nothing more is allowed before it is recorded."""

import asyncio

import pytest
from tests.support.gateway import KeptEvents

from tallystick_producers.errors import SpoolFull
from tallystick_producers.gateway.errors import AuditUnavailable, Refusal
from tallystick_producers.gateway.events import Journal, RequestLog
from tallystick_producers.gateway.routes import parse_route
from tallystick_producers.instants import Instant
from tallystick_schemas.events import Actor, Source, Usage

FULL = SpoolFull("spool", 10, 10)


@pytest.fixture
def sink() -> KeptEvents:
    return KeptEvents()


@pytest.fixture
def journal(sink: KeptEvents) -> Journal:
    return Journal(sink, lambda: Instant(1_767_225_600.0, 0.0))


def request(journal: Journal, request_id: str) -> RequestLog:
    return RequestLog(journal, request_id, "GET", Source(ip="127.0.0.1"))


def allow(log: RequestLog) -> None:
    asyncio.run(log.allow(["token.valid"], counts=True))


def test_what_happened_is_recorded_before_the_next_decision(journal: Journal, sink: KeptEvents) -> None:
    first, second = request(journal, "1"), request(journal, "2")
    allow(first)
    sink.failure = FULL
    first.done("artifact.download", Usage(bytes=5, objects=1), "the client went away")
    with pytest.raises(AuditUnavailable, match="spool_max_bytes"):
        allow(second)
    assert [event.action for event in sink.events] == ["access.check"]
    sink.failure = None
    allow(second)
    assert [(event.action, (event.attrs or {})["request_id"]) for event in sink.events] == [
        ("access.check", "1"),
        ("artifact.download", "1"),
        ("access.check", "2"),
    ]
    owed = sink.events[1]
    assert owed.time == "2026-01-01T00:00:00.000000Z"
    assert (owed.outcome, owed.usage and owed.usage.bytes) == ("error", 5)


def test_a_transfer_that_a_lock_ended_is_denied_and_names_the_lock(journal: Journal, sink: KeptEvents) -> None:
    from http import HTTPStatus

    refusal = Refusal(HTTPStatus.FORBIDDEN, "GatedRepo", "Suspended.", outcome="denied", policies=["lock.principal"], facts={"lock": "c9"})
    request(journal, "1").done("artifact.download", Usage(bytes=7, objects=1), refusal)
    (event,) = sink.events
    assert (event.outcome, event.why and event.why.policies, (event.attrs or {})["lock"]) == ("denied", ["lock.principal"], "c9")


def test_an_unknown_path_is_named_as_asked(journal: Journal, sink: KeptEvents) -> None:
    log = request(journal, "1")
    log.asks(parse_route(b"/org/model/resolve/main/" + b"x" * 200))
    allow(log)
    resource = sink.events[0].resource
    assert (resource.kind, resource.id, resource.part) == ("model", "models/org/model", "x" * 200)


@pytest.mark.parametrize(("principal", "mark"), [("drill-a1-thief@drill.invalid", "a1"), ("alice@example.org", None), ("anonymous", None)])
def test_what_belongs_to_a_drill_is_marked(journal: Journal, sink: KeptEvents, principal: str, mark: str | None) -> None:
    log = request(journal, "1")
    log.actor = Actor(principal, "human")
    allow(log)
    log.progress("artifact.download", 1)
    log.done("artifact.download", Usage(bytes=5, objects=1))
    assert [(event.attrs or {}).get("drill") for event in sink.events] == [mark] * 3
