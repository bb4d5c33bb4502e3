"""Sets in which nothing happened: what each detector said all the same, a principal and day."""

from pathlib import Path
from typing import Any

from tallystick_stream_jobs.detectors.base import Rule
from tallystick_stream_jobs.detectors.facts import DAY_S

from .responding import respond
from .sources import by_principal, format_named, read_source


def benign_set(form: str, path: Path, rules: tuple[Rule, ...] | None = None) -> dict[str, Any]:
    """Per detector: principal-days on which it spoke, of all on which somebody did something. `suspended`: by the whole ladder."""
    people = by_principal(read_source(path, format_named(form)))
    days = sum(len({int(fact.time // DAY_S) for fact in facts}) for facts in people.values())
    told = respond(people.values(), rules)
    alarmed: dict[str, set[tuple[str, str]]] = {}
    for finding in told.findings:
        alarmed.setdefault(finding.detector, set()).add((finding.principal, finding.time[:10]))
    return {
        "file": path.name,
        "format": form,
        "events": told.events,
        "principals": len(people),
        "principal_days": days,
        "alarmed": {name: len(found) for name, found in sorted(alarmed.items())},
        "suspended": len(told.suspended),
        "stepped_up": len(told.stepped_up),
    }
