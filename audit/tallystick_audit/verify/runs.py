"""Completeness of agents' runs: segments that never came, and numbers that came twice with other bytes (part of step 5). Pure."""

from dataclasses import dataclass, field

from tallystick_schemas.headers import SegmentHeader
from tallystick_schemas.segments import segment_link

from .report import Findings, Outcome

STEP = 5
SETTLING_MS = 60_000
"""A gap is unknown, not yet a failure, while the run's newest segment is this close to the newest seal."""
Number = tuple[str, str, int]
"""(agent, run, n)."""


@dataclass
class _Run:
    next_n: int = 0
    missing: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of n that were jumped over, both ends included. Not bounded as the fold's are: nothing may be given up here."""
    index: int = -1
    append_ms: int = 0


class Runs:
    """Every run of a shard. Takes what was accepted, in order."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], _Run] = {}
        self.repeats: dict[Number, list[tuple[int, bytes]]] = {}
        """Segments whose number was there already: (index, link). They are compared with the accepted ones in a second reading."""

    def accepted(self, index: int, header: SegmentHeader, append_ms: int) -> None:
        run = self._runs.get((header.agent, header.run))
        if run is None:
            run = self._runs[(header.agent, header.run)] = _Run()
        if header.n > run.next_n:
            run.missing.append((run.next_n, header.n - 1))
        if header.n >= run.next_n:
            run.next_n = header.n + 1
        else:
            run.missing = _without(run.missing, header.n)
        run.index, run.append_ms = index, append_ms

    def seen(self, index: int, header: SegmentHeader, raw: bytes) -> None:
        self.repeats.setdefault((header.agent, header.run, header.n), []).append((index, segment_link(raw)))

    def report(self, shard: int, newest_seal_ms: int, findings: Findings) -> None:
        """One line for each run with a gap."""
        for (agent, name), run in sorted(self._runs.items()):
            if run.missing:
                ranges = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in run.missing[:10])
                more = f" and {len(run.missing) - 10} ranges more" if len(run.missing) > 10 else ""
                settling = newest_seal_ms - run.append_ms < SETTLING_MS
                outcome = Outcome.UNKNOWN if settling else Outcome.FAIL
                findings.incomplete(STEP, shard, run.index, f"run {name} of {agent}: segments {ranges}{more} are missing", outcome)


def _without(ranges: list[tuple[int, int]], n: int) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for a, b in ranges:
        kept += [part for part in ((a, n - 1), (n + 1, b)) if part[0] <= part[1]] if a <= n <= b else [(a, b)]
    return kept
