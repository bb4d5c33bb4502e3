"""Guards of the responder and the detectors: whose record an order stands in, what was decided before, what came before, who owns the state."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from msgspec.structs import replace as replace_struct

from tallystick_schemas.bodies import examine_body
from tallystick_schemas.merkle import leaf_hashes, root_of
from tallystick_schemas.records import Record, split_items
from tallystick_schemas.roles import Holder, Keyring
from tallystick_stream_jobs.detectors import keeper, state
from tallystick_stream_jobs.detectors.heard import Heard
from tallystick_stream_jobs.detectors.state import StateFold
from tallystick_stream_jobs.responder import people, policy, proven
from tallystick_stream_jobs.responder.book import LockBook
from tallystick_stream_jobs.responder.memory import Memory
from tallystick_stream_jobs.responder.missed import Missed

from .guards import Guard, instead, wrapped
from .guards_envelope import ROLES


def _commanding(before: Callable[..., Any]) -> Callable[..., Any]:
    def prove(*said: Any, **more: Any) -> Any:
        found = before(*said, **more)
        return replace(found, holder=replace(found.holder, roles=found.holder.roles | {"commander"}))

    return prove


def _any_role(before: Callable[..., Holder | None]) -> Callable[..., Holder | None]:
    def holder(self: Keyring, agent: str, key: str) -> Holder | None:
        found = before(self, agent, key)
        return None if found is None else replace(found, roles=frozenset(ROLES))

    return holder


def _whatever_it_holds(record: Record) -> Any:
    """The body under a header that says what the body is."""
    items = split_items(record.body)
    header = replace_struct(record.header, count=len(items), root=root_of(leaf_hashes(items)).hex())
    return examine_body(record._replace(header=header))


def _no_owner(before: Callable[..., None]) -> Callable[..., None]:
    def take(self: StateFold, *said: Any) -> None:
        self.fence = -1
        before(self, *said)

    return take


def _tombstone_deletes(before: Callable[..., None]) -> Callable[..., None]:
    def take(self: StateFold, key: bytes, value: bytes | None) -> None:
        if value:
            before(self, key, value)
        else:
            self.values.pop(key, None)

    return take


def _from_the_end(before: Callable[..., Any]) -> Callable[..., Any]:
    def restored(*said: Any) -> Any:
        found = before(*said)
        return replace(found, fence=replace_struct(found.fence, offset=found.fence.offset + 1))

    return restored


COMMANDER: Final = Guard("a commander signed the record", wrapped(proven, "prove", _commanding))
RECORD_SIGNATURE: Final = Guard(
    "the record's signature",
    instead(proven, "fits", lambda *_: True),
)
RECORD_BODY: Final = Guard("the record's events are what it signs", instead(proven, "examine_body", _whatever_it_holds))
ROLES_GIVEN: Final = Guard("the roles that an operator gave", wrapped(Keyring, "holder", _any_role))
TOLD: Final = Guard("a decision is made once", instead(Memory, "told", lambda *_: None))
BOOKED: Final = Guard("a command makes one lock", instead(LockBook, "made_by", lambda *_: None))
LIFTED: Final = Guard("what people lifted stays lifted", lambda: patch.dict(policy.GUARDS, {"people": lambda _: ("suspend", "")}))
BY_ITSELF: Final = Guard("a decision is known by its own finding", instead(Memory, "told", lambda self, _: next(iter(self.newest()), None)))
NAMED: Final = Guard("an order to lift names its lock", instead(people, "_lifts_another", lambda *_: ""))
MISSED_ORDERS: Final = Guard("the history's orders are compared with those that came", instead(Missed, "orders", lambda *_: []))
MISSED_FINDINGS: Final = Guard("the history's findings are compared with those that came", instead(Missed, "findings", lambda *_: []))
LIFTING_AGE: Final = Guard("an order to lift is of the last hour", instead(people, "MAX_LIFTING_AGE_S", float("inf")))
COUNTED: Final = Guard(
    "the notary's messages are counted", wrapped(Heard, "take", lambda before: lambda self, *said: min(0, before(self, *said)))
)
OWNER: Final = Guard("a newer owner's word stands", wrapped(StateFold, "take", _no_owner))
STATE_TOMBSTONE: Final = Guard("a tombstone deletes nothing", wrapped(StateFold, "take", _tombstone_deletes))
PROMISED: Final = Guard("the fence names all that was kept", instead(state, "_missing", lambda *_: None))
OWN_PLACE: Final = Guard("what was kept is read on from its own place", wrapped(keeper, "restored", _from_the_end))
