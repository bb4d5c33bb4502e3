"""One event for a block of code: what it did, how long it took, and how it ended."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from tallystick_schemas.events import Actor, Resource, Source, Usage, Why
from tallystick_schemas.vocabulary import Outcome

from .errors import ProducerError

log: Final = logging.getLogger(__name__)


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

    def check(
        self,
        action: str,
        *,
        actor: Actor,
        resource: Resource,
        why: Why | None = None,
        usage: Usage | None = None,
        source: Source | None = None,
        attrs: dict[str, str] | None = None,
    ) -> None: ...


class Access:
    """What the body of `with access(...)` fills in. `check` raises InvalidEvent for what no event may hold."""

    def __init__(self, check: Callable[[Usage, dict[str, str]], None]) -> None:
        self.outcome: Outcome = "allowed"
        self.attrs: dict[str, str] = {}
        self._counts: dict[str, Any] = {}
        self._check = check

    def usage(
        self, *, bytes: int | None = None, objects: int | None = None, tokens_in: int | None = None, tokens_out: int | None = None
    ) -> None:
        """How much was touched; a later call adds what it names, or replaces it. InvalidEvent, and what was said before stays."""
        given = {"bytes": bytes, "objects": objects, "tokens_in": tokens_in, "tokens_out": tokens_out}
        counts = self._counts | {name: count for name, count in given.items() if count is not None}
        self._check(Usage(**counts), {})
        self._counts = counts

    used = usage

    def deny(self, reason: str) -> None:
        """It was not allowed; `attrs["reason"]` says why. InvalidEvent."""
        self._check(Usage(), {"reason": reason})
        self.outcome = "denied"
        self.attrs["reason"] = reason

    def as_usage(self, seconds: float) -> Usage:
        """The event's usage, with its duration."""
        return Usage(**self._counts, duration_ms=int(seconds * 1000))


@contextmanager
def access(
    recorder: Sink, action: str, *, actor: Actor, resource: Resource, why: Why | None = None, source: Source | None = None
) -> Iterator[Access]:
    """Record what the block does when it ends: allowed with its duration, or error when it raises (and the exception goes on).

    InvalidEvent or RecorderClosed before the block begins: what could not be recorded must not happen first.
    """

    def check(usage: Usage, attrs: dict[str, str]) -> None:
        recorder.check(action, actor=actor, resource=resource, why=why, usage=usage, source=source, attrs=attrs)

    check(Usage(), {})
    began, one = time.monotonic(), Access(check)

    def record() -> None:
        usage = one.as_usage(time.monotonic() - began)
        recorder.record(action, actor=actor, resource=resource, outcome=one.outcome, why=why, usage=usage, source=source, attrs=one.attrs)

    try:
        yield one
    except BaseException as error:
        one.outcome = "error"
        one.attrs["error"] = type(error).__name__
        try:
            record()
        except ProducerError as unrecorded:
            # The application's own exception goes on; that it is not in the record is said beside it.
            log.error(
                "%s of %s by %s ended with %s, and is not recorded: %s",
                action,
                resource.id,
                actor.principal,
                type(error).__name__,
                unrecorded,
            )
            error.add_note(f"not recorded: {unrecorded}")
        raise
    record()
