"""What rules see of an event: the few fields they need, decoded once, and the time that counts."""

from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from tallystick_schemas.messages import Place

LATENESS_S: Final = 600.0


# Optional fields are as in the record format, null included: what the notary accepts must be readable here, or a detector is blind.
class _Actor(msgspec.Struct, frozen=True):
    principal: str
    credential: str | None = None
    roles: list[str] | None = None


class _Resource(msgspec.Struct, frozen=True):
    kind: str
    id: str
    version: str | None = None
    part: str | None = None
    collection: str | None = None
    sensitivity: str | None = None


class _Usage(msgspec.Struct, frozen=True):
    objects: int | None = None
    bytes: int | None = None


class _Event(msgspec.Struct, frozen=True):
    time: str
    action: str
    actor: _Actor
    resource: _Resource
    outcome: str
    usage: _Usage | None = None
    attrs: dict[str, str] | None = None


class Fact(NamedTuple):
    """One verified event. `time` in seconds since 1970; `place` where the history has it; `raw` for rules that need more than `event`."""

    time: float
    place: Place
    event: _Event
    raw: bytes = b""


decode_event: Final = msgspec.json.Decoder(_Event).decode
_OBJECT_ACTIONS: Final = frozenset({"access.check", "artifact.download", "artifact.read", "dataset.read", "dataset.export"})


def event_time(text: str, append_ms: int) -> float:
    """The agent's time where it is at most 10 min from the broker's, else the broker's: a wrong clock must not blind a window."""
    append = append_ms / 1000
    try:
        claimed = datetime.fromisoformat(text).timestamp()
    except ValueError:
        return append
    return claimed if abs(claimed - append) <= LATENESS_S else append


def object_key(event: _Event) -> str | None:
    """The object that an event touched with leave, or None. A decision and the download after it name the same object."""
    if event.outcome != "allowed" or event.action not in _OBJECT_ACTIONS:
        return None
    if event.action == "access.check" and not (event.usage and event.usage.objects):
        return None
    resource = event.resource
    return f"{resource.kind}\0{resource.id}\0{resource.version or ''}\0{resource.part or ''}"
