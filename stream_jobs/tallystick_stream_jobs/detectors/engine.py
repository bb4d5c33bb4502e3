"""The engine: one partition's principals, their states in buckets, and every rule over every fact. No clock, no I/O.

Buckets are what is kept: each carries how far it has seen each shard, so that a message read twice changes nothing (SPEC section 6: indexes
rise within a shard). It leaves to the shell: reading, keeping buckets, sending findings.

Speed: events are decoded once, a segment at a time; a rule sees the actions that it cares about, and asks its windows only when a count that
bounds them could cross a line. Rules that stand alone are given a message principal by principal (`asking`). What an agent may not vouch for
counts beside (`doubts`).
"""

from hashlib import blake2b
from typing import Any, Final

import msgspec

from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Finding, Place, Signal, VerifiedBatch, VerifiedSegment
from tallystick_schemas.names import canonical

from .asking import LAST, Asked, Groups, Told, Waiting, ask, in_one_day, stands_alone
from .base import Expecting, Noticing, Rule, Weighing
from .bucket import HOT, Bucket
from .doubts import AGENTS, DOUBTED, Onlooker, agents_of, doubted_of, marked, noted
from .facts import DAY_S, Fact, make_fact
from .harvest_view import Summary, merged
from .kept import decode_kept
from .peers import Peers, Shelf
from .reading import decode_event
from .registry import RULES
from .sketches import gathered
from .vouching import ScopeOf, Warrant, anybody

BUCKETS: Final = 64
MAX_PRINCIPALS: Final = 1024
"""A bucket; the one that was silent longest goes first."""
_SIGNALS: Final = "signals"
_TICK_S: Final = 10
_MOST_KNOWN: Final = 100_000
_MOST_WARRANTS: Final = 4096


def bucket_of(principal: str) -> int:
    """The same in every process (BLAKE2b)."""
    return blake2b(principal.encode("utf-8", "replace"), digest_size=2).digest()[0] % BUCKETS


class Engine:
    """One partition of `verified`."""

    def __init__(self, rules: tuple[Rule, ...] = RULES, most: int = MAX_PRINCIPALS, hot: int = HOT, scope_of: ScopeOf = anybody) -> None:
        """`most` principals are kept in a bucket, `hot` of them as objects between two messages. `scope_of` says what an agent's key may vouch for."""
        self.use(rules)
        self._scope_of = scope_of
        self._warrants: dict[tuple[str, str], Warrant] = {}
        self._most, self._hot = most, hot
        self._buckets: dict[int, Bucket] = {}
        self._crowded: set[int] = set()
        self._shelves: dict[int, Shelf] = {}
        self._peers = Peers(self._shelves)
        self._onlooker = Onlooker(self._peers)
        self._numbers: dict[str, int] = {}
        self._agents: dict[str, int] = {}
        """Agents whose heartbeats are waited for -> bucket."""
        self._ticks: dict[int, int] = {}
        self._clocks: dict[int, int] = {}
        """Shard -> newest append time, ms."""
        self._harvest_at = 0
        self.dirty: set[int] = set()

    def use(self, rules: tuple[Rule, ...]) -> None:
        """From here on these rules; their states stay."""
        self.rules = rules
        self._dispatch: dict[tuple[str, str], tuple[Asked, Asked, bool]] = {}
        """(action, outcome) -> rules that are asked at once, rules that stand alone, and whether agents' heartbeats are waited for."""
        self._noticing = [rule for rule in rules if isinstance(rule, Noticing)]
        self._weighing = [rule for rule in rules if isinstance(rule, Weighing)]
        self._expecting = [rule for rule in rules if isinstance(rule, Expecting)]

    def process(self, batch: VerifiedBatch) -> list[Finding]:
        """Findings of one message, in the order in which they were crossed."""
        self._let_rest()
        for segment in batch.segments:
            self._clocks[batch.shard] = max(segment.append_ms, self._clocks.get(batch.shard, 0))
        self._onlooker.turn_to({}, {})
        told: Told = []
        groups: Groups | None = {} if in_one_day(batch.segments) else None
        number = 0
        try:
            for segment in batch.segments:
                number = self._segment(batch.shard, segment, number, groups, told)
        finally:  # a segment that cannot be read takes nothing from those before it
            for home, states, waiting in (groups or {}).values():
                self._turn_to(self._bucket(home))
                _settle(states, waiting, told)
        findings = self._in_order(told)
        for signal in batch.signals:
            self._signal(batch.shard, signal, findings)
        return findings

    def harvest(self) -> list[Summary]:
        """What changed of collections that newcomers touch (D14), at most once in ten seconds of the stream's clock: merging costs milliseconds."""
        clock = max(self._clocks.values(), default=0)
        if not self._peers.changed or clock < self._harvest_at:
            return []
        self._harvest_at = clock + _TICK_S * 1000
        changed, self._peers.changed = sorted(self._peers.changed), set()
        return [self._summary(name) for name in changed]

    def _summary(self, collection: str) -> Summary:
        held = [one for bucket in self._buckets.values() if (one := bucket.collections.get(collection)) is not None]
        blocks: dict[int, tuple[bytes, dict[str, Place]]] = {}
        for number in sorted({number for one in held for number in one["b"]}):
            here = [one["b"][number] for one in held if number in one["b"]]
            names = {name: (place[0], place[1], place[2]) for block in here for name, place in block[2].items()}
            blocks[number] = (merged(gathered(block) for block in here), names)
        return Summary(collection, min((one["a"] for one in held), default=0), merged(gathered(one["s"]) for one in held), blocks)

    def _signal(self, shard: int, signal: Signal, findings: list[Finding]) -> None:
        agent = canonical(signal.agent)  # as its own events name it, so that both meet in one state
        number = bucket_of(agent)
        bucket = self._bucket(number)
        # Signals travel in messages of their own, so they have a mark of their own.
        if signal.index > bucket.seen.get(-1 - shard, -1):
            bucket.seen[-1 - shard] = signal.index
            self.dirty.add(number)
            state = self._states(number, bucket, agent, signal.append_ms // 1000 // DAY_S).setdefault(_SIGNALS, {})
            told = [rule.notice(state, shard, signal) for rule in self._noticing]
            findings += [found for found in told if found]

    def _segment(self, shard: int, segment: VerifiedSegment, number: int, groups: Groups | None, told: Told) -> int:
        """Facts are numbered on from `number`; the number after the last comes back. What may wait goes into `groups`."""
        index, append_ms, peers = segment.index, segment.append_ms, self._peers
        warrant = self._warrant(segment.agent, segment.key)
        day = append_ms // 1000 // DAY_S
        touched: dict[int, bool] = {}
        last: str | None = None
        states: dict[str, Any] = {}
        doubted: dict[str, Any] | None = None
        waiting: Waiting | None = None
        for pos, event, raw in _decoded(shard, segment):
            principal = event.actor.principal
            if principal != last:
                home = self._number(principal)
                bucket = self._bucket(home)
                fresh = touched.get(home)
                if fresh is None:
                    fresh = touched[home] = index > bucket.seen.get(shard, -1)
                last = None
                if not fresh:
                    continue
                last, states = principal, self._states(home, bucket, principal, day)
                doubted = doubted_of(states, day)
                self._turn_to(bucket)
                if groups is not None:
                    group = groups.get(id(states))
                    if group is None:
                        group = groups[id(states)] = (home, states, [])
                    waiting = group[2]
            kind = (event.action, event.outcome)
            at_once, alone, beats = self._dispatch.get(kind) or self._asked(kind)
            vouched = warrant.whole or warrant.covers(event)
            if not vouched:
                doubted = _noted(states, segment.agent, day, groups, told)
            if doubted is not None:
                beside = make_fact(event, append_ms, (shard, index, pos), self._onlooker, raw, segment)
                _ask_beside(at_once, doubted, beside, number, told)
                _wait_beside(home, doubted, (number, beside, alone), groups, told)
                if not vouched:
                    number += 1
                    continue
            fact = make_fact(event, append_ms, (shard, index, pos), peers, raw, segment)
            ask(at_once, states, fact, number, told)
            if waiting is None:
                ask(alone, states, fact, number, told)
            else:
                waiting.append((number, fact, alone))
            if beats:
                self._agents[principal] = self._number(principal)
            number += 1
        self._mark(shard, index, touched)
        self._look_for_silence(shard, append_ms // 1000 // _TICK_S, number, told)
        return number

    def _mark(self, shard: int, index: int, touched: dict[int, bool]) -> None:
        """How far buckets have seen the shard."""
        for home, fresh in touched.items():
            if fresh:
                self._bucket(home).seen[shard] = index
                self.dirty.add(home)

    def _turn_to(self, bucket: Bucket) -> None:
        self._peers.turn_to(bucket.peers, bucket.collections)

    def _warrant(self, agent: str, key: str) -> Warrant:
        scope, known = self._scope_of(agent, key), self._warrants.get((agent, key))
        if known is None or known.scope is not scope:
            if len(self._warrants) >= _MOST_WARRANTS:
                self._warrants.clear()
            known = self._warrants[agent, key] = Warrant(agent, scope)
        return known

    def _in_order(self, told: Told) -> list[Finding]:
        """As if every rule had been asked fact by fact; a finding is weighed where it stands."""
        findings: list[Finding] = []
        vouched: set[str] = set()
        # What vouched events alone came to comes first, and is not told a second time with doubts.
        for _, _, found, states in sorted(told, key=_turn):
            made = [found]
            if states is not None and found.subject == "principal":
                weighed = [rule.weigh(states.setdefault(rule.meta.id, {}), found) for rule in self._weighing]
                made += [marked(more, found.unvouched) for more in weighed if more is not None]
            findings += [one for one in made if not one.unvouched or one.id not in vouched]
            vouched.update(one.id for one in made if not one.unvouched)
        return findings

    def _look_for_silence(self, shard: int, tick: int, number: int, told: Told) -> None:
        """Once in ten seconds of a shard's clock. It asks by the tick and not by the clock: so asking again, after a restart, says the same."""
        if not self._agents or tick <= self._ticks.get(shard, -1):
            return
        self._ticks[shard] = tick
        for agent, home in list(self._agents.items()):
            bucket = self._bucket(home)
            for rule in self._expecting:
                state = bucket.state(agent, rule.meta.id)
                beat = state.get("beat")
                if beat is None:
                    self._agents.pop(agent, None)
                elif beat[0] == shard and (found := rule.overdue(state, agent, float(tick * _TICK_S))):
                    bucket.put(agent, rule.meta.id, state)
                    told.append((number - 1, LAST, found, None))
                    self.dirty.add(home)

    def _asked(self, kind: tuple[str, str]) -> tuple[Asked, Asked, bool]:
        caring = [(number, rule) for number, rule in enumerate(self.rules) if _cares(rule, *kind)]
        at_once: Asked = [(n, rule.meta.id, rule.observe) for n, rule in caring if not stands_alone(rule)]
        alone: Asked = [(n, rule.meta.id, rule.observe) for n, rule in caring if stands_alone(rule)]
        self._dispatch[kind] = asked = (at_once, alone, bool(self._expecting) and kind[0].startswith("agent."))
        return asked

    def _number(self, principal: str) -> int:
        number = self._numbers.get(principal)
        if number is None:
            if len(self._numbers) >= _MOST_KNOWN:
                self._numbers.clear()
            number = self._numbers[principal] = bucket_of(principal)
        return number

    def _bucket(self, number: int) -> Bucket:
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = Bucket(self._most, self._hot)
            self._shelves[number] = bucket.peers
        return bucket

    def _states(self, number: int, bucket: Bucket, principal: str, day: int) -> dict[str, Any]:
        states = bucket.states(principal, day)
        if bucket.crowded:
            self._crowded.add(number)
        return states

    def _let_rest(self) -> None:
        """Between two messages nobody holds a principal's states."""
        for number in self._crowded:
            self._bucket(number).rest()
        self._crowded.clear()

    def snapshot(self, number: int) -> bytes:
        """One bucket, to be kept."""
        return self._bucket(number).fitted()

    def restore(self, number: int, raw: bytes) -> None:
        """A bucket that was kept; ParseError when it is not one."""
        bucket = Bucket(self._most, self._hot, decode_kept(raw, f"bucket {number} of the detectors' state"))
        self._buckets[number] = bucket
        self._shelves[number] = bucket.peers
        self._peers.forget()
        self._peers.changed |= set(bucket.collections)
        for rule in self._expecting:
            self._agents |= dict.fromkeys(bucket.having(rule.meta.id, "beat"), number)

    def sizes(self) -> tuple[int, int]:
        """(principals, bytes of all buckets)."""
        return sum(map(len, self._buckets.values())), sum(len(bucket.encoded()) for bucket in self._buckets.values())


def _settle(states: dict[str, Any], waiting: Waiting, told: Told) -> None:
    """Ask what waits, and let nothing wait any more."""
    for number, fact, alone in waiting:
        if AGENTS in states:
            _ask_beside(alone, states, fact, number, told)
        else:
            ask(alone, states, fact, number, told)
    waiting.clear()


def _noted(states: dict[str, Any], agent: str, day: int, groups: Groups | None, told: Told) -> dict[str, Any]:
    """The states in which all events count, with one more that the agent may not vouch for."""
    doubted = states.get(DOUBTED)
    if groups is not None and (doubted is None or agent not in doubted[AGENTS]):
        group = groups.get(id(states if doubted is None else doubted))
        if group is not None:  # what waits came before this agent's first word, and does not rest on it
            _settle(group[1], group[2], told)
    return noted(states, agent, day)


def _ask_beside(asked: Asked, doubted: dict[str, Any], fact: Fact, number: int, told: Told) -> None:
    """As `ask`; what is found names the agents whose words it rests on."""
    before = len(told)
    ask(asked, doubted, fact, number, told)
    if len(told) > before:
        agents = agents_of(doubted)
        told[before:] = [(one, rule, marked(found, agents), states) for one, rule, found, states in told[before:]]


def _wait_beside(home: int, doubted: dict[str, Any], one: tuple[int, Fact, Asked], groups: Groups | None, told: Told) -> None:
    """Rules that stand alone, about an event that counts beside."""
    if groups is None:
        _ask_beside(one[2], doubted, one[1], one[0], told)
        return
    group = groups.get(id(doubted))
    if group is None:
        group = groups[id(doubted)] = (home, doubted, [])
    group[2].append(one)


def _turn(one: tuple[int, int, Finding, dict[str, Any] | None]) -> tuple[int, int, bool]:
    """Fact by fact, rule by rule, what is vouched for first."""
    return one[0], one[1], bool(one[2].unvouched)


def _cares(rule: Rule, action: str, outcome: str) -> bool:
    """Whether a rule wants to see such facts: by its method `cares`, or its set `actions`; one without either sees all."""
    if hasattr(rule, "cares"):
        return bool(rule.cares(action, outcome))
    actions = getattr(rule, "actions", None)
    return actions is None or action in actions


def _decoded(shard: int, segment: VerifiedSegment) -> list[tuple[int, Any, bytes]]:
    """All of a segment before any of it counts: one that cannot be read changes nothing."""
    decoded = []
    for pos, raw in segment.events:
        try:
            decoded.append((pos, decode_event(raw), raw))
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise ParseError(f"a verified event at {shard}:{segment.index}:{pos} cannot be read: {error}") from error
    return decoded
