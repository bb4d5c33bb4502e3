"""Reads a topic of few messages for ever: one partition, without a group, in whatever thread calls."""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from kafka.errors import KafkaError

from tallystick_schemas.settings import KafkaSettings

from .consumer import Consumer

log: Final = logging.getLogger(__name__)
POLL_MS: Final = 500
"""What comes ends a poll at once; each empty one costs half a millisecond of CPU, in every part."""
_AGAIN_S: Final = 0.5


def connect(kafka: KafkaSettings) -> Any:
    """A consumer without a group: everybody reads everything, and knows the place by himself."""
    return Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=500)


def follow(what: str, connect: Callable[[], Any], read: Callable[[Any], None], stopping: threading.Event) -> None:
    """`read` with a consumer, and with a new one after whatever fails, until `stopping`. `read` assigns, seeks and polls, and ends when stopped."""
    while not stopping.is_set():
        consumer = None
        try:
            consumer = connect()
            read(consumer)
        except Exception as error:  # noqa: BLE001 - for ever: without this thread nobody would hear of anything again
            log.warning("%s cannot be read (%s: %s); it is tried again", what, type(error).__name__, error)
            stopping.wait(_AGAIN_S)
        finally:
            if consumer is not None:
                with contextlib.suppress(KafkaError, OSError):
                    consumer.close()
