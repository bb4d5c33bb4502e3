"""Bearer tokens: how they are made, and the file of their hashes.

The file has one JSON object a line, and never a token:

    {"sha256":"9f86d0…","principal":"alice@example.org","kind":"human","credential":"cred-7c1","expires":"2027-01-01T00:00:00.000000Z","roles":["research"],"issued":"…"}

A token carries 256 random bits, so one plain SHA-256 is enough: there is no password to guess (NIST SP 800-63B, 5.1.2.2 asks for slow hashes below 112 bits).
"""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from tallystick_schemas.errors import ParseError
from tallystick_schemas.events import Actor
from tallystick_schemas.names import canonical
from tallystick_schemas.signing import wire_time
from tallystick_schemas.times import seconds_of
from tallystick_schemas.vocabulary import ActorKind

from .errors import TokenFileError, TokenRefused

TOKEN_PREFIX: Final = "ts_"  # noqa: S105 - the public mark that lets secret scanners find our tokens, not a secret
_TOKEN: Final = re.compile(rf"{TOKEN_PREFIX}[A-Za-z0-9_-]*")
_HEX_DIGITS: Final = 64
_MAX_NAME: Final = 256
_MAX_ROLES: Final = 64
MAX_LINE: Final = 64 * 1024


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
        return self.expires is not None and seconds_of(self.expires) <= wall

    def issued_at(self) -> float | None:
        """Unix seconds."""
        return None if self.issued is None else seconds_of(self.issued)


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
    return TokenRecord(digest, canonical(principal), kind, credential or f"cred-{digest[:12]}", expires, list(roles), issued)


def encode_record(record: TokenRecord) -> bytes:
    """One line of the token file, with its newline."""
    return msgspec.json.encode(record) + b"\n"


class TokenBook:
    """All token records by hash. It never changes; a changed file makes a new book.

    `faults`: a sentence for each line that lets nobody in, with the file's name and the line's number, never what stands there.
    """

    def __init__(self, records: Mapping[str, TokenRecord], faults: Iterable[str] = ()) -> None:
        self._records = dict(records)
        self.faults = tuple(faults)

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

    def standing(self, record: TokenRecord) -> TokenRecord | None:
        """What this book says of a token that an earlier book let in."""
        return self._records.get(record.sha256)


_decode = msgspec.json.Decoder(TokenRecord).decode


def parse_tokens(raw: bytes, name: str = "token file") -> TokenBook:
    """The book in a file's bytes. A line that is no record lets nobody in and is a fault of the book; blank lines and those starting with # are skipped.

    One bad line closes itself alone: were the whole file refused, the book of before would stay in force, and with it tokens revoked since.
    """
    records: dict[str, TokenRecord] = {}
    faults: list[str] = []
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if _speaks(line):
            try:
                record = _parse_line(line, f"{name}, line {number}")
            except TokenFileError as error:
                faults.append(str(error))
                continue
            if record.sha256 in records:
                faults.append(f"{name}, line {number}: this token already stands further up, which counts; remove one of the lines")
            else:
                records[record.sha256] = record
    return TokenBook(records, faults)


def _speaks(line: bytes) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith(b"#")


def _parse_line(line: bytes, place: str) -> TokenRecord:
    if len(line) > MAX_LINE:
        raise TokenFileError(f"{place}: it has {len(line)} bytes, at most {MAX_LINE} are allowed")
    try:
        record = _decode(line)
        for moment in (record.expires, record.issued):
            if moment is not None:
                seconds_of(moment)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ParseError) as error:
        raise TokenFileError(f"{place}: not a token record: {_showable(str(error))}") from error
    if len(record.sha256) != _HEX_DIGITS or record.sha256.strip("0123456789abcdef"):
        raise TokenFileError(f"{place}: sha256 must be 64 lower-case hex digits; a token itself must never stand in this file")
    if mistake := _mistake(record):
        raise TokenFileError(f"{place}: {mistake}")
    name = canonical(record.principal)
    return record if name == record.principal else msgspec.structs.replace(record, principal=name)


def _showable(text: str) -> str:
    """A decoder's sentence, which may quote the line, fit for a log: one short line without tokens."""
    return "".join(mark if mark.isprintable() else "?" for mark in _TOKEN.sub(f"{TOKEN_PREFIX}…", text))[:200]


def _mistake(record: TokenRecord) -> str | None:
    if len(record.roles) > _MAX_ROLES:
        return f"there are {len(record.roles)} roles, at most {_MAX_ROLES} are allowed"
    for word, text in (("principal", record.principal), ("credential", record.credential), *(("role", role) for role in record.roles)):
        if not text.strip() or not text.isprintable() or len(text) > _MAX_NAME:
            return f"a {word} must not be empty or blank: 1 to {_MAX_NAME} printable characters, and this one has {len(text)}"
    return None


def _writable(record: TokenRecord) -> bytes:
    """The record's line, or TokenRefused: what the file could not be read with is never written."""
    if mistake := _mistake(record):
        raise TokenRefused(f"no token was made: {mistake}")
    line = encode_record(record)
    try:
        _parse_line(line, "its line")
    except TokenFileError as error:
        raise TokenRefused(f"no token was made: {error}") from error
    return line


def ensure_token_file(path: Path) -> None:
    """An empty file with mode 0600 when there is none: nobody is let in yet."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))


def add_token(path: Path, principal: str, kind: ActorKind, roles: tuple[str, ...] = (), expires: str | None = None) -> str:
    """A new token for a principal; the file keeps its hash. `expires` as in TokenRecord. TokenRefused as append_token."""
    token = new_token()
    append_token(path, token_record(token, principal, kind, roles=roles, expires=expires, issued=wire_time(time.time())))
    return token


def append_token(path: Path, record: TokenRecord) -> None:
    """One more line. Whoever reads meanwhile sees the file before or after it. TokenRefused, with nothing written, for names that no line may have."""
    line = _writable(record)
    _rewrite(path, lambda lines: [*lines, line])


def append_token_once(path: Path, record: TokenRecord) -> None:
    """As append_token, unless the token stands there already; two that do it at once write one line."""
    digest, new = record.sha256.encode(), _writable(record)
    _rewrite(path, lambda lines: lines if any(digest in line for line in lines) else [*lines, new])


def remove_tokens(path: Path, credential: str) -> int:
    """Take every token of a credential out of the file; how many lines that were.

    Lines that are no records but name the credential go too, as does a second line of a token that goes. What cannot be read stays: it lets nobody in.
    """

    def without(lines: list[bytes]) -> list[bytes]:
        named = [_named(line) for line in lines]
        gone = {digest for digest, whose in named if digest and whose == credential}
        return [line for line, (digest, whose) in zip(lines, named, strict=True) if whose != credential and digest not in gone]

    return _rewrite(path, without)


def _named(line: bytes) -> tuple[str | None, str | None]:
    """(sha256, credential) as far as they can be made out in a line that may be no record."""
    try:
        found = msgspec.json.decode(line) if _speaks(line) and len(line) <= MAX_LINE else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None, None  # kept as it is: such a line opens nothing, and parse_tokens names it
    digest, credential = (found.get("sha256"), found.get("credential")) if isinstance(found, dict) else (None, None)
    return digest if isinstance(digest, str) else None, credential if isinstance(credential, str) else None


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
