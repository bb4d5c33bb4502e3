"""The common cases: a context manager, a decorator, and a handler for applications that already log."""

import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from tallystick_schemas.events import Actor, Resource, Usage, Why

from .recorder import Recorder

P = ParamSpec("P")
R = TypeVar("R")


class Access:
    """What the body of `with access(...)` fills in."""

    def __init__(self) -> None:
        self.bytes: int | None = None
        self.objects: int | None = None
        self.attrs: dict[str, str] = {}

    def used(self, *, bytes: int | None = None, objects: int | None = None) -> None:
        """How much was touched."""
        self.bytes, self.objects = bytes, objects


@contextmanager
def access(recorder: Recorder, action: str, *, actor: Actor, resource: Resource, why: Why | None = None) -> Iterator[Access]:
    """Record what the block does when it ends: allowed with its duration, or error when it raises (and the exception goes on)."""
    began, one = time.monotonic(), Access()
    try:
        yield one
    except BaseException as error:
        _finish(recorder, action, actor, resource, why, one, began, type(error).__name__)
        raise
    _finish(recorder, action, actor, resource, why, one, began, "")


def _finish(
    recorder: Recorder, action: str, actor: Actor, resource: Resource, why: Why | None, one: Access, began: float, error: str
) -> None:
    usage = Usage(bytes=one.bytes, objects=one.objects, duration_ms=int((time.monotonic() - began) * 1000))
    attrs = {**one.attrs, **({"error": error} if error else {})}
    recorder.record(action, actor=actor, resource=resource, outcome="error" if error else "allowed", why=why, usage=usage, attrs=attrs)


def recorded(
    recorder: Recorder, action: str, *, actor: Callable[..., Actor], resource: Callable[..., Resource]
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Record each call of a function; `actor` and `resource` get its arguments."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            with access(recorder, action, actor=actor(*args, **kwargs), resource=resource(*args, **kwargs)):
                return function(*args, **kwargs)

        return wrapper

    return decorate


class TallystickHandler(logging.Handler):
    """For applications that already log: `logger.info("…", extra={"tallystick": {"action": …, "actor": …, "resource": …}})`.

    The dictionary holds the arguments of `Recorder.record`; the message becomes `attrs["message"]`. Records without it are not ours.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def emit(self, record: logging.LogRecord) -> None:
        fields: Mapping[str, Any] | None = getattr(record, "tallystick", None)
        if fields is None:
            return
        try:
            given = dict(fields)
            attrs = {"message": record.getMessage()[:1000], "logger": record.name, **given.pop("attrs", {})}
            self._recorder.record(given.pop("action"), attrs=attrs, **given)
        except Exception:  # noqa: BLE001 - logging's own rule: handleError says it on stderr, the application goes on
            self.handleError(record)
