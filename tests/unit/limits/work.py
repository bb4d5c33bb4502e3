"""What is done with bytes from outside, by the name of the handler: the real parsers, as their callers call them."""

import gzip
from collections.abc import Callable
from typing import Any

from tallystick_dashboard.tokens import open_link_token
from tallystick_infra.clickhouse.asking import checked
from tallystick_infra.clickhouse.bodies import inflate
from tallystick_infra.clickhouse.form import parse_form
from tallystick_infra.clickhouse.grants import Role
from tallystick_infra.clickhouse.statements import parse_request
from tallystick_producers.collectors import cloudtrail, combined, s3_access
from tallystick_producers.collectors.csv_rows import _split
from tallystick_producers.collectors.fields import text_of
from tallystick_producers.gateway.conditions import evaluate, range_applies
from tallystick_producers.gateway.exchange import Exchange
from tallystick_producers.gateway.hub_api import wanted_paths
from tallystick_producers.gateway.ranges import parse_range
from tallystick_producers.gateway.repo_meta import parse_meta
from tallystick_producers.gateway.routes import parse_route
from tallystick_producers.gateway.tokens import parse_tokens
from tallystick_schemas.envelope import parse_claim
from tallystick_schemas.events import parse_event
from tallystick_schemas.fold import Fold, Parameters
from tallystick_schemas.names import _canonical
from tallystick_schemas.notes import parse_note
from tallystick_schemas.receipts import parse_receipts
from tallystick_schemas.shown import shown
from tallystick_schemas.strict_json import check_json
from tallystick_stream_jobs.policy.parse import parse as parse_policy
from tallystick_stream_jobs.shared_signals.jwks import parse_jwks
from tallystick_stream_jobs.shared_signals.verify import _header

_NOBODY = Parameters.of(0, "x/shard/0", (), ())
_DATES = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")


def _exchange(headers: list[tuple[bytes, bytes]], query: bytes = b"") -> Exchange:
    scope = {"method": "GET", "path": "/", "query_string": query, "headers": headers}
    receive: Any = None
    return Exchange(scope, receive, receive, "id")


def _conditions(raw: bytes) -> None:
    text = raw.decode("latin-1")
    for name in _DATES:
        evaluate({name: text}, "a", 0)
    range_applies({"if-range": text}, "a", 0)


def _statement(role: Role) -> Callable[[bytes], object]:
    return lambda raw: checked(role, "tallystick", "", parse_request({}, raw, readonly=False))


def _cloudtrail(raw: bytes) -> None:
    for record in cloudtrail.records(raw):
        cloudtrail.parse(record)


BY_NAME: dict[str, Callable[[bytes], object]] = {
    "strict JSON": check_json,
    "an event": parse_event,
    "a record on `events`: frame and header": lambda raw: Fold(_NOBODY).fold(raw, 0, 0),
    "an envelope of the control plane": parse_claim,
    "a signed note": parse_note,
    "receipts": parse_receipts,
    "a request's path": parse_route,
    "a request's headers": lambda raw: _exchange([(b"a", raw[at : at + 8]) for at in range(0, len(raw), 8)]),
    "a request's query": lambda raw: _exchange([], raw).query,
    "`Range`": lambda raw: parse_range(raw.decode("latin-1"), 1 << 40),
    "`If-Match`, `If-None-Match`, dates": _conditions,
    "paths of `paths-info`": wanted_paths,
    "a signal's token, before its key": _header,
    "an issuer's key set": parse_jwks,
    "a link to sign in": lambda raw: open_link_token(bytes(32), raw.decode("latin-1"), 0.0),
    "a statement to the store": _statement("auditor"),
    "an insert to the store": _statement("notary"),
    "a form to the store": lambda raw: parse_form("multipart/form-data; boundary=x", raw),
    "a compressed body to the store": lambda raw: inflate(gzip.compress(raw, 1), "gzip", "auditor"),
    "a token file": parse_tokens,
    "a repository's `tallystick.json`": parse_meta,
    "a line of an S3 access log": s3_access.parse,
    "a line of a web server's log": combined.parse,
    "a CloudTrail document": _cloudtrail,
    "a row of CSV": lambda raw: _split(text_of(raw)),
    "the policy file": lambda raw: parse_policy(raw.decode()),
    "a name of a principal": lambda raw: _canonical.__wrapped__(raw.decode()),  # names that were seen before cost nothing,
    "text that is shown": lambda raw: shown(raw.decode()),
}
