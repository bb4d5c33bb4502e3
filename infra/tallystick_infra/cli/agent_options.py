"""The options that say what an agent may: roles, and the patterns of its scope; and how they look."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

import click
import msgspec

from tallystick_schemas.errors import ParseError
from tallystick_schemas.roles import Role, Scope, check_scope

F = TypeVar("F", bound=Callable[..., Any])
_AXES = (
    ("action", "actions", "artifact.*"),
    ("principal", "principals", "*@example.org"),
    ("resource", "resources", "model/models/atlas-*"),
)
_MAX_BYTES = 3072
"""A directive's header has 4,096 bytes (SPEC section 4)."""


def mandate_options(unsaid: str) -> Callable[[F], F]:
    """`--role` and `--may-…`, each of which may be given again; `role`, `may_action`, … are tuples. `unsaid`: what becomes of roles without `--role`."""

    def add(command: F) -> F:
        for name, _, example in reversed(_AXES):
            words = f"{name.capitalize()}s that it may vouch for, as a shell pattern like {example}. May be given again; any fits."
            command = click.option(f"--may-{name}", metavar="PATTERN", multiple=True, help=words)(command)
        words = f"What it is. May be given again. Without it: {unsaid}."
        return click.option("--role", type=click.Choice(get_args(Role)), multiple=True, help=words)(command)

    return add


def scope_of(given: Mapping[str, Any]) -> Scope | None:
    """The scope in the options; None when none is given. What is not named in one is not bounded. BadParameter for what no directive can say."""
    patterns = {axis: list(given[f"may_{name}"]) or None for name, axis, _ in _AXES}
    if not any(patterns.values()):
        return None
    scope = Scope(**patterns)
    try:
        check_scope(scope)
    except ParseError as error:
        raise click.BadParameter(str(error), param_hint="--may-…") from error
    if (size := len(msgspec.json.encode(scope))) > _MAX_BYTES:
        raise click.BadParameter(f"all patterns together take {size:,} bytes, at most {_MAX_BYTES:,} fit a directive", param_hint="--may-…")
    return scope


def scope_text(scope: Scope | None) -> str:
    """In words."""
    if scope is None:
        return "no scope"
    parts = [f"{axis} {', '.join(patterns) or 'none'}" for _, axis, _ in _AXES if (patterns := getattr(scope, axis)) is not None]
    return "; ".join(parts) or "anything"


def unscoped(name: str) -> str:
    """What it means that an agent has no scope, and the mend."""
    return (
        f"{name} has no scope: what it records stands in the history, and findings that rest on it are recommendations alone. "
        f"`tallystick agent scope {name} --may-action …` says what it may vouch for."
    )
