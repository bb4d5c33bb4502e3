"""What was acted on before the ledger had it waits here until the ledger has it, as it was read. Pure, and given the time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tallystick_schemas.entries import Entry, parse_entry
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import Kind, SegmentHeader, parse_header
from tallystick_schemas.messages import Finding, Place
from tallystick_schemas.verdicts import Verdict

from .findings import unconfirmed

CONFIRM_S: Final = 60.0
EVIDENCE_S: Final = 10.0
_MOST: Final = 10_000


@dataclass(frozen=True)
class Awaited:
    """One segment that was acted on: `what` in words, its claimed place, and its header and signature as they were read (None where it was not).
    `until`: seconds since 1970. `agent`: of a finding about an agent, whose segment it must be; a refused one will do, a fork is one."""

    what: str
    place: Place
    header_raw: bytes | None
    sig: bytes | None
    until: float
    agent: str = ""


class Confirming:
    """Bounded: beyond 10,000 the oldest is told as unconfirmed rather than forgotten."""

    def __init__(self) -> None:
        self._awaited: list[Awaited] = []
        self._told: list[Finding] = []

    def expect(self, awaited: Awaited, now: float) -> None:
        """Wait for one more."""
        self._awaited.append(awaited)
        if len(self._awaited) > _MOST:
            oldest = self._awaited.pop(0)
            self._told.append(unconfirmed(oldest.what, "too much waits for the ledger to go on waiting for it", [oldest.place], now))

    @property
    def places(self) -> list[tuple[int, int]]:
        """(shard, index) of everything that waits."""
        return sorted({(one.place[0], one.place[1]) for one in self._awaited})

    def settle(self, entries: Mapping[tuple[int, int], bytes], now: float) -> list[Finding]:
        """With the ledger's entries at those places (none where it has none): findings about what is not there in time, or is another."""
        told, self._told = self._told, []
        waiting: list[Awaited] = []
        for one in self._awaited:
            entry = entries.get((one.place[0], one.place[1]))
            if entry is not None and not _is(entry, one):
                told.append(unconfirmed(one.what, "the ledger has another record in its place", [one.place], now))
            elif entry is None and now >= one.until:
                told.append(unconfirmed(one.what, "the ledger does not have it in time", [one.place], now))
            elif entry is None:
                waiting.append(one)
        self._awaited = waiting
        return told


def _is(entry: bytes, awaited: Awaited) -> bool:
    """Whether an entry is the segment that was read: accepted, or where an agent is what the finding is about, signed by that agent."""
    try:
        parsed = parse_entry(entry)
        if awaited.agent:
            return _signed_by(parsed, awaited.agent)
    except ParseError:
        return False
    read = awaited.header_raw is None or (parsed.header, parsed.sig) == (awaited.header_raw, awaited.sig)
    return parsed.verdict.accepted and read


def _signed_by(entry: Entry, agent: str) -> bool:
    """Whether the fold found an agent's good signature on a segment, and took it, had it already, or called it a fork."""
    if entry.kind != Kind.SEGMENT or entry.verdict > Verdict.FORK:
        return False
    header = parse_header(Kind.SEGMENT, entry.header)
    return isinstance(header, SegmentHeader) and header.agent == agent
