"""Child processes that can never outlive us, also when we are killed with -9.

Each child runs under a small guard of its own session that holds the read end of a pipe whose write end is ours alone: when we end, in
whatever way, the pipe closes and the guard ends the child's whole process group. It works the same on Linux and macOS, and unlike
PR_SET_PDEATHSIG does not depend on which thread started the child.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tallystick_schemas.shown import shown

_GUARD = Path(__file__).with_name("guard.py")
GRACE_S = 10.0
_PACE, _LOOKED_AT = "blocking the event loop", 20
_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \S+ [A-Z]+ \S+: ")


@dataclass
class Child:
    """A running child. `pid` is the guard's, whose process group holds the child and all that it starts."""

    name: str
    process: subprocess.Popen[bytes]
    alive: int
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.process.poll()

    def terminate(self) -> None:
        """Ask it to stop."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGTERM)

    def stop(self, grace_s: float = GRACE_S) -> int:
        """Ask, wait, and end what did not listen. The exit code."""
        self.terminate()
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()
        finally:
            self.close()
        return self.process.wait()

    def kill(self) -> None:
        """End it and all that it started, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.alive >= 0:
            os.close(self.alive)
            self.alive = -1


def spawn(name: str, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None, behind: int = 0) -> Child:
    """Start `argv` under a guard; its output goes to the end of `log` (mode 0600). `behind`: how far it stands back where processors are scarce (nice(1))."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    reader, writer = os.pipe()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD), str(reader), str(behind), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(env) if env is not None else None,
            pass_fds=(reader,),
            start_new_session=True,
        )
    except BaseException:
        os.close(writer)
        raise
    finally:
        os.close(reader)
        os.close(output)
    return Child(name, process, writer, log)


def tail(log: Path, lines: int = 1) -> str:
    """The last lines of a log that say something, shown: what a process prints may hold anything."""
    try:
        content = log.read_bytes()[-8192:].decode("utf-8", "replace")
    except OSError:
        return ""
    # By newlines alone: other separators come from text that was logged, and would give it lines of its own.
    return "\n".join([shown(line) for line in content.split("\n") if line.strip()][-lines:])


def last_words(log: Path) -> str:
    """The last line of a log without its time, part, level and module: what a person is told. A client library's remark on its own pace is no cause."""
    said = [line for line in tail(log, _LOOKED_AT).split("\n") if _PACE not in line]
    return _PREFIX.sub("", said[-1] if said else "").strip()


def wait_until(ready: "Sequence[Child]", seconds: float) -> bool:
    """Whether all children ended within `seconds`."""
    deadline = time.monotonic() + seconds
    while any(child.poll() is None for child in ready):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
