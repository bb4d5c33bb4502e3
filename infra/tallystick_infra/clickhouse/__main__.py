"""`python -m tallystick_infra.clickhouse --data DIR --port N --keys DIR --database NAME`: the embedded server's process."""

import argparse
import asyncio
import fcntl
import os
import sys
from pathlib import Path
from typing import Final

from tallystick_producers.serving import Limits, Place, guarded_server
from tallystick_stream_jobs.collector import walk_modules_once

from ..logs import log_to_stderr, show_uncaught
from ..terminal import echo

LIMITS: Final = Limits(head_bytes=256 * 1024)
"""Clients put questions and their parameters into the address."""


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
    walk_modules_once()
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
            place = Place(port=args.port, certificate=(keys / "server.crt", keys / "server.key"))
            server = guarded_server(Server(engine, Passwords.read(keys)).application(), place, LIMITS)
            asyncio.run(server.serve())
        finally:
            engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
