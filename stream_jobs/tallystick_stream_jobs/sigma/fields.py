"""The one table of field names: how Sigma, CloudTrail and OCSF call a field, and where our record has it.

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
    """One field of an event. SQL reads it from the signed bytes as well, and not from the column that a store derived of it."""

    name: str
    kind: Kind
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
    Field("action", "text", ("api.operation",)),
    Field("outcome", "text"),
    Field(
        "actor.principal",
        "text",
        ("principal", "user", "User", "user.name", "userName", "actor.user.name", "actor.user.uid", "userIdentity.arn"),
    ),
    Field("actor.kind", "text"),
    Field("actor.credential", "text", ("credential", "userIdentity.accessKeyId", "actor.user.credential_uid")),
    Field("actor.session", "text", ("session", "actor.session.uid")),
    Field("actor.device", "text", ("device", "device.uid")),
    Field("actor.mfa", "flag", ("mfa", "actor.session.is_mfa", "userIdentity.sessionContext.attributes.mfaAuthenticated")),
    Field("actor.roles", "list", ("roles",)),
    Field("resource.kind", "text", ("resource.type",)),
    Field("resource.id", "text", ("resource", "resource.uid", "resources.ARN")),
    Field("resource.version", "text", ("version",)),
    Field("resource.part", "text", ("part", "file.name", "TargetFilename")),
    Field("resource.collection", "text", ("collection", "resource.group.name")),
    Field("resource.sensitivity", "text", ("sensitivity",)),
    Field("resource.digest", "text", ("digest", "file.hashes.value")),
    Field("why.purpose", "text", ("purpose",)),
    Field("why.grant", "text", ("grant",)),
    Field("why.ticket", "text", ("ticket",)),
    Field("why.policies", "list", ("policies",)),
    Field("why.text", "text", ("reason",)),
    Field("usage.bytes", "number", ("bytes", "traffic.bytes_out", "sc-bytes", "additionalEventData.bytesTransferredOut")),
    Field("usage.objects", "number", ("objects",)),
    Field("usage.tokens_in", "number", ("tokens_in",)),
    Field("usage.tokens_out", "number", ("tokens_out",)),
    Field("usage.duration_ms", "number", ("duration", "duration_ms")),
    Field("usage.prompt_hash", "text", ("prompt_hash",)),
    Field("source.ip", "text", ("ip", "src_ip", "SourceIp", "sourceIPAddress", "src_endpoint.ip", "c-ip")),
    Field("source.country", "text", ("country", "src_endpoint.location.country")),
    Field("source.asn", "number", ("asn", "src_endpoint.autonomous_system.number")),
    Field("source.user_agent", "text", ("userAgent", "http_request.user_agent", "cs-user-agent", "c-useragent")),
    Field("source.host", "text", ("host", "hostname", "ComputerName", "src_endpoint.hostname")),
    Field("attrs.request_id", "text", ("request_id", "requestID", "api.request.uid")),
    Field("attrs.event_name", "text", ("eventName",)),
    Field("attrs.event_source", "text", ("eventSource", "api.service.name")),
    Field("attrs.error_code", "text", ("errorCode", "api.response.error")),
    Field("attrs.region", "text", ("awsRegion", "cloud.region")),
    Field("attrs.account", "text", ("recipientAccountId", "cloud.account.uid")),
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
