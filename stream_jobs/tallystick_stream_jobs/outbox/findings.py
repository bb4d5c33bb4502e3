"""What the outbox finds: R01 a revocation that does not hold, R02 a delivery given up, R03 credentials minted meanwhile, R04 a lock about nobody.

Pure."""

from hashlib import blake2b
from typing import Final, Literal

from tallystick_schemas.messages import Decision, Delivery, Denial, Finding, Mode, Place
from tallystick_schemas.signing import wire_time
from tallystick_schemas.words import counted

from ..responder.known import KNOWN, UNKNOWN

ME: Final = "outbox"
_TITLES: Final = {
    "R01": "A revocation that is not proven",
    "R02": "A system elsewhere was not told",
    "R03": "Credentials minted before the lock",
    "R04": "A lock about nobody known",
}


def _id(detector: str, *parts: str) -> str:
    """The same matter has the same id, in every replay."""
    return blake2b("\0".join((detector, *parts)).encode(), digest_size=16).hexdigest()


def _finding(  # noqa: PLR0913 - the fields that differ
    detector: str,
    parts: tuple[str, ...],
    decision: Decision,
    text: str,
    now: float,
    *,
    severity: Literal["medium", "high", "critical"],
    value: float,
    threshold: float,
    window_s: int = 0,
    evidence: list[Place] | None = None,
    about: str | None = None,
    credential: str | None = None,
    act: Literal["alert", "suspend"] = "alert",
    mode: Mode = "auto",
    count: int = 1,
) -> Finding:
    return Finding(
        id=_id(detector, *parts),
        detector=detector,
        version=1,
        title=_TITLES[detector],
        severity=severity,
        principal=about or ME,
        credential=credential,
        time=wire_time(now),
        value=value,
        threshold=threshold,
        window_s=window_s,
        resource=decision.subject,
        evidence=evidence if evidence is not None else decision.evidence,
        act=act,
        deterministic=True,
        techniques=["T1550.001"] if detector not in ("R02", "R04") else [],
        text=text[:1000],
        emitted_ms=int(now * 1000),
        # Not the locked one's doing: this must not count against him a second time.
        subject="principal" if about else "agent",
        mode=mode,
        count=count,
        updated=wire_time(now) if count > 1 else None,
        drill=decision.drill,
    )


def given_up(delivery: Delivery, now: float) -> Finding:
    """R02: nobody tries any more, so a person must."""
    did = "unlock" if delivery.decision.lock is not None and delivery.decision.lock.state == "unlocked" else "lock"
    text = (
        f"{delivery.connector} was not told to {did} {delivery.decision.subject} (command {delivery.decision.id}): "
        f"{delivery.error or 'no reason known'}. It was tried {counted(delivery.attempts, 'time')}. "
        f"Mend it, then: tallystick outbox retry {delivery.id}"
    )
    return _finding("R02", (delivery.id,), delivery.decision, text, now, severity="high", value=delivery.attempts, threshold=0)


def not_proven(decision: Decision, denial: Denial, now: float, locked_s: float, limit_s: float, count: int) -> Finding:
    """R01: what is locked still gets in somewhere (critical), or nobody can show that it does not (high)."""
    if denial.state == "still-works":
        what = f"{decision.subject} is locked since {locked_s:.0f} s and still gets in at {denial.point} ({denial.how})"
    else:
        what = f"whether {decision.subject} is refused at {denial.point} is not known {locked_s:.0f} s after the lock ({denial.how})"
    return _finding(
        "R01",
        (denial.command, denial.point),
        decision,
        f"{what}. Shut it there by hand (command {denial.command}).",
        now,
        severity="critical" if denial.state == "still-works" else "high",
        value=round(locked_s, 3),
        threshold=limit_s,
        count=count,
    )


def minted(decision: Decision, principal: str, credential: str, first: str, place: Place, now: float, *, lock: bool) -> Finding:
    """R03: one credential of the locked principal that came up between the first evidence and the lock, and that the lock does not name.

    `first`: when it was first seen. `lock`: recommend to lock it, because only another credential was locked.
    """
    covered = "that lock does not cover it" if lock else "the lock of the principal covers it"
    text = (
        f"Credential {credential} of {principal} came up at {first}, in the time before {decision.subject} was locked "
        f"(command {decision.id}); {covered}. No event of before names it, as far as searchable columns show."
    )
    return _finding(
        "R03",
        (decision.id, credential),
        decision,
        text,
        now,
        severity="high" if lock else "medium",
        value=1,
        threshold=0,
        evidence=[place],
        about=principal,
        credential=credential,
        act="suspend" if lock else "alert",
        mode="recommend",
    )


def nobody_known(decision: Decision, now: float) -> Finding | None:
    """R04: an order to lock a name that no event has, by what the responder was told of it. None where it is known, or nobody could tell."""
    said = decision.policy.get(KNOWN, "")
    if not said.startswith(UNKNOWN):
        return None
    text = (
        f"{decision.by} ordered a lock of {decision.subject} (command {decision.id}): {said.removeprefix(UNKNOWN + ': ')}. "
        "A token that was never used would not be seen. If another name was meant, lock that one and lift this."
    )
    return _finding("R04", (decision.id,), decision, text, now, severity="medium", value=0, threshold=1)
