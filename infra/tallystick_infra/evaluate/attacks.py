"""Attack sets of CloudTrail: which of their techniques a detector speaks of, which one, and after how many of the technique's events.

Stratus Red Team puts a name of its own into the user agent of everything that a detonation does: that is the label. What names it further on in its
user agent is the laboratory being set up, neither attack nor innocent. Everything else is somebody's ordinary work, and a finding about it a false
alarm. A finding belongs to the detonations that its evidence names.
"""

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tallystick_producers.collectors import log_format
from tallystick_schemas.events import parse_event
from tallystick_stream_jobs.detectors.base import Rule

from .responding import Told, respond
from .sources import Sourced, by_principal, read_source

_MARK: Final = "stratus-red-team"
_TECHNIQUE: Final = "aws."
"""A file that is named after a technique is all attack."""


@dataclass
class Technique:
    """Detonations of one name. `found`: detector -> after how many of a detonation's events it spoke, one number a detonation."""

    detonations: int = 0
    events: int = 0
    seen: int = 0
    found: dict[str, list[int]] = field(default_factory=dict)

    def add(self, events: int, found: dict[str, int]) -> None:
        self.detonations += 1
        self.events += events
        self.seen += bool(found)
        for detector, after in found.items():
            self.found.setdefault(detector, []).append(after)


def cloudtrail_set(path: Path, rules: tuple[Rule, ...] | None = None) -> dict[str, Any]:
    """Techniques with who found them, and what the detectors said of everybody else."""
    sourced = read_source(path, log_format("cloudtrail"))
    units: defaultdict[str, list[int]] = defaultdict(list)
    for at, one in enumerate(sourced):
        if unit := _unit(one):
            units[unit].append(at)
    told = respond(by_principal(sourced).values(), rules)
    techniques: dict[str, Technique] = {}
    for places in sorted(units.values()):
        techniques.setdefault(_name([sourced[at] for at in places]), Technique()).add(len(places), _found(places, told))
    attack = {at for places in units.values() for at in places}
    return {
        "file": path.name,
        "events": len(sourced),
        "attack_events": len(attack),
        "detonations": len(units),
        "found": sum(one.seen for one in techniques.values()),
        "techniques": {name: asdict(one) for name, one in sorted(techniques.items())},
        "others": _others(sourced, attack, told),
    }


def _unit(one: Sourced) -> str | None:
    if one.user_agent.startswith(_MARK):
        return one.user_agent
    return one.file if one.file.startswith(_TECHNIQUE) else None


def _found(places: list[int], told: Told) -> dict[str, int]:
    inside = set(places)
    found: dict[str, int] = {}
    for finding, at in zip(told.findings, told.indices, strict=True):
        if any(index in inside for _, index, _ in finding.evidence):
            found.setdefault(finding.detector, sum(place <= at for place in places))
    return found


def _name(mine: list[Sourced]) -> str:
    """The file where it is named after a technique, else what was done most."""
    if mine[0].file.startswith(_TECHNIQUE):
        return mine[0].file.removesuffix(".json")
    done = Counter((parse_event(one.fact.raw).attrs or {}).get("event_name", "?") for one in mine)
    return ", ".join(name for name, _ in sorted(done.items(), key=lambda one: (-one[1], one[0]))[:3])


def _others(sourced: list[Sourced], attack: set[int], told: Told) -> dict[str, Any]:
    """Findings whose evidence is nobody's attack, by detector; how many principals did ordinary work."""
    innocent = {at for at, one in enumerate(sourced) if at not in attack and _MARK not in one.user_agent}
    alarmed: defaultdict[str, set[str]] = defaultdict(set)
    for finding in told.findings:
        if all(index in innocent for _, index, _ in finding.evidence):
            alarmed[finding.detector].add(finding.principal)
    principals = {sourced[at].fact.event.actor.principal for at in innocent}
    return {"events": len(innocent), "principals": len(principals), "alarmed": {name: len(who) for name, who in sorted(alarmed.items())}}
