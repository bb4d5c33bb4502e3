"""The sending half of a recorder: what the spool holds goes to Kafka, and leaves the spool when its receipt comes."""

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from tallystick_schemas.checkpoints import open_checkpoint, verifiers_of
from tallystick_schemas.errors import ParseError, VerificationError
from tallystick_schemas.headers import Seen
from tallystick_schemas.receipts import Receipt
from tallystick_schemas.settings import AgentSettings
from tallystick_schemas.verdicts import Verdict

from .sender_core import Answer, SenderCore
from .spool import RunLock, Spool, Waiting

if TYPE_CHECKING:
    from .hub import Hub

log: Final = logging.getLogger(__name__)
_ADOPT_EVERY_S: Final = 10.0


class Sending:
    """Driven by the hub's threads; `added` by the writer's."""

    def __init__(self, settings: AgentSettings, spool: Spool) -> None:
        self._settings, self._spool = settings, spool
        self.agent = settings.agent
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._core = SenderCore(settings.resend_s)
        self._adopted: dict[str, RunLock] = {}
        self._own: set[str] = set()
        self._next_adoption = 0.0
        self.acknowledged = self.aside = 0
        self.seen: Seen | None = None

    @property
    def waiting(self) -> int:
        """Segments without a receipt."""
        return len(self._core)

    @property
    def bytes_waiting(self) -> int:
        return self._core.bytes_waiting

    def own(self, run: str) -> None:
        self._own.add(run)

    def added(self, segments: list[Waiting]) -> None:
        """New segments on disk."""
        with self._lock:
            for segment in segments:
                self._core.add(segment)

    def adopt(self, now: float) -> None:
        """Take over what dead processes of this agent left, under the runs that signed it."""
        self._next_adoption = now + _ADOPT_EVERY_S
        with self._lock:
            for run in self._spool.runs():
                if run in self._own or run in self._adopted:
                    continue
                lock = RunLock(self._spool.directory, run)
                if not lock.take():
                    lock.close()
                    continue
                self._adopted[run] = lock
                for segment in self._spool.waiting(run):
                    self._core.add(segment)

    def send_due(self, hub: "Hub") -> float:
        """Send what is due; seconds until there may be more."""
        now = time.monotonic()
        if now >= self._next_adoption:
            self.adopt(now)
        with self._lock:
            records = [(key, self._spool.record(*key)) for key in self._core.due(now)]
        for _, record in records:
            if record is not None:
                hub.send(self.agent, record)
        with self._lock:
            return self._core.next_due(time.monotonic())

    def take_receipts(self, receipts: list[Receipt]) -> None:
        """Free, keep or set aside, as the verdict says."""
        now = time.monotonic()
        freed: list[tuple[str, int]] = []
        aside: list[tuple[str, int, int]] = []
        with self._lock:
            for receipt in receipts:
                answer = self._core.receipt(receipt.run, receipt.n, receipt.verdict, now)
                if answer is Answer.FREE:
                    freed.append((receipt.run, receipt.n))
                elif answer is Answer.ASIDE:
                    aside.append((receipt.run, receipt.n, receipt.verdict))
                    log.error(
                        "segment %s/%d of %s was refused (%s); it is kept aside",
                        receipt.run,
                        receipt.n,
                        self.agent,
                        Verdict(receipt.verdict).label,
                    )
            if freed or aside:
                self._spool.finish(freed, aside)
                self.acknowledged += len(freed)
                self.aside += len(aside)
                self._idle.notify_all()

    def take_checkpoint(self, origin: str, note: bytes) -> None:
        """The newest root checkpoint that the sealer signed: the next segments say that we saw it."""
        log_settings = self._settings.log
        if origin != log_settings.root_origin:
            return
        try:
            checkpoint = open_checkpoint(note, verifiers_of(log_settings, origin), origin)
        except (ParseError, VerificationError) as error:
            log.warning("a root checkpoint that does not verify: %s", error)
            return
        if self.seen is None or checkpoint.size > self.seen.size:
            self.seen = Seen(checkpoint.size, checkpoint.root.hex())

    def wait_idle(self, timeout_s: float) -> int:
        """Segments that still have no receipt after `timeout_s` at the most."""
        with self._idle:
            self._idle.wait_for(lambda: not len(self._core), timeout_s)
            return len(self._core)

    def close(self) -> None:
        """Give adopted runs back; finished ones leave no file behind."""
        with self._lock:
            left = set(self._spool.runs())
            for run, lock in self._adopted.items():
                lock.close(remove=run not in left)
            for run in self._own - left:
                (self._spool.directory / f"{run}.run").unlink(missing_ok=True)
            self._spool.close()
