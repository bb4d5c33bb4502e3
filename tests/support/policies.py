"""Findings for tests of policy and triage."""

from tallystick_schemas.messages import Finding
from tallystick_schemas.signing import wire_time

NOW = 1_795_406_400.0
"""2026-11-23 04:00 UTC."""
DAY = 86_400.0


def finding(detector: str = "D01", principal: str = "dave@example.org", *, at: float = 0.0, **fields: object) -> Finding:
    """One that was made `at` seconds after NOW."""
    values: dict[str, object] = {
        "id": f"{detector}-{principal}-{at:g}",
        "detector": detector,
        "version": 1,
        "title": "Something",
        "severity": "medium",
        "principal": principal,
        "time": wire_time(NOW + at),
        "value": 25,
        "threshold": 25,
        "window_s": 3600,
        "resource": "acme/atlas-7b",
        "evidence": [(0, int(at), 0)],
        "act": "alert",
        "deterministic": False,
        "techniques": [],
        "text": "Something happened.",
        "emitted_ms": 0,
    }
    return Finding(**{**values, **fields})  # type: ignore[arg-type]  # the struct checks nothing, and neither does a test
