"""Who has which role, as topic `locks` carries the operator's directives: read once, or followed by a thread. Each is believed for its signature."""

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from tallystick_schemas.envelope import Opener, Signer
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import ROLE_KEY
from tallystick_schemas.roles import SIGNERS, Keyring, Role
from tallystick_schemas.settings import AgentSettings, KafkaSettings, LogSettings
from tallystick_schemas.topics import LOCKS

from .following import POLL_MS, connect, follow
from .keyfile import load_key
from .refused import Refused

log: Final = logging.getLogger(__name__)
ROLES: Final = TopicPartition(LOCKS, 0)
"""Where the directives are."""
_READ_MS: Final = 500
ROLES_EVERY_S: Final = 1.0
"""For parts that need not know a role at once."""
_LOOK_S: Final = 1.0
_PATIENCE: Final = 40
"""Polls without a record, after which the topic does not answer: 20 s."""


def signer_of(settings: AgentSettings, key: Ed25519PrivateKey | None = None) -> Signer:
    """The agent's own signer; its key is read from its file when none is given (KeyFileError)."""
    return Signer(settings.log.deployment, settings.agent, key or load_key(Path(settings.key_file)))


def opener_of(settings: LogSettings) -> Opener:
    """An opener that knows no role yet. Without an operator's key it never will, and the log says so."""
    if not settings.operator_keys:
        log.error(
            "[log] operator_keys is empty: without an operator's key nobody's word is believed, and nothing is freed, locked or let in; "
            "the keys stand in [log] of the deployment's tallystick.toml, and `tallystick agent enrol` prints them"
        )
    return Opener(settings.deployment, Keyring.of(settings.operator_keys))


def take_role(keyring: Keyring, key: bytes | None, value: bytes | None, refused: Refused | None = None) -> bool:
    """Take one value of `locks` in if it is a directive; whether it was news. What no operator signed is counted and changes nothing."""
    if key is None or value is None or not key.startswith(ROLE_KEY):
        return False
    try:
        return keyring.take(value) is not None
    except ParseError as error:
        (refused or Refused(LOCKS)).note(key, error)
        return False


def read_opener(kafka: KafkaSettings, settings: LogSettings, signers: Mapping[str, tuple[Role, ...]] = SIGNERS) -> Opener:
    """An opener that knows the roles as the topic has them now. `signers`: whose word counts where."""
    opener = Opener(settings.deployment, opener_of(settings).keyring, signers)
    consumer = connect(kafka)
    try:
        consumer.assign([ROLES])
        read_roles(consumer, opener.keyring, Refused(LOCKS))
    finally:
        consumer.close()
    return opener


def read_roles(consumer: Any, keyring: Keyring, refused: Refused) -> None:
    """Take in every directive that the assigned topic has now, from its beginning to its end. KafkaTimeoutError when it does not answer."""
    end = consumer.end_offsets([ROLES])[ROLES]
    consumer.seek_to_beginning(ROLES)
    left = _PATIENCE
    while consumer.position(ROLES) < end:
        records = consumer.poll(timeout_ms=_READ_MS).get(ROLES, [])
        left = _PATIENCE if records else left - 1
        if not left:
            raise KafkaTimeoutError(f"topic {LOCKS} does not answer before its end, so nobody's role is known; were the topics made?")
        for record in records:
            take_role(keyring, record.key, record.value, refused)


class Looks:
    """When a consumer looks at the roles. Between two looks it does not fetch them.

    Each lock and each heartbeat stands on the same topic. Whoever follows it is woken by every one, all at once, in the very moment in which a door waits
    for the processor to take the same lock in. A role a while later is soon enough, and who misses one asks for a look at once.
    """

    def __init__(self, consumer: Any, every_s: float, now: float) -> None:
        self._consumer, self._every_s = consumer, every_s
        self.done = 0
        """Looks that are over."""
        self._at = self._until = 0.0
        self._answers = 0
        """That the look under way still waits for; 0: none is under way."""
        self.rest(now)

    def rest(self, now: float) -> None:
        """Fetch no roles until the next look: at the beginning, and after each `assign`."""
        self._consumer.pause(ROLES)
        self._at, self._answers = now + self._every_s, 0

    def want(self, now: float) -> int:
        """Look at once, and at what is there now; `done` when that is over."""
        self._begin(now, 2)
        return self.done + 1

    def before_poll(self, now: float) -> None:
        """Begin a look that is due."""
        if not self._answers and now >= self._at:
            self._begin(now, 1)

    def after_poll(self, now: float, found: bool) -> None:
        """End a look when it was answered to the topic's end, or after a second without an answer: a broker may have nothing new."""
        if not self._answers:
            return
        if found and self._is_behind():
            # One poll a look would be a pace that whoever may write there outruns: a revocation behind a heap of garbage would count much later.
            self._until = now + _LOOK_S
            return
        self._answers -= found
        if not self._answers or now >= self._until:
            self.done += 1
            self.rest(now)

    def _is_behind(self) -> bool:
        """Whether more stands there than was handed out, as far as the broker said with its last answer."""
        end, at = self._consumer.highwater(ROLES), self._consumer.position(ROLES)
        return end is not None and at is not None and at < end

    def _begin(self, now: float, answers: int) -> None:
        """The first answer may be what came while nobody looked: the client keeps what it had asked for before."""
        self._consumer.resume(ROLES)
        self._answers, self._until = answers, now + _LOOK_S


class LiveRoles:
    """An opener whose keyring follows the topic until closed. `wait` returns once it has been read to its end for the first time.

    `every_s`: how often to look, for those who need not know each role at once.
    """

    def __init__(self, kafka: KafkaSettings, settings: LogSettings, every_s: float = 0.0) -> None:
        self.opener = opener_of(settings)
        self._every_s = every_s
        self._kafka, self._refused = kafka, Refused(LOCKS)
        self._stopping, self._read_once = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="tallystick-roles", daemon=True)
        self._thread.start()

    def wait(self, timeout: float) -> bool:
        """Whether the topic was read to its end within `timeout` seconds."""
        return self._read_once.wait(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """End the thread; one that hangs in a connection is left behind after `timeout` seconds."""
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        follow("roles", lambda: connect(self._kafka), self._read, self._stopping)

    def _read(self, consumer: Any) -> None:
        consumer.assign([ROLES])
        read_roles(consumer, self.opener.keyring, self._refused)
        self._read_once.set()
        looks = Looks(consumer, self._every_s, time.monotonic()) if self._every_s else None
        while not self._stopping.is_set():
            if looks:
                looks.before_poll(time.monotonic())
            records = consumer.poll(timeout_ms=POLL_MS).get(ROLES, [])
            for record in records:
                take_role(self.opener.keyring, record.key, record.value, self._refused)
            if looks:
                looks.after_poll(time.monotonic(), bool(records))
