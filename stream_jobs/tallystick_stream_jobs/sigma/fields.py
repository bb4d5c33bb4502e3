"""The one table of field names: how Sigma, CloudTrail and OCSF call a field, where our record has it, and its column in the store.

docs/rules.md shows it, and a test compares the two.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tallystick_schemas.events import Event

Kind = Literal["text", "number", "flag", "list"]
Value = str | int | bool | list[str] | None
ATTRS: Final = "attrs."
_MAX_KEY: Final = 64


@dataclass(frozen=True)
class Field:
    """One field of an event. `column` is its column of table `events`; without one SQL reads it from the signed bytes."""

    name: str
    kind: Kind
    column: str | None = None
    aliases: tuple[str, ...] = field(default=(), repr=False)

    @property
    def path(self) -> tuple[str, ...]:
        """Its keys in the event's JSON."""
        if self.name.startswith(ATTRS):
            return ("attrs", self.name.removeprefix(ATTRS))
        return tuple(self.name.split("."))

    def reader(self) -> Callable[[Event], Any]:
        """A function that gives the field's Value; None where the event has it not, or null."""
        path = self.path
        if len(path) == 1:
            name = path[0]
            return lambda event: getattr(event, name)
        group, name = path
        if group == "attrs":
            return lambda event: event.attrs.get(name) if event.attrs else None
        if group in ("actor", "resource"):
            return lambda event: getattr(getattr(event, group), name)

        def optional(event: Event) -> Any:
            holder = getattr(event, group)
            return None if holder is None else getattr(holder, name)

        return optional


FIELDS: Final = (
    Field("action", "text", "action", ("api.operation",)),
    Field("outcome", "text", "outcome"),
    Field(
        "actor.principal",
        "text",
        "principal",
        ("principal", "user", "User", "user.name", "userName", "actor.user.name", "actor.user.uid", "userIdentity.arn"),
    ),
    Field("actor.kind", "text", "principal_kind"),
    Field("actor.credential", "text", "credential", ("credential", "userIdentity.accessKeyId", "actor.user.credential_uid")),
    Field("actor.session", "text", "session", ("session", "actor.session.uid")),
    Field("actor.device", "text", None, ("device", "device.uid")),
    Field("actor.mfa", "flag", None, ("mfa", "actor.session.is_mfa", "userIdentity.sessionContext.attributes.mfaAuthenticated")),
    Field("actor.roles", "list", None, ("roles",)),
    Field("resource.kind", "text", "resource_kind", ("resource.type",)),
    Field("resource.id", "text", "resource_id", ("resource", "resource.uid", "resources.ARN")),
    Field("resource.version", "text", "version", ("version",)),
    Field("resource.part", "text", "part", ("part", "file.name", "TargetFilename")),
    Field("resource.collection", "text", "collection", ("collection", "resource.group.name")),
    Field("resource.sensitivity", "text", "sensitivity", ("sensitivity",)),
    Field("resource.digest", "text", None, ("digest", "file.hashes.value")),
    Field("why.purpose", "text", "purpose", ("purpose",)),
    Field("why.grant", "text", "grant_id", ("grant",)),
    Field("why.ticket", "text", "ticket", ("ticket",)),
    Field("why.policies", "list", None, ("policies",)),
    Field("why.text", "text", None, ("reason",)),
    Field("usage.bytes", "number", "bytes", ("bytes", "traffic.bytes_out", "sc-bytes", "additionalEventData.bytesTransferredOut")),
    Field("usage.objects", "number", "objects", ("objects",)),
    Field("usage.tokens_in", "number", "tokens_in", ("tokens_in",)),
    Field("usage.tokens_out", "number", "tokens_out", ("tokens_out",)),
    Field("usage.duration_ms", "number", "duration_ms", ("duration", "duration_ms")),
    Field("usage.prompt_hash", "text", None, ("prompt_hash",)),
    Field("source.ip", "text", "ip", ("ip", "src_ip", "SourceIp", "sourceIPAddress", "src_endpoint.ip", "c-ip")),
    Field("source.country", "text", "country", ("country", "src_endpoint.location.country")),
    Field("source.asn", "number", None, ("asn", "src_endpoint.autonomous_system.number")),
    Field("source.user_agent", "text", "user_agent", ("userAgent", "http_request.user_agent", "cs-user-agent", "c-useragent")),
    Field("source.host", "text", "host", ("host", "hostname", "ComputerName", "src_endpoint.hostname")),
    Field("attrs.request_id", "text", "request_id", ("request_id", "requestID", "api.request.uid")),
    Field("attrs.event_name", "text", None, ("eventName",)),
    Field("attrs.event_source", "text", None, ("eventSource", "api.service.name")),
    Field("attrs.error_code", "text", None, ("errorCode", "api.response.error")),
    Field("attrs.region", "text", None, ("awsRegion", "cloud.region")),
    Field("attrs.account", "text", None, ("recipientAccountId", "cloud.account.uid")),
)
"""What our CloudTrail collector keeps of a record stands in attrs. Any other key of attrs is `attrs.<key>`, a text."""

PRINCIPAL: Final = "actor.principal"
_BY_NAME: Final = {name: one for one in FIELDS for name in (one.name, *one.aliases)}


def find_field(name: str) -> Field | None:
    """The field that a rule means; None where nobody records such a thing."""
    if (known := _BY_NAME.get(name)) is not None:
        return known
    key = name.removeprefix(ATTRS)
    return Field(name, "text") if name.startswith(ATTRS) and 0 < len(key) <= _MAX_KEY else None
