"""One segment of `events` as proof, checked here and now: the operator's word about the key, the agent's signature, and the root over the events. Pure.

It says that an agent with a role signed these events. It does not say that the notary accepted them: that comes with the ledger, moments later.
"""

from dataclasses import dataclass

from tallystick_schemas.bodies import BodyRefused, examine_body
from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Event
from tallystick_schemas.headers import SegmentHeader
from tallystick_schemas.messages import Place
from tallystick_schemas.orders import Order, order_of
from tallystick_schemas.records import parse_record, signed_bytes
from tallystick_schemas.roles import Holder, Keyring
from tallystick_schemas.signatures import fits


@dataclass(frozen=True)
class Proven:
    """A signed segment: who signed it, its header and signature as they stand in its entry, and its events."""

    holder: Holder
    header_raw: bytes
    sig: bytes
    events: list[Event]


def prove(raw: bytes, keyring: Keyring, *, revoked: bool = False) -> Proven:
    """The segment in a record of `events`; ParseError says what is not as it must be.

    `revoked`: take a key's word from before its end as well; only for records that the history accepted.
    """
    record = parse_record(raw)
    header = record.header
    if not isinstance(header, SegmentHeader):
        raise ParseError("the record is no segment")
    holder = keyring.holder(header.agent, header.key)
    if holder is None or not (holder.active or revoked):
        raise ParseError(f"the segment is signed by key {header.key} of {header.agent}, to which no operator gives a role now")
    if not fits(holder.public, record.sig, signed_bytes(record.kind, record.header_raw)):
        raise ParseError(f"{header.agent} did not sign this segment")
    try:
        body = examine_body(record)
    except BodyRefused as error:
        raise ParseError(f"the segment of {header.agent} does not hold what it signs: {error}") from error
    return Proven(holder, record.header_raw, record.sig, body.events)


def prove_orders(raw: bytes, keyring: Keyring, place: tuple[int, int]) -> list[Order]:
    """The orders in a record that a commander signed; `place` is (shard, index), for their evidence. ParseError as `prove`, or for another role."""
    proven = prove(raw, keyring)
    if "commander" not in proven.holder.roles:
        raise ParseError(f"{proven.holder.agent} may give no orders: its roles are {', '.join(sorted(proven.holder.roles)) or 'none'}")
    found = (order_of(event, (*place, pos)) for pos, event in enumerate(proven.events))
    return [order for order in found if order is not None]


@dataclass(frozen=True)
class Vouched:
    """What one piece of a finding's evidence is worth: `reason` says why it lets nobody act, or is empty."""

    agent: str
    reason: str


def vouch(raw: bytes, keyring: Keyring, pos: int, whom: tuple[str, str | None]) -> Vouched:
    """Whether event `pos` of a record lets a finding about `whom` (principal, credential) act: its agent's scope covers what it says of them."""
    proven = prove(raw, keyring)
    agent, scope = proven.holder.agent, proven.holder.scope
    if not 0 <= pos < len(proven.events):
        raise ParseError(f"the segment of {agent} has no event {pos}")
    event = proven.events[pos]
    principal, credential = whom
    if not named(event, principal) or (credential is not None and event.actor.credential != credential):
        return Vouched(agent, f"event {pos} that {agent} signed is not about {principal}")
    if scope is None:
        return Vouched(agent, f"no operator said what {agent} may vouch for; `tallystick agent scope` does")
    resource = f"{event.resource.kind}/{event.resource.id}"
    if not scope.covers(event.action, event.actor.principal, resource):
        return Vouched(agent, f"{agent} may not vouch for {event.action} by {principal}")
    return Vouched(agent, "")


def named(event: Event, principal: str) -> bool:
    """Whether an event is by a principal, whichever spelling of the name it has."""
    from tallystick_schemas.names import same_principal

    return same_principal(event.actor.principal, principal)


def place_text(place: Place) -> str:
    """`shard:index:position`, as places are written everywhere."""
    return "{}:{}:{}".format(*place)
