"""Bearer tokens: how they are made, and the file of their hashes.

The file has one JSON object a line, and never a token:

    {"sha256":"9f86d0…","principal":"alice@example.org","kind":"human","credential":"cred-7c1","expires":"2027-01-01T00:00:00.000000Z","roles":["research"],"issued":"…"}

A token carries 256 random bits, so one plain SHA-256 is enough: there is no password to guess (NIST SP 800-63B, 5.1.2.2 asks for slow hashes below 112 bits).
"""

import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Actor
from tallystick_schemas.vocabulary import ActorKind

from ..instants import from_wire, to_wire
from .errors import TokenFileError

TOKEN_PREFIX: Final = "ts_"  # noqa: S105 - the public mark that lets secret scanners find our tokens, not a secret
_HEX_DIGITS: Final = 64


class TokenRecord(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the file keeps about one token. `expires` is the first moment at which it no longer counts; None: never."""

    sha256: str
    principal: str
    kind: ActorKind
    credential: str
    expires: str | None = None
    roles: list[str] = []
    issued: str | None = None
    """When it was issued, to whoever proved then who he is; a token without it passes no step-up."""

    def actor(self) -> Actor:
        """Who speaks with this token, as events name them."""
        return Actor(self.principal, self.kind, credential=self.credential, roles=self.roles or None)

    def expired(self, wall: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and from_wire(self.expires) <= wall

    def issued_at(self) -> float | None:
        """Unix seconds."""
        return None if self.issued is None else from_wire(self.issued)


def new_token() -> str:
    """A fresh token. Show it once; keep only `token_record`."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What the file keeps instead of the token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def token_record(
    token: str,
    principal: str,
    kind: ActorKind,
    *,
    credential: str | None = None,
    expires: str | None = None,
    roles: tuple[str, ...] = (),
    issued: str | None = None,
) -> TokenRecord:
    """The record of a token. Without a credential id, one is made from the hash: stable, and worth nothing to a thief."""
    digest = token_hash(token)
    return TokenRecord(digest, principal, kind, credential or f"cred-{digest[:12]}", expires, list(roles), issued)


def encode_record(record: TokenRecord) -> bytes:
    """One line of the token file, with its newline."""
    return msgspec.json.encode(record) + b"\n"


class TokenBook:
    """All token records by hash. It never changes; a changed file makes a new book."""

    def __init__(self, records: Mapping[str, TokenRecord]) -> None:
        self._records = dict(records)

    def __len__(self) -> int:
        return len(self._records)

    def records(self) -> Iterable[TokenRecord]:
        """All of them."""
        return self._records.values()

    def find(self, token: str) -> TokenRecord | None:
        """The token's record. Timing tells nothing: what is looked up is a hash that the sender cannot steer, and equality is checked in constant time."""
        digest = token_hash(token)
        record = self._records.get(digest)
        return record if record is not None and hmac.compare_digest(record.sha256, digest) else None


_decode = msgspec.json.Decoder(TokenRecord).decode


def parse_tokens(raw: bytes, name: str = "token file") -> TokenBook:
    """The book in a file's bytes; TokenFileError names the first line that is no record. Blank lines and lines starting with # are skipped."""
    records: dict[str, TokenRecord] = {}
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if line.strip() and not line.lstrip().startswith(b"#"):
            record = _parse_line(line, f"{name}, line {number}")
            if record.sha256 in records:
                raise TokenFileError(f"{name}, line {number}: this token already stands further up; remove one of the lines")
            records[record.sha256] = record
    return TokenBook(records)


def _parse_line(line: bytes, place: str) -> TokenRecord:
    try:
        record = _decode(line)
        for moment in (record.expires, record.issued):
            if moment is not None:
                from_wire(moment)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ParseError) as error:
        raise TokenFileError(f"{place}: not a token record: {error}") from error
    if len(record.sha256) != _HEX_DIGITS or record.sha256.strip("0123456789abcdef"):
        raise TokenFileError(f"{place}: sha256 must be 64 lower-case hex digits; a token itself must never stand in this file")
    if not record.principal or not record.credential:
        raise TokenFileError(f"{place}: principal and credential must not be empty")
    return record


def ensure_token_file(path: Path) -> None:
    """An empty file with mode 0600 when there is none: nobody is let in yet."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def add_token(path: Path, principal: str, kind: ActorKind, roles: tuple[str, ...] = (), expires: str | None = None) -> str:
    """A new token for a principal; the file keeps its hash. `expires` as in TokenRecord."""
    token = new_token()
    append_token(path, token_record(token, principal, kind, roles=roles, expires=expires, issued=to_wire(time.time())))
    return token


def append_token(path: Path, record: TokenRecord) -> None:
    """One more line. Whoever reads meanwhile sees the file before or after it."""
    _rewrite(path, lambda lines: [*lines, encode_record(record)])


def append_token_once(path: Path, record: TokenRecord) -> None:
    """As append_token, unless the token stands there already; two that do it at once write one line."""
    digest = record.sha256.encode()
    _rewrite(path, lambda lines: lines if any(digest in line for line in lines) else [*lines, encode_record(record)])


def remove_tokens(path: Path, credential: str) -> int:
    """Take every token of a credential out of the file; how many there were. TokenFileError where a line cannot be read."""
    return _rewrite(path, lambda lines: [line for line in lines if _credential(line, path.name) != credential])


def _credential(line: bytes, name: str) -> str | None:
    return _parse_line(line, name).credential if line.strip() and not line.lstrip().startswith(b"#") else None


def _rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> int:
    """Change the file's lines, one writer at a time; by how many it shrank. If we crash here, the file is as it was."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path.with_name(f".{path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        before = path.read_bytes().splitlines() if path.exists() else []
        after = change([line + b"\n" for line in before])
        temporary = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(after)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return len(before) - len(after)
