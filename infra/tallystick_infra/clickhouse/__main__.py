"""`python -m tallystick_infra.clickhouse --data DIR --port N --keys DIR --database NAME`: the embedded server's process."""

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
    parser.add_argument("--keys", type=Path, required=True)
    parser.add_argument("--database", default="tallystick")
    args = parser.parse_args()
    log_to_stderr("clickhouse", "WARNING")
    show_uncaught()
    data, keys = args.data.absolute(), args.keys.absolute()
    temporary = data / "tmp"
    for folder in (data, temporary):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            echo(f"another process serves {data} already", err=True)
            return 1
        # Inserts pass through temporary files: in a directory of our own, not where others could look.
        os.environ["TMPDIR"] = str(temporary)
        # The engine is given its configuration by a name that needs no quoting.
        os.chdir(data)
        from .access import write_access
        from .engine import Engine
        from .passwords import Passwords
        from .server import Server

        write_access(data, args.database)
        engine = Engine(data / "store", args.database)
        try:
            uvicorn.run(
                Server(engine, Passwords.read(keys)).application(),
                host="127.0.0.1",
                port=args.port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=5,
                ssl_certfile=keys / "server.crt",
                ssl_keyfile=keys / "server.key",
            )
        finally:
            engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
