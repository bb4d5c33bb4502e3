"""What one client, and all together, may cost a server; and how many files its process may hold."""

import resource
from dataclasses import dataclass, replace
from typing import Final

_FILES: Final = 65_536
"""Enough for everybody, and few enough for what walks through all numbers that a process might use."""


@dataclass(frozen=True)
class Limits:
    """Bytes and seconds."""

    head_bytes: int = 32 * 1024
    head_s: float = 10.0
    """From the first byte of a request (or the connection's begin, its TLS handshake included) to the end of its headers."""
    body_s: float = 10.0
    keep_alive_s: int = 30
    stall_s: float = 30.0
    """A client that takes less than 64 KiB in so long is let go."""
    silent_s: float = 60.0
    """A connection on which that little of an answer, or nothing of an announced body, moves for so long is cut. More than `body_s` and `stall_s`, by
    which an application sees it first, and can say so."""
    connections: int = 512
    per_address: int = 256
    """Of one address that is not loopback: half the room, since a proxy may stand before us."""

    def within(self, files: int) -> "Limits":
        """So many connections that three quarters of the process's files are left for what they ask for."""
        most = max(1, min(self.connections, files // 4))
        return replace(self, connections=most, per_address=min(self.per_address, most))


def raise_file_limit() -> int:
    """As many files as the system lets this process hold; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (ValueError, OSError):
            # macOS names no hard limit and has a lower one: what there is must do.
            return soft
        return most
    return most if soft == resource.RLIM_INFINITY else soft
