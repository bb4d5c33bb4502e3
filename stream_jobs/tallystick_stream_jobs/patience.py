"""Waiting until it is known who may speak: whoever read on before would take the true ones for strangers."""

import time
from threading import Event
from typing import Final

from kafka.errors import KafkaTimeoutError

from tallystick_producers.keyring import LiveRoles
from tallystick_schemas.envelope import Opened, Opener
from tallystick_schemas.errors import NoRole
from tallystick_schemas.roles import Role

from .errors import RoleMissing

WAIT_S: Final = 30.0
_LOOK_S: Final = 0.05
_PATIENCE_S: Final = 5.0
"""More than two looks of those who look at roles once a second."""


def wait_for_role(roles: LiveRoles, role: Role, wait_s: float = WAIT_S) -> None:
    """Until topic `locks` was read and an operator's directive gives somebody the role. RoleMissing after `wait_s` seconds."""
    deadline = time.monotonic() + wait_s
    known = roles.wait(wait_s)
    while not (known and roles.opener.keyring.with_role(role)):
        if time.monotonic() >= deadline:
            raise RoleMissing(role, wait_s)
        time.sleep(_LOOK_S)


def wait_for_roles(roles: LiveRoles, wait_s: float = WAIT_S) -> None:
    """Until topic `locks` was read to its end, whoever has a role there. KafkaTimeoutError after `wait_s` seconds."""
    if not roles.wait(wait_s):
        raise KafkaTimeoutError(f"topic locks was not read to its end within {wait_s:.0f} s, so nobody's word could be believed")


class PatientOpener(Opener):
    """Opens by a keyring that another thread fills from another topic: before it refuses a word for want of a role, it waits for one to come.

    It waits once for what the keyring knows, so that a stranger who writes on and on costs one wait. `stopping` ends it.
    """

    def __init__(self, live: Opener, stopping: Event | None = None, patience_s: float = _PATIENCE_S) -> None:
        super().__init__(live.deployment, live.keyring)
        self._stopping, self._patience = stopping or Event(), patience_s
        self._waited_for: str | None = None

    def open(self, topic: str, key: bytes | None, raw: bytes) -> Opened:
        known = self.keyring.digest()
        try:
            return super().open(topic, key, raw)
        except NoRole:
            if not self._another(known):
                raise
        return self.open(topic, key, raw)

    def _another(self, known: str) -> bool:
        """Whether the keyring knows something else than this, at once or after a while that nobody waited yet."""
        deadline = time.monotonic() + (0.0 if self._waited_for == known else self._patience)
        self._waited_for = known
        while self.keyring.digest() == known and time.monotonic() < deadline:
            if self._stopping.wait(_LOOK_S):
                break
        return self.keyring.digest() != known
