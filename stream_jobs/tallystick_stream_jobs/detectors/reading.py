"""The few fields of an event that rules look at, decoded once."""

from typing import Final

import msgspec

from tallystick_schemas.names import canonical


# Optional fields are as in the record format, null included: what the notary accepts must be readable here, or a detector is blind.
class Actor(msgspec.Struct, frozen=True, gc=False):
    principal: str
    credential: str | None = None
    roles: list[str] | None = None


class Resource(msgspec.Struct, frozen=True, gc=False):
    kind: str
    id: str
    version: str | None = None
    part: str | None = None
    collection: str | None = None
    sensitivity: str | None = None


class Usage(msgspec.Struct, frozen=True, gc=False):
    objects: int | None = None
    bytes: int | None = None
    prompt_hash: str | None = None


class Source(msgspec.Struct, frozen=True, gc=False):
    country: str | None = None
    ip: str | None = None


class Event(msgspec.Struct, frozen=True, gc=False):
    time: str
    action: str
    actor: Actor
    resource: Resource
    outcome: str
    usage: Usage | None = None
    source: Source | None = None
    attrs: dict[str, str] | None = None


_decode: Final = msgspec.json.Decoder(Event).decode


def decode_event(raw: bytes) -> Event:
    """The event, its principal in the canonical form: rules count for one person whatever spelling an agent wrote. The bytes stay what they are."""
    event = _decode(raw)
    written = event.actor.principal
    name = canonical(written)
    if name == written:
        return event
    return msgspec.structs.replace(event, actor=msgspec.structs.replace(event.actor, principal=name))
