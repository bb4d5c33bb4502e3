"""What detection lost: T01 messages of `verified` that never came, T02 kept state that is gone or old. Pure."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from tallystick_schemas.envelope import Number
from tallystick_schemas.messages import Finding
from tallystick_schemas.signing import wire_time
from tallystick_schemas.words import counted

ME: Final = "detectors"


def messages_missing(partition: int, agent: str, number: Number, missing: int, now: float) -> Finding:
    """T01. The same gap has the same id."""
    text = (
        f"{counted(missing, 'message')} of {agent} before number {number.n} of its run {number.fence} did not come on partition {partition} of "
        "topic verified: no detector has seen those events. The history has them; look for what was deleted in Kafka."
    )
    return _finding(
        "T01", (agent, str(partition), f"{number.fence}/{number.n}"), "Verified events are missing", text, (agent, missing, now)
    )


def state_lost(partition: int, fence: int, lost: Sequence[str], now: float) -> Finding:
    """T02. The same loss has the same id."""
    text = (
        f"Of what the detectors kept of partition {partition}, values are gone or old: {', '.join(lost[:10])}{' and others' if len(lost) > 10 else ''}. "
        "What topic verified still holds is read again; windows of the time before know less."
    )
    return _finding("T02", (str(partition), str(fence), *lost), "Kept state of detection is gone or old", text, (ME, len(lost), now))


def _finding(detector: str, parts: tuple[str, ...], title: str, text: str, about: tuple[str, int, float]) -> Finding:
    agent, value, now = about
    return Finding(
        id=blake2b("\0".join((detector, *parts)).encode(), digest_size=16).hexdigest(),
        detector=detector,
        version=1,
        title=title,
        severity="high",
        principal=agent,
        subject="agent",
        time=wire_time(now),
        value=value,
        threshold=0,
        window_s=0,
        evidence=[],
        act="alert",
        deterministic=True,
        techniques=["T1562.008"],
        text=text[:1000],
        emitted_ms=int(now * 1000),
    )
