"""Which addresses connectors may speak to, checked on what a name resolves to at the moment of connecting (against DNS rebinding)."""

import socket
import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore

from tallystick_schemas.addresses import carried, is_public

from .errors import AddressRefused, Refused, Retry

Resolve = Callable[[str, int], list[str]]
"""(host, port) -> addresses; OSError when there are none."""
METADATA: Final = frozenset(
    map(
        ip_address,
        (
            *("169.254.169.254", "fd00:ec2::254", "fd20:ce::254"),
            *("169.254.170.2", "169.254.170.23", "fd00:ec2::23"),  # of containers
            "100.100.100.200",
            "168.63.129.16",  # a public address that leads to the host itself
        ),
    )
)
"""Where clouds hand out credentials to whoever asks. No receiver lives there, so these are refused in any case."""
_Options = Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]


def resolve(host: str, port: int) -> list[str]:
    """The system's resolver."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def check_address(host: str, address: str, *, allow_private: bool) -> None:
    """AddressRefused for what is not the public internet's (`schemas.addresses`), and for clouds' metadata in any case."""
    one = ip_address(address.partition("%")[0])
    if METADATA.intersection((one, *carried(one))):
        raise AddressRefused(host, "leads to a cloud's metadata service, which is never spoken to")
    if not allow_private and not is_public(one):
        raise AddressRefused(host, "leads to a loopback, link-local, private or reserved address")


def check_url(url: str, *, allow_private: bool) -> None:
    """Refused with the mend: not https (plain http goes to private addresses alone, where allowed), no host, or a password in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise Refused(f"{parts.scheme or 'nothing'}:// is not an https address with a host")
    if parts.username or parts.password:
        raise Refused(f"the address of {parts.hostname} has a user or password in it; put secrets into a file in keys/")
    if parts.scheme == "http" and not allow_private:
        raise Refused(f"{parts.hostname} is addressed by plain http, which anybody between can read; use https")


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to the very address that was checked, and lets no connection outlive its deadline, however slowly the other side drips."""

    def __init__(
        self, *, allow_private: bool, total_s: float, resolve: Resolve = resolve, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._allow_private, self._total_s, self._resolve, self._clock = allow_private, total_s, resolve, clock
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _Options | None = None,
    ) -> httpcore.NetworkStream:
        """The first address that answers. One bad address refuses the name: which of them is used must not be a matter of luck."""
        deadline = self._clock() + self._total_s
        try:
            addresses = self._resolve(host, port)
        except OSError as error:
            raise Retry(f"{host} cannot be resolved: {error.strerror or 'no such name'}") from error
        for address in addresses:
            check_address(host, address, allow_private=self._allow_private)
        problem: Exception = Retry(f"{host} resolves to nothing")
        for address in addresses:
            try:
                stream = self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
                continue
            return _Bounded(stream, deadline, self._clock)
        raise problem


class _Bounded(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: float, clock: Callable[[], float]) -> None:
        self._inner, self._deadline, self._clock = inner, deadline, clock

    def _left(self, timeout: float | None) -> float:
        left = self._deadline - self._clock()
        if left <= 0:
            raise httpcore.ReadTimeout("the whole exchange took too long")
        return left if timeout is None else min(timeout, left)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        return _Bounded(self._inner.start_tls(ssl_context, server_hostname, self._left(timeout)), self._deadline, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
