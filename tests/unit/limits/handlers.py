"""Every parser that bytes from outside reach, with its bound and the inputs that would cost it most. `docs/limits.md` is made of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tallystick_dashboard.tokens import MAX_TOKEN
from tallystick_infra.clickhouse import form
from tallystick_infra.clickhouse.bodies import MAX_INSERT
from tallystick_infra.clickhouse.statements import MAX_QUERY
from tallystick_producers.gateway.app import MAX_BODY
from tallystick_producers.gateway.exchange import MAX_FIELDS
from tallystick_producers.gateway.ranges import MAX_RANGES, MAX_SPECS
from tallystick_producers.gateway.repo_meta import MAX_META_BYTES
from tallystick_producers.gateway.routes import MAX_PATH
from tallystick_producers.gateway.tokens import MAX_LINE
from tallystick_producers.serving import Limits
from tallystick_schemas.envelope import MAX_MESSAGE_BYTES
from tallystick_schemas.events import MAX_EVENT_BYTES
from tallystick_schemas.headers import MAX_HEADER_BYTES
from tallystick_schemas.names import MAX_CANONICAL
from tallystick_schemas.notes import MAX_NOTE_BYTES, MAX_SIGNATURES
from tallystick_schemas.records import MAX_BODY_BYTES
from tallystick_stream_jobs.policy import yaml_text
from tallystick_stream_jobs.shared_signals.jwks import MAX_BYTES, MAX_KEYS
from tallystick_stream_jobs.shared_signals.requests import BODY_S
from tallystick_stream_jobs.shared_signals.verify import MAX_SET_BYTES

from .shapes import AMZ, COMBINED, FORM, HEADERS, JSON, LINES, NOTES, PATHS, RANGES, RECORDS, SQL, TOKENS, YAML, Shapes
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
STRANGER, HAS_PASSWORD, AGENT, AUDITOR = "a stranger", "who has a Kafka password", "an agent", "any user of the store"
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
    Handler("a signed note", "the store, a witness", f"{MAX_NOTE_BYTES:,} bytes, {MAX_SIGNATURES} signatures", NOTES),
    Handler("receipts", HAS_PASSWORD, f"{MAX_MESSAGE_BYTES:,} bytes, once the notary's signature fits", JSON, 16 << 10),
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
