"""`tallystick sealer`, the process, and `tallystick sealer adopt`, which lets it go on after a restore."""

from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_producers.kafka_password import with_password
from tallystick_schemas.settings import JobSettings

from ..deployment.keyfiles import read_key
from .common import begin_part, data_option, emit_json, json_option, open_deployment, open_running, out
from .groups import Group
from .readable import once_readable


@click.group(cls=Group, invoke_without_command=True)
@data_option
@click.pass_context
def sealer(context: click.Context, data: Path) -> None:
    """Send seals, read back what the store holds, sign what extends what was signed."""
    if context.invoked_subcommand is not None:
        return
    from tallystick_stream_jobs.sealer.job import run_sealer
    from tallystick_stream_jobs.sealer.refusal import Refusal

    begin_part("sealer")
    deployment = open_deployment(data)
    refusal = Refusal(deployment.path / "sealer")

    def read() -> tuple[JobSettings, Ed25519PrivateKey]:
        settings = open_deployment(data).jobs("sealer")
        with_password(settings.kafka)
        return settings, read_key(deployment.keys / "sealer.key")

    run_sealer(*once_readable(read, lambda why: refusal.tell(f"not signed: {why}")), deployment.path / "sealer")


@sealer.command()
@data_option
@json_option
@click.option("--reason", required=True, help="For the history: what was restored, and from when.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the history to have it.")
def adopt(data: Path, as_json: bool, reason: str, timeout: float) -> None:
    """Let the sealer go on from the newest checkpoint that was signed, when its directory was restored from a copy or made anew.

    Make sure first that no other process signs with its key.
    """
    from ..adopting import adopt_newest
    from ..operator import check_text

    check_text("reason", reason)
    newest = adopt_newest(open_running(data, "Kafka", "ClickHouse", so="Nothing was adopted."), reason, timeout)
    if as_json:
        emit_json({"size": newest.checkpoint.size, "root": newest.checkpoint.root.hex(), "where": newest.where})
        return
    out().print(
        f"The history says that the sealer may go on from the root checkpoint of size {newest.checkpoint.size}, which {newest.where} holds. "
        "`tallystick doctor` says whether it does."
    )
