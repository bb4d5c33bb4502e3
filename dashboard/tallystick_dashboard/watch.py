"""Shell: threads that look at something every so often, and what they look at besides the store: how far the detectors are."""

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Final

from kafka.errors import KafkaError

from tallystick_schemas.settings import KafkaSettings

from .group_lag import GroupLag
from .hub import Hub

_log = logging.getLogger(__name__)
_MEASURE_EVERY_S: Final = 2.0


class Watch:
    """A thread that calls `look` every `every_s`; what it raises is logged and the next call comes as if nothing had been."""

    def __init__(self, name: str, every_s: float, look: Callable[[], None]) -> None:
        self._every, self._look, self._name = every_s, look, name
        self._stop = Event()
        self._thread = Thread(target=self._run, name=f"console-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop after the look that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._look()
            except Exception as error:  # noqa: BLE001  # a watch that ends would show old news as if it were new
                _log.warning("%s: %s", self._name, error)
            self._stop.wait(self._every)


class DetectionWatch(Watch):
    """How far the detectors are, on a connection of its own: a broker that is away must not stop the feed."""

    def __init__(self, hub: Hub, settings: KafkaSettings) -> None:
        super().__init__("detection", _MEASURE_EVERY_S, self._ask)
        self._hub, self._settings = hub, settings
        self._lag: GroupLag | None = None

    def close(self) -> None:
        super().close()
        self._drop()

    def _ask(self) -> None:
        if self._lag is None:
            self._lag = GroupLag(self._settings)
        try:
            self._hub.seen.detection = self._lag.measure()
            self._hub.seen.detection_read = self._hub.clock()
        except KafkaError:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._lag is not None:
            self._lag.close()
            self._lag = None
