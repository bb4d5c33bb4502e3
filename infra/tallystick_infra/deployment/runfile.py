"""run.json: where a running deployment listens, and who runs. Written by the supervisor, read by every command."""

import os
from pathlib import Path

import msgspec


class RunFile(msgspec.Struct, frozen=True):
    """Addresses as they really are (a configured port 0 became a free one), and the process ids."""

    pid: int
    started: str
    kafka: str
    clickhouse_port: int
    gateway: str
    console: str
    processes: dict[str, int]
    kafka_admin: str = ""
    """Where the embedded broker takes its super user, and asks for a certificate."""


def write_run(directory: Path, run: RunFile) -> None:
    """Replace run.json in one step."""
    temporary = directory / ".run.json.new"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    temporary.chmod(0o600)
    temporary.replace(directory / "run.json")


def read_run(directory: Path) -> RunFile | None:
    """The file of a supervisor that is alive, else None."""
    try:
        run = msgspec.json.decode((directory / "run.json").read_bytes(), type=RunFile)
        os.kill(run.pid, 0)
    except (OSError, msgspec.MsgspecError):
        return None
    return run
