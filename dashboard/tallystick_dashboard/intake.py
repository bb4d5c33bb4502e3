"""What a message of Kafka, or a look at the store, does to the hub. Pure but for the hub it changes: the shells call it."""

from datetime import datetime

from tallystick_schemas.enforcement import PointKey, word_of
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Decision, LockHeartbeat, Point, parse_batch, parse_finding, parse_lock, parse_message
from tallystick_schemas.notices import breaker_held, withdrawn
from tallystick_schemas.topics import DECISIONS, ENFORCEMENT, FINDINGS, LOCKS, VERIFIED

from .hub import Hub
from .ports import HistoryView

_FORGOTTEN_S = 86_400.0


def take_message(hub: Hub, topic: str, key: bytes | None, value: bytes | None) -> bool:
    """Put one message where it belongs; False when it is not what the topic holds (the shell counts and logs that)."""
    try:
        if topic == VERIFIED and value is not None:
            hub.tail.add(parse_batch(value), hub.clock())
        elif topic == FINDINGS and value is not None:
            hub.findings.add(parse_finding(value))
        elif topic == LOCKS:
            _take_lock(hub, key, value)
        elif topic == DECISIONS and value is not None:
            _take_decision(hub, parse_message(Decision, value))
        elif topic == ENFORCEMENT:
            _take_point(hub, PointKey.parse(key), value or b"")
        else:
            return False
    except ParseError:
        return False
    return True


def _take_lock(hub: Hub, key: bytes | None, value: bytes | None) -> None:
    if value is None:
        hub.locks.forget((key or b"").decode("utf-8", "replace"))
        return
    message = parse_lock(key, value)
    hub.locks.add(message)
    if isinstance(message, LockHeartbeat):
        hub.seen.locks_heartbeat = seconds_of(message.at)
    else:
        hub.orders.applied(message.command, hub.clock())


def _take_decision(hub: Hub, decision: Decision) -> None:
    hub.decisions.add(decision)
    hub.locks.version += 1  # the page of locks shows what waits for people, too
    if withdrawn(decision):
        hub.orders.applied(decision.id, hub.clock())
    elif decision.lock is None:
        hub.orders.held(decision.id, decision.reason)
    if breaker_held(decision):
        hub.seen.breaker_at = max(seconds_of(decision.at) or 0.0, hub.seen.breaker_at or 0.0)


def _take_point(hub: Hub, key: PointKey, value: bytes) -> None:
    """Points alone: an acknowledgement is told by `tallystick locks`."""
    if key.subject is not None:
        return
    word = word_of(key, value)
    assert isinstance(word, Point)  # a key without a subject is a point's
    points = dict(hub.seen.points)
    if word.left:
        points.pop(word.name, None)
    else:
        points[word.name] = seconds_of(word.at) or 0.0
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
