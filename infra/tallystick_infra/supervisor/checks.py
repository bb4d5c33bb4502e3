"""What must hold before anything is started: space, memory, ports; each failure is one sentence with its mend."""

import shutil
import socket
from pathlib import Path

import psutil

from ..errors import DiskFull, TooLittleMemory

NEED_DISK_MB = 512
NEED_MEMORY_MB = 1200


def check_machine(path: Path, need_disk_mb: int = NEED_DISK_MB, need_memory_mb: int = NEED_MEMORY_MB) -> None:
    """DiskFull or TooLittleMemory."""
    free_mb = shutil.disk_usage(path).free >> 20
    if free_mb < need_disk_mb:
        raise DiskFull(path, free_mb, need_disk_mb)
    memory_mb = psutil.virtual_memory().available >> 20
    if memory_mb < need_memory_mb:
        raise TooLittleMemory(memory_mb, need_memory_mb)


def listens(port: int) -> bool:
    """Whether somebody accepts connections on this port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True
