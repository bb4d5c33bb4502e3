"""People's orders and detection's findings from the ledger, and which of them were decided: signed events, each proven before it counts."""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from tallystick_schemas.candidates import Question, read_tips
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Event
from tallystick_schemas.evidence import Ask
from tallystick_schemas.messages import Finding, parse_finding
from tallystick_schemas.orders import Order, order_of
from tallystick_schemas.roles import Keyring, Role
from tallystick_schemas.signing import wire_time
from tallystick_schemas.stored import Stored

from .signed import look_for

MOST: Final = 1_000
"""Orders that are looked at in one look, the newest: more than people give in an hour."""
_LOCKING: Final = ("credential.suspend", "credential.resume", "credential.revoke")
_SINCE: Final = "JSONExtractString(raw, 'time') >= {since:String}"
"""Wire times are of one length, and their order is that of their text."""
_NEWEST: Final = f"ORDER BY JSONExtractString(raw, 'time') DESC LIMIT 1 BY shard, `index`, pos LIMIT {MOST}"
_ORDERS: Final = Question(_LOCKING, f"NOT JSONHas(raw, 'attrs', 'decision') AND {_SINCE}", _NEWEST)
_FINDINGS: Final = Question(
    ("incident.open", "incident.update"),
    "JSONExtractString(raw, 'attrs', 'mode') = 'auto' "
    f"AND JSONExtractString(JSONExtractString(raw, 'attrs', 'finding'), 'act') IN ('step-up', 'suspend') AND {_SINCE}",
    _NEWEST,
)
_DECIDED: Final = Question(
    ("incident.decide", *_LOCKING),
    "JSONExtractString(raw, 'attrs', 'decision') IN {commands:Array(String)}",
    "LIMIT 1 BY shard, `index`, pos",
)


class Ordered(NamedTuple):
    """Orders, the oldest first, and the highest index of each shard that was looked at."""

    orders: list[Order]
    marks: dict[int, int]


class Found(NamedTuple):
    """Findings that ask for a lock, the oldest first, and the highest index of each shard that was looked at."""

    findings: list[Finding]
    marks: dict[int, int]


def read_orders(ask: Ask, keyring: Keyring, marks: Mapping[int, int], since: float) -> Ordered:
    """Orders above the marks that commanders gave at `since` or later (seconds since 1970, by the events' own times, which are signed)."""
    tips = read_tips(ask, marks)
    stored = _newest(ask, keyring, "commander", _ORDERS, (tips, marks), since)
    return Ordered([order for one in stored if (order := order_of(one.event, one.place)) is not None], tips)


def read_acting(ask: Ask, keyring: Keyring, marks: Mapping[int, int], since: float) -> Found:
    """As `read_orders`: what detection wrote down, and asks a lock for."""
    tips = read_tips(ask, marks)
    stored = _newest(ask, keyring, "detectors", _FINDINGS, (tips, marks), since)
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


def _newest(
    ask: Ask, keyring: Keyring, role: Role, question: Question, seen: tuple[Mapping[int, int], Mapping[int, int]], since: float
) -> list[Stored]:
    """Events by agents with a role, the oldest first; `seen` are tips and marks. As for what topics bring, a key counts that is active now."""
    agents = sorted({holder.agent for holder in keyring.with_role(role)})
    found = look_for(ask, question, (keyring, role), seen, {"agents": agents, "since": wire_time(max(since, 0.0))})
    return sorted((one for one in found if one.holder.active), key=lambda one: (one.event.time, one.place))


def read_decided(ask: Ask, keyring: Keyring, commands: Collection[str]) -> set[str]:
    """Those of the commands that some responder decided on."""
    given = {"agents": keyring.named("responder"), "commands": sorted(commands)}
    stored = look_for(ask, _DECIDED, (keyring, "responder"), (read_tips(ask), {}), given)
    return {(one.event.attrs or {}).get("decision", "") for one in stored} & set(commands)
