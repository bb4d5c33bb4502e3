"""Directives (SPEC section 5): what the operator says about rules and agents. This module reads them; the fold keeps them without reading on."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from .errors import ParseError, RulesUnknown
from .headers import Directive, Kind, parse_header
from .records import Record, parse_record, signed_bytes
from .signatures import fits
from .state import State

RULES: Final = "rules"
"""Which rules the fold follows from here on; subject empty, value `{"level":3}`. Level 1, without any such record, knows no directives."""
AGENT: Final = "agent"
"""What one key of an agent may say; subject `<agent> <key id>`, value as `roles.Mandate`."""
ADOPT: Final = "adopt"
"""State of an earlier version that may be read on, once; subject is the part's name."""
RETIRE: Final = "retire"
"""A key of an operator or a sealer that is believed no longer, for good; subject is its key id. It has this meaning from level 3 on."""
RETIRING: Final = 3
"""The level from which on keys of operators and sealers can be retired."""
LEVEL: Final = 3
"""The newest rules that this version has."""
BOUNDED_LEVEL: Final = 3
"""From it on numbers and times have bounds."""
GAP_LEVEL: Final = 3
"""From it on who fills a gap has to join what was signed around it."""
DIGEST_LEVEL: Final = 3
"""From it on seals bind all of the state."""
ERASE_LEVEL: Final = 3
"""From it on the entry of an erasure has the places that it names."""
SAID_RULES: Final = f"{RULES} "
"""Where the directive about rules is kept: `place_of` it."""


def place_of(directive: Directive) -> str:
    """The name under which the newest directive about one thing is kept."""
    return f"{directive.about} {directive.subject}"


def level_of(directive: Directive) -> int | None:
    """The level that a directive about rules puts in force; None where this version does not have it."""
    level = directive.value.get("level")
    return level if isinstance(level, int) and not isinstance(level, bool) and 2 <= level <= LEVEL else None


def level_in_force(state: State) -> int:
    """The level of the rules that a shard follows after its newest entry; RulesUnknown where this version does not have it."""
    said = state.directives.get(SAID_RULES)
    if said is None:
        return 1
    directive = _kept(said.header)
    level = level_of(directive)
    if level is None:
        raise RulesUnknown(state.shard, directive.value.get("level"), LEVEL)
    return level


@lru_cache(maxsize=64)
def _kept(header: str) -> Directive:
    """A directive as the state keeps it. Asked for at each segment, so it is read once."""
    directive = parse_header(Kind.DIRECTIVE, header.encode())
    assert isinstance(directive, Directive)
    return directive


def is_bounded(state: State) -> bool:
    """Whether the rules in force bound numbers and times, so that every reader reads them alike (section 2)."""
    return level_in_force(state) >= BOUNDED_LEVEL


def may_retire(operators: Mapping[str, bytes], signer: str, key: str) -> bool:
    """Whether `signer` may end `key`: any operator a sealer's key, and an operator's key itself and those pinned after it.

    So whoever stole one cannot end the key that follows it. `operators` are in the order of the pins.
    """
    order = list(operators)
    return key not in operators or (signer in operators and order.index(signer) >= order.index(key))


def is_retired(state: State, operators: Mapping[str, bytes], key: str) -> bool:
    """Whether an operator's or a sealer's key was retired in this shard, by one who may."""
    said = state.directives.get(f"{RETIRE} {key}")
    return said is not None and level_in_force(state) >= RETIRING and may_retire(operators, _kept(said.header).key, key)


def said_by(state: State, key: str) -> list[str]:
    """Where directives are kept that this operator's key signed, rules and retirements aside: those stand whoever said them."""
    kept = {place: _kept(said.header) for place, said in state.directives.items()}
    return [place for place, one in kept.items() if one.key == key and one.about not in (RULES, RETIRE)]


def opens_level(raw: bytes, operators: Mapping[str, bytes]) -> bool:
    """Whether a record is a pinned operator's directive about rules: the one that may be the first of a shard."""
    try:
        record = parse_record(raw)
        return signed_directive(record, operators).about == RULES
    except ParseError:
        return False


def open_directive(raw: bytes, operators: Mapping[str, bytes]) -> Directive:
    """The directive in a record's bytes, wherever they lay: its signature is checked here against the pinned keys. ParseError otherwise.

    No shard says here which level holds: it is read by the strictest rules, so that nobody acts on what a shard refuses.
    """
    return signed_directive(parse_record(raw, bounded=True), operators)


def signed_directive(record: Record, operators: Mapping[str, bytes]) -> Directive:
    """The record's header; ParseError unless it is a directive that a pinned operator key signed, with nothing behind it."""
    header = record.header
    if record.kind != Kind.DIRECTIVE or not isinstance(header, Directive):
        raise ParseError("not a directive")
    public = operators.get(header.key)
    if public is None:
        raise ParseError(f"a directive by key {header.key}, which is not pinned as an operator's")
    if record.body:
        raise ParseError("a directive with a body")
    if not fits(public, record.sig, signed_bytes(record.kind, record.header_raw)):
        raise ParseError("a directive whose signature does not fit")
    return header
