"""The table of access as commands of Kafka's own tool, for a cluster of one's own. Pure."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from tallystick_schemas.access import AGENT, PARTS, POINT, Access, access_of, agent_user

_TOOL: Final = "kafka-acls.sh"


def acl_commands(bootstrap: str, config: str | None, users: Mapping[str, str]) -> list[str]:
    """One command for each user and kind of rule. `users` (user -> role) are those of agents, and of parts that are called otherwise than their role."""
    named = set(users.values())
    rows = [(row.role, row) for row in PARTS if row.role not in named] + [(user, access_of(role)) for user, role in users.items()]
    common = [_TOOL, "--bootstrap-server", bootstrap, *(["--command-config", config] if config else [])]
    return [shlex.join([*common, *options]) for user, row in rows for options in _options(user, row)]


def agents_as_users(agents: tuple[str, ...], points: tuple[str, ...]) -> dict[str, str]:
    """User -> role of agents, and of those that are enforcement points."""
    return {agent_user(name): AGENT for name in agents} | {agent_user(name): POINT for name in points}


def _options(user: str, row: Access) -> Iterator[list[str]]:
    """A command takes every topic or group with the same operations at once."""
    by_name: dict[tuple[str, str], list[str]] = {}
    for rule in sorted(row.rules()):
        by_name.setdefault((rule.kind, rule.name), []).append(rule.operation)
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (kind, name), operations in by_name.items():
        alike.setdefault((kind, tuple(operations)), []).append(name)
    for (kind, together), names in sorted(alike.items()):
        what = [part for name in names for part in (f"--{kind}", name)]
        yield ["--add", "--allow-principal", f"User:{user}", *[part for one in together for part in ("--operation", one)], *what]
