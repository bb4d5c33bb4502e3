"""Waiting until it is known who may speak: whoever read on before would take the true ones for strangers."""

import time
from typing import Final

from tallystick_producers.keyring import LiveRoles
from tallystick_schemas.roles import Role

from ..errors import RoleMissing

WAIT_S: Final = 30.0
_LOOK_S: Final = 0.05


def wait_for_role(roles: LiveRoles, role: Role, wait_s: float = WAIT_S) -> None:
    """Until topic `locks` was read and an operator's directive gives somebody the role. RoleMissing after `wait_s` seconds."""
    deadline = time.monotonic() + wait_s
    known = roles.wait(wait_s)
    while not (known and roles.opener.keyring.with_role(role)):
        if time.monotonic() >= deadline:
            raise RoleMissing(role, wait_s)
        time.sleep(_LOOK_S)
