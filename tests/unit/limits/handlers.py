"""Every parser that bytes from outside reach, with its bound and the inputs that would cost it most. `docs/limits.md` is made of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tallystick_dashboard.guard import MAX_BODY_BYTES as MAX_CALLBACK
from tallystick_dashboard.tokens import MAX_TOKEN
from tallystick_infra.clickhouse import form
from tallystick_infra.clickhouse.bodies import MAX_INSERT
from tallystick_infra.clickhouse.statements import MAX_QUERY
from tallystick_producers.batch_form import MOST_PARTS
from tallystick_producers.gateway.app import MAX_BODY
from tallystick_producers.gateway.exchange import MAX_FIELDS
from tallystick_producers.gateway.ranges import MAX_RANGES, MAX_SPECS
from tallystick_producers.gateway.repo_meta import MAX_META_BYTES
from tallystick_producers.gateway.routes import MAX_PATH
from tallystick_producers.gateway.tokens import MAX_LINE
from tallystick_producers.serving import Limits
from tallystick_producers.toml_text import MAX_BYTES as MAX_TOML
from tallystick_producers.toml_text import MAX_PARTS
from tallystick_producers.unpacking import MOST_BYTES
from tallystick_schemas.entries import MAX_ENTRY_BYTES
from tallystick_schemas.envelope import MAX_MESSAGE_BYTES
from tallystick_schemas.events import MAX_EVENT_BYTES
from tallystick_schemas.headers import MAX_HEADER_BYTES
from tallystick_schemas.names import MAX_CANONICAL
from tallystick_schemas.notes import MAX_NOTE_BYTES, MAX_SIGNATURES
from tallystick_schemas.records import MAX_BODY_BYTES
from tallystick_schemas.segments import MAX_SEGMENT_EVENTS
from tallystick_stream_jobs.policy import yaml_text
from tallystick_stream_jobs.shared_signals.jwks import MAX_BYTES, MAX_KEYS
from tallystick_stream_jobs.shared_signals.polling import MAX_ACKS
from tallystick_stream_jobs.shared_signals.requests import BODY_S
from tallystick_stream_jobs.shared_signals.requests import MAX_BODY as MAX_REQUEST
from tallystick_stream_jobs.shared_signals.verify import MAX_SET_BYTES
from tallystick_stream_jobs.sigma import source

from .shapes import AMZ, COMBINED, FORM, HEADERS, JSON, LINES, NOTES, PATHS, RANGES, RECORDS, SQL, TOKENS, YAML, Shapes
from .shapes_libraries import BATCHES, CALLBACKS, CELLS, CHECKPOINTS, DATES, HEADS, ITEMS, MESSAGES, REQUESTS, ROWS, RULES, TOML, XML
from .work import BY_NAME


@dataclass(frozen=True)
class Handler:
    """`who`: whose bytes reach it. `bound`: what is looked at, at the most. `shapes`: size -> input, each of about so many bytes."""

    name: str
    who: str
    bound: str
    shapes: Shapes
    size: int = 4096

    @property
    def work(self) -> Callable[[Any], object]:
        """What is done with an input; it may refuse."""
        return BY_NAME[self.name]


def _kib(size: int) -> str:
    return f"{size >> 20} MiB" if size % (1 << 20) == 0 else f"{size >> 10} KiB"


_HEAD = _kib(Limits().head_bytes)
_FIELDS = f"{form.MAX_FIELDS:,} fields of {_kib(form.MAX_VALUE)}, {form.MAX_HEAD:,} bytes of headers each"
_FRAMING = f"a head {_HEAD}, what stands beside a body {_HEAD} since its last byte"
_MESSAGE = f"{MAX_MESSAGE_BYTES:,} bytes, once a signature fits"
_FETCH = f"{_kib(MOST_BYTES)} a batch, {MOST_PARTS:,} records and headers in it"
PART, ANSWERS, RECEIVER, SIGNED_IN = "a part of ours", "another system that is told of locks", "who receives signals", "who is signed in"
STRANGER, HAS_PASSWORD, AGENT, AUDITOR = "a stranger", "who has a Kafka password", "an agent", "any user of the store"
STORE = "the store"
TOKEN, ISSUER, OPERATOR, LOGS = "who has a token", "who pushes signals", "who writes the file", "who writes lines of a log"

HANDLERS = (
    Handler("strict JSON", "everybody below", "its reader's bound; 8 levels", JSON, 16 << 10),
    Handler("an event", AGENT, f"{MAX_EVENT_BYTES:,} bytes", JSON, 2048),
    Handler(
        "a record on `events`: frame and header", HAS_PASSWORD, f"header {MAX_HEADER_BYTES:,} bytes, body {MAX_BODY_BYTES:,}", RECORDS, 512
    ),
    Handler(
        "an envelope of the control plane",
        HAS_PASSWORD,
        f"{MAX_MESSAGE_BYTES:,} bytes; its body is not looked at before its signature fits",
        RECORDS,
    ),
    Handler("a signed note", f"{STORE}, a witness", f"{MAX_NOTE_BYTES:,} bytes, {MAX_SIGNATURES} signatures", NOTES),
    Handler("receipts", HAS_PASSWORD, f"{MAX_MESSAGE_BYTES:,} bytes, once the notary's signature fits", JSON, 16 << 10),
    Handler("bodies on `verified` and `acts`", PART, _MESSAGE, MESSAGES, 16 << 10),
    Handler("bodies of findings", PART, _MESSAGE, JSON, 16 << 10),
    Handler("bodies on `locks`", PART, _MESSAGE, JSON, 16 << 10),
    Handler("bodies of decisions, deliveries, points, proofs", PART, _MESSAGE, JSON, 16 << 10),
    Handler("detectors' kept state", PART, _MESSAGE, MESSAGES, 16 << 10),
    Handler("an operator's directive", HAS_PASSWORD, f"header {MAX_HEADER_BYTES:,} bytes, body {MAX_BODY_BYTES:,}", RECORDS, 512),
    Handler("events of a segment", AGENT, f"{MAX_BODY_BYTES:,} bytes, {MAX_SEGMENT_EVENTS} events", ITEMS, 16 << 10),
    Handler("an event, as detectors read it", AGENT, f"{MAX_EVENT_BYTES:,} bytes, once the notary accepted it", JSON, 2048),
    Handler("facts of a seal", STORE, f"{MAX_ENTRY_BYTES:,} bytes", JSON, 8192),
    Handler("a checkpoint's text, a topology", STORE, f"{MAX_NOTE_BYTES:,} bytes", CHECKPOINTS, 8192),
    Handler("an entry of the ledger", STORE, f"{MAX_ENTRY_BYTES:,} bytes", RECORDS),
    Handler("a snapshot's state", "the notary", "the row, once a notary's signature fits", JSON, 16 << 10),
    Handler("a connection's bytes in one piece", STRANGER, _FRAMING, HEADS),
    Handler("a connection's bytes, a few at a time", STRANGER, f"{_FRAMING}; {Limits().head_s:.0f} s", HEADS, 1024),
    Handler("a fetch of Kafka, with kafka-python", HAS_PASSWORD, _FETCH, BATCHES, 8192),
    Handler("a fetch of Kafka, with aiokafka", HAS_PASSWORD, _FETCH, BATCHES, 8192),
    Handler("a callback of the console", SIGNED_IN, _kib(MAX_CALLBACK), CALLBACKS, 64 << 10),
    Handler(
        "a request about signals' streams", RECEIVER, f"{_kib(MAX_REQUEST)}; to poll 256 KiB, {MAX_ACKS:,} acknowledgements", REQUESTS, 8192
    ),
    Handler("an answer in JSON", ANSWERS, "1 MiB, to a poll of signals 4 MiB", JSON, 64 << 10),
    Handler("an answer in XML", ANSWERS, "1 MiB", XML, 64 << 10),
    Handler("`Retry-After`, `Date`", ANSWERS, "what the library takes of a head", DATES, 16 << 10),
    Handler("a request's path", STRANGER, f"{MAX_PATH:,} bytes", PATHS, 512),
    Handler("a request's headers", STRANGER, _HEAD, HEADERS, 4096),
    Handler("a request's query", STRANGER, f"{_HEAD}, {MAX_FIELDS} fields", HEADERS, 4096),
    Handler("`Range`", TOKEN, f"{MAX_SPECS} ranges, {MAX_RANGES} after joining", RANGES, 4096),
    Handler("`If-Match`, `If-None-Match`, dates", TOKEN, _HEAD, HEADERS, 4096),
    Handler("paths of `paths-info`", TOKEN, _kib(MAX_BODY), JSON, 16 << 10),
    Handler("a signal's token, before its key", ISSUER, f"{_kib(MAX_SET_BYTES)}, {BODY_S:.0f} s", TOKENS),
    Handler("an issuer's key set", "an issuer", f"{_kib(MAX_BYTES)}, {MAX_KEYS} keys", JSON, 8192),
    Handler("a link to sign in", STRANGER, f"{MAX_TOKEN:,} characters", TOKENS),
    Handler("a statement to the store", AUDITOR, f"{_kib(MAX_QUERY)}, inserts {_kib(MAX_INSERT)}", SQL, 512),
    Handler("an insert to the store", "notary, sealer", "its words before the data 64 KiB", SQL, 512),
    Handler("a form to the store", AUDITOR, f"{_kib(MAX_QUERY)}, {_FIELDS}", FORM, 2048),
    Handler("a compressed body to the store", AUDITOR, f"{_kib(MAX_QUERY)} before and after, inserts {_kib(MAX_INSERT)}", LINES, 64 << 10),
    Handler("a token file", OPERATOR, f"{_kib(MAX_LINE)} a line", LINES, 16 << 10),
    Handler("a repository's `tallystick.json`", OPERATOR, _kib(MAX_META_BYTES), JSON, 8192),
    Handler("a line of an S3 access log", LOGS, "1 MiB", AMZ),
    Handler("a line of a web server's log", LOGS, "1 MiB", COMBINED),
    Handler("a CloudTrail document", LOGS, "the document", JSON, 16 << 10),
    Handler("a row of CSV", LOGS, "1 MiB", COMBINED),
    Handler("a line of JSON, by a mapping", LOGS, "1 MiB", ROWS, 8192),
    Handler("a line of CSV, by a mapping", LOGS, "1 MiB", CELLS, 8192),
    Handler("rules in Sigma", OPERATOR, f"{_kib(source.MAX_BYTES)}, {source.MAX_DOCUMENTS} rules a file", RULES, 4096),
    Handler("settings and mappings", OPERATOR, f"{_kib(MAX_TOML)}, {MAX_PARTS} parts a key", TOML, 8192),
    Handler(
        "the policy file",
        OPERATOR,
        f"{_kib(yaml_text.MAX_BYTES)}, {yaml_text.MAX_DEPTH} levels, {yaml_text.MAX_NODES:,} values",
        YAML,
        4096,
    ),
    Handler("a name of a principal", AGENT, f"{MAX_CANONICAL:,} code points; longer ones stay as they are", LINES, 128),
    Handler("text that is shown", AGENT, "its event, finding or reason", LINES),
)


def cases() -> list[tuple[Handler, str]]:
    """Each handler with each of its inputs."""
    return [(one, shape) for one in HANDLERS for shape in one.shapes]


def unnamed() -> Mapping[str, object]:
    """Work that no row of the table is about."""
    return {name: work for name, work in BY_NAME.items() if name not in {one.name for one in HANDLERS}}
