"""The timeline of a drill, from its events alone: alike ones in a row become one line. Pure."""

from datetime import datetime
from typing import Final, Literal

from msgspec.structs import replace

from tallystick_schemas.drills import drill_principal
from tallystick_schemas.events import Event

from .results import Moment
from .scenario import Scenario
from .seen import Fact, Seen, plain, short_name

MAX_MOMENTS: Final = 400
_BESIDE_S: Final = 10.0
Lane = Literal["attack", "benign", "finding", "response", "agent"]


def timeline(scenario: Scenario, run: str, seen: Seen) -> list[Moment]:
    """By recorded time; at most MAX_MOMENTS lines, the ends kept."""
    hostile = {drill_principal(run, name) for name in scenario.hostile}
    moments = [_moment(fact, run, hostile) for fact in seen.ordered()]
    moments += [
        Moment(
            entry.recorded,
            entry.recorded,
            "agent",
            short_name(entry.agent, run),
            f"a segment is refused: {entry.verdict.label}",
            (*place, 0),
        )
        for place, entry in seen.refused.items()
    ]
    moments += [_finding(seen, run, finding.id) for finding in seen.findings.values()]
    folded = _folded(sorted(moments, key=lambda one: (one.recorded, one.place)))
    return folded if len(folded) <= MAX_MOMENTS else [*folded[: MAX_MOMENTS // 2], *folded[-MAX_MOMENTS // 2 :]]


def _finding(seen: Seen, run: str, name: str) -> Moment:
    finding = seen.findings[name]
    words = f"{finding.detector} {finding.title}: {finding.text}{f' Suppressed: {finding.suppressed}.' if finding.suppressed else ''}"
    at = datetime.fromisoformat(finding.time).timestamp()
    return Moment(at, finding.emitted_ms / 1000, "finding", "detectors", plain(words, run), finding.evidence[-1])


def _moment(fact: Fact, run: str, hostile: set[str]) -> Moment:
    event = fact.event
    at = datetime.fromisoformat(event.time).timestamp()
    who = short_name(event.actor.principal, run)
    return Moment(at, fact.recorded, _lane(event, hostile), who, plain(_words(event), run), fact.place, denied=event.outcome == "denied")


def _lane(event: Event, hostile: set[str]) -> Lane:
    if event.actor.principal in hostile:
        return "attack"
    if event.action.startswith(("incident.", "credential.", "policy.")) or "probe" in (event.attrs or {}):
        return "response"
    return "agent" if event.action.startswith("agent.") else "benign"


def _words(event: Event) -> str:
    where = f"{event.resource.id}{f'/{event.resource.part}' if event.resource.part else ''}"
    size = f", {event.usage.bytes / 1e6:.1f} MB" if event.usage and event.usage.bytes else ""
    why = f": {event.why.text}" if event.why and event.why.text and event.action.startswith(("incident.", "credential.")) else ""
    return f"{event.action} {where}{size}{'' if event.outcome == 'allowed' else f' ({event.outcome})'}{why}"


def _folded(moments: list[Moment]) -> list[Moment]:
    """Many reads in a row are one line with their number; the bar it is drawn as ends with the last."""
    lines: list[Moment] = []
    open_lines: dict[tuple[str, str, bool], int] = {}
    for one in moments:
        key = (one.who, _kind(one), one.denied)
        at = open_lines.get(key)
        if (
            at is not None
            and one.lane in ("attack", "benign", "agent")
            and one.recorded - (lines[at].last or lines[at].recorded) <= _BESIDE_S
        ):
            lines[at] = replace(lines[at], count=lines[at].count + 1, last=one.recorded)
            continue
        open_lines[key] = len(lines)
        lines.append(one)
    return lines


def _kind(one: Moment) -> str:
    """What makes two lines alike: the action and the repository, not the part."""
    action, _, rest = one.what.partition(" ")
    return f"{action} {'/'.join(rest.split('/')[:2])}"
