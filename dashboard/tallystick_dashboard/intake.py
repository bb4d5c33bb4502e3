"""What a message of Kafka, or a look at the store, does to the hub. Pure but for the hub it changes: the shells call it."""

from datetime import datetime
from typing import NamedTuple

from tallystick_schemas.errors import OldMessage, ParseError
from tallystick_schemas.locks import Held, Lost
from tallystick_schemas.messages import Decision, LockHeartbeat, VerifiedBatch, parse_batch, parse_finding, parse_message
from tallystick_schemas.notices import breaker_held, withdrawn
from tallystick_schemas.topics import DECISIONS, ENFORCEMENT, FINDINGS, LOCKS, VERIFIED

from .hub import Hub
from .ports import HistoryView

_FORGOTTEN_S = 86_400.0


class Origin(NamedTuple):
    """Of a message: its partition, the broker's time of it in seconds since 1970, and whether it came while we read."""

    partition: int | None = None
    append_s: float | None = None
    live: bool = True


def take_message(hub: Hub, topic: str, key: bytes | None, value: bytes | None, origin: Origin = Origin()) -> ParseError | None:  # noqa: B008 - frozen
    """Put one message where it belongs; why it is nobody's word, if no part with that role signed it (the shell counts and logs that).

    What was taken before and comes again is no stranger's.
    """
    try:
        _take(hub, topic, key, value, origin)
    except OldMessage:
        return None
    except ParseError as error:
        return error
    return None


def _take(hub: Hub, topic: str, key: bytes | None, value: bytes | None, origin: Origin) -> None:
    if topic == LOCKS:
        _take_lock(hub, key, value)
        return
    if topic == ENFORCEMENT:
        hub.points.take(key, value, hub.clock() if origin.append_s is None else origin.append_s)
        _note_points(hub)
        return
    body = hub.opener.open(topic, key, value or b"").body
    if topic == VERIFIED:
        _take_verified(hub, parse_batch(body), origin)
    elif topic == FINDINGS:
        hub.findings.add(parse_finding(body))
    elif topic == DECISIONS:
        _take_decision(hub, parse_message(Decision, body))


def _take_verified(hub: Hub, batch: VerifiedBatch, origin: Origin) -> None:
    if origin.partition is not None and batch.partition != origin.partition:
        raise ParseError(f"made for partition {batch.partition}, and it lies in partition {origin.partition}")
    hub.tail.add(batch, hub.clock(), live=origin.live)


def _take_lock(hub: Hub, key: bytes | None, value: bytes | None) -> None:
    taken = hub.locks.take(key, value)
    if isinstance(taken, LockHeartbeat):
        hub.seen.locks_heartbeat, hub.seen.locks_agree = seconds_of(taken.at), hub.locks.agrees
    elif isinstance(taken, Held):
        hub.orders.applied(taken.lock.command, hub.clock())
    elif isinstance(taken, Lost):
        raise ParseError(f"a tombstone about {taken.subject!r}, which lifts nothing")


def _take_decision(hub: Hub, decision: Decision) -> None:
    hub.decisions.add(decision)
    hub.locks.version += 1  # the page of locks shows what waits for people, too
    if withdrawn(decision):
        hub.orders.applied(decision.id, hub.clock())
    elif decision.lock is None:
        hub.orders.held(decision.id, decision.reason)
    if breaker_held(decision):
        hub.seen.breaker_at = max(seconds_of(decision.at) or 0.0, hub.seen.breaker_at or 0.0)


def _note_points(hub: Hub) -> None:
    """Points alone; their acknowledgements are told by `tallystick locks`."""
    points = {name: at for name, (_, at) in hub.points.points.items()}
    # A day is long enough to be missed; a name that was never signed off must not be shown for ever.
    newest = max(points.values(), default=0.0)
    hub.seen.points = {one: at for one, at in points.items() if newest - at < _FORGOTTEN_S}


def take_history(hub: Hub, view: HistoryView) -> None:
    """A fresh look at the store."""
    hub.history = view
    seen, log = hub.seen, hub.log
    seen.ledger_read = hub.clock()
    newest = max((shard.newest_ms for shard in view.shards), default=0)
    seen.newest_entry = newest / 1000 if newest else None
    latest = {c.origin: c for c in sorted(view.checkpoints, key=lambda c: c.size)}
    shards = [latest[o] for n in range(log.shards) if (o := log.origin(n)) in latest]
    root = latest.get(log.root_origin)
    known = [*shards, root] if root is not None else shards
    bad = [c for c in known if c.problem]
    seen.checkpoint_problem = f"Checkpoint {bad[0].size} of {bad[0].origin}: {bad[0].problem}" if bad else None
    seen.checkpoint_size = sum(c.size for c in shards if not c.problem)
    # The root log is sealed each round; without one, the slowest shard says how old the seal is.
    seen.checkpoint_time = root.time if root is not None else min((c.time for c in shards), default=None)


def look_for_closings(hub: Hub) -> None:
    """Ask the store which of the known findings somebody closed, here or from a terminal."""
    hub.findings.close(hub.sources.closings())


def seconds_of(wire_time: str) -> float | None:
    """Seconds since 1970 of a wire time, None when it is not one."""
    try:
        return datetime.fromisoformat(wire_time).timestamp()
    except ValueError:
        return None
