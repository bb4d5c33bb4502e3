"""What an enrolment gives an agent that is known already: what it has, unless something else is said. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from tallystick_schemas.encoding import to_base64
from tallystick_schemas.roles import Holder, Keyring, Mandate, Role, Scope

from .built_in import mandate_of
from .errors import ManyMandates, NarrowerMandate

_AXES: Final = ("actions", "principals", "resources")
_SPECIAL: Final = re.compile(r"[*?\[]")


def kept_from(known: Keyring, agent: str, key: str | None) -> list[Holder]:
    """Whose roles and scope `key` of an agent goes on with: its own, else those of the agent's other keys; of revoked ones where none is active."""
    own = known.holder(agent, key) if key else None
    if own is not None:
        return [own]
    every = known.agent(agent)
    return [holder for holder in every if holder.active] or every


def mandate_for(before: Sequence[Holder], agent: str, public: bytes, roles: tuple[Role, ...], scope: Scope | None) -> Mandate:
    """What `public` may from now on: what is given, and for what is not given, what was said `before`. ManyMandates where that differs."""
    if not before:
        return mandate_of(public, roles or ("recorder",), scope)
    if not (roles and scope) and len({(holder.roles, repr(holder.scope)) for holder in before}) > 1:
        raise ManyMandates(agent, [holder.key for holder in before])
    kept, scope = before[0], before[0].scope if scope is None else scope
    return mandate_of(public, roles, scope) if roles else Mandate(to_base64(public), sorted(kept.roles), "active", scope)


def must_not_narrow(before: Sequence[Holder], agent: str, mandate: Mandate) -> None:
    """NarrowerMandate when a key that is active may something that `mandate` does not say: whoever runs the agent counts on it."""
    if taken := [word for holder in before if holder.active for word in _taken(holder, mandate)]:
        raise NarrowerMandate(agent, list(dict.fromkeys(taken)))


def _taken(before: Holder, after: Mandate) -> Iterator[str]:
    # Whoever is enrolled records, whatever its role, so `recorder` is nothing to lose.
    yield from (f"the role {role}" for role in sorted(before.roles - {*after.roles, "recorder"}))
    if before.scope is None or after.scope is None:
        if before.scope is not None:
            yield "its whole scope"
        return
    for axis in _AXES:
        had, has = getattr(before.scope, axis), getattr(after.scope, axis)
        if has is None:
            continue
        if had is None:
            yield f"all {axis} but {', '.join(has) or 'none'}"
        else:
            yield from (f"the {axis} {pattern}" for pattern in had if not any(_covers(wider, pattern) for wider in has))


def _covers(wider: str, pattern: str) -> bool:
    """Whether `wider` surely fits whatever `pattern` fits: the same words, or their beginning and a star."""
    return wider == pattern or (wider.endswith("*") and not _SPECIAL.search(wider[:-1]) and pattern.startswith(wider[:-1]))
