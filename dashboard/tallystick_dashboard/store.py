"""Shell: the console's reads from ClickHouse (`Sources`). Every hash that a page shows is recomputed here from the stored bytes."""

import base64
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError

from tallystick_producers.answering import Unanswered, ask, of_clickhouse
from tallystick_schemas.blast_radius import Plan, read_plan
from tallystick_schemas.checkpoints import open_checkpoint, verifiers_of
from tallystick_schemas.entries import Entry, entry_leaf, parse_entry
from tallystick_schemas.errors import ParseError, TallystickError
from tallystick_schemas.events import Event, event_leaf, parse_event
from tallystick_schemas.evidence import read_cited
from tallystick_schemas.finding_events import Said, read_dispositions
from tallystick_schemas.headers import Kind
from tallystick_schemas.messages import Place
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import ClickHouseSettings, LogSettings
from tallystick_schemas.standing import Standing
from tallystick_schemas.stored_bytes import APPEND_MS, KIND, OFFSET, VERDICT
from tallystick_schemas.words import LET_IT_GO_ON

from .errors import SourceUnavailable
from .ports import CheckpointRow, Closing, EntryRow, EvidenceEvent, HistoryView, ShardRow

MAX_EVIDENCE: Final = 500
MAX_CLOSINGS: Final = 5_000
NEWEST: Final = 1_000
SHOWN_ENTRIES: Final = 60
SHOWN_CHECKPOINTS: Final = 8
_LOOKED_AT: Final = 3
"""Checkpoints above an entry of which the notes are read: a row without a true note must not hide the next."""
_HEARD_S: Final = 0.5
"""So long a store that answered is not asked whether it is there."""

_ENTRY: Final = "SELECT shard, index, hex(leaf), hex(chain), base64Encode(entry) FROM ledger_entries WHERE "


class ClickHouseSources:
    """Reads as `Sources` says. One client; its pool serves several threads."""

    def __init__(self, settings: ClickHouseSettings, log: LogSettings) -> None:
        self._settings, self._log = settings, log
        self._made: Any = None
        self._heard = -math.inf
        """When the store answered last, by the monotonic clock."""
        self._newest: dict[int, int] = {}
        self.keyring = Keyring.of(log.operator_keys)
        """Whose words count; whoever gives another one may learn more keys later."""
        self._said: dict[str, Said] = {}
        self._said_to: dict[int, int] = {}
        """Shard -> the highest index that was looked through for `_said`, with the keys of `_said_with`."""
        self._said_with = ""

    def evidence(self, places: Sequence[Place]) -> list[EvidenceEvent]:
        """What is stored at the first MAX_EVIDENCE of `places`; what is not there and should be is REMOVED, what is on its way is left out."""
        wanted: list[Place] = [(p[0], p[1], p[2]) for p in dict.fromkeys(tuple(p) for p in places)][:MAX_EVIDENCE]
        if not wanted:
            return []
        cited = read_cited(self._ask, wanted)
        segments = sorted({(s, i) for s, i, _ in wanted})
        entries, sealed = self._entries_at(segments), self._sealed_by(set(segments))
        return [
            EvidenceEvent(
                at,
                raw,
                _event(raw),
                event_leaf(raw).hex() if raw else "",
                entries.get((at[0], at[1])),
                sealed.get((at[0], at[1])),
                standing,
            )
            for at, (raw, standing) in ((at, cited[at]) for at in wanted)
            if raw or standing != Standing.WAITING
        ]

    def plan(self, subject: str, now: float) -> Plan:
        """What a lock would hit."""
        return read_plan(self._ask, self.keyring, subject, now)

    def closings(self) -> dict[str, Closing]:
        """The newest MAX_CLOSINGS findings that people closed, and what they said last: by events that command agents signed.

        Only what came since the last look is looked through, unless other keys are known than then.
        """
        if (known := self.keyring.digest()) != self._said_with:
            self._said, self._said_to, self._said_with = {}, {}, known
        read = read_dispositions(self._ask, self.keyring, self._log.command_agents, self._said_to)
        newest = sorted([*self._said.values(), *read.newest.values()], key=lambda one: one.order)
        self._said = dict(list({one.finding: one for one in newest}.items())[-MAX_CLOSINGS:])
        self._said_to = read.marks
        return {name: Closing(one.disposition, one.who, one.reason, one.order.time) for name, one in self._said.items()}

    def history(self) -> HistoryView:
        """Newest entries, verdict counts and checkpoints of every shard."""
        return HistoryView(tuple(self._shards()), tuple(self._newest_entries()), tuple(self._checkpoints()))

    def _shards(self) -> Iterator[ShardRow]:
        if not self._newest:
            self._newest = dict(self._query("SELECT shard, max(index) FROM ledger_entries GROUP BY shard"))
        rows = self._query(
            f"SELECT shard, max(index) AS top, max({APPEND_MS}), argMax({OFFSET}, index),"  # noqa: S608  # numbers of ours
            " uniqExact(index, leaf) - uniqExact(index), max(index) - min(index) + 1 - uniqExact(index), min(index),"
            f" groupUniqArray((index, {VERDICT}))"
            f" FROM ledger_entries WHERE {self._newer_than(NEWEST)} GROUP BY shard ORDER BY shard"
        )
        for shard, top, ms, offset, forked, gaps, low, verdicts in rows:
            seen = self._newest.get(shard, top)
            missing = int(gaps) + low - max(0, seen - NEWEST + 1) + max(0, seen - top)
            self._newest[shard] = max(seen, top)
            yield ShardRow(shard, top + 1, ms, offset, dict(Counter(verdict for _, verdict in verdicts)), int(forked), missing)

    def _newest_entries(self) -> list[EntryRow]:
        """Without seals: four of them come each two seconds, and say nothing that the tiles do not."""
        once = f"{_ENTRY}{self._newer_than(NEWEST)} AND {KIND} != {Kind.SEAL:d} LIMIT 1 BY shard, index, leaf"
        newest = f"SELECT * FROM ({once}) ORDER BY shard, index DESC LIMIT {SHOWN_ENTRIES} BY shard"  # noqa: S608  # numbers of ours
        return [_entry(row) for row in self._query(newest)]

    def _newer_than(self, count: int) -> str:
        """The newest `count` indexes of each shard and whatever came since: a few rows of a table sorted by (shard, index), whatever its size."""
        places = ((shard, max(0, self._newest.get(shard, 0) - count + 1)) for shard in range(self._log.shards))
        return "(" + " OR ".join(f"(shard = {shard} AND index >= {index})" for shard, index in places) + ")"

    def _entries_at(self, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], EntryRow]:
        rows = self._query(
            _ENTRY + "(shard, index) IN {p:Array(Tuple(UInt32, UInt64))} LIMIT 1 BY shard, index",
            p=list(places),
        )
        return {(row[0], row[1]): _entry(row) for row in rows}

    def _sealed_by(self, places: set[tuple[int, int]]) -> dict[tuple[int, int], int]:
        found: dict[tuple[int, int], int] = {}
        for shard in {s for s, _ in places}:
            low = min(i for s, i in places if s == shard)
            rows = self._query(
                "SELECT DISTINCT size FROM checkpoints WHERE origin = {o:String} AND size > {i:UInt64} ORDER BY size LIMIT 10000",
                o=self._log.origin(shard),
                i=low,
            )
            sizes = [row[0] for row in rows]
            above = {place: [size for size in sizes if size > place[1]][:_LOOKED_AT] for place in places if place[0] == shard}
            signed = self._signed_sizes(self._log.origin(shard), {size for some in above.values() for size in some})
            for place, some in above.items():
                if (size := next((one for one in some if one in signed), None)) is not None:
                    found[place] = size
        return found

    def _signed_sizes(self, origin: str, sizes: set[int]) -> set[int]:
        """Those of which the store has a checkpoint that a pinned key signed."""
        rows = self._query(
            "SELECT DISTINCT note FROM checkpoints WHERE origin = {o:String} AND size IN {s:Array(UInt64)}", o=origin, s=sorted(sizes)
        )
        signed = set()
        for (note,) in rows:
            with suppress(TallystickError):  # the History page names it
                signed.add(open_checkpoint(note.encode(), verifiers_of(self._log, origin), origin).size)
        return signed

    def _checkpoints(self) -> list[CheckpointRow]:
        rows = self._query(
            "SELECT origin, size, lower(hex(root)), base64Encode(note), toUnixTimestamp64Micro(time) FROM checkpoints"
            " ORDER BY origin, size DESC LIMIT {k:UInt32} BY origin",
            k=SHOWN_CHECKPOINTS,
        )
        return [self._check(CheckpointRow(o, size, root, us / 1e6, None), _unb64(note)) for o, size, root, note, us in rows]

    def _check(self, row: CheckpointRow, note: bytes) -> CheckpointRow:
        try:
            checkpoint = open_checkpoint(note, verifiers_of(self._log, row.origin), row.origin)
        except TallystickError as error:
            return replace(row, problem=str(error))
        if (checkpoint.size, checkpoint.root.hex()) != (row.size, row.root):
            return replace(row, problem="the signed note says another size or root than the store")
        return row

    def _ask(self, sql: str, parameters: dict[str, Any]) -> Sequence[Any]:
        return self._query(sql, **parameters)

    def _query(self, sql: str, **parameters: Any) -> Sequence[Any]:
        try:
            self._knock()
            if self._made is None:
                self._made = clickhouse_connect.get_client(**self._settings.client_kwargs(), connect_timeout=3, send_receive_timeout=10)
            settings: Mapping[str, Any] = {"max_execution_time": 8}
            rows: Sequence[Any] = self._made.query(sql, parameters=parameters, settings=settings).result_rows
        except Unanswered as error:
            raise SourceUnavailable(f"ClickHouse does not answer: {error}; {LET_IT_GO_ON}") from error
        except (ClickHouseError, OSError) as error:
            raise SourceUnavailable(f"ClickHouse does not answer: {str(error).splitlines()[0][:200]}") from error
        self._heard = time.monotonic()
        return rows

    def _knock(self) -> None:
        """Unanswered where the store stopped: a query may take ten seconds, and a page that somebody waits for may not."""
        if time.monotonic() - self._heard > _HEARD_S:
            ask(of_clickhouse(self._settings))


def _event(raw: bytes) -> Event | None:
    try:
        return parse_event(raw)
    except ParseError:
        return None


def _unb64(text: str) -> bytes:
    return base64.b64decode(text)


def _entry(row: Sequence[Any]) -> EntryRow:
    """By the entry's bytes; one that is none is shown as malformed."""
    shard, index, leaf, chain, encoded = row
    raw = _unb64(encoded)
    sound = entry_leaf(raw).hex() == leaf.lower()
    try:
        entry = parse_entry(raw)
    except ParseError:
        return EntryRow(shard, index, 0, 0, "", 0, 0, 0, leaf.lower(), chain.lower(), sound=False)
    agent, n, count = _segment(entry)
    return EntryRow(shard, index, entry.kind, entry.verdict, agent, n, count, entry.append_ms, leaf.lower(), chain.lower(), sound)


class _Said(msgspec.Struct):
    """What any header may say of itself."""

    agent: str = ""
    n: int = 0
    count: int = 0


def _segment(entry: Entry) -> tuple[str, int, int]:
    """Agent, number and count of a header that has them."""
    try:
        said = msgspec.json.decode(entry.header, type=_Said)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return "", 0, 0
    return said.agent, said.n, said.count
