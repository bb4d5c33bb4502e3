"""What is wrong with roles, in sentences; pure. For `tallystick doctor`."""

from collections.abc import Mapping, Sequence
from typing import Final

from tallystick_schemas.directives import LEVEL
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Keyring
from tallystick_schemas.words import counted, noun

from .built_in import BUILT_IN
from .control import newer
from .enrolment import Directives, EnrolledAgent

_NAMED: Final = 5


def faults(
    publics: Mapping[str, bytes | None], topic: Keyring, ledger: Directives, agents: Sequence[EnrolledAgent], shards: int
) -> list[str]:
    """One sentence a fault. `publics`: our own agents' keys as they lie here, None where one is missing; `topic`: the roles that act."""
    found = [fault for name, public in publics.items() if (fault := _of_part(name, public, topic))]
    if unruled := [str(shard) for shard in range(shards) if shard not in ledger.rules]:
        found.append(f"{noun(len(unruled), 'shard')} {', '.join(unruled)} {noun(len(unruled), 'has', 'have')} no directives yet")
    if older := [str(shard) for shard, rules in sorted(ledger.rules.items()) if rules.level is not None and rules.level < LEVEL]:
        found.append(
            f"{noun(len(older), 'shard')} {', '.join(older)} {noun(len(older), 'follows', 'follow')} rules older than level {LEVEL}"
        )
    for one in agents:
        holder = topic.holder(one.agent, one.key)
        if one.revoked and holder is not None and holder.active:
            found.append(f"key {one.key} of {one.agent} is revoked, and its role is not")
    if missing := newer(ledger.keyring, topic):
        found.append(f"{counted(len(missing), 'role')} of the ledger {noun(len(missing), 'is', 'are')} not on topic locks")
    if ledger.unbelieved:
        words = noun(ledger.unbelieved, "is signed", "are signed")
        found.append(f"{counted(ledger.unbelieved, 'directive')} of the ledger {words} by no pinned operator key")
    return found


def _of_part(name: str, public: bytes | None, topic: Keyring) -> str:
    if public is None:
        return f"{name} has no key"
    holder, roles = topic.holder(name, key_id(public)), BUILT_IN[name].roles
    if holder is None:
        return f"{name} has no role"
    if not holder.active:
        return f"the role of {name} was revoked"
    if lacking := [role for role in roles if role not in holder.roles]:
        return f"{name} is no {' and no '.join(lacking)}"
    return "" if holder.scope is not None else f"{name} has no scope"


def unscoped_agents(topic: Keyring, agents: Sequence[EnrolledAgent]) -> list[str]:
    """Agents of others that record with an active key, and whose word leads to recommendations alone."""
    own = {one.agent for one in agents if not one.revoked and _scope_missing(topic, one)}
    return sorted(own - set(BUILT_IN))


def _scope_missing(topic: Keyring, one: EnrolledAgent) -> bool:
    holder = topic.holder(one.agent, one.key)
    return holder is None or (holder.active and holder.scope is None)


def summary(topic: Keyring, unscoped: Sequence[str]) -> str:
    """What there is, in a line."""
    roles = f"{counted(sum(holder.active for holder in topic), 'key has', 'keys have')} a role"
    if not unscoped:
        return roles
    more = f" and {len(unscoped) - _NAMED} more" if len(unscoped) > _NAMED else ""
    named = f"{', '.join(unscoped[:_NAMED])}{more}"
    return (
        f"{roles}; without a scope, so that findings which rest on {noun(len(unscoped), 'it', 'them')} are recommendations alone: {named} "
        f"(`tallystick agent scope {unscoped[0]} --may-action …` gives one)"
    )
