"""The sealer's loop: ticks out, receipts in, rows read back and signed. `tallystick sealer`."""

import logging
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_producers.keyring import LiveRoles
from tallystick_schemas.headers import Seal
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Keyring as Roles
from tallystick_schemas.settings import JobSettings, LogSettings
from tallystick_schemas.signing import sign_record, wire_time

from ..errors import SealerKeyRetired, SealerStateBroken
from ..notary.ledger import StoredEntry
from .core import LogState, RootLeaf, Signed, check_ends_in_seal, check_signed_part, extend, first_state, parting, sign_round
from .kafka_link import SealerLink
from .state import StateFile
from .store import ClickHouseSealStore, SealStore
from .ticks import Ticks

log = logging.getLogger(__name__)
_RETRY_S = 1.0
_ROLES_S = 10.0


@dataclass(frozen=True)
class Keyring:
    """The sealer's own key, and nobody else's."""

    private_key: Ed25519PrivateKey

    @property
    def key_id(self) -> str:
        return key_id(self.private_key.public_key().public_bytes_raw())


class Sealer:
    """Everything but Kafka: the state, and how it advances."""

    def __init__(self, settings: LogSettings, keyring: Keyring, file: StateFile, store: SealStore) -> None:
        self._settings, self._keyring, self._file, self._store = settings, keyring, file, store
        self.state = file.load() or first_state(settings)
        self._ahead: list[RootLeaf] = []
        if self.state.deployment != settings.deployment or len(self.state.shards) != settings.shards:
            raise SealerStateBroken(
                Path("state.json"), f"it belongs to {self.state.deployment!r} with {len(self.state.shards)} shards, not to this deployment"
            )

    @property
    def key(self) -> str:
        """Id of the key that it signs with."""
        return self._keyring.key_id

    def check(self) -> None:
        """At start: does the store still hold what was signed? And what was signed of which this state does not know?"""
        self._ahead = self._store.root_leaves(self.state.root.size)
        for shard, known in enumerate(self.state.shards):
            check_signed_part(shard, known, self._store.entries(shard, 0) if known.size else ())

    def seal_record(self, epoch: int, now: float) -> bytes:
        """A tick for any shard."""
        return sign_record(Seal(1, self._keyring.key_id, wire_time(now), epoch), self._keyring.private_key)

    def advance(self, shards: set[int], epochs: list[int], now: float) -> list[Signed]:
        """Sign the shards that have a newer seal in the store; what was signed, for whoever else wants to know it."""
        advanced = {shard: reached for shard in sorted(shards) if (reached := self._reached(shard)) is not None}
        if advanced:
            state = sign_round(self.state, self._settings, advanced, self._keyring.private_key, wire_time(now))
            self._check_root_log(state.leaves)
            # Saved before anybody sees a signature: if we crash here, `pending` is published at the next start.
            self.state = self._file.save(msgspec.structs.replace(state, epochs=list(epochs)))
        return self.publish()

    def _check_root_log(self, leaves: list[RootLeaf]) -> None:
        """A state of before the newest rounds would sign them as one, into a second root log; the same leaves once more are harmless."""
        if (at := parting(leaves, self._ahead)) is not None:
            raise SealerStateBroken(Path("state.json"), f"the store holds leaf {at} of the root log, signed after this state was saved")

    def _reached(self, shard: int) -> LogState | None:
        known, newest = self.state.shards[shard], self._store.newest_seal(shard)
        if newest is None or newest < known.size:
            return None
        rows = list(_up_to(self._store.entries(shard, known.size), newest))
        reached = extend(shard, known, rows)
        check_ends_in_seal(shard, rows[-1])
        return reached

    def publish(self) -> list[Signed]:
        """Into the store whatever may not be there yet. If we crash after it, the same rows are written again, and collapse."""
        signed = list(self.state.pending)
        if signed or self.state.leaves:
            self._store.publish(self.state.leaves, signed)
            self.state = self._file.save(msgspec.structs.replace(self.state, pending=[], leaves=[]))
        return signed


def _up_to(rows: Iterator[StoredEntry], last: int) -> Iterator[StoredEntry]:
    for row in rows:
        yield row
        if row.index >= last:
            return


def run_sealer(settings: JobSettings, private_key: Ed25519PrivateKey, directory: Path) -> None:
    """The process: runs until SIGTERM. SealRefused ends it: nothing more is signed until a person has looked."""
    stopping: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    signal.signal(signal.SIGINT, lambda *_: stopping.append(True))
    client = clickhouse_connect.get_client(**settings.clickhouse.client_kwargs(), compress=False)
    with StateFile(directory) as file:
        sealer = Sealer(settings.log, Keyring(private_key), file, ClickHouseSealStore(client))
        sealer.check()
        roles = LiveRoles(settings.kafka, settings.log)
        try:
            if not roles.wait(_ROLES_S):
                log.warning("nobody's role is known yet: receipts are believed once topic locks was read")
            _run_loop(
                sealer,
                SealerLink(settings.kafka, roles.opener),
                settings.log,
                lambda: not stopping and may_sign(sealer, roles.opener.keyring),
            )
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
