"""The probe: `GET /.well-known/tallystick/probe?subject=credential:ID` with the canary's token asks this door whether that subject would get in now.

Nothing is served. The canary's token is a real line of the token file and goes the way of every token; then the gateway looks up the subject as if
its own token had been shown: same token file, same lock table, same refusal (docs/adr/0016).
"""

from pathlib import Path
from typing import Final

from tallystick_schemas.probes import PROBE_ROLE
from tallystick_schemas.signing import wire_time

from .errors import Refusal, bad_request, not_found
from .tokens import TOKEN_PREFIX, TokenBook, TokenRecord, append_token_once, ensure_token_file, token_record

PROBE_PATH: Final = "/.well-known/tallystick/probe"
CANARY: Final = "canary"
PRINCIPAL: Final = "tallystick-probe"
_KINDS: Final = ("principal", "credential")
_MAX_RECORDS: Final = 1000


def is_canary(record: TokenRecord) -> bool:
    """Whether a token may probe, and do nothing else."""
    return PROBE_ROLE in record.roles


def subject_of(query: dict[str, list[str]]) -> tuple[str, str]:
    """(kind, name) that a probe asks for, or Refusal."""
    kind, _, name = (query.get("subject") or [""])[0].partition(":")
    if kind not in _KINDS or not name:
        raise bad_request("Name whom to probe: ?subject=principal:NAME or ?subject=credential:ID.")
    return kind, name


def stand_ins(book: TokenBook, kind: str, name: str) -> list[TokenRecord]:
    """The token records of a subject: whose tokens would be shown here. The canary stands in for others, never for itself."""
    field = "principal" if kind == "principal" else "credential"
    return [record for record in book.records() if getattr(record, field) == name and not is_canary(record)][:_MAX_RECORDS]


def unknown(kind: str, name: str) -> Refusal:
    """No token of this subject opens this door, locked or not."""
    return not_found("UnknownSubject", f"No token of {kind} {name} stands in this door's file, and no lock names it.")


def ensure_canary(tokens_file: Path, secret: str, now: float) -> None:
    """The canary's line in the token file; `secret` is the random part of its token. Idempotent."""
    ensure_token_file(tokens_file)
    record = token_record(canary_token(secret), PRINCIPAL, "service", credential=CANARY, roles=(PROBE_ROLE,), issued=wire_time(now))
    append_token_once(tokens_file, record)


def canary_token(secret: str) -> str:
    """The bearer token of the canary."""
    return TOKEN_PREFIX + secret
