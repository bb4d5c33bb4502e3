"""Who has which role, as topic `locks` carries the operator's directives: read once, or followed by a thread. Each is believed for its signature."""

import logging
import threading
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import TopicPartition

from tallystick_schemas.envelope import Opener, Signer
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import ROLE_KEY
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import AgentSettings, KafkaSettings, LogSettings
from tallystick_schemas.topics import LOCKS

from .following import POLL_MS, connect, follow
from .keyfile import load_key

log: Final = logging.getLogger(__name__)
_PARTITION: Final = TopicPartition(LOCKS, 0)


def signer_of(settings: AgentSettings, key: Ed25519PrivateKey | None = None) -> Signer:
    """The agent's own signer; its key is read from its file when none is given (KeyFileError)."""
    from pathlib import Path

    return Signer(settings.log.deployment, settings.agent, key or load_key(Path(settings.key_file)))


def take_role(keyring: Keyring, key: bytes | None, value: bytes | None) -> bool:
    """Take one value of `locks` in if it is a directive; whether it was news. What no operator signed is logged and changes nothing."""
    if key is None or value is None or not key.startswith(ROLE_KEY):
        return False
    try:
        return keyring.take(value) is not None
    except ParseError as error:
        log.error("topic %s, key %r: %s", LOCKS, key[:200], error)
        return False


def read_opener(kafka: KafkaSettings, settings: LogSettings) -> Opener:
    """An opener that knows the roles as the topic has them now."""
    opener = Opener(settings.deployment, Keyring.of(settings.operator_keys))
    consumer = connect(kafka)
    try:
        consumer.assign([_PARTITION])
        _read_to_end(consumer, opener.keyring)
    finally:
        consumer.close()
    return opener


def _read_to_end(consumer: Any, keyring: Keyring) -> None:
    end = consumer.end_offsets([_PARTITION])[_PARTITION]
    consumer.seek_to_beginning(_PARTITION)
    while consumer.position(_PARTITION) < end:
        for record in consumer.poll(timeout_ms=500).get(_PARTITION, []):
            take_role(keyring, record.key, record.value)


class LiveRoles:
    """An opener whose keyring follows the topic until closed. `wait` returns once it has been read to its end for the first time."""

    def __init__(self, kafka: KafkaSettings, settings: LogSettings) -> None:
        self.opener = Opener(settings.deployment, Keyring.of(settings.operator_keys))
        self._kafka = kafka
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
        consumer.assign([_PARTITION])
        _read_to_end(consumer, self.opener.keyring)
        self._read_once.set()
        while not self._stopping.is_set():
            for record in consumer.poll(timeout_ms=POLL_MS).get(_PARTITION, []):
                take_role(self.opener.keyring, record.key, record.value)
