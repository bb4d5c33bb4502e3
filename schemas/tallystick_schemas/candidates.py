"""Candidates: places of events that may be what somebody looks for, as the store finds them. What they say is read and proven in `stored`. Pure.

Whoever reads the newest part of a history asks the bytes; what is older is found by columns, which whoever has the store's password can make lie, so
that an event of before is left out. ADR 0038.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .events import Event
from .evidence import Ask
from .messages import Place
from .stored_bytes import ACTION, AGENT, may_hold, newest

_BETWEEN: Final = "`index` > arrayElement({marks:Array(Int64)}, shard + 1) AND `index` <= arrayElement({tops:Array(Int64)}, shard + 1)"
_SIGNED_BY: Final = f"(shard, `index`) IN (SELECT shard, `index` FROM ledger_entries WHERE {_BETWEEN} AND %s IN {{agents:Array(String)}})"  # noqa: S608
"""A condition for questions with a limit: any agent may write events that look like another's, and must not push those out of what is looked at."""
_END: Final = (1 << 63) - 1
_MOST_SHARDS: Final = 4_096
"""A row of another shard is nobody's, and lists are as long as the highest one."""
_ENDS: Final = f"SELECT shard, max(toInt64(`index`)), count() FROM ledger_entries WHERE shard < {_MOST_SHARDS} GROUP BY shard"  # noqa: S608
_WHOLE: Final = f"""
SELECT shard, maxIf(at, at = arrayElement({{low:Array(Int64)}}, shard + 1) + number) FROM
(
    SELECT shard, toInt64(`index`) AS at, row_number() OVER (PARTITION BY shard ORDER BY `index`) AS number FROM
    (SELECT DISTINCT shard, `index` FROM ledger_entries WHERE shard < {_MOST_SHARDS} AND toInt64(`index`) > arrayElement({{low:Array(Int64)}}, shard + 1))
)
GROUP BY shard HAVING countIf(at = arrayElement({{low:Array(Int64)}}, shard + 1) + number) > 0
"""  # noqa: S608 - a number of ours


@dataclass(frozen=True)
class Question:
    """Which events of what agents are candidates: by their action, and by a condition on their bytes. `ends` orders and limits them, `beside` is asked
    for beside their places."""

    actions: Sequence[str]
    where: str
    ends: str
    beside: Sequence[str] = ()

    def asks_for(self, event: Event) -> bool:
        """Whether a candidate is of these actions by its bytes: what columns found may be anything."""
        return event.action in self.actions

    def sql(self, *, by_bytes: bool) -> str:
        """Between `marks` (not included) and `tops`: by what was signed, or by the columns that the store derived of it."""
        stems = sorted({f"{action.partition('.')[0]}." for action in self.actions})
        action, agent = (ACTION, AGENT) if by_bytes else ("action", "agent")
        quick = f" AND {may_hold(*stems)}" if by_bytes else ""
        actions = ", ".join(f"'{one}'" for one in self.actions)
        return (
            f"SELECT {', '.join(('shard, `index`, pos', *self.beside))} FROM events PREWHERE {_BETWEEN}{quick} "  # noqa: S608 - words of ours, and parameters
            f"WHERE {action} IN ({actions}) AND {self.where} AND {_SIGNED_BY % agent} {self.ends}"
        )


def read_tips(ask: Ask, marks: Mapping[int, int] | None = None) -> dict[int, int]:
    """Shard -> the highest index up to which the ledger has every entry above the marks. Ask before what stands below: a notary writes events first, and
    their entries commit them.

    A row that somebody inserts far above would otherwise be the end of what is ever looked at. Without marks, the newest part alone is looked through.
    """
    ends = {int(shard): min(int(top), int(rows) - 1) for shard, top, rows in ask(_ENDS, {})}
    low = newest(ends, marks or {}, range(max(ends, default=-1) + 1))
    whole = {int(shard): int(index) for shard, index in ask(_WHOLE, {"low": [low[shard] for shard in sorted(low)]})} if ends else {}
    return {shard: whole.get(shard, low[shard]) for shard in ends}


@dataclass(frozen=True)
class Candidates:
    """Rows that begin with a place, and how many of the older entries were searched by columns alone."""

    rows: list[Sequence[Any]]
    by_columns: int

    @property
    def places(self) -> list[Place]:
        return [(int(row[0]), int(row[1]), int(row[2])) for row in self.rows]


def find(ask: Ask, question: Question, tips: Mapping[int, int], marks: Mapping[int, int], parameters: dict[str, Any]) -> Candidates:
    """Candidates above the marks: in the newest entries by their bytes, in what is older by columns."""
    shards = range(max([*tips, *marks, -1]) + 1)
    seen = [marks.get(shard, -1) for shard in shards]
    from_bytes = newest(tips, marks, shards)
    split = [from_bytes[shard] for shard in shards]
    rows = list(ask(question.sql(by_bytes=True), {**parameters, "marks": split, "tops": [_END] * len(shards)}))
    if split != seen:
        rows += ask(question.sql(by_bytes=False), {**parameters, "marks": seen, "tops": split})
    return Candidates(rows, sum(split) - sum(seen))
