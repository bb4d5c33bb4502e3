"""The gateway's bearer tokens: `tallystick token add / list / revoke`."""

import time
from datetime import datetime
from pathlib import Path
from typing import cast

import click
import msgspec
from rich.table import Table

from tallystick_producers.gateway.tokens import TokenRecord, append_token, new_token, remove_tokens, token_record
from tallystick_schemas.signing import wire_time
from tallystick_schemas.vocabulary import ActorKind

from .common import data_option, emit_json, json_option, open_deployment, out


@click.group()
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
    record = token_record(
        made, principal, cast(ActorKind, kind), expires=wire_time(now + days * 86_400), roles=roles, issued=wire_time(now)
    )
    append_token(Path(deployment.gateway().tokens_file), record)
    if as_json:
        emit_json({"token": made, "principal": principal, "credential": record.credential, "expires": record.expires})
        return
    out().print(
        f"Token of [bold]{principal}[/] (credential {record.credential}, until {(record.expires or '')[:10]}). It is shown this once:"
    )
    click.echo(made)


@token.command(name="list")
@data_option
@json_option
def list_tokens(data: Path, as_json: bool) -> None:
    """Who has tokens, and until when."""
    path = Path(open_deployment(data).gateway().tokens_file)
    lines = path.read_bytes().splitlines() if path.exists() else []
    records = [msgspec.json.decode(line, type=TokenRecord) for line in lines if line.strip() and not line.startswith(b"#")]
    if as_json:
        emit_json(
            {
                "tokens": [
                    {"principal": r.principal, "kind": r.kind, "credential": r.credential, "expires": r.expires, "issued": r.issued}
                    for r in records
                ]
            }
        )
        return
    table = Table("principal", "kind", "credential", "roles", "expires", box=None, header_style="bold")
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


@token.command()
@data_option
@click.argument("credential")
def revoke(data: Path, credential: str) -> None:
    """Take the tokens of CREDENTIAL out of the file."""
    removed = remove_tokens(Path(open_deployment(data).gateway().tokens_file), credential)
    if not removed:
        raise click.ClickException(f"no token has the credential {credential}; `tallystick token list` shows them")
    out().print(f"{removed} token(s) of {credential} no longer open the gateway.")
