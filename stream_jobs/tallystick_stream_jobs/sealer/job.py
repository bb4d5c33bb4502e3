"""The sealer's loop: ticks out, receipts in, rows read back and signed. `tallystick sealer`."""

import logging
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka.errors import KafkaError

from tallystick_producers.keyring import ROLES_EVERY_S, LiveRoles
from tallystick_schemas.roles import Keyring as Roles
from tallystick_schemas.settings import JobSettings, LogSettings

from ..errors import JobError, SealerKeyRetired
from .kafka_link import SealerLink, read_published
from .refusal import Refusal
from .rounds import Notes
from .sealer import Keyring, Sealer
from .state import StateFile
from .store import ClickHouseSealStore
from .ticks import Ticks

log = logging.getLogger(__name__)
_RETRY_S = 1.0
_ROLES_S = 10.0
_LOOK_S = 5.0
"""Between two looks while nothing may be signed, or _TIMES as long as one takes: each reads the whole history."""
_TIMES = 10.0


def run_sealer(settings: JobSettings, private_key: Ed25519PrivateKey, directory: Path) -> None:
    """The process: runs until SIGTERM. What forbids to sign is told, and looked at again until it is mended: the process stays."""
    stopping: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    signal.signal(signal.SIGINT, lambda *_: stopping.append(True))
    store = ClickHouseSealStore(clickhouse_connect.get_client(**settings.clickhouse.client_kwargs(), compress=False))
    keyring, refusal = Keyring(private_key), Refusal(directory)
    with StateFile(directory) as file:
        while not stopping:
            began, took = time.monotonic(), math.nan
            try:
                sealer = Sealer(settings.log, keyring, file, store)
                sealer.check(read_published(settings.kafka, Notes(settings.log, keyring.public)))
                took = time.monotonic() - began
                refusal.over()
                _run(sealer, settings, lambda: not stopping)
            except SealerKeyRetired as error:
                # For good: the next key is another process's.
                refusal.tell(str(error))
                _wait(math.inf, stopping)
            except JobError as error:
                refusal.tell(str(error))
                # What the look took, and not the hours of sealing that came after it.
                _wait(max(_LOOK_S, _TIMES * (time.monotonic() - began if math.isnan(took) else took)), stopping)
            except (ClickHouseError, KafkaError) as error:
                log.warning("store or Kafka does not answer (%s); again in %.0f s", str(error)[:200], _RETRY_S)
                _wait(_RETRY_S, stopping)


def _wait(seconds: float, stopping: list[bool]) -> None:
    until = time.monotonic() + seconds
    while not stopping and time.monotonic() < until:
        time.sleep(0.2)


def _run(sealer: Sealer, settings: JobSettings, going: Callable[[], bool]) -> None:
    roles = LiveRoles(settings.kafka, settings.log, ROLES_EVERY_S)
    try:
        if not roles.wait(_ROLES_S):
            log.warning("nobody's role is known yet: receipts are believed once topic locks was read")
        link = SealerLink(settings.kafka, roles.opener)
        _run_loop(sealer, link, settings.log, lambda: going() and may_sign(sealer, roles.opener.keyring))
    finally:
        roles.close()


def may_sign(sealer: Sealer, roles: Roles) -> bool:
    """True; SealerKeyRetired once an operator retired the sealer's own key. Asked before each round."""
    if roles.retired(sealer.key):
        raise SealerKeyRetired(sealer.key)
    return True


def _run_loop(sealer: Sealer, link: SealerLink, settings: LogSettings, going: Callable[[], bool]) -> None:
    try:
        _loop(sealer, link, settings, going)
    finally:
        link.close()


def _loop(sealer: Sealer, link: SealerLink, settings: LogSettings, going: Callable[[], bool]) -> None:
    ticks = Ticks(list(sealer.state.epochs), settings.seal_interval_s)
    ready = set(range(settings.shards))
    while going():
        for shard in ticks.to_send(time.monotonic()):
            record = sealer.seal_record(ticks.epochs[shard], time.time())
            link.send_seal(shard, record)
            ticks.sent(shard, record, time.monotonic())
        for receipt in link.receipts(wait_ms=50 if ready else 200):
            if ticks.receipt(receipt, time.monotonic()):
                ready.add(receipt.shard)
            elif receipt.verdict > 2:
                log.error("shard %d: the seal of epoch %d was refused with verdict %d", receipt.shard, receipt.n, receipt.verdict)
        # All shards of a tick together: one root checkpoint for them.
        if ready and not (ticks.flying and len(ready) < settings.shards and _recent(ticks)):
            ready = _signed(sealer, link, ready, ticks)


def _recent(ticks: Ticks) -> bool:
    """Whether the others' receipts are likely to come in a moment."""
    return any(time.monotonic() - tick.sent_at < 0.5 for tick in ticks.flying.values())


def _signed(sealer: Sealer, link: SealerLink, ready: set[int], ticks: Ticks) -> set[int]:
    """Shards that are left to sign: none, or all of them while the store is away."""
    try:
        signed = sealer.advance(ready, ticks.epochs, time.time())
    except ClickHouseError as error:
        log.warning("the store cannot be read or written (%s); again in %.0f s", str(error)[:200], _RETRY_S)
        time.sleep(_RETRY_S)
        return ready
    if signed:
        link.publish(signed)
    return set()
