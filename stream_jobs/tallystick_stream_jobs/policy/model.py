"""What a policy says, as values. Every question is asked with `now` in seconds since 1970; an end is not included."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from tallystick_schemas.messages import Finding, Mode
from tallystick_schemas.names import canonical
from tallystick_schemas.signing import wire_time

from .names import matches

EVERY: Final = "*"
MODES: Final[tuple[Mode, ...]] = ("observe", "recommend", "auto")


@dataclass(frozen=True)
class Bar:
    """A detector that falls below `precision` on at least `verdicts` dispositions no longer acts by itself."""

    precision: float = 0.5
    verdicts: int = 20


@dataclass(frozen=True)
class DetectorPolicy:
    """What is said about one detector; None where the file is silent."""

    mode: Mode | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    bar: Bar | None = None


@dataclass(frozen=True)
class Exemption:
    """A principal (its canonical name) or everybody with a role: not bothered by these detectors until then."""

    principal: str | None
    role: str | None
    detectors: tuple[str, ...]
    until: float
    reason: str
    owner: str

    def says(self, finding: Finding, now: float, roles: Collection[str]) -> str | None:
        about = canonical(finding.principal) == self.principal if self.principal is not None else self.role in roles
        if not about or not _named(self.detectors, finding.detector) or now >= self.until:
            return None
        whom = self.principal if self.principal is not None else f"role {self.role}"
        return f"exempt: {whom}, until {to_minutes(self.until)}, by {self.owner}: {self.reason}"


@dataclass(frozen=True)
class Suppression:
    """Findings that nobody wants to hear for a while. Globs; what is None matches everything."""

    detectors: tuple[str, ...]
    principal: str | None
    resource: str | None
    until: float
    reason: str
    owner: str

    def says(self, finding: Finding, now: float) -> str | None:
        if not _named(self.detectors, finding.detector) or now >= self.until:
            return None
        if self.principal is not None and not matches(self.principal, canonical(finding.principal)):
            return None
        if self.resource is not None and not matches(self.resource, finding.resource or ""):
            return None
        return f"suppressed until {to_minutes(self.until)}, by {self.owner}: {self.reason}"


@dataclass(frozen=True)
class Grant:
    """An approved grant or a job's manifest: what its principals may do with resources that it names, in its time."""

    kind: Literal["grant", "job"]
    id: str
    principals: tuple[str, ...]
    resources: tuple[str, ...]
    """Globs over resource ids."""
    detectors: tuple[str, ...]
    since: float | None
    until: float
    objects: int | None
    """Distinct objects a principal may touch under it; None: as many as there are."""
    reason: str
    owner: str

    def covers(self, resource: str, at: float) -> bool:
        """Whether an access to `resource` at a time lies within it."""
        in_time = (self.since is None or at >= self.since) and at < self.until
        return in_time and any(matches(pattern, resource) for pattern in self.resources)

    def hears(self, finding: Finding) -> bool:
        """Whether it speaks about this finding's detector and principal at all."""
        return canonical(finding.principal) in self.principals and _named(self.detectors, finding.detector)

    def sentence(self) -> str:
        return f"covered by {self.kind} {self.id} until {to_minutes(self.until)}, by {self.owner}: {self.reason}"


@dataclass(frozen=True)
class Noise:
    """How findings are kept from drowning people. A storm: more than so many new findings of one detector within so many minutes."""

    dedup_minutes: float = 60.0
    storm_findings: int = 20
    storm_minutes: float = 10.0


@dataclass(frozen=True)
class DetectionPolicy:
    """One policy in force. `sha256` is that of the file's bytes; empty: there is no file."""

    default_mode: Mode = "auto"
    detectors: Mapping[str, DetectorPolicy] = field(default_factory=dict)
    protected: frozenset[str] = frozenset()
    exemptions: tuple[Exemption, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    grants: tuple[Grant, ...] = ()
    noise: Noise = Noise()
    bar_default: Bar = Bar()
    demoted: Mapping[str, str] = field(default_factory=dict)
    """Detector -> why it may no longer act by itself."""
    sha256: str = ""

    @property
    def parameters(self) -> dict[str, dict[str, float]]:
        """Detector -> parameter -> value, where the file differs from the defaults."""
        return {name: dict(one.parameters) for name, one in self.detectors.items() if one.parameters}

    def mode(self, detector: str) -> Mode:
        """How far a detector may go. One that was demoted recommends at most, whatever the file says."""
        said = self.detectors.get(detector, DetectorPolicy()).mode or self.default_mode
        return "recommend" if said == "auto" and detector in self.demoted else said

    def bar(self, detector: str) -> Bar:
        """Below which precision it loses `auto`."""
        return self.detectors.get(detector, DetectorPolicy()).bar or self.bar_default

    def is_protected(self, principal: str) -> bool:
        """Exactly this principal, in whatever spelling of its name (ADR 0026); what only looks like it is another."""
        return canonical(principal) in self.protected

    def exemption(self, finding: Finding, now: float, roles: Collection[str] = ()) -> str | None:
        """Why the finding's principal is exempt, or None."""
        return next((said for one in self.exemptions if (said := one.says(finding, now, roles)) is not None), None)

    def suppression(self, finding: Finding, now: float) -> str | None:
        """Why the finding is suppressed, or None. Grants are asked elsewhere (`triage`): they need to know what else was done."""
        return next((said for one in self.suppressions if (said := one.says(finding, now)) is not None), None)


def _named(detectors: tuple[str, ...], detector: str) -> bool:
    return EVERY in detectors or detector in detectors


def to_minutes(seconds: float) -> str:
    """A time as people read it: `YYYY-MM-DDThh:mmZ`."""
    return wire_time(seconds)[:16] + "Z"
