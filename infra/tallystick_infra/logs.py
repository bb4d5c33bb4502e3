"""Logs of processes, and tracebacks: one line an occurrence, in which nothing from outside acts or begins a line of its own."""

import atexit
import logging
import os
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

from tallystick_schemas.shown import shown, shown_lines

from .log_repeats import Quietened

_CLIENTS = ("kafka", "aiokafka", "faust", "mode", "urllib3", "clickhouse_connect")
"""Libraries that knock again and again while a store is away, and say so each time."""
_NOISY = ("kafka", "aiokafka", "faust", "mode", "uvicorn.access", "asyncio")


class ShownFormatter(logging.Formatter):
    """A line with its escapes shown; the lines of a traceback follow, and none of them can pass for a line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text. A traceback that another handler has formatted is not taken over: it would be raw."""
        record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Time, part, level, module and message."""
        return shown(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """The traceback."""
        return traceback_text(ei[1])

    def formatStack(self, stack_info: str) -> str:
        """Where it was logged."""
        return shown_lines(stack_info)


def log_to_stderr(part: str, level: str = "INFO") -> None:
    """Logging of a process: one line an occurrence, on standard error, which the supervisor keeps in logs/. TALLYSTICK_LOG names another level."""
    handler = logging.StreamHandler()
    quietened = Quietened(handler, _CLIENTS)
    handler.addFilter(quietened)
    atexit.register(quietened.tell)
    handler.setFormatter(ShownFormatter(f"%(asctime)s {part} %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=os.environ.get("TALLYSTICK_LOG", level).upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def traceback_text(error: BaseException | None) -> str:
    """A traceback as Python prints it. The lines of an exception's message that follow its first are set in."""
    if error is None:
        return "no exception"
    return "\n".join(_chunk(chunk.rstrip("\n")) for chunk in traceback.format_exception(error))


def _chunk(text: str) -> str:
    first, *more = shown_lines(text).split("\n")
    return "\n".join([first, *(line if line.startswith("  ") else f"    {line}" for line in more)])


def show_uncaught() -> None:
    """From now on the tracebacks that end this process, or one of its threads, are shown like everything else."""

    def uncaught(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        sys.stderr.write(traceback_text(error) + "\n")

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread is not None else "a thread"
            sys.stderr.write(shown(f"Exception in thread {name}:") + "\n" + traceback_text(args.exc_value) + "\n")

    sys.excepthook, threading.excepthook = uncaught, in_thread
