"""The console's state in one place: what the shells write and the pages read."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tallystick_schemas.enforcement import Enforcement
from tallystick_schemas.envelope import Opener
from tallystick_schemas.locks import LockTopic
from tallystick_schemas.roles import Keyring
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
    opener: Opener = field(init=False)
    """Opens what the parts sign; topic `locks` tells it who has which role."""
    tail: Tail = field(init=False)
    findings: FindingBoard = field(init=False)
    locks: LockBoard = field(init=False)
    points: Enforcement = field(init=False)
    orders: OrderBoard = field(init=False)
    decisions: DecisionBoard = field(init=False)
    seen: Observed = field(init=False)
    history: HistoryView = field(default_factory=HistoryView)

    def __post_init__(self) -> None:
        self.tail = Tail(self.settings.tail_events)
        self.findings = FindingBoard(self.settings.findings)
        self.opener = Opener(self.log.deployment, Keyring.of(self.log.operator_keys))
        self.locks = LockBoard(LockTopic(self.opener))
        self.points = Enforcement(self.opener)
        self.orders = OrderBoard()
        self.decisions = DecisionBoard()
        self.seen = Observed(seal_interval=self.log.seal_interval_s)
