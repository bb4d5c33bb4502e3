"""`python -m tallystick_infra.clickhouse --data DIR --port N --password-file FILE --auditor-password-file FILE`: the embedded server's process."""

import argparse
import fcntl
import os
import sys
from pathlib import Path

import uvicorn

from ..logs import log_to_stderr, show_uncaught
from ..terminal import echo


def main() -> int:
    """0 after a clean stop, 1 when another process has the directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--auditor-password-file", type=Path, required=True)
    args = parser.parse_args()
    log_to_stderr("clickhouse", "WARNING")
    show_uncaught()
    data: Path = args.data.absolute()
    temporary = data / "tmp"
    temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            echo(f"another process serves {data} already", err=True)
            return 1
        # Inserts pass through temporary files: in a directory of our own, not where others could look.
        os.environ["TMPDIR"] = str(temporary)
        from .auditing import AUDITOR_SESSION
        from .engine import Engine
        from .server import Server

        engine = Engine(data / "store", restricted=AUDITOR_SESSION)
        try:
            passwords = [file.read_text().strip() for file in (args.password_file, args.auditor_password_file)]
            application = Server(engine, *passwords).application()
            uvicorn.run(application, host="127.0.0.1", port=args.port, log_config=None, access_log=False, timeout_graceful_shutdown=5)
        finally:
            engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
