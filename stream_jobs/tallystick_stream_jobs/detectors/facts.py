"""What rules see of an event: the few fields they need, decoded once, and the time that counts."""

from datetime import datetime
from hashlib import blake2b
from typing import Final

import msgspec

from tallystick_schemas.messages import Place

from .peers import NOBODY, Peers

LATENESS_S: Final = 600.0
DAY_S: Final = 86_400
PANE_S: Final = 300
"""Of `Fact.pane`."""
PANES_HOUR: Final = 3600 // PANE_S
PANES_DAY: Final = DAY_S // PANE_S


# Optional fields are as in the record format, null included: what the notary accepts must be readable here, or a detector is blind.
class _Actor(msgspec.Struct, frozen=True, gc=False):
    principal: str
    credential: str | None = None
    roles: list[str] | None = None


class _Resource(msgspec.Struct, frozen=True, gc=False):
    kind: str
    id: str
    version: str | None = None
    part: str | None = None
    collection: str | None = None
    sensitivity: str | None = None


class _Usage(msgspec.Struct, frozen=True, gc=False):
    objects: int | None = None
    bytes: int | None = None
    prompt_hash: str | None = None


class _Source(msgspec.Struct, frozen=True, gc=False):
    country: str | None = None
    ip: str | None = None


class _Event(msgspec.Struct, frozen=True, gc=False):
    time: str
    action: str
    actor: _Actor
    resource: _Resource
    outcome: str
    usage: _Usage | None = None
    source: _Source | None = None
    attrs: dict[str, str] | None = None


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One verified event. `time` in seconds since 1970; `place` where the history has it; `raw` for rules that need more than `event`."""

    time: float
    place: Place
    event: _Event
    pane: int
    """The five minutes in which it happened, counted from 1970: what longer panes, hours and days are made of."""
    credential: str
    """The one that spoke; empty where the door named none."""
    raw: bytes = b""
    object: int | None = None
    """The number of `object_key`: what was touched with leave."""
    append: float = 0.0
    """When the broker took it, in seconds since 1970."""
    ahead: float = 0.0
    """How far the agent's clock was ahead of the broker's, in seconds; negative when behind, or when the event waited in a spool."""
    peers: Peers = NOBODY


decode_event: Final = msgspec.json.Decoder(_Event).decode
OBJECT_ACTIONS: Final = frozenset({"access.check", "artifact.download", "artifact.read", "dataset.read", "dataset.export"})


def touches(action: str, outcome: str) -> bool:
    """Whether an event of this kind can touch an object with leave: what most rules look at."""
    return outcome == "allowed" and action in OBJECT_ACTIONS


def claimed_time(text: str) -> float | None:
    """The agent's clock in seconds since 1970; None for a day that no calendar has, which the format lets pass."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def settled_day(time: float) -> int:
    """The day (UTC, counted from 1970) before which nothing can come in any more when an event of this time is read."""
    return int((time - LATENESS_S) // DAY_S)


def number_of(text: str) -> int:
    """32 bits of a name, the same in every process (BLAKE2b): two of 64 names share one in a run of 2 million."""
    known = _numbers.get(text)
    if known is None:
        if len(_numbers) >= _MOST_NUMBERS:
            _numbers.clear()
        known = _numbers[text] = int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=4).digest(), "big")
    return known


def object_key(event: _Event) -> str | None:
    """The object that an event touched with leave, or None. A decision and the download after it name the same object."""
    action = event.action
    if event.outcome != "allowed" or action not in OBJECT_ACTIONS:
        return None
    if action == "access.check" and not (event.usage and event.usage.objects):
        return None
    resource = event.resource
    return f"{resource.kind}\0{resource.id}\0{resource.version or ''}\0{resource.part or ''}"


def make_fact(event: _Event, append_ms: int, place: Place, peers: Peers = NOBODY, raw: bytes = b"") -> Fact:
    """A fact from a decoded event, which the broker took at `append_ms`.

    Its time is the agent's where that is at most 10 min from the broker's, else the broker's: a wrong clock must not blind a window.
    """
    append = append_ms / 1000
    claimed = claimed_time(event.time)
    ahead = claimed - append if claimed is not None else 0.0
    time = claimed if claimed is not None and -LATENESS_S <= ahead <= LATENESS_S else append
    key = object_key(event)
    number = None if key is None else number_of(key)
    return Fact(time, place, event, int(time // PANE_S), event.actor.credential or "", raw, number, append, ahead, peers)


_numbers: Final[dict[str, int]] = {}
_MOST_NUMBERS: Final = 50_000
