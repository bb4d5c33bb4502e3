"""The console's state in one place: what the shells write and the pages read."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tallystick_schemas.settings import LogSettings

from .boards import DecisionBoard, FindingBoard, LockBoard, OrderBoard
from .feed import Tail
from .health import Observed
from .ports import ActRecorder, HistoryView, Sources
from .settings import ConsoleSettings


@dataclass
class Hub:
    """Boards, tail, health, the newest history, and the two doors to outside. `clock` gives seconds since 1970."""

    settings: ConsoleSettings
    log: LogSettings
    sources: Sources
    recorder: ActRecorder
    clock: Callable[[], float] = time.time
    tail: Tail = field(init=False)
    findings: FindingBoard = field(init=False)
    locks: LockBoard = field(init=False)
    orders: OrderBoard = field(init=False)
    decisions: DecisionBoard = field(init=False)
    seen: Observed = field(init=False)
    history: HistoryView = field(default_factory=HistoryView)

    def __post_init__(self) -> None:
        self.tail = Tail(self.settings.tail_events)
        self.findings = FindingBoard(self.settings.findings)
        self.locks = LockBoard()
        self.orders = OrderBoard()
        self.decisions = DecisionBoard()
        self.seen = Observed(seal_interval=self.log.seal_interval_s)
