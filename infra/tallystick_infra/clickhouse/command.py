"""How the embedded server is started."""

import sys
from pathlib import Path


def clickhouse_command(data: Path, port: int, password_file: Path, auditor_file: Path) -> list[str]:
    """The command of the embedded server's process; the files hold the passwords of its two users."""
    files = ["--password-file", str(password_file), "--auditor-password-file", str(auditor_file)]
    return [sys.executable, "-m", __package__, "--data", str(data), "--port", str(port), *files]
