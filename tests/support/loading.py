"""An agent elsewhere that records all the time, whatever becomes of the deployment meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.attacking import until
from tests.support.deployment import check_exactly_once, record, wait_confirmed

from tallystick_infra.supervisor import Supervisor
from tallystick_producers import Recorder

_EVERY_S = 0.1
_EVENTS = 5
MOST_S = 180.0
"""For which a loaded machine may take to confirm what was recorded."""


class Load:
    """`ids`: every event that was recorded so far."""

    def __init__(self, supervisor: Supervisor, recorder: Recorder, name: str) -> None:
        self.supervisor, self.recorder, self.principal = supervisor, recorder, f"{name}@example.org"
        self.ids: list[str] = []
        self._name, self._over = name, threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._over.is_set():
            self.ids.extend(record(self.recorder, _EVENTS, self._name))
            self._over.wait(_EVERY_S)

    def goes_on(self, segments: int = 3) -> None:
        """Until as many segments that begin from now on have their receipts, and all before them."""
        wanted = self.recorder.stats().segments + segments
        until(self.supervisor, lambda: self.recorder.stats().acknowledged >= wanted, f"{self.principal} is confirmed", MOST_S)

    def end(self) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def load(supervisor: Supervisor, name: str, agent: str = "one") -> Iterator[Load]:
    """Before, during and after what is done within: at the end each event is in the history, once."""
    with working(supervisor, name, agent) as on:
        on.goes_on()
        yield on
        on.goes_on()
        on.end()
        wait_confirmed(supervisor, on.recorder, MOST_S)
        assert on.recorder.stats().aside == 0
    check_exactly_once(supervisor, on.ids, on.principal)


@contextmanager
def working(supervisor: Supervisor, name: str, agent: str = "one") -> Iterator[Load]:
    """The same, and nothing is said of what becomes of its events."""
    with Recorder.open(supervisor.deployment.agent(agent)) as recorder:
        on = Load(supervisor, recorder, name)
        try:
            yield on
        finally:
            on.end()
