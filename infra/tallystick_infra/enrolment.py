"""Which agents the history knows and what operators said of them, read from the ledger."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec
from clickhouse_connect import get_client
from clickhouse_connect.driver.client import Client

from tallystick_schemas.directives import ADOPT, AGENT, RETIRE, SAID_RULES, level_of, open_directive, place_of
from tallystick_schemas.encoding import from_base64
from tallystick_schemas.entries import Entry, parse_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import Enrol, Kind, Revoke, parse_header
from tallystick_schemas.keys import key_id
from tallystick_schemas.records import frame_record, signed_bytes
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import ClickHouseSettings, LogSettings
from tallystick_schemas.signatures import fits
from tallystick_schemas.signing import wire_time
from tallystick_schemas.stored_bytes import APPEND_MS, COUNTS, KIND, MEMBER

from .errors import NoSuchKey


class EnrolledAgent(msgspec.Struct, frozen=True):
    """One key of an agent. `segments` are the entries in its name; `last_spoke` is when the newest that counts came in (wire time), if any did."""

    agent: str
    key: str
    shard: int
    revoked: bool
    segments: int
    last_spoke: str | None
    public_key: str = ""
    """Base64 of the raw bytes."""


class RulesSaid(NamedTuple):
    """The newest directive about a shard's rules: its number, and the level that it puts in force (None: one that this version does not have)."""

    n: int
    level: int | None


@dataclass
class Directives:
    """What the operator's directives in the ledger say. `unbelieved` are entries that no pinned operator signed: the store lies, or a key is not pinned."""

    keyring: Keyring
    rules: dict[int, RulesSaid] = field(default_factory=dict)
    """By shard that has any."""
    unbelieved: int = 0
    retired: set[tuple[int, str]] = field(default_factory=set)
    """(shard, id of an operator's or a sealer's key) of each retirement."""


def read_directives(client: Client, log: LogSettings) -> Directives:
    """Every accepted directive, believed for its signature alone and not because the store has it."""
    found, pinned = Directives(Keyring.of(log.operator_keys)), {key_id(public): public for public in log.operator_keys}
    for shard, entry in _accepted(client, Kind.DIRECTIVE):
        record = frame_record(entry.kind, entry.header, entry.sig, b"")
        try:
            directive = open_directive(record, pinned)
            if place_of(directive) == SAID_RULES:
                found.rules[shard] = RulesSaid(directive.n, level_of(directive))  # in the order of the shard, where numbers rise
            elif directive.about in (AGENT, ADOPT, RETIRE):
                found.keyring.take(record)
                if directive.about == RETIRE:
                    found.retired.add((shard, directive.subject))
        except ParseError:
            found.unbelieved += 1
    return found


def ledger_keyring(settings: ClickHouseSettings, log: LogSettings) -> Keyring:
    """The keys that the ledger's directives name, for whoever asks the store alone."""
    with closing(get_client(**settings.client_kwargs())) as client:
        return read_directives(client, log).keyring


def _accepted(client: Client, kind: Kind) -> Iterator[tuple[int, Entry]]:
    """(shard, entry) of every accepted entry of a kind, by the entries' bytes: a column that hides one or shows another decides nothing."""
    query = f"SELECT DISTINCT shard, `index`, hex(entry) FROM ledger_entries WHERE {KIND} = {kind:d} AND {COUNTS} ORDER BY shard, `index`"  # noqa: S608
    for shard, _, raw in client.query(query).result_rows:
        yield int(shard), parse_entry(bytes.fromhex(raw))


def _operators_words(client: Client, log: LogSettings, kind: Literal[Kind.ENROL, Kind.REVOKE]) -> Iterator[tuple[int, Enrol | Revoke]]:
    """(shard, header) of the accepted enrolments, or revocations, that a pinned operator key signed. Another one is no operator's word: step 5 tells."""
    pinned = {key_id(public): public for public in log.operator_keys}
    for shard, entry in _accepted(client, kind):
        header = parse_header(kind, entry.header)
        assert isinstance(header, Enrol | Revoke)
        if (public := pinned.get(header.key)) is not None and fits(public, entry.sig, signed_bytes(kind, entry.header)):
            yield shard, header


def _enrolments(client: Client, log: LogSettings) -> dict[tuple[str, str], tuple[int, str]]:
    """(agent, key id) of every accepted enrolment -> its shard, and the public key in base64."""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for shard, enrol in _operators_words(client, log, Kind.ENROL):
        assert isinstance(enrol, Enrol)
        found[(enrol.agent, key_id(from_base64(enrol.public_key, 32, "public_key")))] = shard, enrol.public_key
    return found


def enrolled_keys(client: Client, log: LogSettings) -> dict[tuple[str, str], int]:
    """(agent, key id) of every accepted enrolment -> its shard."""
    return {key: shard for key, (shard, _) in _enrolments(client, log).items()}


def revoked_keys(client: Client, log: LogSettings) -> set[tuple[str, str]]:
    """(agent, key id) of every accepted revocation."""
    revoked = set()
    for _, record in _operators_words(client, log, Kind.REVOKE):
        assert isinstance(record, Revoke)
        revoked.add((record.agent, record.agent_key))
    return revoked


def enrolled_agents(client: Client, log: LogSettings) -> list[EnrolledAgent]:
    """Every key that was ever enrolled, by agent's name."""
    revoked, spoken, keys = revoked_keys(client, log), _spoken(client), _enrolments(client, log)
    return [
        EnrolledAgent(*key, shard, key in revoked, *spoken.get(key, (0, None)), public) for key, (shard, public) in sorted(keys.items())
    ]


def _spoken(client: Client) -> dict[tuple[str, str], tuple[int, str | None]]:
    """(agent, key id) -> number of segments, and when the newest that counts came in: anybody may send one in another's name."""
    query = (
        f"SELECT {MEMBER.format('agent')} AS who, {MEMBER.format('key')} AS id, uniqExact(shard, `index`), maxOrNullIf({APPEND_MS}, {COUNTS}) "  # noqa: S608
        f"FROM ledger_entries WHERE {KIND} = {Kind.SEGMENT:d} GROUP BY who, id"
    )
    rows = client.query(query).result_rows
    return {(agent, key): (count, None if newest is None else wire_time(newest / 1000)) for agent, key, count, newest in rows}


def check_revocable(known: Sequence[EnrolledAgent], agent: str, key: str) -> None:
    """NoSuchKey unless `key` may still speak for `agent`: the notary accepts the end of any key, and one that is not the thief's ends nothing."""
    own = {one.key: one for one in known if one.agent == agent}
    if not own:
        raise NoSuchKey(f"no agent {agent} is enrolled; `tallystick agent list` shows who is")
    if key not in own:
        active = [one.key for one in own.values() if not one.revoked]
        raise NoSuchKey(f"{agent} has no such key; " + (f"it has {', '.join(active)}" if active else "all that it had are revoked"))
    if own[key].revoked:
        raise NoSuchKey(f"key {key} of {agent} is revoked already")
