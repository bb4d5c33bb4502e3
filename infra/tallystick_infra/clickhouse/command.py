"""How the embedded server is started."""

import sys
from pathlib import Path


def clickhouse_command(data: Path, port: int, password_file: Path) -> list[str]:
    """The command of the embedded server's process."""
    return [sys.executable, "-m", __package__, "--data", str(data), "--port", str(port), "--password-file", str(password_file)]
