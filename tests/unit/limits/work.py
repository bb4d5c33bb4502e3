"""What is done with bytes from outside, by the name of the handler: the real parsers, as their callers call them."""

import gzip
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tallystick_dashboard.tokens import open_link_token
from tallystick_infra.clickhouse.asking import checked
from tallystick_infra.clickhouse.bodies import inflate
from tallystick_infra.clickhouse.form import parse_form
from tallystick_infra.clickhouse.grants import Role
from tallystick_infra.clickhouse.statements import parse_request
from tallystick_producers.collectors import RowMapping, cloudtrail, combined, s3_access
from tallystick_producers.collectors.csv_rows import CsvRows, _split
from tallystick_producers.collectors.fields import text_of
from tallystick_producers.collectors.json_lines import JsonLines
from tallystick_producers.gateway.conditions import evaluate, range_applies
from tallystick_producers.gateway.exchange import Exchange
from tallystick_producers.gateway.hub_api import wanted_paths
from tallystick_producers.gateway.ranges import parse_range
from tallystick_producers.gateway.repo_meta import parse_meta
from tallystick_producers.gateway.routes import parse_route
from tallystick_producers.gateway.tokens import parse_tokens
from tallystick_producers.toml_text import parse_toml
from tallystick_schemas.bulk import parse_each
from tallystick_schemas.checkpoints import parse_checkpoint, parse_topology
from tallystick_schemas.directives import open_directive
from tallystick_schemas.entries import parse_entry
from tallystick_schemas.envelope import parse_claim
from tallystick_schemas.errors import TallystickError
from tallystick_schemas.events import parse_event
from tallystick_schemas.facts import parse_facts
from tallystick_schemas.fold import Fold, Parameters
from tallystick_schemas.messages import Decision, Delivery, Denial, LockAck, Point, parse_batch, parse_finding, parse_lock, parse_message
from tallystick_schemas.names import _canonical
from tallystick_schemas.notes import parse_note
from tallystick_schemas.receipts import parse_receipts
from tallystick_schemas.records import split_items
from tallystick_schemas.shown import shown
from tallystick_schemas.state import parse_state
from tallystick_schemas.strict_json import check_json
from tallystick_stream_jobs.connectors.http import Answer, _after_s
from tallystick_stream_jobs.detectors.kept import decode_kept
from tallystick_stream_jobs.detectors.reading import decode_event
from tallystick_stream_jobs.policy.parse import parse as parse_policy
from tallystick_stream_jobs.shared_signals.jwks import parse_jwks
from tallystick_stream_jobs.shared_signals.polling import _wish
from tallystick_stream_jobs.shared_signals.push import _refusal
from tallystick_stream_jobs.shared_signals.streams import created, patched, with_status
from tallystick_stream_jobs.shared_signals.subjects import canonical, check_simple
from tallystick_stream_jobs.shared_signals.verify import _header
from tallystick_stream_jobs.sigma.parse import parse_rules

from .work_libraries import callback, drip, head, iam, with_aiokafka, with_kafka_python

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


def _read(kind: Any) -> Callable[[bytes], object]:
    return lambda raw: parse_message(kind, raw)


def _statement(role: Role) -> Callable[[bytes], object]:
    return lambda raw: checked(role, "tallystick", "", parse_request({}, raw, readonly=False))


def _cloudtrail(raw: bytes) -> None:
    for record in cloudtrail.records(raw):
        cloudtrail.parse(record)


def _each(*works: Callable[[Any], object]) -> Callable[[Any], None]:
    """All of them on the same, whichever refuses."""

    def done(given: Any) -> None:
        for work in works:
            with suppress(TallystickError):
                work(given)

    return done


_STREAM = created("s", "r", {})
_asked = _each(
    lambda asked: created("s", "r", asked),
    lambda asked: patched(_STREAM, asked, {}),
    lambda asked: with_status(_STREAM, asked),
    lambda asked: canonical(check_simple(asked.get("subject"))),
    _wish,
)
_MAPPING = RowMapping(
    {
        "time": {"value": "{t}", "format": "%Y-%m-%d %H:%M:%S"},
        "action": "artifact.read",
        "principal": "{u}@example.org",
        "resource": {"kind": "model", "id": "{r}/{r}"},
        "usage": {"bytes": "{n}"},
    }
)


def _answer(raw: bytes) -> None:
    _refusal("h", raw)
    Answer("h", 200, {}, raw).json()


def _later(raw: bytes) -> None:
    text = raw.decode("latin-1")
    _after_s({"retry-after": text, "date": text})


BY_NAME: dict[str, Callable[[bytes], object]] = {
    "strict JSON": check_json,
    "an event": parse_event,
    "a record on `events`: frame and header": lambda raw: Fold(_NOBODY).fold(raw, 0, 0),
    "an envelope of the control plane": parse_claim,
    "a signed note": parse_note,
    "receipts": parse_receipts,
    "bodies on `verified` and `acts`": parse_batch,
    "bodies of findings": parse_finding,
    "bodies on `locks`": lambda raw: parse_lock(b"principal:a", raw),
    "bodies of decisions, deliveries, points, proofs": _each(*(_read(kind) for kind in (Decision, Delivery, Denial, LockAck, Point))),
    "detectors' kept state": lambda raw: decode_kept(raw, "it"),
    "an operator's directive": lambda raw: open_directive(raw, {}),
    "events of a segment": lambda raw: parse_each(split_items(raw)),
    "an event, as detectors read it": decode_event,
    "an entry of the ledger": parse_entry,
    "facts of a seal": parse_facts,
    "a checkpoint's text, a topology": _each(parse_topology, lambda raw: parse_checkpoint(raw.decode())),
    "a snapshot's state": parse_state,
    "a connection's bytes in one piece": head,
    "a connection's bytes, a few at a time": drip,
    "a fetch of Kafka, with kafka-python": with_kafka_python,
    "a fetch of Kafka, with aiokafka": with_aiokafka,
    "a callback of the console": callback,
    "a request about signals' streams": lambda raw: _asked(check_json(raw)),
    "an answer in JSON": _answer,
    "an answer in XML": iam,
    "`Retry-After`, `Date`": _later,
    "a line of JSON, by a mapping": JsonLines(_MAPPING),
    "a line of CSV, by a mapping": CsvRows(_MAPPING, b"t,u,r,n"),
    "rules in Sigma": lambda raw: parse_rules("a rule", raw),
    "settings and mappings": parse_toml,
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
