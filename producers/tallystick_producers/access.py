"""One event for a block of code: what it did, how long it took, and how it ended."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from tallystick_schemas.events import Actor, Resource, Source, Usage, Why
from tallystick_schemas.vocabulary import Outcome


class Sink(Protocol):
    """The part of a recorder that is needed here."""

    def record(
        self,
        action: str,
        *,
        actor: Actor,
        resource: Resource,
        outcome: Outcome = "allowed",
        why: Why | None = None,
        usage: Usage | None = None,
        source: Source | None = None,
        attrs: dict[str, str] | None = None,
    ) -> str: ...


class Access:
    """What the body of `with access(...)` fills in."""

    def __init__(self) -> None:
        self.outcome: Outcome = "allowed"
        self.attrs: dict[str, str] = {}
        self._counts: dict[str, Any] = {}

    def usage(
        self, *, bytes: int | None = None, objects: int | None = None, tokens_in: int | None = None, tokens_out: int | None = None
    ) -> None:
        """How much was touched; a later call adds what it names, or replaces it."""
        given = {"bytes": bytes, "objects": objects, "tokens_in": tokens_in, "tokens_out": tokens_out}
        self._counts |= {name: count for name, count in given.items() if count is not None}

    used = usage

    def deny(self, reason: str) -> None:
        """It was not allowed; `attrs["reason"]` says why."""
        self.outcome = "denied"
        self.attrs["reason"] = reason

    def as_usage(self, seconds: float) -> Usage:
        """The event's usage, with its duration."""
        return Usage(**self._counts, duration_ms=int(seconds * 1000))


@contextmanager
def access(
    recorder: Sink, action: str, *, actor: Actor, resource: Resource, why: Why | None = None, source: Source | None = None
) -> Iterator[Access]:
    """Record what the block does when it ends: allowed with its duration, or error when it raises (and the exception goes on)."""
    began, one = time.monotonic(), Access()
    try:
        yield one
    except BaseException as error:
        one.outcome = "error"
        one.attrs["error"] = type(error).__name__
        raise
    finally:
        usage = one.as_usage(time.monotonic() - began)
        recorder.record(action, actor=actor, resource=resource, outcome=one.outcome, why=why, usage=usage, source=source, attrs=one.attrs)
