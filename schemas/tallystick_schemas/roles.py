"""Roles: which key may say what, as the operator's directives bind it (SPEC section 12). Pure; `Keyring` is a fold of signed records.

A record is believed for its signature by a pinned operator key, wherever it lay. Of one agent's key the directive with the highest number is in force.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

import msgspec

from .directives import ADOPT, AGENT, RETIRE, may_retire, open_directive
from .encoding import digest, from_base64
from .errors import ParseError
from .headers import AGENT_PATTERN, KEY_ID_PATTERN, Directive
from .keys import check_public_key, key_id
from .topics import ACTS, DECISIONS, DETECTOR_STATE, ENFORCEMENT, FINDINGS, LOCKS, OUTBOX, PROOFS, RECEIPTS, VERIFIED

Role = Literal["notary", "detectors", "responder", "outbox", "point", "commander", "recorder"]
"""point: an enforcement point; commander: its events may be people's orders; recorder: it records, nothing else."""
SIGNERS: Final[Mapping[str, tuple[Role, ...]]] = {
    VERIFIED: ("notary",),
    ACTS: ("notary",),
    RECEIPTS: ("notary",),
    FINDINGS: ("detectors", "responder", "outbox"),
    LOCKS: ("responder",),
    DECISIONS: ("responder",),
    ENFORCEMENT: ("point", "outbox"),
    OUTBOX: ("outbox",),
    PROOFS: ("outbox",),
    DETECTOR_STATE: ("detectors",),
}
"""Whose signature counts on which topic. `events` and `checkpoints` have signatures of their own (SPEC sections 4 and 7)."""
_MAX_PATTERNS: Final = 64
_PATTERN: Final = re.compile(r"[^\x00-\x1f\x7f]{1,256}")


class Scope(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an agent may vouch for: shell patterns (`*`, `?`), any of which fits. None: anything; an empty list: nothing."""

    actions: list[str] | None = None
    principals: list[str] | None = None
    resources: list[str] | None = None

    def covers(self, action: str, principal: str, resource: str) -> bool:
        """Whether the agent may say that `principal` did `action` to `resource` (kind and id with a slash between them)."""
        asked = ((self.actions, action), (self.principals, principal), (self.resources, resource))
        return all(allowed is None or any(fnmatchcase(said, one) for one in allowed) for allowed, said in asked)


class Mandate(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Value of a directive about an agent's key. `scope` None: it records on, and what it says leads to recommendations alone."""

    public_key: str
    roles: list[Role]
    state: Literal["active", "revoked"] = "active"
    scope: Scope | None = None


@dataclass(frozen=True)
class Holder:
    """One key of an agent with what it may do; `n` is the number of the directive that says so, `raw` the signed record, `time` the one it claims."""

    agent: str
    key: str
    public: bytes
    roles: frozenset[Role]
    active: bool
    scope: Scope | None
    n: int
    raw: bytes
    time: str = ""
    signer: str = ""
    """Id of the operator's key that said so."""


def subject_of(agent: str, key: str) -> str:
    """The subject of a directive about one key of an agent."""
    return f"{agent} {key}"


def value_of(mandate: Mandate) -> dict[str, object]:
    """A mandate as the directive's value."""
    value: dict[str, object] = msgspec.to_builtins(mandate)
    return value


def holder_of(directive: Directive, raw: bytes) -> Holder:
    """The holder in a directive about an agent's key; ParseError when it is another directive, or its parts do not fit each other."""
    agent, _, key = directive.subject.rpartition(" ")
    if directive.about != AGENT or not AGENT_PATTERN.fullmatch(agent) or not KEY_ID_PATTERN.fullmatch(key):
        raise ParseError("not a directive about an agent's key")
    try:
        mandate = msgspec.convert(directive.value, Mandate)
    except msgspec.ValidationError as error:
        raise ParseError(f"the directive about {agent} cannot be read: {error}") from error
    public = from_base64(mandate.public_key, 32, "public_key")
    check_public_key(public)
    if key_id(public) != key:
        raise ParseError(f"the directive about {agent} names key {key} and holds another")
    check_scope(mandate.scope)
    return Holder(
        agent,
        key,
        public,
        frozenset(mandate.roles),
        mandate.state == "active",
        mandate.scope,
        directive.n,
        raw,
        directive.time,
        directive.key,
    )


def check_scope(scope: Scope | None) -> None:
    """ParseError for more or other patterns than a directive may hold."""
    for patterns in () if scope is None else (scope.actions, scope.principals, scope.resources):
        if patterns is not None and (len(patterns) > _MAX_PATTERNS or not all(map(_PATTERN.fullmatch, patterns))):
            raise ParseError(f"a scope has at most {_MAX_PATTERNS} patterns of 1 to 256 printable characters each")


@dataclass(frozen=True)
class Retirement:
    """An operator's or a sealer's key that is believed no longer, and the signed record that says so."""

    key: str
    n: int
    raw: bytes


class Keyring:
    """Every key that an operator gave a role. `take` is the only way in, so that the same records give the same keyring in any order.

    What an operator's key said is forgotten with its retirement: the operator who retires it says again what shall stand.
    """

    def __init__(self, operators: Mapping[str, bytes]) -> None:
        self._operators = dict(operators)
        self._said: dict[tuple[str, str], dict[str, Holder]] = {}
        """By agent and key: the newest of each operator's key."""
        self._holders: dict[tuple[str, str], Holder] = {}
        self._retired: dict[str, Retirement] = {}
        self._adopts: dict[str, dict[str, int]] = {}
        self._version = 0
        self._digest = (-1, "")
        """Of a version: one thread may take a record in while another asks."""

    @classmethod
    def of(cls, operator_keys: tuple[bytes, ...]) -> "Keyring":
        """An empty one that believes these operators (raw public keys)."""
        return cls({key_id(public): public for public in operator_keys})

    def take(self, raw: bytes) -> Holder | None:
        """One signed record; the holder if it is news, None for an older one than is known or by a retired key. ParseError when no pinned operator
        signed it, or its signer may not say this."""
        directive = open_directive(raw, self._operators)
        if directive.about == RETIRE:
            self._retire(directive, raw)
            return None
        if directive.key in self._retired:
            return None
        if directive.about == ADOPT:
            numbers = self._adopts.setdefault(directive.subject, {})
            numbers[directive.key] = max(directive.n, numbers.get(directive.key, -1))
            return None
        holder = holder_of(directive, raw)
        said = self._said.setdefault((holder.agent, holder.key), {})
        if (mine := said.get(holder.signer)) is not None and mine.n >= holder.n:
            return None
        said[holder.signer] = holder
        self._settle((holder.agent, holder.key))
        return holder if self._holders[holder.agent, holder.key] is holder else None

    def _settle(self, place: tuple[str, str]) -> None:
        """The newest of what is said of one key is in force, whoever said it."""
        said, before = self._said[place], self._holders.pop(place, None)
        if said:
            self._holders[place] = max(said.values(), key=lambda holder: (holder.n, holder.signer))
        self._version += self._holders.get(place) is not before

    def _retire(self, directive: Directive, raw: bytes) -> None:
        """ParseError when its signer may not. Of several records about one key the highest number is kept, as on the topic."""
        if not may_retire(self._operators, directive.key, directive.subject):
            raise ParseError(f"key {directive.key} may not retire key {directive.subject}, which is pinned after it")
        known = self._retired.get(directive.subject)
        if known is not None and (known.n, known.raw) >= (directive.n, raw):
            return
        self._retired[directive.subject] = Retirement(directive.subject, directive.n, raw)
        for place, said in self._said.items():
            said.pop(directive.subject, None)
            self._settle(place)
        for numbers in self._adopts.values():
            numbers.pop(directive.subject, None)
        self._version += 1

    def retired(self, key: str) -> bool:
        """Whether an operator's or a sealer's key was retired."""
        return key in self._retired

    def retirements(self) -> list[Retirement]:
        """Every key that was."""
        return list(self._retired.values())

    def holder(self, agent: str, key: str) -> Holder | None:
        """What is known of one key."""
        return self._holders.get((agent, key))

    def agent(self, agent: str) -> list[Holder]:
        """Every key of an agent, revoked ones included."""
        return [holder for (name, _), holder in self._holders.items() if name == agent]

    def adopts(self, part: str) -> int | None:
        """The number of the newest directive that lets a part read on state of an earlier version; None without one."""
        return max(self._adopts.get(part, {}).values(), default=None)

    def with_role(self, role: Role) -> list[Holder]:
        """Active holders of a role."""
        return [holder for holder in self if holder.active and role in holder.roles]

    def named(self, role: Role) -> list[str]:
        """Agents of which any key was given a role, revoked ones included: what they said while they had it stays said."""
        return sorted({holder.agent for holder in self if role in holder.roles})

    def scope(self, agent: str) -> Scope | None:
        """The scope of an agent's active key with the newest directive; None where there is none."""
        active = [holder for holder in self.agent(agent) if holder.active]
        return max(active, key=lambda holder: holder.n).scope if active else None

    def __iter__(self) -> Iterator[Holder]:
        return iter(list(self._holders.values()))

    def __len__(self) -> int:
        return len(self._holders)

    def digest(self) -> str:
        """H over every record in force, in hex: two that know the same agree."""
        version, known = self._digest
        now = self._version
        if version != now:
            known = digest(b"".join(sorted(digest(one.raw) for one in (*self, *self.retirements())))).hex()
            self._digest = (now, known)
        return known
