"""Agents' runs (part of step 5): segments that never came, gaps filled with what does not join, numbers that came twice with other bytes. Pure."""

from dataclasses import dataclass, field

from tallystick_schemas.gaps import Edge, Gap, filled, gap_with, joins, span_of
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
    end: Edge | None = None
    """Where the newest segment ended; none before the first."""
    missing: list[Gap] = field(default_factory=list)
    """What was jumped over. Not bounded as the fold's are: nothing may be given up here."""
    index: int = -1
    append_ms: int = 0


class Runs:
    """Every run of a shard. Takes what was accepted, in order."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], _Run] = {}
        self.repeats: dict[Number, list[tuple[int, bytes]]] = {}
        """Segments whose number was there already: (index, link). They are compared with the accepted ones in a second reading."""

    def accepted(self, index: int, header: SegmentHeader, raw: bytes, append_ms: int) -> str:
        """Why the segment contradicts what the run signed around it, or nothing: before level 3 a fold accepts whatever fills a gap."""
        run = self._runs.get((header.agent, header.run))
        if run is None:
            run = self._runs[(header.agent, header.run)] = _Run()
        span, contradiction = span_of(header, raw), ""
        if span.n > run.next_n:
            run.missing.append(Gap(run.next_n, span.n - 1, run.end, span.begin))
        if span.n >= run.next_n:
            run.next_n, run.end = span.n + 1, span.end
        elif (gap := gap_with(run.missing, span.n)) is not None:
            at = run.missing.index(gap)
            run.missing[at : at + 1] = filled(gap, span, remember=True)
            if not joins(gap, span):
                contradiction = f"segment {span.n} fills a gap, and does not join what was signed around it"
        run.index, run.append_ms = index, append_ms
        return contradiction

    def seen(self, index: int, header: SegmentHeader, raw: bytes) -> None:
        self.repeats.setdefault((header.agent, header.run, header.n), []).append((index, segment_link(raw)))

    def report(self, shard: int, newest_seal_ms: int, findings: Findings, *, whole: bool) -> None:
        """One line for each run with a gap. `whole`: every entry was judged; else what is missing may stand among the others."""
        for (agent, name), run in sorted(self._runs.items()):
            if run.missing:
                ranges = ", ".join(str(gap.first) if gap.first == gap.last else f"{gap.first}-{gap.last}" for gap in run.missing[:10])
                more = f" and {len(run.missing) - 10} ranges more" if len(run.missing) > 10 else ""
                settling = newest_seal_ms - run.append_ms < SETTLING_MS
                outcome = Outcome.UNKNOWN if settling or not whole else Outcome.FAIL
                findings.incomplete(STEP, shard, run.index, f"run {name} of {agent}: segments {ranges}{more} are missing", outcome)
