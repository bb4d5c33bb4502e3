"""How often a detector was right, by the people who looked. Pure; the store has the same figures as `detector_quality`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

from tallystick_schemas import words

from ..policy.demotions import Standing
from ..policy.model import DetectionPolicy

RIGHT: Final = frozenset({"remediated", "case-opened", "true-positive-benign", "true-positive-malicious"})
WRONG: Final = frozenset({"false-positive"})
"""What is in neither says nothing about the detector."""
Z95: Final = 1.959963984540054


@dataclass(frozen=True)
class Verdict:
    """One closed finding. `closed` in seconds since 1970."""

    finding: str
    detector: str
    version: int
    disposition: str
    closed: float


@dataclass(frozen=True)
class Fallen:
    """A detector that was wrong too often to act by itself."""

    detector: str
    version: int
    right: int
    verdicts: int
    bar: float
    why: str
    newest: str
    """The finding whose verdict brought it below its bar."""


def wilson(right: int, verdicts: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval for a share (Wilson 1927, equation for the limits); (0, 1) without a verdict."""
    if verdicts == 0:
        return 0.0, 1.0
    share, z2 = right / verdicts, z * z
    middle = share + z2 / (2 * verdicts)
    half = z * sqrt(share * (1 - share) / verdicts + z2 / (4 * verdicts * verdicts))
    return max(0.0, (middle - half) / (1 + z2 / verdicts)), min(1.0, (middle + half) / (1 + z2 / verdicts))


def fallen(verdicts: Iterable[Verdict], policy: DetectionPolicy, standings: Mapping[str, Standing]) -> list[Fallen]:
    """Detectors in mode auto whose newest version is below its bar. What was said before a person gave the mode back counts no more."""
    by_detector: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        standing = standings.get(verdict.detector)
        if verdict.disposition in RIGHT | WRONG and (standing is None or verdict.closed > standing.at):
            by_detector.setdefault(verdict.detector, []).append(verdict)
    found = []
    for detector, said in sorted(by_detector.items()):
        version = max(one.version for one in said)
        counted = [one for one in said if one.version == version]
        right, bar = sum(one.disposition in RIGHT for one in counted), policy.bar(detector)
        if policy.mode(detector) != "auto" or len(counted) < bar.verdicts or right / len(counted) >= bar.precision:
            continue
        low, high = wilson(right, len(counted))
        why = (
            f"{detector} version {version} was right in {right} of {words.counted(len(counted), 'verdict')}: precision {right / len(counted):.2f} "
            f"(95 %: {low:.2f} to {high:.2f}), its bar is {bar.precision:g}"
        )
        newest = max(counted, key=lambda one: (one.closed, one.finding)).finding
        found.append(Fallen(detector, version, right, len(counted), bar.precision, why, newest))
    return found
