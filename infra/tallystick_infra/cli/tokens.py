"""The gateway's bearer tokens: `tallystick token add / list / revoke`."""

import time
from datetime import datetime
from pathlib import Path
from typing import cast

import click

from tallystick_producers.gateway.errors import TokenRefused
from tallystick_producers.gateway.tokens import TokenBook, append_token, new_token, parse_tokens, remove_tokens, token_record
from tallystick_schemas.signing import wire_time
from tallystick_schemas.vocabulary import ActorKind

from ..terminal import echo, joined, styled
from .common import data_option, emit_json, expiry, json_option, open_deployment, out
from .groups import Group
from .tables import Listing


@click.group(cls=Group)
def token() -> None:
    """Bearer tokens of the gateway. The file keeps their hashes; a token is shown once."""


@token.command()
@data_option
@json_option
@click.argument("principal")
@click.option("--kind", type=click.Choice(["human", "service", "agent"]), default="human", show_default=True)
@click.option("--role", "roles", multiple=True, help="A role that the token carries; may be given several times.")
@click.option("--days", type=float, default=90.0, show_default=True, help="Days until it expires.")
def add(data: Path, as_json: bool, principal: str, kind: str, roles: tuple[str, ...], days: float) -> None:
    """Make a token for PRINCIPAL and print it, once."""
    deployment = open_deployment(data)
    made, now = new_token(), time.time()
    record = token_record(made, principal, cast(ActorKind, kind), expires=expiry(days, now), roles=roles, issued=wire_time(now))
    try:
        append_token(Path(deployment.gateway().tokens_file), record)
    except TokenRefused as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        emit_json({"token": made, "principal": principal, "credential": record.credential, "expires": record.expires})
        return
    said = f" (credential {record.credential}, until {(record.expires or '')[:10]}). It is shown this once:"
    out().print(joined("Token of ", styled(principal, "bold"), said))
    echo(made)


@token.command(name="list")
@data_option
@json_option
def list_tokens(data: Path, as_json: bool) -> None:
    """Who has tokens, and until when."""
    path = Path(open_deployment(data).gateway().tokens_file)
    book = _book(path)
    records = list(book.records())
    if as_json:
        emit_json(
            {
                "tokens": [
                    {"principal": r.principal, "kind": r.kind, "credential": r.credential, "expires": r.expires, "issued": r.issued}
                    for r in records
                ],
                "faults": book.faults,
            }
        )
        return
    table = Listing("principal", "kind", "credential", "roles", "expires", whole=("principal", "credential"))
    for record in records:
        over = record.expires is not None and datetime.fromisoformat(record.expires).timestamp() < time.time()
        table.add_row(
            record.principal,
            record.kind,
            record.credential,
            ", ".join(record.roles) or "–",
            f"{(record.expires or 'never')[:10]}{' (over)' if over else ''}",
        )
    out().print(table if records else "Nobody has a token. `tallystick token add PRINCIPAL` makes one.")
    _tell_faults(book)


def _book(path: Path) -> TokenBook:
    return parse_tokens(path.read_bytes() if path.exists() else b"", path.name)


def _tell_faults(book: TokenBook) -> None:
    for fault in book.faults:
        echo(f"This line lets nobody in; mend or delete it. {fault}", err=True)


@token.command()
@data_option
@click.argument("credential")
def revoke(data: Path, credential: str) -> None:
    """Take the tokens of CREDENTIAL out of the file."""
    path = Path(open_deployment(data).gateway().tokens_file)
    removed = remove_tokens(path, credential)
    _tell_faults(_book(path))
    if not removed:
        raise click.ClickException(f"no token has the credential {credential}; `tallystick token list` shows them")
    out().print(f"{removed} token(s) of {credential} no longer open the gateway.")
