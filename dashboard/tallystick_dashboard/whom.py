"""Whom a finding is about. Outbox and responder tell of orders and of themselves in their own name; nobody wants to lock them for it. Pure."""

from typing import Final

from tallystick_schemas.messages import Finding, Lock

from .boards import LockBoard

_PARTS: Final = frozenset({"outbox", "responder"})
_SUBJECTS: Final = ("principal:", "credential:")


def told_by_part(finding: Finding) -> bool:
    """Whether a part of ours tells it in its own name (R01, R02, R04 to R08)."""
    return finding.detector.startswith("R") and finding.principal in _PARTS


def subject_of(finding: Finding) -> str | None:
    """The subject that an order from this finding would be about; None where there is nobody to lock."""
    if told_by_part(finding):
        return finding.resource if finding.resource is not None and finding.resource.startswith(_SUBJECTS) else None
    return f"credential:{finding.credential}" if finding.credential else f"principal:{finding.principal}"


def lock_of(finding: Finding, locks: LockBoard, now: float) -> Lock | None:
    """The lock in force of whom it is about."""
    if not told_by_part(finding):
        return locks.of(finding.principal, finding.credential, now)
    subject = subject_of(finding)
    return None if subject is None else locks.on(subject, now)
