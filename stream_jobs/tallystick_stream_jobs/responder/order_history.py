"""People's orders and detection's findings from the ledger, and which of them were decided: signed events, each proven before it counts."""

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Event
from tallystick_schemas.evidence import Ask
from tallystick_schemas.messages import Finding, Place, parse_finding
from tallystick_schemas.orders import Order, order_of
from tallystick_schemas.roles import Keyring, Role

from .history import read_tips
from .stored import SIGNED_BY, Stored, read_stored

MOST: Final = 1_000
"""Orders that are looked at in one look, the newest: more than people give in an hour."""
_ORDERS: Final = f"""
SELECT shard, `index`, pos FROM events
WHERE action IN ('credential.suspend', 'credential.resume', 'credential.revoke') AND NOT JSONHas(raw, 'attrs', 'decision')
    AND time >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC') AND `index` > arrayElement({{marks:Array(Int64)}}, shard + 1) AND {SIGNED_BY}
ORDER BY time DESC LIMIT 1 BY shard, `index`, pos LIMIT {MOST}
"""  # noqa: S608 - parameters are the store's
_FINDINGS: Final = f"""
SELECT shard, `index`, pos FROM events
WHERE action IN ('incident.open', 'incident.update') AND JSONExtractString(raw, 'attrs', 'mode') = 'auto'
    AND JSONExtractString(JSONExtractString(raw, 'attrs', 'finding'), 'act') IN ('step-up', 'suspend')
    AND time >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC') AND `index` > arrayElement({{marks:Array(Int64)}}, shard + 1) AND {SIGNED_BY}
ORDER BY time DESC LIMIT 1 BY shard, `index`, pos LIMIT {MOST}
"""  # noqa: S608 - as above
_DECIDED: Final = f"""
SELECT shard, `index`, pos FROM events
WHERE action IN ('incident.decide', 'credential.suspend', 'credential.resume', 'credential.revoke')
    AND JSONExtractString(raw, 'attrs', 'decision') IN {{commands:Array(String)}} AND {SIGNED_BY}
LIMIT 1 BY shard, `index`, pos
"""  # noqa: S608 - as above


class Ordered(NamedTuple):
    """Orders, the oldest first, and the highest index of each shard that was looked at."""

    orders: list[Order]
    marks: dict[int, int]


class Found(NamedTuple):
    """Findings that ask for a lock, the oldest first, and the highest index of each shard that was looked at."""

    findings: list[Finding]
    marks: dict[int, int]


def read_orders(ask: Ask, keyring: Keyring, shards: int, marks: Mapping[int, int], since: float) -> Ordered:
    """Orders above the marks that commanders gave at `since` or later (seconds since 1970, by the events' own times, which are signed)."""
    tips = read_tips(ask)
    stored = _newest(ask, keyring, "commander", _ORDERS, {"marks": _seen(shards, marks), "since": int(since * 1e6)})
    return Ordered([order for one in stored if (order := order_of(one.event, one.place)) is not None], tips)


def read_acting(ask: Ask, keyring: Keyring, shards: int, marks: Mapping[int, int], since: float) -> Found:
    """As `read_orders`: what detection wrote down, and asks a lock for."""
    tips = read_tips(ask)
    stored = _newest(ask, keyring, "detectors", _FINDINGS, {"marks": _seen(shards, marks), "since": int(since * 1e6)})
    return Found([found for one in stored if (found := acting_in(one.event)) is not None], tips)


def acting_in(event: Event) -> Finding | None:
    """The finding that an event of detection tells, where it asks for a lock and nothing keeps it from that."""
    attrs = event.attrs or {}
    if event.action not in ("incident.open", "incident.update") or "finding" not in attrs:
        return None
    try:
        found = parse_finding(attrs["finding"].encode())
    except ParseError:
        return None
    return found if found.act in ("step-up", "suspend") and found.mode == "auto" and not found.suppressed else None


def _newest(ask: Ask, keyring: Keyring, role: Role, query: str, parameters: dict[str, Any]) -> list[Stored]:
    """Events by agents with a role, the oldest first. As for what topics bring, a key counts that is active now."""
    agents = sorted({holder.agent for holder in keyring.with_role(role)})
    rows = ask(query, parameters | {"agents": agents})
    places: list[Place] = [(int(shard), int(index), int(pos)) for shard, index, pos in reversed(rows)]
    return [one for one in read_stored(ask, keyring, places, role) if one.holder.active]


def _seen(shards: int, marks: Mapping[int, int]) -> list[int]:
    return [marks.get(shard, -1) for shard in range(shards)]


def read_decided(ask: Ask, keyring: Keyring, shards: int, commands: Collection[str]) -> set[str]:
    """Those of the commands that some responder decided on."""
    parameters = {"agents": keyring.named("responder"), "marks": [-1] * shards, "commands": sorted(commands)}
    places: list[Place] = [(int(shard), int(index), int(pos)) for shard, index, pos in ask(_DECIDED, parameters)]
    return {(one.event.attrs or {}).get("decision", "") for one in read_stored(ask, keyring, places, "responder")} & set(commands)
