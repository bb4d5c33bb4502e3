"""Verdicts 5 to 0 of SPEC section 6, in its order, and what an accepted record changes. Verdicts 8 and 9 fell while parsing."""

from collections.abc import Callable
from typing import Protocol

from .bodies import Body, BodyRefused
from .directives import (
    BOUNDED_LEVEL,
    GAP_LEVEL,
    LEVEL,
    RETIRE,
    RETIRING,
    RULES,
    is_retired,
    level_in_force,
    level_of,
    may_retire,
    place_of,
    said_by,
)
from .encoding import from_base64
from .errors import RulesUnknown
from .gaps import Gap, gap_with, joins, span_of
from .headers import Directive, Enrol, Erase, Generation, Kind, Revoke, Seal, SegmentHeader
from .keys import key_id
from .records import Record, signed_bytes
from .segments import genesis_link, segment_link
from .signatures import fits
from .state import MAX_RUNS, Agent, Key, Run, Said, State, fill_gap, open_gap
from .verdicts import Verdict

Judgement = tuple[Verdict, Body | None, str]


class Pinned(Protocol):
    """The part of the fold's parameters that judging needs."""

    @property
    def shard(self) -> int: ...
    @property
    def operators(self) -> dict[str, bytes]: ...
    @property
    def sealers(self) -> dict[str, bytes]: ...


def judge(pinned: Pinned, state: State, record: Record, examine: Callable[[Record], Body]) -> Judgement:
    """(verdict, body when it was good, reason in words). The first line of the specification's table that applies."""
    signer = _signer(pinned, state, record)
    if isinstance(signer, Verdict):
        return signer, None, _WHY[signer]
    if not fits(signer, record.sig, signed_bytes(record.kind, record.header_raw)):
        return Verdict.BAD_SIGNATURE, None, "the signature does not fit header and key"
    try:
        body = examine(record)
    except BodyRefused as refused:
        return refused.verdict, None, str(refused)
    verdict, reason = _place(pinned, state, record)
    return verdict, body, reason


_WHY = {
    Verdict.UNKNOWN_KEY: "the key is not enrolled in this shard, or not pinned for this kind of record",
    Verdict.REVOKED_KEY: "the key was revoked",
}


def _signer(pinned: Pinned, state: State, record: Record) -> bytes | Verdict:
    """The public key that must have signed, or verdict 5 or 6."""
    header = record.header
    if isinstance(header, SegmentHeader):
        agent = state.agents.get(header.agent)
        key = agent.keys.get(header.key) if agent else None
        if key is None:
            return Verdict.UNKNOWN_KEY
        return key.public if key.active else Verdict.REVOKED_KEY
    public = (pinned.sealers if record.kind == Kind.SEAL else pinned.operators).get(header.key)
    if public is None:
        return Verdict.UNKNOWN_KEY
    if is_retired(state, pinned.operators, header.key):
        return Verdict.REVOKED_KEY
    if isinstance(header, Directive) and _retires(state, header) and not may_retire(pinned.operators, header.key, header.subject):
        return Verdict.UNKNOWN_KEY
    if isinstance(header, Enrol):
        known = _key_of(state, header.agent, _enrolled_id(header))
        if known is not None and not known.active:
            return Verdict.REVOKED_KEY
    return public


def _retires(state: State, header: Directive) -> bool:
    return header.about == RETIRE and level_in_force(state) >= RETIRING


def _enrolled_id(header: Enrol) -> str:
    return key_id(from_base64(header.public_key, 32, "public_key"))


def _key_of(state: State, agent: str, key: str) -> Key | None:
    known = state.agents.get(agent)
    return known.keys.get(key) if known else None


def _place(pinned: Pinned, state: State, record: Record) -> tuple[Verdict, str]:
    """Verdicts 11, 3, 2, 1, 0: where the record stands among what came before."""
    header = record.header
    if isinstance(header, SegmentHeader):
        return _place_segment(state, record, header)
    if isinstance(header, Generation):
        if header.generation != state.generation + 1 or header.shard != pinned.shard:
            return Verdict.FORK, f"generation {header.generation} of shard {header.shard} does not follow {state.generation}"
    elif isinstance(header, Seal):
        if header.epoch <= state.epoch:
            return Verdict.SEEN, f"epoch {header.epoch} is already there"
        if header.epoch > state.epoch + 1:
            return Verdict.OUT_OF_ORDER, f"epoch jumped from {state.epoch} to {header.epoch}"
    elif isinstance(header, Enrol):
        if _key_of(state, header.agent, _enrolled_id(header)) is not None:
            return Verdict.SEEN, "the enrolment is already there"
    elif isinstance(header, Revoke):
        known = _key_of(state, header.agent, header.agent_key)
        if known is not None and not known.active:
            return Verdict.SEEN, "the revocation is already there"
    elif isinstance(header, Directive):
        return _place_directive(state, header)
    return Verdict.ACCEPTED, ""


def _place_directive(state: State, header: Directive) -> tuple[Verdict, str]:
    said = state.directives.get(place_of(header))
    if said is not None and header.n <= said.n:
        return Verdict.SEEN, f"directive {said.n} about the same is already there"
    asked, now = level_of(header), level_in_force(state)
    if header.about == RULES and asked is not None and now >= BOUNDED_LEVEL and asked <= now:
        return Verdict.SEEN, f"the rules of level {now} are already there, and there is no way back"
    return Verdict.ACCEPTED, ""


def _place_segment(state: State, record: Record, header: SegmentHeader) -> tuple[Verdict, str]:
    agent = state.agents[header.agent]
    run = agent.runs.get(header.run)
    if run is None:
        if len(agent.runs) >= MAX_RUNS and header.run < min(agent.runs):
            return Verdict.STALE_RUN, f"{MAX_RUNS} newer runs are known"
        expected, first, link = 0, 0, genesis_link(header.agent, header.run, agent.keys[header.key].public)
    else:
        if run.key != header.key:
            return Verdict.FORK, "the run began with another key"
        if header.n == run.n and segment_link(record.header_raw) != run.link:
            return Verdict.FORK, f"segment {header.n} was signed twice, differently"
        expected, first, link = run.n + 1, run.next_first, run.link
    if header.n == expected:
        if header.prev != link.hex() or header.first != first:
            return Verdict.FORK, f"segment {header.n} does not continue what the run signed before"
        return Verdict.ACCEPTED, ""
    if header.n > expected:
        return Verdict.OUT_OF_ORDER, f"segments {expected} to {header.n - 1} are missing"
    gap = gap_with(run.missing, header.n) if run is not None else None
    if gap is not None:
        if not joins(gap, span_of(header, record.header_raw)):
            return Verdict.FORK, f"segment {header.n} fills a gap, and does not join what was signed around it"
        return Verdict.OUT_OF_ORDER, f"segment {header.n} fills a gap"
    return Verdict.SEEN, f"segment {header.n} is already there"


def apply(state: State, record: Record) -> None:
    """What an accepted record changes, index, chain and offset apart."""
    header = record.header
    if isinstance(header, SegmentHeader):
        _apply_segment(state, record, header)
    elif isinstance(header, Enrol):
        public = from_base64(header.public_key, 32, "public_key")
        _agent(state, header.agent).keys[key_id(public)] = Key(public, active=True)
    elif isinstance(header, Revoke):
        known = _key_of(state, header.agent, header.agent_key)
        _agent(state, header.agent).keys[header.agent_key] = Key(known.public if known else b"", active=False)
    elif isinstance(header, Seal):
        state.epoch = header.epoch
    elif isinstance(header, Generation):
        state.generation, state.offset = header.generation, -1
    elif isinstance(header, Directive):
        if header.about == RULES and level_of(header) is None:
            raise RulesUnknown(state.shard, header.value.get("level"), LEVEL)
        if _retires(state, header):
            for place in said_by(state, header.subject):
                del state.directives[place]
        state.directives[place_of(header)] = Said(header.n, record.header_raw.decode())
    else:
        assert isinstance(header, Erase)  # erasing is the store's act; the log keeps the record and changes nothing else


def _agent(state: State, name: str) -> Agent:
    return state.agents.setdefault(name, Agent({}, {}))


def _apply_segment(state: State, record: Record, header: SegmentHeader) -> None:
    agent, remember = state.agents[header.agent], level_in_force(state) >= GAP_LEVEL
    runs = agent.runs
    run = runs.get(header.run)
    if run is None:
        if len(runs) >= MAX_RUNS:
            del runs[min(runs)]
        run = runs[header.run] = Run(header.key, -1, 0, genesis_link(header.agent, header.run, agent.keys[header.key].public), [])
    if header.n <= run.n:
        fill_gap(run, span_of(header, record.header_raw), remember=remember)
        return
    if header.n > run.n + 1:
        edges = ((run.link, run.next_first), (bytes.fromhex(header.prev), header.first)) if remember else ()
        open_gap(run, Gap(run.n + 1, header.n - 1, *edges))
    run.n, run.next_first, run.link = header.n, header.first + header.count, segment_link(record.header_raw)
