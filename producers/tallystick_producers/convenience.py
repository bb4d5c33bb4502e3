"""The common cases: a decorator, and a handler for applications that already log."""

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, ParamSpec, TypeVar, cast

from tallystick_schemas.events import Actor, Resource, Why
from tallystick_schemas.vocabulary import ACTIONS, no_action

from .access import Access, access
from .errors import InvalidEvent
from .recorder import Recorder

P = ParamSpec("P")
R = TypeVar("R")
_OURS: Final = ("tallystick_producers", "kafka")
_MESSAGE_CHARACTERS: Final = 1000

__all__ = ["Access", "TallystickHandler", "access", "recorded"]


def recorded(
    recorder: Recorder,
    action: str,
    *,
    actor: Actor | Callable[..., Actor],
    resource: Resource | Callable[..., Resource],
    why: Why | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Record each call of a function or a coroutine function; `actor` and `resource` are given, or made from its arguments.

    InvalidEvent at once for an action that is none, and for a generator function: its call does no work yet, so it would be recorded too early.
    """
    if action not in ACTIONS:
        raise InvalidEvent(f"{action}: {no_action(action)}")

    def begin(*args: Any, **kwargs: Any) -> Any:
        who = actor(*args, **kwargs) if callable(actor) else actor
        what = resource(*args, **kwargs) if callable(resource) else resource
        return access(recorder, action, actor=who, resource=what, why=why)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            name = getattr(function, "__qualname__", repr(function))
            raise InvalidEvent(f"{name} is a generator function, whose call does no work: use `with recorder.access(…)` inside it")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wait(*args: P.args, **kwargs: P.kwargs) -> Any:
                with begin(*args, **kwargs):
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", wait)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with begin(*args, **kwargs):
                return function(*args, **kwargs)

        return call

    return decorate


class TallystickHandler(logging.Handler):
    """For applications that already log: `logger.info("…", extra={"tallystick": {"action": …, "actor": …, "resource": …}})`.

    The dictionary holds arguments of `Recorder.record`, and `defaults` those that it leaves out. The message, the logger and the level become
    attrs. A plain record becomes an event when `defaults` name an action, an actor and a resource; otherwise it is not ours.
    """

    def __init__(self, recorder: Recorder, level: int = logging.NOTSET, **defaults: Any) -> None:
        super().__init__(level)
        self._recorder, self._defaults = recorder, defaults

    def emit(self, record: logging.LogRecord) -> None:
        fields: Mapping[str, Any] | None = getattr(record, "tallystick", None)
        given = {**self._defaults, **(fields or {})}
        complete = {"action", "actor", "resource"} <= given.keys()
        # What the SDK itself logs must not become an event: a full spool would fill itself.
        if record.name.split(".")[0] in _OURS or (fields is None and not complete):
            return
        try:
            said = {"message": record.getMessage()[:_MESSAGE_CHARACTERS], "logger": record.name, "level": record.levelname}
            attrs = {**said, **given.pop("attrs", {})}
            self._recorder.record(given.pop("action"), attrs=attrs, **given)
        except Exception:  # noqa: BLE001 - logging's own rule: handleError says it on stderr, the application goes on
            self.handleError(record)
