"""D14: what several detectors say of one principal, added up and fading: weak signs of different kinds make a strong one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from tallystick_schemas.messages import Finding

from .base import Meta, Parameter, State, figure, finding_id, in_force
from .facts import Fact, touches
from .harvest import observe_harvest

_AGAIN_S: Final = 86_400.0
_MAX_PARTS: Final = 24
_HOUR_S: Final = 3600.0
POINTS: Final[Mapping[str, float]] = {"info": 0.0, "low": 10.0, "medium": 25.0, "high": 50.0, "critical": 100.0}
"""What a finding of a severity weighs when it is new."""
TACTICS: Final[Mapping[str, str]] = {
    "AML.T0007": "discovery",
    "AML.T0024": "exfiltration",
    "AML.T0025": "exfiltration",
    "AML.T0035": "collection",
    "AML.T0044": "model access",
    "T1020": "exfiltration",
    "T1030": "exfiltration",
    "T1078": "initial access",
    "T1078.004": "initial access",
    "T1530": "collection",
    "T1552.004": "credential access",
    "T1562.008": "defense evasion",
    "T1567": "exfiltration",
    "T1619": "discovery",
}
"""ATT&CK 17 and ATLAS 5.6 technique -> one of its tactics."""
META: Final = Meta(
    id="D14",
    title="Signs that add up: risk, distributed harvest",
    techniques=("T1020", "T1530"),
    severity="high",
    most="alert",
    blind_spots="Risk: detectors that look at the same numbers agree easily, so it is no independent witness and never the second detector; what the "
    "policy file suppresses is counted all the same. Harvest: thieves who know the collection already; doors that name no collection; the size of a "
    "collection is what was ever touched of it, so on a young one the share is too high (`missing` says so).",
    parameters={
        "detectors": Parameter(2, "detectors within the window", "default", least=2, most=10),
        "tactics": Parameter(2, "ATT&CK or ATLAS tactics among them", "default", least=1, most=10),
        "half_life": Parameter(24, "h in which a finding's points halve", "a day: the window of the rule", most=720),
        "window": Parameter(24, "h within which findings belong together", "default", most=168),
        "coverage": Parameter(0.3, "share of a collection's objects within a day", "default", least=0.01, most=1),
        "newcomers": Parameter(5, "principals who are new to it, together", "default", least=2, most=30),
        "objects": Parameter(20, "objects, below which a collection is not asked", "a share of a handful says nothing", least=2),
        "history": Parameter(7, "days since the collection was first seen", "a working week", least=0, most=90),
    },
)


class Together:
    """One part a detector: its highest points, fading; the score is the sum of the parts."""

    def __init__(self, parameters: Mapping[str, float] | None = None) -> None:
        self.meta = in_force(META, parameters)
        values = {name: one.value for name, one in self.meta.parameters.items()}
        self._detectors, self._tactics = values["detectors"], values["tactics"]
        self._half_life_s, self._window_s = values["half_life"] * _HOUR_S, values["window"] * _HOUR_S

    def cares(self, action: str, outcome: str) -> bool:
        return touches(action, outcome)

    def observe(self, state: State, fact: Fact) -> Finding | None:
        """Nothing yet: who touches a collection newly is told on to the second stage (`harvest_view`)."""
        observe_harvest(state, fact)
        return None

    def weigh(self, state: State, finding: Finding) -> Finding | None:
        """Take another rule's finding about the same principal in; a finding of its own when detectors and tactics have come together."""
        now = datetime.fromisoformat(finding.time).timestamp()
        parts: dict[str, list[Any]] = state.setdefault("p", {})
        points = POINTS[finding.severity]
        old = parts.get(finding.detector)
        if old is not None:
            points = max(points, self._faded(old, now))
        parts[finding.detector] = [
            points,
            max(now, old[1]) if old else now,
            sorted({TACTICS.get(technique, technique) for technique in finding.techniques}),
            bool(finding.missing),
            finding.credential or "",
            list(finding.evidence[-1]) if finding.evidence else [],
            finding.act != "signal",
        ]
        for gone in [name for name, part in parts.items() if now - part[1] > 30 * self._window_s]:
            del parts[gone]
        while len(parts) > _MAX_PARTS:
            del parts[min(parts, key=lambda name: (self._faded(parts[name], now), name))]
        return self._judge(state, parts, finding, now)

    def score(self, state: State, now: float) -> tuple[float, dict[str, float]]:
        """(score, its parts by detector) at a time in seconds since 1970."""
        parts = {name: self._faded(part, now) for name, part in state.get("p", {}).items()}
        return sum(parts.values()), parts

    def _faded(self, part: list[Any], now: float) -> float:
        return float(part[0] * 0.5 ** (max(0.0, now - part[1]) / self._half_life_s))

    def _judge(self, state: State, parts: Mapping[str, list[Any]], finding: Finding, now: float) -> Finding | None:
        near = {name: part for name, part in parts.items() if abs(now - part[1]) <= self._window_s}
        tactics = {tactic for part in near.values() for tactic in part[2]}
        if len(near) < self._detectors or len(tactics) < self._tactics or not any(part[6] for part in near.values()):
            return None
        told_at, told = state.get("told", [-_AGAIN_S, 0])
        if now - told_at < _AGAIN_S and len(near) <= told:
            return None
        state["told"] = [now, len(near)]
        score, shown = self.score(state, now)
        missing = sorted(f"whole figures of {name}" for name, part in near.items() if part[3])
        credentials = {part[4] for part in near.values()}
        evidence = [(part[5][0], part[5][1], part[5][2]) for part in near.values() if part[5]]
        return msgspec.structs.replace(
            finding,
            id=finding_id(self.meta, finding.principal, evidence[-1] if evidence else (0, 0, 0), f"{len(near)}"),
            detector=self.meta.id,
            version=self.meta.version,
            title=self.meta.title,
            severity=self.meta.severity,
            value=len(near),
            threshold=figure(self._detectors),
            window_s=int(self._window_s),
            evidence=evidence,
            act="alert",
            deterministic=False,
            credential=credentials.pop() or None if len(credentials) == 1 else None,
            baseline=None,
            peers=None,
            techniques=list(self.meta.techniques),
            features={"score": round(score, 2), "tactics": len(tactics)}
            | {f"part {name}": round(value, 2) for name, value in shown.items()},
            missing=missing,
            text=f"{', '.join(sorted(near))} speak of {finding.principal} within {self._window_s / _HOUR_S:.0f} hours "
            f"({', '.join(sorted(tactics))}); the risk score is {score:.0f}{' at the least' if missing else ''}.",
        )
