"""The fold of SPEC section 6: `(state, record) -> (state, entry, events)`, with no clock and no randomness.

`Fold` is the machine that a notary drives record by record and a verifier drives entry by entry; `fold` is the same as a pure function.
It leaves to the shell: reading offsets in order, the broker's append time, keeping bodies of what was rejected, and storing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from .bodies import Body, examine_body
from .directives import ERASE_LEVEL, is_bounded, level_in_force, opens_level
from .entries import Entry, encode_entry, entry_leaf, genesis_chain, malformed_header, next_chain
from .errors import OffsetWentBack, ParseError
from .facts import SealFacts, encode_facts
from .headers import Erase, Generation, Header, Kind, Seal, UnsupportedVersion, parse_header
from .judge import apply, judge
from .keys import key_id
from .records import SIGNATURE_BYTES, Record, frame_record, pack_items, parse_frame, parse_record
from .state import State, copy_state
from .state_digest import state_digest
from .verdicts import Verdict

NO_SIGNATURE = bytes(SIGNATURE_BYTES)
_DIRECTIVE = bytes([Kind.DIRECTIVE])


@dataclass(frozen=True)
class Parameters:
    """What the fold is told and never learns: the shard, its origin, and the pinned keys by key id."""

    shard: int
    origin: str
    operators: dict[str, bytes]
    sealers: dict[str, bytes]

    @classmethod
    def of(cls, shard: int, origin: str, operator_keys: tuple[bytes, ...], sealer_keys: tuple[bytes, ...]) -> "Parameters":
        """Parameters from raw public keys."""
        return cls(shard, origin, {key_id(k): k for k in operator_keys}, {key_id(k): k for k in sealer_keys})


@dataclass(frozen=True, slots=True)
class Step:
    """What one record became. `body` is what an accepted segment or erasure carried."""

    index: int
    entry: Entry
    raw: bytes
    leaf: bytes
    chain: bytes
    record: Record | None
    body: Body | None
    reason: str


class _Claimed(NamedTuple):
    """What a record says it is, and what its entry keeps of it."""

    kind: int
    header: bytes
    sig: bytes


Examine = Callable[[Record], Body]
"""The body's check: raises BodyRefused with verdict 7 or 10. A verifier that has entries and events brings its own."""


def initial_state(parameters: Parameters) -> State:
    """A shard with no entry."""
    return State(shard=parameters.shard, chain=genesis_chain(parameters.origin), agents={})


def fold(parameters: Parameters, state: State, raw: bytes, offset: int, append_ms: int) -> tuple[State, Step]:
    """The pure form: the state given is left as it was."""
    machine = Fold(parameters, copy_state(state))
    step = machine.fold(raw, offset, append_ms)
    return machine.state, step


_MALFORMED: Final = re.compile(rb'\{"length":(?:0|[1-9][0-9]{0,18}),"sha256":"[0-9a-f]{64}"\}')


def _known_kind(kind: int) -> Kind:
    try:
        return Kind(kind)
    except ValueError as error:
        raise ParseError(f"an entry of kind {kind}") from error


class Fold:
    """One shard's fold; owns its state."""

    def __init__(self, parameters: Parameters, state: State | None = None) -> None:
        self.parameters = parameters
        self.state = state if state is not None else initial_state(parameters)

    def fold(self, raw: bytes, offset: int, append_ms: int) -> Step:
        """One record from the partition. OffsetWentBack when offsets start again unannounced; nothing else is ever raised."""
        bounded = self.bounded
        try:
            if not self.knows(raw):
                raise ParseError("a record of no known kind")
            record = parse_record(raw, bounded=bounded)
        except UnsupportedVersion as error:
            frame = parse_frame(raw)
            claimed = _Claimed(frame.kind, frame.header, frame.sig)
            return self._finish(claimed, Verdict.UNSUPPORTED_VERSION, (offset, append_ms), reason=str(error))
        except ParseError as error:
            claimed = _Claimed(Kind.REJECTED, malformed_header(raw), NO_SIGNATURE)
            return self._finish(claimed, Verdict.MALFORMED, (offset, append_ms), reason=str(error))
        return self.fold_record(record, offset, append_ms, partial(examine_body, bounded=bounded))

    @property
    def bounded(self) -> bool:
        """Whether numbers and times of the next record must be what every reader holds (level 3)."""
        return is_bounded(self.state)

    def knows(self, raw: bytes) -> bool:
        """Whether the rules in force have records of this kind: a directive is one from the operator's own that says so on (step 1)."""
        return raw[4:5] != _DIRECTIVE or bool(self.state.directives) or opens_level(raw, self.parameters.operators)

    def refold(self, entry: Entry, examine: Examine) -> Step:
        """One entry that a log already holds, judged again from its header and signature; `examine` says what is known of its body.

        Whoever calls compares `Step.raw` with the bytes that were stored. ParseError when no fold would have written such an entry.
        """
        claimed = _Claimed(entry.kind, entry.header, entry.sig)
        if entry.kind == Kind.DIRECTIVE and not self.knows(frame_record(entry.kind, entry.header, entry.sig, b"")):
            raise ParseError("a directive before the one that puts directives in force")
        if entry.kind == Kind.REJECTED:
            if entry.sig != NO_SIGNATURE or not _MALFORMED.fullmatch(entry.header):
                raise ParseError("an entry of what is no record, which says more of it than its length and hash")
            return self._finish(claimed, Verdict.MALFORMED, (entry.offset, entry.append_ms))
        kind = _known_kind(entry.kind)
        try:
            header = parse_header(kind, entry.header, bounded=self.bounded)
        except UnsupportedVersion:
            return self._finish(claimed, Verdict.UNSUPPORTED_VERSION, (entry.offset, entry.append_ms))
        body = b""
        if isinstance(header, Erase) and entry.verdict.accepted and self._keeps_places:
            body, examine = entry.facts, examine_body  # the entry has all of the record
        return self.fold_record(Record(kind, header, entry.header, entry.sig, body), entry.offset, entry.append_ms, examine)

    def fold_record(self, record: Record, offset: int, append_ms: int, examine: Examine) -> Step:
        """One record whose frame and header hold."""
        verdict, body, reason = judge(self.parameters, self.state, record, examine)
        facts = b""
        if verdict.accepted:
            facts = self._facts(record.header, body)
            self._check_offset(offset, record if isinstance(record.header, Generation) else None)
            apply(self.state, record)
        claimed = _Claimed(record.kind, record.header_raw, record.sig)
        return self._finish(claimed, verdict, (offset, append_ms), facts, record, body, reason)

    @property
    def _keeps_places(self) -> bool:
        return level_in_force(self.state) >= ERASE_LEVEL

    def _facts(self, header: Header, body: Body | None) -> bytes:
        """What the entry of an accepted record says besides the record's header.

        A seal's speak of the state before this entry; it changes neither keys nor runs, so the order does not show elsewhere.
        """
        if isinstance(header, Erase) and body is not None and self._keeps_places:
            return pack_items(body.items)
        return self._seal_facts(header) if isinstance(header, Seal) else b""

    def _seal_facts(self, seal: Seal) -> bytes:
        state = self.state
        return encode_facts(
            SealFacts(seal.epoch, state.chain.hex(), state.entries, state.first, state.last, state_digest(state, seal.epoch).hex())
        )

    def _check_offset(self, offset: int, announced: Record | None) -> None:
        if offset <= self.state.offset and announced is None:
            raise OffsetWentBack(self.parameters.shard, (max(self.state.generation, 0), self.state.offset), offset)

    def _finish(
        self,
        claimed: "_Claimed",
        verdict: Verdict,
        at: tuple[int, int],
        facts: bytes = b"",
        record: Record | None = None,
        body: Body | None = None,
        reason: str = "",
    ) -> Step:
        """The entry, and what every record moves: index, chain, offset. `at` is (offset, append time in ms)."""
        offset, append_ms = at
        state = self.state
        if not verdict.accepted:
            self._check_offset(offset, None)
        generation = max(state.generation, 0)
        entry = Entry(claimed.kind, self.parameters.shard, generation, offset, append_ms, verdict, claimed.header, claimed.sig, facts)
        raw = encode_entry(entry)
        leaf = entry_leaf(raw)
        state.index += 1
        state.chain = next_chain(state.chain, state.index, leaf)
        state.offset = offset
        if facts and entry.kind == Kind.SEAL:
            state.entries, state.first, state.last = 0, None, None
        else:
            state.entries += 1
            state.last = (generation, offset)
            state.first = state.first or state.last
        return Step(state.index, entry, raw, leaf, state.chain, record, body, reason)
