"""Decisions in the words of topic `decisions`: about findings, orders and ends, and as attributes of the event that tells of them. Pure."""

from hashlib import blake2b
from typing import Final

import msgspec

from tallystick_schemas.events import Resource
from tallystick_schemas.locks import LEVELS
from tallystick_schemas.messages import Alternative, Decision, Finding, Level, Lock
from tallystick_schemas.names import canonical
from tallystick_schemas.notices import choice_of
from tallystick_schemas.orders import Order
from tallystick_schemas.signing import wire_time
from tallystick_schemas.times import seconds_of

from .memory import ME
from .people import Ruling
from .policy import Verdict

MAX_TEXT: Final = 1000
_MAX_ATTR: Final = 400
_MAX_NAME: Final = 3000
"""Bytes as the event holds them: all attributes, the reason and a name stay below an event's 16 KiB, whatever a detector or a stranger wrote."""


def command_of(finding: Finding) -> str:
    """The command of deciding on a finding: the same in every replay, another one when the finding was told again with more behind it."""
    return f"auto-{finding.id}" if finding.count <= 1 else f"auto-{finding.id}.{finding.count}"


def subject_of(finding: Finding) -> str:
    """Whom a lock would name: the credential where all was done with one (docs/adr/0010), else the principal."""
    return f"credential:{finding.credential}" if finding.credential else f"principal:{canonical(finding.principal)}"


def automatic(finding: Finding, verdict: Verdict, standing: Lock | None, now: float, until: float) -> Lock | None:
    """The lock that a verdict makes; None when it makes none, or one is in force that is as high and ends no sooner. It never lowers what stands."""
    if verdict.choice not in LEVELS:
        return None
    level: Level = verdict.choice
    if standing is not None and standing.state == "locked" and LEVELS.index(standing.level) >= LEVELS.index(level):
        if standing.until is None or seconds_of(standing.until) >= until:
            return None
        level = standing.level
    return Lock(
        subject=subject_of(finding),
        state="locked",
        command=command_of(finding),
        reason=verdict.reason,
        by=ME,
        at=wire_time(now),
        until=wire_time(until),
        finding=finding.id,
        evidence=finding.evidence,
        level=level,
        drill=finding.drill,
    )


def about_finding(finding: Finding, verdict: Verdict, lock: Lock | None, standing: Lock | None, now: float) -> Decision:
    """The decision on a finding. `lock`: what was written for it; where it was written before a crash, it is told as it stands."""
    choice, reason = (lock.level, lock.reason) if lock else (verdict.choice, verdict.reason)
    if lock is None and choice in LEVELS and standing is not None:
        choice, reason = "note", f"locked already ({standing.level}, command {standing.command}): {verdict.reason}"
    return Decision(
        id=command_of(finding),
        at=wire_time(now),
        by=ME,
        choice=choice,
        subject=subject_of(finding),
        principal=finding.principal,
        reason=reason,
        detectors=[finding.detector, *(d for d in verdict.policy.get("seconds", "").split(", ") if d)],
        evidence=finding.evidence,
        findings=[finding.id],
        policy=verdict.policy,
        alternatives=[other for other in verdict.alternatives if other.choice != choice],
        lock=lock,
        drill=finding.drill,
    )


def about_lock(lock: Lock, principal: str | None, policy: dict[str, str], now: float) -> Decision:
    """The decision that a written lock is. The evidence of an order is the order itself: a signed event of the history."""
    return Decision(
        id=lock.command,
        at=wire_time(now),
        by=lock.by,
        choice=choice_of(lock),
        subject=lock.subject,
        principal=principal,
        reason=lock.reason,
        evidence=lock.evidence,
        findings=[lock.finding] if lock.finding else [],
        policy=policy,
        lock=lock,
        drill=lock.drill,
    )


def about_order(order: Order, ruling: Ruling, principal: str | None, now: float) -> Decision:
    """The decision on a person's order: carried out, waiting for a second person (a recommendation until then), withdrawing what waits, or refused."""
    signed = {"order": f"signed by {order.lock.by}, at {order.lock.at}", **ruling.policy}
    if ruling.lock is not None:
        return about_lock(ruling.lock, principal, signed, now)
    wanted = choice_of(order.lock)
    others = [] if order.withdraw else [Alternative(wanted, ruling.reason)]
    return msgspec.structs.replace(
        about_lock(order.lock, principal, signed, now),
        choice="recommend" if ruling.proposed else "note",
        reason=ruling.reason,
        alternatives=others,
        lock=None,
        proposed=ruling.proposed,
        expires=ruling.expires,
    )


def event_attrs(decision: Decision) -> dict[str, str]:
    """The ids of a decision as an event's attributes: by them, record and topic are joined."""
    attrs = {"decision": decision.id, "choice": decision.choice, "by": decision.by, "subject": decision.subject}
    listed = {
        "findings": ", ".join(decision.findings),
        "detectors": ", ".join(decision.detectors),
        "alternatives": "; ".join(f"{other.choice}: {other.reason}" for other in decision.alternatives),
        "evidence": " ".join("{}:{}:{}".format(*place) for place in decision.evidence[-20:]),
        "drill": decision.drill or "",
    }
    guards = {f"guard.{name}": said for name, said in decision.policy.items()}
    return {name: cut(value, _MAX_ATTR) for name, value in (attrs | listed | guards).items() if value}


def resource_of(subject: str) -> Resource:
    """The subject of a lock as an event's resource. A name that would fill the event is cut, and its digest tells it apart."""
    kind, _, name = subject.partition(":")
    short = cut(name, _MAX_NAME)
    return Resource(kind, name if short == name else f"{short}… blake2b:{blake2b(name.encode(), digest_size=16).hexdigest()}")


def cut(text: str, most: int) -> str:
    """The beginning of a text that takes at most so many bytes in JSON."""
    while len(msgspec.json.encode(text)) > most + 2:
        text = text[: len(text) * 3 // 4]
    return text
