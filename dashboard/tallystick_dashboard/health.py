"""The health strip, pure: what the shells last saw, and the sentence and level that follow from it at `now`.

Nothing here is green by default: a part that said nothing is unknown, and old news is stale.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from tallystick_schemas.notices import BREAKER_WINDOW_S
from tallystick_schemas.words import LET_IT_GO_ON, counted

Level = Literal["good", "late", "bad", "unknown"]

_SILENT_S: Final = 15.0
_LATE_S: Final = 10.0
_STALE_S: Final = 30.0
_BUSY_S: Final = 3.0
_BEHIND_S: Final = 10.0


@dataclass(frozen=True)
class HealthItem:
    """One cell of the strip. `hint` says what it means and what to do."""

    key: str
    label: str
    value: str
    level: Level
    hint: str


@dataclass(frozen=True)
class Waiting:
    """Records of `verified` that the detectors have not finished, and when the broker took the oldest of them (None: nothing waits, or it was not read)."""

    records: int
    since: float | None


@dataclass
class Observed:
    """What the shells saw last; times are seconds since 1970, None until something was seen."""

    ledger_read: float | None = None
    """When the store answered last."""
    newest_entry: float | None = None
    behind: int | None = None
    """Records that Kafka has and the ledger has not."""
    kafka_read: float | None = None
    """When Kafka said last where its topics end. What it was asked for is as old as this."""
    checkpoint_time: float | None = None
    checkpoint_size: int = 0
    """Entries under checkpoints whose signature held."""
    checkpoint_problem: str | None = None
    locks_heartbeat: float | None = None
    locks_agree: bool | None = None
    """Whether the topic of locks holds what that heartbeat speaks of."""
    detection: Waiting | None = None
    detection_read: float | None = None
    """When Kafka was asked for it last."""
    seal_interval: float = 2.0
    breaker_at: float | None = None
    """When the breaker last held something back."""
    unheard: int | None = None
    """Words on the topics that the console refuses because it knows no role for who signed them; None before it judged any."""
    points: Mapping[str, float] = field(default_factory=dict)
    """Enforcement points -> when they last said that they are there, by the broker's clock."""


def health_strip(seen: Observed, now: float) -> tuple[HealthItem, ...]:
    """The strip's cells, in their order."""
    cells = (_ingest, _checkpoint, _detection, _jobs, _locks, _points)
    return (*(cell(seen, now) for cell in cells), _unheard(seen, now))


def age_text(seconds: float) -> str:
    """A short age: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`."""
    seconds = max(0.0, seconds)
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _level(age: float, late: float = _LATE_S, stale: float = _STALE_S) -> Level:
    return "good" if age < late else "late" if age < stale else "bad"


def _kafka_is_read(seen: Observed, now: float) -> bool:
    return seen.kafka_read is not None and now - seen.kafka_read <= _LATE_S


def _ingest(seen: Observed, now: float) -> HealthItem:
    label = "Ingest"
    if seen.ledger_read is None:
        return HealthItem("ingest", label, "not read yet", "unknown", "The ledger has not answered yet. Is ClickHouse up?")
    if (silent := now - seen.ledger_read) > _LATE_S:
        return HealthItem(
            "ingest", label, f"stale, {age_text(silent)}", "bad", f"ClickHouse does not answer, and what you see is old: {LET_IT_GO_ON}."
        )
    if seen.newest_entry is None:
        return HealthItem("ingest", label, "no entries", "unknown", "The ledger is empty. Start an agent, or `tallystick demo`.")
    age = now - seen.newest_entry
    level = _level(age, _LATE_S + seen.seal_interval, _STALE_S + seen.seal_interval)
    value = f"newest {age_text(age)} ago"
    if not _kafka_is_read(seen, now):
        # How far the ledger is behind is half of what this cell is for.
        hint = "Kafka has not said lately what it holds, so whether records wait for the ledger is not known."
        return HealthItem("ingest", label, f"{value}; waiting: not known", "unknown" if level == "good" else level, hint)
    if seen.behind:
        value = f"{seen.behind:,} behind, {value}"
    return HealthItem("ingest", label, value, level, "Age of the ledger's newest entry, and records in Kafka that it does not hold yet.")


def _checkpoint(seen: Observed, now: float) -> HealthItem:
    label = "Sealed"
    if seen.checkpoint_problem:
        return HealthItem("sealed", label, "not verified", "bad", seen.checkpoint_problem)
    if seen.checkpoint_time is None:
        return HealthItem("sealed", label, "no checkpoint", "unknown", "No checkpoint is stored yet. Does the sealer run?")
    age = now - seen.checkpoint_time
    value = f"{counted(seen.checkpoint_size, 'entry', 'entries')}, {age_text(age)} ago"
    return HealthItem(
        "sealed",
        label,
        value,
        _level(age),
        "Entries under the newest checkpoints. The console checked their signatures against the pinned keys.",
    )


def _detection(seen: Observed, now: float) -> HealthItem:
    label, waiting = "Detection", seen.detection
    if waiting is None or seen.detection_read is None:
        return HealthItem("detection", label, "not asked yet", "unknown", "Kafka has not said yet how far the detectors are.")
    if (silent := now - seen.detection_read) > _LATE_S:
        return HealthItem(
            "detection", label, f"stale, {age_text(silent)}", "bad", f"Kafka does not say how far the detectors are: {LET_IT_GO_ON}."
        )
    if not waiting.records:
        return HealthItem("detection", label, "up to date", "good", "The detectors have seen every verified event.")
    if waiting.since is None:
        return HealthItem("detection", label, f"{waiting.records:,} behind", "late", "Verified records wait for the detectors.")
    age = max(0.0, now - waiting.since)
    # Detectors say once a second how far they are, so a second or two is nothing.
    value = "up to date" if age < _BUSY_S else f"{age_text(age)} behind"
    hint = f"{counted(waiting.records, 'verified record')} wait for the detectors. What is in them is found, and locked, that much later."
    return HealthItem("detection", label, value, _level(age, _BUSY_S, _BEHIND_S), hint)


def _jobs(seen: Observed, now: float) -> HealthItem:
    states = {
        "notary": None if seen.newest_entry is None else _level(now - seen.newest_entry, _LATE_S + seen.seal_interval),
        "sealer": None if seen.checkpoint_time is None else _level(now - seen.checkpoint_time),
        "responder": None if seen.locks_heartbeat is None else _level(now - seen.locks_heartbeat, 5.0),
        "detectors": _detectors(seen, now),
    }
    alive = [name for name, level in states.items() if level == "good"]
    unknown = [name for name, level in states.items() if level is None]
    silent = [name for name in states if name not in alive and name not in unknown]
    told = [f"{word}: {', '.join(names)}." for word, names in (("Silent", silent), ("Not known", unknown)) if names]
    hint = "Each job is judged by what it writes. " + (" ".join(told) or "All are writing.")
    level: Level = "bad" if silent else "unknown" if unknown else "good"
    return HealthItem("jobs", "Jobs", f"{len(alive)} of {len(states)} alive", level, hint)


def _detectors(seen: Observed, now: float) -> Level | None:
    """Alive is who gets on: heartbeats of agents come at least twice a minute. None where Kafka did not say so lately."""
    if seen.detection is None or seen.detection_read is None or now - seen.detection_read > _LATE_S:
        return None
    return "good" if seen.detection.since is None else _level(now - seen.detection.since, _STALE_S)


def _locks(seen: Observed, now: float) -> HealthItem:
    label = "Locks"
    if seen.locks_heartbeat is None:
        return HealthItem("locks", label, "no heartbeat", "unknown", "The responder has not spoken yet. Gateways deny until it does.")
    if seen.breaker_at is not None and now - seen.breaker_at < BREAKER_WINDOW_S:
        return HealthItem("locks", label, "breaker open", "bad", "Too many automatic locks in 10 minutes: findings wait for people.")
    if seen.locks_agree is False:
        hint = "The topic of locks lost values, or holds some back: it is not what the responder wrote. Gateways deny everybody until it is again."
        return HealthItem("locks", label, "topic differs", "bad", hint)
    if seen.locks_agree is None:
        hint = "Whether the topic holds the locks that the responder's heartbeat speaks of was not looked at yet."
        return HealthItem("locks", label, "not compared", "unknown", hint)
    age = now - seen.locks_heartbeat
    hint = "Age of the responder's heartbeat. Gateways deny everything when it is older than 30 s."
    return HealthItem("locks", label, f"heartbeat {age_text(age)}", _level(age, 5.0), hint)


def _points(seen: Observed, now: float) -> HealthItem:
    label = "Points"
    if not seen.points:
        return HealthItem("points", label, "none", "unknown", "No enforcement point has registered: nobody would deny who is locked.")
    silent = sorted(name for name, at in seen.points.items() if now - at > _SILENT_S)
    hint = (
        f"Silent: {', '.join(silent[:5])}. Who is locked may get in there."
        if silent
        else "Each says every 3 s that it denies who is locked."
    )
    return HealthItem("points", label, f"{len(seen.points) - len(silent)} of {len(seen.points)} heard", "bad" if silent else "good", hint)


def _unheard(seen: Observed, now: float) -> HealthItem:
    """Drawn only when there are some: the strip is narrow."""
    label = "Refused"
    if seen.unheard is None or (not seen.unheard and not _kafka_is_read(seen, now)):
        return HealthItem("unheard", label, "not known", "unknown", "The topics were not read lately.")
    if not seen.unheard:
        return HealthItem("unheard", label, "none", "good", "Every word that was read is of who may say it.")
    hint = "Signed by keys without that role, or with one that was revoked: what they say is not shown. `tallystick agent list` tells who has which."
    return HealthItem("unheard", label, counted(seen.unheard, "word"), "late", hint)
