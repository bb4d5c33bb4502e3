"""Which findings lock, by the ladder and its guards (DETECTORS.md): pure, and given the time."""

from dataclasses import dataclass, field
from typing import Final, Literal

from tallystick_schemas.messages import Finding

Choice = Literal["suspend", "recommend", "note"]
_MEMORY_S: Final = 86_400.0
_BREAKER_WINDOW_S: Final = 600.0
_MAX_PRINCIPALS: Final = 50_000
_ALONE: Final = frozenset({"D03", "D07a", "D13"})
"""Rows of the table that may suspend alone."""


@dataclass(frozen=True)
class Decision:
    """What to do about a finding, and why in words."""

    choice: Choice
    reason: str


@dataclass
class Policy:
    """Remembers which detectors spoke of whom, and how often it acted by itself."""

    protected: frozenset[str] = frozenset()
    breaker_limit: int = 3
    spoken: dict[str, dict[str, float]] = field(default_factory=dict)
    suspended_at: list[float] = field(default_factory=list)

    def decide(self, finding: Finding, now: float) -> Decision:
        """`now` in seconds since 1970. Two independent detectors, unless the detector's own row allows it alone."""
        others = self._remember(finding, now)
        if finding.act in ("signal", "alert") and not others:
            return Decision("note", f"{finding.detector} asks for {finding.act} only")
        alone = finding.detector in _ALONE and finding.act == "suspend"
        if not alone and (finding.act != "step-up" or not others):
            return Decision("recommend", f"{finding.detector} alone may not suspend; a second, independent detector has not spoken")
        if finding.principal in self.protected:
            return Decision("recommend", f"{finding.principal} is protected: two people decide")
        self.suspended_at = [at for at in self.suspended_at if now - at < _BREAKER_WINDOW_S]
        if len(self.suspended_at) >= self.breaker_limit:
            return Decision("recommend", f"{self.breaker_limit} automatic suspensions within 10 minutes: people decide from here")
        self.suspended_at.append(now)
        return Decision("suspend", finding.text if alone else f"{finding.text} {', '.join(sorted(others))} said so too.")

    def _remember(self, finding: Finding, now: float) -> set[str]:
        """Other detectors that spoke of the principal within a day, with more than a signal."""
        known = self.spoken.pop(finding.principal, {})
        known = {detector: at for detector, at in known.items() if now - at < _MEMORY_S}
        others = set(known) - {finding.detector}
        if finding.act != "signal":
            known[finding.detector] = now
        if len(self.spoken) >= _MAX_PRINCIPALS:
            del self.spoken[next(iter(self.spoken))]
        self.spoken[finding.principal] = known
        return others
