"""S01, a storm: so many new findings of one detector in so short a time that nobody can read them. They become one."""

from hashlib import blake2b
from typing import Final

from tallystick_schemas.messages import Finding
from tallystick_schemas.signing import wire_time

from ..policy.model import Noise
from .state import Storm

STORM: Final = "S01"
_ABOUT: Final = 20


def count(storm: Storm, at: float, noise: Noise) -> bool:
    """Take a new finding's time in; whether it belongs to a storm."""
    window = noise.storm_minutes * 60
    storm.times = sorted([*(time for time in storm.times if abs(at - time) < window), at])[-(noise.storm_findings + 1) :]
    return len(storm.times) > noise.storm_findings


def join(storm: Storm, finding: Finding, at: float, noise: Noise) -> Finding | None:
    """Count a finding into its storm; the storm's own finding when it begins and each time it has doubled."""
    if not storm.id:
        text = f"{STORM}\0{finding.detector}\0{finding.id}"
        storm.id, storm.opened = blake2b(text.encode(), digest_size=16).hexdigest(), wire_time(at)
        storm.count, storm.told, storm.version, storm.about = noise.storm_findings, 0, 0, []
    storm.count += 1
    if finding.principal not in storm.about and len(storm.about) < _ABOUT:
        storm.about.append(finding.principal)
    if storm.told and storm.count < 2 * storm.told:
        return None
    storm.told, storm.version = storm.count, storm.version + 1
    return _finding(storm, finding, at, noise)


def over(storm: Storm) -> None:
    """The next one begins anew."""
    storm.id = ""


def _finding(storm: Storm, newest: Finding, at: float, noise: Noise) -> Finding:
    names = ", ".join(storm.about[:10]) + (" and others" if len(storm.about) > 10 else "")
    return Finding(
        id=storm.id,
        detector=STORM,
        version=1,
        title="A storm of findings",
        severity="high",
        principal="detectors",
        subject="agent",
        time=storm.opened,
        value=storm.count,
        threshold=noise.storm_findings,
        window_s=int(noise.storm_minutes * 60),
        evidence=newest.evidence,
        act="alert",
        deterministic=True,
        techniques=newest.techniques,
        text=(
            f"{newest.detector} made {storm.count} new findings since {storm.opened[11:19]} UTC in one partition, the newest about {names}. "
            "They are kept, marked with this finding's id, and do not act."
        ),
        emitted_ms=0,
        features={"findings": float(storm.count), "principals_shown": float(len(storm.about))},
        count=storm.version,
        updated=wire_time(at) if storm.version > 1 else None,
        drill=newest.drill,
    )
