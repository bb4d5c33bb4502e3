"""Users and rules of the embedded broker: made through its admin listener, and brought in line with files and table at each start."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from tallystick_schemas.access import Rule
from tallystick_schemas.settings import KafkaSettings

from ..deployment.broker_users import MECHANISM
from ..errors import UsersRefused

_ITERATIONS: Final = 4096
"""Kafka's least. Passwords are 256 random bits, which no number of iterations has to protect."""
_EFFECT_S: Final = 20.0
_LOOK_S: Final = 0.02
_PRINCIPAL: Final = "User:"


class User(NamedTuple):
    """A password and what its holder may do."""

    password: str
    rules: frozenset[Rule]


class Grant(NamedTuple):
    """A rule of one principal, as the broker keeps it. `permission` and `pattern` are those of anybody's rules, for ours ALLOW and LITERAL."""

    principal: str
    kind: str
    name: str
    operation: str
    host: str = "*"
    permission: str = "ALLOW"
    pattern: str = "LITERAL"


class Users:
    """A connection as the broker's super user. Close it, or use it in `with`."""

    def __init__(self, admin: KafkaSettings) -> None:
        self._admin: Any = KafkaAdminClient(**admin.client_kwargs())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._admin.close()

    def reconcile(self, users: Mapping[str, User]) -> None:
        """Exactly these users with exactly these rules, in force when this returns. UsersRefused when the broker does not do it."""
        known = set(self._admin.describe_user_scram_credentials())
        wanted = {grant for name, user in users.items() for grant in _grants(name, user)}
        have = self._grants()
        # Rules go before users come: what the table no longer allows is never in force for a new password.
        self._delete(have - wanted)
        self._alter(users, known - set(users))
        self._create(wanted - have)
        self._await(lambda found: found == wanted)

    def add(self, users: Mapping[str, User]) -> None:
        """These users too, each with exactly its rules; the others are left alone."""
        wanted = {grant for name, user in users.items() for grant in _grants(name, user)}
        have = {grant for grant in self._grants() if grant.principal.removeprefix(_PRINCIPAL) in users}
        self._delete(have - wanted)
        self._alter(users, ())
        self._create(wanted - have)
        self._await(lambda found: wanted <= found)

    def remove(self, names: Iterable[str]) -> None:
        """These users no longer. Rules go first: a connection that is open can do nothing any more."""
        gone = set(names)
        self._delete({grant for grant in self._grants() if grant.principal.removeprefix(_PRINCIPAL) in gone})
        self._alter({}, gone & set(self._admin.describe_user_scram_credentials()))

    def _alter(self, users: Mapping[str, User], gone: Iterable[str]) -> None:
        changes = [UserScramCredentialDeletion(name, MECHANISM) for name in gone]
        changes += [UserScramCredentialUpsertion(name, MECHANISM, user.password, iterations=_ITERATIONS) for name, user in users.items()]
        if changes:
            told = self._admin.alter_user_scram_credentials(changes)
            _check([f"user {name}: {error}" for name, error in told.items() if error])

    def _create(self, grants: set[Grant]) -> None:
        if grants:
            told = self._admin.create_acls([_acl(grant) for grant in sorted(grants)])
            _check([f"a rule: {error.__name__}" for error in told["failed"]])

    def _delete(self, grants: set[Grant]) -> None:
        if grants:
            told = self._admin.delete_acls([_acl(grant) for grant in sorted(grants)])
            _check([f"a rule: {error.__name__}" for _, _, error in told if error.errno])

    def _grants(self) -> set[Grant]:
        """What is in force: the broker answers from what it decides by."""
        everything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        found, _ = self._admin.describe_acls(ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, everything))
        return {_grant(acl) for acl in found}

    def _await(self, done: Callable[[set[Grant]], bool]) -> None:
        """Rules are published after the users of the same batch: who sees them sees the users too."""
        deadline = time.monotonic() + _EFFECT_S
        while not done(self._grants()):
            if time.monotonic() > deadline:
                raise UsersRefused(f"rules were not in force after {_EFFECT_S:.0f} s")
            time.sleep(_LOOK_S)


def _grants(name: str, user: User) -> set[Grant]:
    return {Grant(_PRINCIPAL + name, rule.kind.upper(), rule.name, rule.operation.upper()) for rule in user.rules}


def _acl(grant: Grant) -> ACL:
    pattern = ResourcePattern(ResourceType[grant.kind], grant.name, ACLResourcePatternType[grant.pattern])
    return ACL(grant.principal, grant.host, ACLOperation[grant.operation], ACLPermissionType[grant.permission], pattern)


def _grant(acl: ACL) -> Grant:
    pattern = acl.resource_pattern
    kind, name, form = pattern.resource_type.name, pattern.resource_name, ACLResourcePatternType(pattern.pattern_type).name
    return Grant(acl.principal, kind, name, acl.operation.name, acl.host, acl.permission_type.name, form)


def _check(failed: Sequence[str]) -> None:
    if failed:
        raise UsersRefused("; ".join(failed)[:500])
