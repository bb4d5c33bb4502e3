"""How a verification report looks in a terminal."""

import re
from collections.abc import Sequence
from typing import Final

from tallystick_audit.verify import Report
from tallystick_audit.verify.report import MAX_KEPT, AgentsSeen, Failure
from tallystick_schemas.words import counted

from ..terminal import StyledText, joined, lines, styled
from .common import out
from .tables import Listing, framed

_SHOWN: Final = 50
"""Kinds of failures that a terminal shows."""
_AGENTS: Final = 5
_VARYING: Final = re.compile(r"\b(?:[0-9a-f]{8,}|\d+)\b")
_STYLES = {"pass": "green", "fail": "red", "unknown": "yellow"}


def show_report(report: Report) -> None:
    """Three verdicts, the numbers, every kind of failure with its places, and what no verdict speaks of."""
    console = out()
    verdicts = (
        joined("integrity ", _verdict(report.integrity.value), "   "),
        joined("completeness ", _verdict(report.completeness.value), "   "),
        joined("freshness ", _verdict(report.freshness.value)),
    )
    seen = (counted(report.entries, "entry", "entries"), counted(report.events, "event"), counted(report.checkpoints, "checkpoint"))
    numbers = f"{', '.join(seen)} in {report.seconds:.1f} s"
    console.print(framed("audit verify", lines(joined(*verdicts), numbers, _rules(report), *_seen(report.seen))))
    if report.failures:
        table = Listing("step", "shard", "index", "what")
        folded = fold(report.failures)
        for first, alike in folded[:_SHOWN]:
            table.add_row(str(first.step), _place(first.shard), _place(first.index), first.reason)
            if alike:
                table.add_row("", "", "", styled(f"… and {len(alike):,} more alike, {_span(alike)}", "dim"))
        console.print(table)
        left = report.failure_count - sum(1 + len(alike) for _, alike in folded[:_SHOWN])
        if left:
            console.print(f"and {counted(left, 'failure')} more; --json has the first {MAX_KEPT:,} in words")
    _show_beside(report)


def _show_beside(report: Report) -> None:
    """What no verdict speaks of: evidence about agents, and what could not be looked at."""
    console = out()
    if report.forks:
        table = Listing("fork", "shard", "index", "what")
        for fork in report.forks[:_SHOWN]:
            table.add_row("", str(fork.shard), str(fork.index), fork.reason)
        console.print(table)
        more = f"; the first {_SHOWN} are shown, --json has all" if len(report.forks) > _SHOWN else ""
        console.print(f"{counted(len(report.forks), 'fork')}: one key signed two segments under one number{more}")
    if report.unproven_rejections:
        kept = counted(report.unproven_rejections, "rejection")
        console.print(f"{kept} for a body whose bytes were not kept: each stands as recorded, and events may have been kept out")
    if report.erased:
        console.print(f"{counted(report.erased, 'event')} without bytes")
    for note in report.notes:
        console.print(note)


def _rules(report: Report) -> str:
    """How many directives there are, and by which rules the shards were folded."""
    said = counted(report.directives, "directive")
    newer = [one for one in report.rules if one.since is not None]
    if not newer:
        return f"{said}; all shards by the rules of level 1" if report.rules else f"{said}; no shard was folded"
    latest = max(one.since or "" for one in newer)
    levels = ", ".join(sorted({str(one.level) for one in newer}))
    return f"{said}; {len(newer)} of {counted(len(report.rules), 'shard')} by the rules of level {levels}, the last since {latest[:19]}Z"


def _seen(seen: AgentsSeen) -> list[str]:
    """What agents were shown; nothing where no agent says so."""
    told = [f"{counted(seen.fit, 'root checkpoint')} that agents were shown lie on it"] if seen.fit else []
    for one in seen.unfit[:_AGENTS]:
        alike = f" and {one.count - 1} more like it" if one.count > 1 else ""
        at = f"shard {one.shard}, index {one.index}"
        told.append(f"{one.agent} says without a signature that it saw {one.size} leaves with another root ({at}{alike}): its word alone")
    more = len(seen.unfit) - _AGENTS
    return [*told, f"{counted(more, 'agent')} more say so; --json has each"] if more > 0 else told


def _verdict(value: str) -> StyledText:
    return styled(value, f"bold {_STYLES[value]}")


def fold(failures: Sequence[Failure]) -> list[tuple[Failure, list[Failure]]]:
    """Each first failure of its kind and those that say the same of another place of its shard: they differ in numbers and hashes alone."""
    kinds: dict[tuple[object, ...], list[Failure]] = {}
    for one in failures:
        kinds.setdefault((one.step, one.shard, one.verdict, one.outcome, _VARYING.sub("#", one.reason)), []).append(one)
    return [(first, alike) for first, *alike in kinds.values()]


def _span(alike: Sequence[Failure]) -> str:
    """Where they are, in words: `shard 0, index 5 to 316`."""
    where = [] if alike[0].shard is None else [f"shard {alike[0].shard}"]
    places = [one.index for one in alike if one.index is not None]
    if places:
        low, high = min(places), max(places)
        where.append(f"index {low:,}" if low == high else f"index {low:,} to {high:,}")
    return ", ".join(where) or "without a place"


def _place(value: int | None) -> str:
    return "–" if value is None else str(value)
