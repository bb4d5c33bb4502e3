"""Findings and what people said of them, as the ledger has them: signed events, each proven before it counts. The views of the store show the same to
whoever searches; nothing is decided by them. Pure: who asks brings the store.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from .candidates import Question, find, read_tips
from .evidence import Ask
from .messages import Place
from .roles import SIGNERS, Keyring
from .stored import Stored, read_signed
from .topics import FINDINGS

_MOST: Final = 200_000
_ID: Final = "JSONExtractString(raw, 'resource', 'id')"
_OF_FINDINGS: Final = "JSONExtractString(raw, 'resource', 'kind') = 'finding'"
_TIMES: Final = "toUInt64OrZero(JSONExtractString(raw, 'attrs', 'count'))"
_CLOSED: Final = Question(
    ("incident.close",), _OF_FINDINGS, f"ORDER BY JSONExtractString(raw, 'time') DESC LIMIT 1 BY shard, `index`, pos LIMIT {_MOST}"
)
_FOUND: Final = Question(
    ("incident.open", "incident.update"),
    _OF_FINDINGS,
    f"ORDER BY JSONExtractString(raw, 'time') DESC LIMIT 1 BY shard, `index`, pos LIMIT {_MOST}",
    (_ID, _TIMES),
)
_LOOKED_AT: Final = 3
"""Of one finding, those that count it highest: a newest one that does not hold must not hide the one before it."""


class Order(NamedTuple):
    """Which of two words is the newer one."""

    time: str
    place: Place


@dataclass(frozen=True)
class Said:
    """A disposition, by whom and when (wire time, signed)."""

    finding: str
    disposition: str
    who: str
    reason: str
    order: Order


@dataclass(frozen=True)
class Dispositions:
    """The newest of each finding; the tips of the shards that were looked at; how many candidates no agent signed; and how many older entries were
    searched by columns alone."""

    newest: dict[str, Said]
    marks: dict[int, int]
    broken: int
    by_columns: int


@dataclass(frozen=True)
class Recorded:
    """A finding as it was recorded last: what its event says of it, and the time of that."""

    id: str
    attrs: Mapping[str, str]
    time: str


def read_dispositions(ask: Ask, keyring: Keyring, agents: Collection[str], marks: Mapping[int, int]) -> Dispositions:
    """What people said above the marks by `agents`, whose word counts."""
    tips = read_tips(ask, marks)
    found = find(ask, _CLOSED, tips, marks, {"agents": sorted(agents)})
    read = read_signed(ask, keyring, found.places)
    said = sorted((_said(one) for one in read.held if one.holder.agent in agents and _is(_CLOSED, one)), key=lambda one: one.order)
    return Dispositions({one.finding: one for one in said}, tips, len(read.broken), found.by_columns)


def read_recorded(ask: Ask, keyring: Keyring, wanted: Callable[[str], bool]) -> dict[str, Recorded]:
    """Recorded findings whose ids are wanted, each as it was counted highest."""
    agents = sorted({agent for role in SIGNERS[FINDINGS] for agent in keyring.named(role)})
    rows = find(ask, _FOUND, read_tips(ask), {}, {"agents": agents}).rows
    by_id: dict[str, list[tuple[int, Place]]] = {}
    for shard, index, pos, name, times in rows:
        if wanted(str(name)):
            by_id.setdefault(str(name), []).append((int(times), (int(shard), int(index), int(pos))))
    places = [place for counted in by_id.values() for _, place in sorted(counted, reverse=True)[:_LOOKED_AT]]
    held = [
        one for one in read_signed(ask, keyring, places).held if not one.holder.roles.isdisjoint(SIGNERS[FINDINGS]) and _is(_FOUND, one)
    ]
    return _newest(held)


def _is(question: Question, one: Stored) -> bool:
    return question.asks_for(one.event) and one.event.resource.kind == "finding"


def _newest(held: Iterable[Stored]) -> dict[str, Recorded]:
    ordered = sorted(held, key=lambda one: (_count(one), one.event.time, one.place))
    return {one.event.resource.id: Recorded(one.event.resource.id, one.event.attrs or {}, one.event.time) for one in ordered}


def _count(one: Stored) -> int:
    text = (one.event.attrs or {}).get("count", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _said(one: Stored) -> Said:
    event = one.event
    why = event.why.text if event.why is not None else None
    order = Order(event.time, one.place)
    return Said(event.resource.id, (event.attrs or {}).get("disposition", ""), event.actor.principal, why or "", order)
