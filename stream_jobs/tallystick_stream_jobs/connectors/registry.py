"""Every kind of connector, by name, and how connectors.toml becomes connectors. A kind's module is imported when it is used: boto3 is large."""

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from tallystick_schemas.errors import SettingsError, TallystickError

from .base import Connector
from .setup import Setup
from .whom import Protected

KINDS: Final[Mapping[str, str]] = {
    "aws-iam": "aws_iam",
    "keycloak": "keycloak",
    "rfc7009": "rfc7009",
    "vault": "vault",
    "ssf-push": "ssf_push",
    "webhook": "webhook",
}
"""Kind -> module of this package with `build(setup) -> Connector`."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def load(
    tables: Mapping[str, Any], read_secret: Callable[[str], bytes], deployment: str, protected: Protected = frozenset
) -> dict[str, Connector]:
    """Name -> connector, for every table. SettingsError with the mistakes of all of them. `protected`: whom two people are needed for, asked anew each time."""
    found: dict[str, Connector] = {}
    mistakes: list[str] = []
    for name, table in tables.items():
        try:
            found[name] = _one(Setup(name, table if isinstance(table, Mapping) else {}, read_secret, deployment, protected))
        except SettingsError as error:
            mistakes += error.mistakes
        except TallystickError as error:
            mistakes.append(f"[{name}] {error}")
    if mistakes:
        raise SettingsError(mistakes)
    return found


def _one(setup: Setup) -> Connector:
    if not _NAME.fullmatch(setup.name):
        raise SettingsError([f"connector {setup.name!r} is not 1 to 64 of the characters A-Z a-z 0-9 _ -"])
    kind = str(setup.table.get("kind"))
    if kind not in KINDS:
        raise SettingsError([f"[{setup.name}] kind {kind!r} is unknown; it must be one of {', '.join(sorted(KINDS))}"])
    connector: Connector = import_module(f"{__package__}.{KINDS[kind]}").build(setup)
    return connector
