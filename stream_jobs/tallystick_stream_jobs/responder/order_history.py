"""People's orders from the ledger, and which of them were decided: signed events, each proven before it counts."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from tallystick_schemas.evidence import Ask
from tallystick_schemas.messages import Place
from tallystick_schemas.orders import Order, order_of
from tallystick_schemas.roles import Keyring

from .history import read_tips
from .stored import read_stored

MOST: Final = 1_000
"""Orders that are looked at in one look, the newest: more than people give in an hour."""
_BY: Final = (
    "(shard, `index`) IN (SELECT shard, `index` FROM ledger_entries WHERE agent IN {agents:Array(String)} "
    "AND `index` > arrayElement({marks:Array(Int64)}, shard + 1))"
)
"""Others may write such events too, as news: they must not push the orders out of what is looked at."""
_ORDERS: Final = f"""
SELECT shard, `index`, pos FROM events
WHERE action IN ('credential.suspend', 'credential.resume', 'credential.revoke') AND NOT JSONHas(raw, 'attrs', 'decision')
    AND time >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC') AND `index` > arrayElement({{marks:Array(Int64)}}, shard + 1) AND {_BY}
ORDER BY time DESC LIMIT 1 BY shard, `index`, pos LIMIT {MOST}
"""  # noqa: S608 - parameters are the store's
_DECIDED: Final = f"""
SELECT shard, `index`, pos FROM events
WHERE action IN ('incident.decide', 'credential.suspend', 'credential.resume', 'credential.revoke')
    AND JSONExtractString(raw, 'attrs', 'decision') IN {{commands:Array(String)}} AND {_BY}
LIMIT 1 BY shard, `index`, pos
"""  # noqa: S608 - as above


class Ordered(NamedTuple):
    """Orders, the oldest first, and the highest index of each shard that was looked at."""

    orders: list[Order]
    marks: dict[int, int]


def read_orders(ask: Ask, keyring: Keyring, shards: int, marks: Mapping[int, int], since: float) -> Ordered:
    """Orders above the marks that commanders gave at `since` or later (seconds since 1970, by the events' own times, which are signed)."""
    tips = read_tips(ask)
    agents = sorted({holder.agent for holder in keyring.with_role("commander")})
    seen = [marks.get(shard, -1) for shard in range(shards)]
    rows = ask(_ORDERS, {"agents": agents, "marks": seen, "since": int(since * 1e6)})
    places: list[Place] = [(int(shard), int(index), int(pos)) for shard, index, pos in reversed(rows)]
    # As for orders from `acts`, a key counts that is active now.
    stored = [one for one in read_stored(ask, keyring, places, "commander") if one.holder.active]
    return Ordered([order for one in stored if (order := order_of(one.event, one.place)) is not None], tips)


def read_decided(ask: Ask, keyring: Keyring, shards: int, commands: Collection[str]) -> set[str]:
    """Those of the commands that some responder decided on."""
    parameters = {"agents": keyring.named("responder"), "marks": [-1] * shards, "commands": sorted(commands)}
    places: list[Place] = [(int(shard), int(index), int(pos)) for shard, index, pos in ask(_DECIDED, parameters)]
    return {(one.event.attrs or {}).get("decision", "") for one in read_stored(ask, keyring, places, "responder")} & set(commands)
