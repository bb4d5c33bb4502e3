"""A window as one SELECT over the history: the same panes, the same order, the same crossings as in the stream fed in the order of event time.

Step 1, hits: events that meet the conditions, with the time that counts (the agent's where it is within 10 min of the broker's, as
`detectors.facts.event_time`), once each although the table may hold a row twice. Step 2, panes: a sorted array a principal, group and pane.
Step 3, windows: the arrays of the newest panes in a row. Step 4: the running measure over that array; its first place at the line
within the newest pane is the crossing. Values are parameters; what is written into the text is ours alone.
"""

from dataclasses import dataclass, field
from typing import Final

from tallystick_schemas.stored_bytes import APPEND_MS, COUNTS

from ..detectors.facts import LATENESS_S
from .definition import Measure, Window
from .matching import Bind, column, present
from .windows import SATURATED

_LATE_US: Final = int(LATENESS_S * 1_000_000)
_TUPLE: Final = "Tuple(us Int64, shard UInt32, index UInt64, pos UInt16, rules Array(UInt8), value String, credential String)"
_WHO: Final = "JSONExtractString(raw, 'actor', '{}')"
_CLAIMED: Final = "toUnixTimestamp64Micro(parseDateTime64BestEffortOrZero(JSONExtractString(raw, 'time'), 6, 'UTC'))"
_VALUES: Final = "arrayMap(x -> x.value, arr)"
_RUNNING: Final[dict[Measure, str]] = {
    "count": "arrayMap(i -> toUInt256(i), arrayEnumerate(arr))",
    "sum": f"arrayMap(s -> least(s, toUInt256('{SATURATED}')), arrayCumSum(arrayMap(v -> toUInt256(v), {_VALUES})))",
    "distinct": f"arrayMap(n -> toUInt256(n), arrayCumSum(arrayMap(n -> n = 1, arrayEnumerateUniq({_VALUES}))))",
    # Where each rule is met first; as many as lie before a place are met there.
    "rules": "arrayMap(i -> toUInt256(arrayCount(f -> f > 0 AND f <= i, arrayMap(r -> arrayFirstIndex(x -> has(x.rules, r), arr), "
    "range(rules_n)))), arrayEnumerate(arr))",
    # The earliest event that meets the next rule, one after the other; as many steps as lie before a place are met there.
    "ordered": "arrayMap(i -> toUInt256(arrayCount(s -> s <= i, arrayFold((met, x, i) -> if(has(x.rules, length(met)), arrayPushBack(met, i), met), "
    "arr, arrayEnumerate(arr), CAST([], 'Array(UInt32)')))), arrayEnumerate(arr))",
}


@dataclass
class Query:
    """Text and parameters of a statement."""

    text: str
    bind: Bind = field(default_factory=Bind)


def hits_sql(window: Window, bind: Bind, start_us: int, end_us: int) -> str:
    """Step 1. (us, pane, principal, grp, hit), for times from start to end, start included, end not."""
    met = ", ".join(f"if({rule.sql(bind)}, [{number}], [])" for number, rule in enumerate(window.rules))
    group = ", ".join(f"toString({column(one, bind)})" for one in window.group)
    values = [f"toString({column(one, bind)})" for one in window.values]
    value = f"arrayStringConcat([{', '.join(values)}], char(0))" if len(values) > 1 else "".join(values) or "''"
    known = f" AND {present(window.values[0], bind)}" if len(values) == 1 else ""
    # Wide enough for every clock that counts; the exact bounds are on `us`.
    first, last = bind.number(start_us - _LATE_US), bind.number(end_us + _LATE_US)
    taken = f"{APPEND_MS} * 1000 >= {first} AND {APPEND_MS} * 1000 < {last}"
    entries = f"SELECT shard, `index`, any({APPEND_MS}) AS ms FROM ledger_entries WHERE {COUNTS} AND {taken} GROUP BY shard, `index`"  # noqa: S608
    return f"""
        SELECT if(abs(claimed - append) <= {_LATE_US}, claimed, append) AS us,
            intDiv(us * {window.panes}, {window.span_s * 1_000_000}) AS pane, principal, grp,
            CAST((us, shard, `index`, pos, met, value, credential), '{_TUPLE}') AS hit
        FROM
        (
            SELECT shard, `index`, pos, {_WHO.format("principal")} AS principal, {_WHO.format("credential")} AS credential, {_CLAIMED} AS claimed,
                arrayConcat({met}) AS met, CAST([{group}], 'Array(String)') AS grp, {value} AS value
            FROM events
            WHERE (shard, `index`) IN (SELECT shard, `index` FROM ({entries})) AND notEmpty(met){known}
            LIMIT 1 BY shard, `index`, pos
        ) AS matching
        INNER JOIN (SELECT shard, `index`, ms * 1000 AS append FROM ({entries})) AS taken USING (shard, `index`)
        WHERE us >= {bind.number(start_us)} AND us < {bind.number(end_us)}"""  # noqa: S608 - values are parameters


def crossings_sql(window: Window, start_us: int, end_us: int, slices: int = 1, only: int = 0, limit: int = 10_000) -> Query:
    """Steps 1 to 4: one row a crossing (principal, grp, pane, value, threshold's hit, evidence), for crossings from start to end.

    `only` of `slices` takes that share of the principals, so that memory stays bounded on a long history.
    """
    query = Query("")
    bind = query.bind
    lead_us = window.span_s * 1_000_000 * (window.panes + 1) // window.panes
    line = f"toUInt256({bind.text(str(window.threshold))})"
    query.text = f"""
    WITH {len(window.rules)} AS rules_n
    SELECT principal, grp, pane, toString(running[at]) AS reached, arr[at] AS crossing,
        arrayMap(x -> (x.shard, x.index, x.pos), arraySlice(arr, greatest(1, at - 49), least(at, 50))) AS evidence
    FROM
    (
        SELECT principal, grp, pane, arr, {_RUNNING[window.measure]} AS running,
            arrayFirstIndex((m, i) -> i > length(arr) - length(newest) AND m >= {line}, running, arrayEnumerate(running)) AS at
        FROM
        (
            SELECT principal, grp, pane, newest,
                arrayFlatten(groupArray(newest) OVER (
                    PARTITION BY principal, grp ORDER BY pane RANGE BETWEEN {window.panes - 1} PRECEDING AND CURRENT ROW)) AS arr
            FROM
            (
                SELECT principal, grp, pane, arraySort(groupArray(hit)) AS newest
                FROM ({hits_sql(window, bind, start_us - lead_us, end_us)}
                )
                WHERE cityHash64(principal) % {int(slices)} = {int(only)}
                GROUP BY principal, grp, pane
            )
        )
    )
    WHERE at > 0 AND crossing.us >= {bind.number(start_us)}
    ORDER BY crossing, principal, grp
    LIMIT {int(limit)}"""  # noqa: S608 - values are parameters
    return query
