"""What a recorder consists of in one process: spool, writer, sending half, hub; how they start and how they end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_schemas.headers import Seen
from tallystick_schemas.segments import SignedSegment
from tallystick_schemas.settings import AgentSettings

from .hub import Hub, join_hub, leave_hub
from .sending import Sending
from .spool import Spool
from .writer import Writer


@dataclass(frozen=True)
class Parts:
    """All of one run."""

    spool: Spool
    writer: Writer
    sending: Sending
    hub: Hub

    def close(self, timeout_s: float, receipts_s: float) -> None:
        """Everything on disk; what Kafka takes at once is sent; then nothing of it runs any more. SpoolFailed when events were lost."""
        try:
            self.writer.close(timeout_s)
        finally:
            self.hub.wake(self.sending)
            if self.hub.hopeful:
                self.sending.wait_idle(min(timeout_s, receipts_s))
            leave_hub(self.hub, self.sending, min(timeout_s, receipts_s))
            self.sending.close()
            self.writer.release()
            self.spool.close()

    def forget(self) -> None:
        """In a forked child."""
        self.writer.forget()
        self.sending.forget()


def start_parts(settings: AgentSettings, key: Ed25519PrivateKey) -> Parts:
    """A new run. SpoolFailed, and then nothing was started."""
    spool = Spool(Path(settings.spool_dir))
    hubs: list[Hub] = []

    def committed(segments: Sequence[SignedSegment]) -> None:
        sending.added(segments)
        for hub in hubs:
            hub.wake(sending)

    def seen() -> Seen | None:
        return sending.seen

    def freed() -> None:
        writer.freed()

    sending = Sending(settings, spool, freed)
    writer = Writer(settings, spool, key, seen, committed)
    sending.own(writer.run, writer.key)
    # Before anything of the new run can be sent: what earlier runs left goes first.
    sending.adopt(time.monotonic())
    hubs.append(join_hub(settings.kafka, settings.log, sending, settings.send_after_ms / 1000))
    writer.start()
    return Parts(spool, writer, sending, hubs[0])
