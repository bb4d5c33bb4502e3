"""AWS CloudTrail: a file is one JSON document whose `Records` are the items; a bare list, one record, or a record a line do as well."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tallystick_schemas.events import Actor, Resource, Source, Usage
from tallystick_schemas.vocabulary import ActorKind, Outcome

from ..errors import LineRefused
from .cloudtrail_names import action_of
from .fields import LogEvent, count_of, strings, time_of

_HUMANS: Final = frozenset({"IAMUser", "Root", "SAMLUser", "WebIdentityUser", "IdentityCenterUser", "FederatedUser"})
_DENIED: Final = ("AccessDenied", "Unauthorized", "Forbidden", "NotAuthorized", "AuthFailure", "ExpiredToken", "InvalidClientTokenId")


def records(document: bytes) -> list[Any]:
    """The items of a file, not yet checked; LineRefused when it is no CloudTrail document."""
    try:
        whole = msgspec.json.decode(document)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        try:
            return list(_lines(document))
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise LineRefused(f"not JSON: {error}") from error
    if (found := _batch(whole)) is not None:
        return found
    if not isinstance(whole, dict):
        raise LineRefused("neither a JSON object nor a list")
    if "eventName" not in whole:
        raise LineRefused("a JSON object without Records")
    return [whole]


def _batch(document: Any) -> list[Any] | None:
    """The records of a document that is more than one."""
    found = document.get("Records") if isinstance(document, dict) else document
    return found if isinstance(found, list) else None


def _lines(document: bytes) -> Iterator[Any]:
    """A line's records count as they would if it were the whole file: it was, before the next line came."""
    for line in document.splitlines():
        if line.strip():
            one = msgspec.json.decode(line)
            found = _batch(one)
            yield from [one] if found is None else found


def parse(record: Any) -> LogEvent:
    """The event of one record; LineRefused."""
    if not isinstance(record, dict):
        raise LineRefused("the record is not a JSON object")
    name, service = _text(record, "eventName"), _text(record, "eventSource")
    moment = _text(record, "eventTime")
    if not name or not service or not moment:
        raise LineRefused("the record has no eventName, eventSource or eventTime")
    identity = _table(record, "userIdentity")
    outcome = _outcome(record)
    action = action_of(service.removesuffix(".amazonaws.com"), name, outcome)
    extra = _table(record, "additionalEventData")
    moved = name == "GetObject" and outcome == "allowed"
    return LogEvent(
        time=time_of(moment),
        action=action,
        actor=_actor(identity, service),
        resource=_resource(record, service, name),
        outcome=outcome,
        usage=Usage(bytes=_count(extra, "bytesTransferredOut"), objects=1) if moved else None,
        source=Source(ip=_text(record, "sourceIPAddress"), user_agent=_text(record, "userAgent")),
        attrs=strings(
            event_name=name,
            event_source=service,
            event_id=_text(record, "eventID"),
            request_id=_text(record, "requestID"),
            region=_text(record, "awsRegion"),
            account=_text(record, "recipientAccountId"),
            error_code=_text(record, "errorCode"),
        ),
    )


def _text(table: Mapping[str, Any], name: str) -> str | None:
    value = table.get(name)
    return value if isinstance(value, str) and value else None


def _table(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = table.get(name)
    return value if isinstance(value, dict) else {}


def _count(table: Mapping[str, Any], name: str) -> int | None:
    value = table.get(name)
    return count_of(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None


def _outcome(record: Mapping[str, Any]) -> Outcome:
    code = _text(record, "errorCode")
    if _table(record, "responseElements").get("ConsoleLogin") == "Failure":
        return "denied"
    if code is None:
        return "allowed"
    return "denied" if any(word in code for word in _DENIED) else "error"


def _actor(identity: Mapping[str, Any], service: str) -> Actor:
    """The ARN where there is one: it holds account, role and session. Services that act by themselves have only a name."""
    kind = _text(identity, "type")
    named = (_text(identity, name) for name in ("arn", "invokedBy", "userName", "principalId", "accountId", "type"))
    person: ActorKind = "human" if kind in _HUMANS else "service"
    context = _table(_table(identity, "sessionContext"), "attributes")
    mfa = context.get("mfaAuthenticated")
    session = (_text(identity, "principalId") or "").partition(":")[2] if kind == "AssumedRole" else ""
    return Actor(
        next((name for name in named if name), service),
        person,
        credential=_text(identity, "accessKeyId"),
        session=session or None,
        mfa=None if mfa is None else str(mfa).lower() == "true",
    )


def _resource(record: Mapping[str, Any], service: str, name: str) -> Resource:
    """An S3 object or bucket, else the first resource with an ARN, else the API that was called."""
    asked = _table(record, "requestParameters")
    if bucket := _text(asked, "bucketName"):
        if key := _text(asked, "key"):
            return Resource("artifact", f"s3://{bucket}/{key}", version=_text(asked, "versionId"), collection=f"s3://{bucket}")
        return Resource("collection", f"s3://{bucket}")
    given = record.get("resources")
    for one in given if isinstance(given, list) else []:
        if isinstance(one, dict) and (arn := _text(one, "ARN")):
            return Resource("artifact", arn)
    for asked_name in ("modelId", "secretId", "snapshotId", "functionName", "roleName", "userName", "roleArn", "name"):
        if value := _text(asked, asked_name):
            return Resource("model" if asked_name == "modelId" else "artifact", f"{service}/{value}")
    return Resource("endpoint", f"{service}/{name}")
