"""What the store shows of the sealer's work, by what the sealer signed: rows' own times and sizes are the store's word."""

from contextlib import suppress
from typing import Final

from clickhouse_connect.driver.client import Client

from tallystick_schemas.checkpoints import open_checkpoint, verifiers_of
from tallystick_schemas.entries import Entry, parse_entry
from tallystick_schemas.errors import TallystickError
from tallystick_schemas.headers import Kind, Seal, parse_header
from tallystick_schemas.keys import key_id
from tallystick_schemas.records import signed_bytes
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.signatures import fits
from tallystick_schemas.stored_bytes import COUNTS, KIND
from tallystick_schemas.times import seconds_of

_FEW: Final = 100
_SEALS: Final = f"shard = {{shard:UInt32}} AND {KIND} = {Kind.SEAL:d} AND {COUNTS} ORDER BY shard DESC, index DESC LIMIT {_FEW}"
_NOTES: Final = f"SELECT note FROM checkpoints WHERE origin = {{origin:String}} ORDER BY size DESC LIMIT {_FEW}"  # noqa: S608  # a number of ours


def newest_root(client: Client, log: LogSettings) -> int | None:
    """Leaves of the largest root checkpoint that a pinned sealer's key signed, among the newest rows."""
    signed = []
    for (note,) in client.query(_NOTES, parameters={"origin": log.root_origin}).result_rows:
        with suppress(TallystickError):  # step 1 tells
            signed.append(open_checkpoint(note.encode(), verifiers_of(log, log.root_origin), log.root_origin).size)
    return max(signed, default=None)


def last_sealed(client: Client, log: LogSettings) -> float | None:
    """When the shard that was sealed longest ago was sealed last, by the time that the sealer signed (seconds since 1970); None where one has no seal."""
    found = [_last(client, log, shard) for shard in range(log.shards)]
    times = [one for one in found if one is not None]
    return min(times) if len(times) == log.shards else None


def _last(client: Client, log: LogSettings, shard: int) -> float | None:
    rows = client.query(f"SELECT hex(entry) FROM ledger_entries WHERE {_SEALS}", parameters={"shard": shard}).result_rows  # noqa: S608
    pinned = {key_id(public): public for public in log.sealer_keys}
    for (raw,) in rows:
        with suppress(TallystickError):  # step 5 tells
            entry = parse_entry(bytes.fromhex(raw))
            return _time(entry, pinned)
    return None


def _time(entry: Entry, pinned: dict[str, bytes]) -> float:
    header = parse_header(Kind.SEAL, entry.header)
    assert isinstance(header, Seal)
    public = pinned.get(header.key)
    if public is None or not fits(public, entry.sig, signed_bytes(Kind.SEAL, entry.header)):
        raise TallystickError("no pinned sealer's key signed this seal")
    return seconds_of(header.time)
