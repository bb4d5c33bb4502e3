"""Whether a file may hold a secret: one rule for keys, passwords and tokens, whoever reads them."""

import os
import stat
from pathlib import Path
from typing import Final

_OTHERS: Final = 0o007
_GROUP_READS: Final = 0o040
_GROUP_MORE: Final = 0o030


def open_to_others(path: Path, facts: os.stat_result) -> str | None:
    """Who else can reach the file, and the mend, to follow its name; None when it may hold a secret.

    A group of this process' own may read it: Kubernetes (fsGroup) and systemd hand secrets over as root's, with mode 0440. It may not write.
    """
    mode = stat.S_IMODE(facts.st_mode)
    if mode & (_OTHERS | _GROUP_MORE):
        return f"is open to other users (mode {mode:04o}); run: chmod 600 {path}"
    if mode & _GROUP_READS and facts.st_gid not in {os.getegid(), *os.getgroups()}:
        return f"is open to group {facts.st_gid}, which this process is not in (mode {mode:04o}); run: chmod 600 {path}"
    return None
