"""The guard of one child: `guard.py PIPE BEHIND COMMAND…`. Imports next to nothing, since one runs beside every part.

It stands back behind other processes by BEHIND (nice(1)), starts the command in its own process group, hands SIGTERM and SIGINT on, and
ends the group when the pipe's other end closes.
"""

import contextlib
import os
import select
import signal
import sys


def main() -> int:
    pipe, behind, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if behind:
        _stand_back(behind)
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_writer, False)
    signal.set_wakeup_fd(wake_writer)
    wanted = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
    for handled in wanted:
        signal.signal(handled, lambda *_: None)
    child = os.posix_spawn(command[0], command, os.environ, setsigdef=list(wanted))
    os.set_inheritable(pipe, False)
    while True:
        readable, _, _ = select.select([pipe, wake_reader], [], [])
        if pipe in readable:
            os.killpg(0, signal.SIGKILL)  # our own group: the child, what it started, and ourselves
        for number in os.read(wake_reader, 64):
            if number in (signal.SIGTERM, signal.SIGINT):
                os.kill(child, signal.SIGTERM)
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _stand_back(behind: int) -> None:
    os.nice(behind)
    if hasattr(os, "SCHED_BATCH"):
        # It takes the processor from nobody when it has something to do, and waits for its turn (sched(7)).
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    # Where Linux groups processes by session (sched(7), autogroup), nice counts among those of one session alone, and this between them.
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as group:  # noqa: PTH123 - pathlib is more than this process is
        group.write(str(behind))


if __name__ == "__main__":
    sys.exit(main())
