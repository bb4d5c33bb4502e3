"""What a parser makes of a line: the arguments of `Recorder.encode`, and the small conversions that all parsers share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, Protocol
from urllib.parse import unquote

from tallystick_schemas.events import Actor, Resource, Source, Usage, Why
from tallystick_schemas.vocabulary import Outcome

from ..errors import LineRefused

_MAX_COUNT: Final = 2**63 - 1
_SECRET: Final = re.compile(r"(?i)token|key|sig|pass|secret|auth|cred|code|session")


@dataclass(frozen=True)
class LogEvent:
    """An event as a log tells it. `time` in the format's form: the log's own time, never ours."""

    time: str
    action: str
    actor: Actor
    resource: Resource
    outcome: Outcome
    usage: Usage | None = None
    source: Source | None = None
    attrs: Mapping[str, str] = field(default_factory=dict)


class Encode(Protocol):
    """`Recorder.encode`, as far as collectors use it."""

    def __call__(  # noqa: PLR0913, PLR0917 - the fields of an event
        self,
        action: str,
        actor: Actor,
        resource: Resource,
        outcome: Outcome = "allowed",
        why: Why | None = None,
        usage: Usage | None = None,
        source: Source | None = None,
        attrs: Mapping[str, str] | None = None,
        time: str | None = None,
    ) -> bytes: ...


def encode(event: LogEvent, encoder: Encode) -> bytes:
    """The event's bytes; InvalidEvent when it breaks a bound of the format."""
    return encoder(event.action, event.actor, event.resource, event.outcome, None, event.usage, event.source, event.attrs, event.time)


def text_of(line: bytes) -> str:
    """A line as text, its end removed. Bytes that are not UTF-8 are written as `\\xNN`, so that nothing of them is lost."""
    return line.decode("utf-8", "backslashreplace").rstrip("\r\n")


def wire(moment: datetime, zone: tzinfo = UTC) -> str:
    """A moment in the format's form; one without a zone is in `zone`. LineRefused when UTC has no such date."""
    try:
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise LineRefused(f"the time {moment} is outside the calendar") from error
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def time_of(text: str, form: str = "iso", zone: tzinfo = UTC) -> str:
    """A log's time: `iso`, `epoch` (seconds), `epoch_ms`, or a pattern of strptime; LineRefused when it is none."""
    try:
        if form == "iso":
            return wire(datetime.fromisoformat(text), zone)
        if form in ("epoch", "epoch_ms"):
            return wire(datetime.fromtimestamp(float(text) / (1000 if form == "epoch_ms" else 1), UTC))
        return wire(datetime.strptime(text, form), zone)  # noqa: DTZ007 - `wire` gives it the zone
    except (ValueError, OverflowError, OSError) as error:
        raise LineRefused(f"the time {text[:80]!r} is not in the form {form}") from error


def count_of(text: object) -> int | None:
    """A count of bytes or objects: 12, "12", "12.0"; None for nothing and for "-". LineRefused for anything else."""
    if text is None or text in ("", "-"):
        return None
    try:
        number = int(text) if isinstance(text, int) or (isinstance(text, str) and text.isdecimal()) else float(str(text))
        whole = int(number)
    except (ValueError, OverflowError) as error:
        raise LineRefused(f"{str(text)[:80]!r} is not a count") from error
    if whole != number or not 0 <= whole <= _MAX_COUNT:
        raise LineRefused(f"{str(text)[:80]!r} is not a count")
    return whole


def outcome_of(status: int) -> Outcome:
    """Of an HTTP status: 2xx and 3xx were allowed, 401, 403, 407, 429 and 451 denied, and the rest went wrong."""
    if 200 <= status < 400:
        return "allowed"
    return "denied" if status in (401, 403, 407, 429, 451) else "error"


def location(target: str) -> tuple[str, str | None]:
    """Path and query of a request's target. Values of parameters that look like secrets are taken out: a history is no place for them."""
    path, _, query = target.partition("?")
    return unquote(path, errors="backslashreplace") or "/", without_secrets(query) or None


def without_secrets(query: str) -> str:
    """Parameters, with the values of those that look like secrets taken out. Linear in the text: whoever sends a request chooses it."""
    return "&".join(map(_hide, query.split("&")))


def _hide(parameter: str) -> str:
    found = _SECRET.search(parameter)
    name = -1 if found is None else parameter.find("=", found.end())
    return parameter if name < 0 else parameter[:name] + "=REDACTED"


def strings(**values: Any) -> dict[str, str]:
    """Attributes: what is there, as text."""
    return {name: value if isinstance(value, str) else str(value) for name, value in values.items() if value not in (None, "", "-")}
