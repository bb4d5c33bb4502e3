"""Which agents the history knows, read from the ledger."""

import msgspec
from clickhouse_connect.driver.client import Client

from tallystick_schemas.encoding import from_base64
from tallystick_schemas.headers import Enrol, Kind, Revoke, parse_header
from tallystick_schemas.keys import key_id


class EnrolledAgent(msgspec.Struct, frozen=True):
    """One key of an agent. `segments` are the entries that it signed."""

    agent: str
    key: str
    shard: int
    revoked: bool
    segments: int


def enrolled_keys(client: Client) -> dict[tuple[str, str], int]:
    """(agent, key id) of every accepted enrolment -> its shard."""
    rows = client.query("SELECT shard, hex(header) FROM ledger_entries WHERE kind = 2 AND verdict < 2 ORDER BY shard, index").result_rows
    found: dict[tuple[str, str], int] = {}
    for shard, header in rows:
        enrol = parse_header(Kind.ENROL, bytes.fromhex(header))
        assert isinstance(enrol, Enrol)
        found[(enrol.agent, key_id(from_base64(enrol.public_key, 32, "public_key")))] = shard
    return found


def enrolled_agents(client: Client) -> list[EnrolledAgent]:
    """Every key that was ever enrolled, by agent's name."""
    revoked = set()
    for (header,) in client.query("SELECT hex(header) FROM ledger_entries WHERE kind = 3 AND verdict < 2").result_rows:
        record = parse_header(Kind.REVOKE, bytes.fromhex(header))
        assert isinstance(record, Revoke)
        revoked.add((record.agent, record.agent_key))
    counts = {
        (agent, key): count
        for agent, key, count in client.query(
            "SELECT agent, key, count() FROM ledger_entries WHERE kind = 1 GROUP BY agent, key"
        ).result_rows
    }
    keys = enrolled_keys(client)
    return [EnrolledAgent(*key, shard, key in revoked, counts.get(key, 0)) for key, shard in sorted(keys.items())]
