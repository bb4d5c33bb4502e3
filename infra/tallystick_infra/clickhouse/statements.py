"""From an HTTP request to what the engine shall do: pure, after ClickHouse's HTTP interface (clickhouse.com/docs/interfaces/http)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MAX_QUERY: Final = 1 << 20
# Spaces, words and comments are taken once and never given back (`++`, `*+`, `(?>`): else 16 KiB of spaces took 11 s, and 24 comments 3.
_INSERT: Final = re.compile(
    rb"\s*+INSERT\s++INTO\s++(?:TABLE\s++)?(.{1,65536}?)(?<!\s)\s++FORMAT\s++([A-Za-z]\w{0,63})(?:[ \t]*(?:\r?\n|$)|\s)", re.I | re.S
)
_READS: Final = re.compile(
    r"\s*+(?:--[^\n]*+\n\s*+|/\*(?>.*?\*/)\s*+)*+\(?\s*+(SELECT|WITH|SHOW|DESCRIBE|DESC|EXISTS|EXPLAIN)\b", re.I | re.S
)
_FORMAT: Final = re.compile(r"\bFORMAT\s++(\w++)\s*+;?\s*+$", re.I)
_FORMAT_NAME: Final = re.compile(r"(?!(?:dataframe|datastore|arrowtable)\Z)[a-z]\w{0,63}", re.I | re.A)
"""What chDB adds to ClickHouse's formats are objects of its own process."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
_NOT_SETTINGS: Final = frozenset(
    [
        "query",
        "database",
        "default_format",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "compress",
        "decompress",
        "enable_http_compression",
        "user",
        "password",
        "role",
        "quota_key",
        "client_protocol_version",
        "wait_end_of_query",
        "buffer_size",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "add_http_cors_header",
        "cancel_http_readonly_queries_on_client_close",
        "date_time_input_format",
    ]
)


class BadRequest(Exception):
    """What ClickHouse would refuse before running anything; `code` is its own."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


@dataclass(frozen=True)
class Statement:
    """`text` as it was asked; for an insert, what stands between INSERT INTO and FORMAT, and its `data`. `settings` are the address's;
    `reads` when it changes nothing."""

    text: str
    params: Mapping[str, str]
    format: str
    reads: bool
    data: bytes | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def sql(self) -> str:
        """What the engine is given, without data."""
        if self.data is not None:
            return f"INSERT INTO {self.text}{_settings(self.settings)}"
        return self.text + (_settings(self.settings) if self.reads else "")

    @property
    def streams(self) -> bool:
        """Whether the engine can give the result block by block: it does so for SELECT alone."""
        found = _READS.match(self.text)
        return bool(found and found.group(1).upper() in ("SELECT", "WITH"))


def parse_request(query: Mapping[str, str], body: bytes, *, readonly: bool, default_format: str = "TabSeparated") -> Statement:
    """The statement of a request. As ClickHouse does, the `query` parameter and the body are read as one text."""
    head = query.get("query", "")
    whole = head.encode() + (b"\n" if head and body else b"") + body
    if not whole.strip():
        raise BadRequest(62, "Syntax error: failed at position 1 (end of query): empty query")
    params = {name[6:]: value for name, value in query.items() if name.startswith("param_")}
    settings = _given(query)
    insert = _INSERT.match(whole)
    if insert:
        if readonly:
            raise BadRequest(164, "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly")
        return Statement(_text(insert.group(1)), params, insert.group(2).decode(), False, whole[insert.end() :], settings)
    if len(whole) > MAX_QUERY:
        raise BadRequest(191, f"Query is too large ({len(whole)}), maximum is {MAX_QUERY}")
    sql = _text(whole)
    reads = bool(_READS.match(sql))
    if readonly and not reads:
        raise BadRequest(164, "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly")
    named = _FORMAT.search(sql)
    chosen = named.group(1) if named else query.get("default_format", default_format)
    if not _FORMAT_NAME.fullmatch(chosen):
        raise BadRequest(73, f"Unknown format {chosen[:100]}")
    return Statement(sql.rstrip().rstrip(";"), params, chosen, reads, settings=settings)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(62, "Syntax error: the query is not UTF-8") from error


def _given(query: Mapping[str, str]) -> dict[str, str]:
    given = {name: value for name, value in query.items() if name not in _NOT_SETTINGS and not name.startswith("param_")}
    for name in given:
        if not _NAME.fullmatch(name):
            raise BadRequest(115, f"Unknown setting '{name}'")
    return given


def _settings(given: Mapping[str, str]) -> str:
    given = {"max_threads": "2", **given}
    return " SETTINGS " + ", ".join(f"{name} = {_literal(value)}" for name, value in given.items())


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


_STATUS: Final = {516: 403, 192: 403, 193: 403, 194: 401, 191: 413, 48: 501, 159: 408, 202: 503, 439: 503, 241: 500}
_BAD_REQUEST: Final = frozenset({6, 26, 27, 33, 36, 38, 41, 53, 62, 69, 70, 72, 85, 117, 130, 131, 349, 421, 456, 457})
_NOT_FOUND: Final = frozenset({46, 47, 50, 56, 60, 73, 81, 115, 164})


def http_status(code: int) -> int:
    """The HTTP status that ClickHouse answers an error code with."""
    if code in _BAD_REQUEST:
        return 400
    if code in _NOT_FOUND:
        return 500 if code == 164 else 404
    return _STATUS.get(code, 500)


def error_code(text: str) -> int:
    """The code in an exception's text; 1002 (unknown exception) without one."""
    found = re.search(r"Code: (\d+)", text)
    return int(found.group(1)) if found else 1002
