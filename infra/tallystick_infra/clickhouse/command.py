"""How the embedded server is started."""

import sys
from pathlib import Path


def clickhouse_command(data: Path, port: int, keys: Path, database: str) -> list[str]:
    """The command of the embedded server's process; `keys` holds its users' passwords, its certificate and that one's key."""
    places = ["--data", str(data), "--port", str(port), "--keys", str(keys), "--database", database]
    return [sys.executable, "-m", __package__, *places]
