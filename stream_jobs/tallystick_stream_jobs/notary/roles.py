"""Roles as one shard's fold has them: what the operator's directives about a key say at this place of the history (SPEC section 12)."""

from typing import Final

from tallystick_schemas.directives import AGENT
from tallystick_schemas.errors import ParseError
from tallystick_schemas.fold import Fold
from tallystick_schemas.headers import Directive, Kind, parse_header
from tallystick_schemas.roles import Role, holder_of, subject_of

_MOST_KNOWN: Final = 10_000


class ShardRoles:
    """Reads the fold's state, and remembers what it read: a directive is parsed once, and not at each segment."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._known: dict[str, tuple[int, frozenset[Role]]] = {}

    def has(self, agent: str, key: str, role: Role) -> bool:
        """Whether this key of the agent has the role now. Nobody has one before the operator's first directive."""
        place = f"{AGENT} {subject_of(agent, key)}"
        said = self._fold.state.directives.get(place)
        if said is None:
            return False
        known = self._known.get(place)
        if known is None or known[0] != said.n:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[place] = (said.n, _roles_in(said.header.encode()))
        return role in known[1]


def _roles_in(header: bytes) -> frozenset[Role]:
    """The roles that a directive gives; none when it revokes, or when it is not what a keyring would take."""
    try:
        directive = parse_header(Kind.DIRECTIVE, header, bounded=True)
        assert isinstance(directive, Directive)
        holder = holder_of(directive, header)
    except ParseError:
        return frozenset()
    return holder.roles if holder.active else frozenset()
