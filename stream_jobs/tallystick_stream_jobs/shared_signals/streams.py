"""Streams as receivers configure them (SSF 1.0, section 8.1). Pure: a request and what was before give what is then, or StreamRefused."""

from typing import Any, Final

import msgspec

from .errors import StreamRefused
from .settings import ReceiverSettings, SignalsSettings
from .vocabulary import POLL, PUSH, SUPPORTED, Status

_MAX_EVENTS: Final = 50
_MAX_TEXT: Final = 1024
_RECEIVERS: Final = ("events_requested", "delivery", "description")
"""Properties that the receiver supplies; all others are ours, and may only be repeated."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream, as it is kept."""

    id: str
    receiver: str
    events_requested: list[str]
    method: str
    endpoint_url: str = ""
    """Where to push; empty for polling."""
    authorization: str = ""
    """The header that pushes carry. A secret: never shown, never logged."""
    description: str = ""
    status: Status = "enabled"
    reason: str = ""
    lost: int = 0
    """Events that were not kept because too many waited."""
    verified_at: float = 0.0
    """When a verification was last asked for; seconds since 1970."""
    last_error: str = ""
    """What was wrong last: the receiver's own words when it refused a token."""

    @property
    def delivered(self) -> list[str]:
        return [event for event in SUPPORTED if event in self.events_requested]

    @property
    def troubled(self) -> bool:
        """Whether a person should look: pushing fails, or events were lost and nobody has enabled it again."""
        return bool(self.last_error) or (self.status == "disabled" and self.lost > 0)


def poll_url(settings: SignalsSettings, stream_id: str) -> str:
    """Where a stream's tokens are fetched."""
    return f"{settings.issuer}/ssf/poll/{stream_id}"


def shown(stream: Stream, settings: SignalsSettings, receiver: ReceiverSettings) -> dict[str, Any]:
    """The configuration as the receiver sees it. The authorization header stays with us."""
    url = stream.endpoint_url if stream.method == PUSH else poll_url(settings, stream.id)
    return {
        "stream_id": stream.id,
        "iss": settings.issuer,
        "aud": receiver.audience,
        "events_supported": list(SUPPORTED),
        "events_requested": stream.events_requested,
        "events_delivered": stream.delivered,
        "delivery": {"method": stream.method, "endpoint_url": url},
        "min_verification_interval": settings.min_verification_interval,
        **({"description": stream.description} if stream.description else {}),
    }


def created(stream_id: str, receiver: str, request: dict[str, Any]) -> Stream:
    """A new stream. Without a delivery it is polled."""
    _known(request, ())
    return Stream(id=stream_id, receiver=receiver, **_supplied(request))


def patched(stream: Stream, request: dict[str, Any], now_shown: dict[str, Any]) -> Stream:
    """What is named changes, nothing else (PATCH)."""
    _ours(request, now_shown)
    changes = _supplied(request)
    named = {
        "events_requested": ("events_requested",),
        "delivery": ("method", "endpoint_url", "authorization"),
        "description": ("description",),
    }
    kept = {field for name in request if name in named for field in named[name]}
    return msgspec.structs.replace(stream, **{name: value for name, value in changes.items() if name in kept})


def replaced(stream: Stream, request: dict[str, Any], now_shown: dict[str, Any]) -> Stream:
    """What is not named is gone (PUT)."""
    _ours(request, now_shown)
    return msgspec.structs.replace(stream, **_supplied(request))


def _known(request: dict[str, Any], also: tuple[str, ...]) -> None:
    unknown = sorted(set(request) - {*_RECEIVERS, *also})
    if unknown:
        raise StreamRefused(400, f"a receiver cannot set {', '.join(map(repr, unknown))[:200]}")


def _ours(request: dict[str, Any], now_shown: dict[str, Any]) -> None:
    _known(request, tuple(now_shown))
    for name, value in request.items():
        if name not in _RECEIVERS and value != now_shown.get(name):
            raise StreamRefused(400, f"{name} is not what it was, and a receiver cannot change it")


def _supplied(request: dict[str, Any]) -> dict[str, Any]:
    events, text = request.get("events_requested", list(SUPPORTED)), request.get("description", "")
    if not isinstance(events, list) or len(events) > _MAX_EVENTS or not all(isinstance(e, str) and len(e) <= _MAX_TEXT for e in events):
        raise StreamRefused(400, f"events_requested must be a list of at most {_MAX_EVENTS} URIs")
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise StreamRefused(400, f"description must be a text of at most {_MAX_TEXT} characters")
    return {"events_requested": list(dict.fromkeys(events)), "description": text, **_delivery(request.get("delivery", {"method": POLL}))}


def _delivery(delivery: object) -> dict[str, str]:
    if not isinstance(delivery, dict) or delivery.get("method") not in (PUSH, POLL):
        raise StreamRefused(400, f"delivery must be an object whose method is {PUSH} or {POLL}")
    if delivery["method"] == POLL:
        return {"method": POLL, "endpoint_url": "", "authorization": ""}
    url, header = delivery.get("endpoint_url"), delivery.get("authorization_header", "")
    if not isinstance(url, str) or not 0 < len(url) <= _MAX_TEXT:
        raise StreamRefused(400, "delivery by push needs an endpoint_url")
    if not isinstance(header, str) or len(header) > 4 * _MAX_TEXT or not header.isascii() or not (header.isprintable() or not header):
        raise StreamRefused(400, "authorization_header must be printable ASCII")
    return {"method": PUSH, "endpoint_url": url, "authorization": header}


def with_status(stream: Stream, request: dict[str, Any]) -> Stream:
    """The receiver's wish (SSF 1.0, 8.1.2.2)."""
    status, reason = request.get("status"), request.get("reason", "")
    if status not in ("enabled", "paused", "disabled"):
        raise StreamRefused(400, "status must be enabled, paused or disabled")
    if not isinstance(reason, str) or len(reason) > _MAX_TEXT:
        raise StreamRefused(400, f"reason must be a text of at most {_MAX_TEXT} characters")
    if set(request) - {"stream_id", "status", "reason"}:
        raise StreamRefused(400, "a status has stream_id, status and reason; single subjects are added and removed")
    return msgspec.structs.replace(stream, status=status, reason=reason)
