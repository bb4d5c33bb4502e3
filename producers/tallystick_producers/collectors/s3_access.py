"""Amazon S3's server access log: fields apart by spaces, quoted or in brackets, and newer ones at the end."""

import re
from itertools import islice
from typing import Final
from urllib.parse import unquote_plus

from tallystick_schemas.events import Actor, Resource, Source, Usage
from tallystick_schemas.vocabulary import ActorKind

from ..errors import LineRefused
from .fields import LogEvent, count_of, outcome_of, strings, text_of, time_of, without_secrets

_FIELD: Final = re.compile(r'"(.*?)"(?= |$)|\[([^\]]*)\]|(\S+)')
_MOST: Final = 40
_FEWEST: Final = 18
"""Up to the version id: what every edition of the log has."""
_ACTIONS: Final = {
    "GET.OBJECT": "artifact.download",
    "PUT.OBJECT": "artifact.upload",
    "POST.OBJECT": "artifact.upload",
    "PUT.PART": "artifact.upload",
    "COPY.OBJECT": "artifact.copy",
    "COPY.OBJECT_GET": "artifact.copy",
    "COPY.PART_GET": "artifact.copy",
    "DELETE.OBJECT": "artifact.delete",
    "EXPIRE.OBJECT": "artifact.delete",
    "POST.MULTI_OBJECT_DELETE": "artifact.delete",
    "HEAD.OBJECT": "artifact.list",
    "HEAD.BUCKET": "artifact.list",
    "GET.BUCKET": "artifact.list",
    "GET.BUCKETVERSIONS": "artifact.list",
    "PUT.ACL": "artifact.share",
    "PUT.BUCKETPOLICY": "artifact.share",
}


def parse(line: bytes) -> LogEvent:
    """The event of one line; LineRefused."""
    text = text_of(line)
    fields = [next((group for group in found.groups() if group is not None), "") for found in islice(_FIELD.finditer(text), _MOST)]
    if len(fields) < _FEWEST:
        raise LineRefused(f"not a line of the S3 access log: {len(fields)} fields, at least {_FEWEST} are expected")
    _, bucket, moment, address, requester, request_id, operation, key, _, status, error, sent, size = fields[:13]
    if bucket == "-" or not operation or not re.fullmatch(r"\d{3}|-", status, re.ASCII):
        raise LineRefused("not a line of the S3 access log: bucket, operation or status is missing")
    action = _ACTIONS.get(operation.partition(".")[2], "access.check")
    # S3 itself acts without a status (an expiry, a copy's other half): it was done.
    outcome = outcome_of(int(status)) if status != "-" else "allowed"
    moved = action in ("artifact.download", "artifact.copy")
    return LogEvent(
        time=time_of(moment, "%d/%b/%Y:%H:%M:%S %z"),
        action=action,
        actor=Actor(requester if requester not in ("", "-") else "anonymous", _kind(requester)),
        resource=Resource(
            "artifact" if key not in ("", "-") else "collection",
            f"s3://{bucket}/{unquote_plus(key, errors='backslashreplace')}" if key not in ("", "-") else f"s3://{bucket}",
            version=_given(fields[17]),
            collection=f"s3://{bucket}",
        ),
        outcome=outcome,
        usage=Usage(
            bytes=count_of(sent if moved or sent not in ("", "-") else size), objects=1 if moved and outcome == "allowed" else None
        ),
        source=Source(ip=_given(address), user_agent=_given(fields[16])),
        attrs=strings(operation=operation, status=status, error_code=error, request_id=request_id, referrer=without_secrets(fields[15])),
    )


def _given(text: str) -> str | None:
    return text if text not in ("", "-") else None


def _kind(requester: str) -> ActorKind:
    """A user of IAM is a person; roles, services and canonical ids are not known to be."""
    return "human" if ":user/" in requester or requester in ("", "-") else "service"
