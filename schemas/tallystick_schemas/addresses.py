"""Which addresses are the public internet's: our own table, since the interpreter's answers differ from one version of Python to the next. Pure.

The blocks are those of IANA's special-purpose address registries (RFC 6890, RFC 8190) with their word on "globally reachable", up to the
additions of RFC 9602, 9637, 9665 and 9780 (2024 and 2025): iana-ipv4-special-registry and iana-ipv6-special-registry; and, since those list
exceptions alone, what they are exceptions of: multicast (RFC 5771, RFC 4291) and the one block of IPv6 that is given out as global unicast
(RFC 4291, 2.4). The most specific block decides.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
_REACHABLE: Final = """
0.0.0.0/0 192.0.0.9/32 192.0.0.10/32 192.31.196.0/24 192.52.193.0/24 192.175.48.0/24
2000::/3 64:ff9b::/96 2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:3::/32 2001:4:112::/48 2001:20::/28 2001:30::/28 2620:4f:8000::/48
"""
_NOT_REACHABLE: Final = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15
198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
::/0 ::/128 ::1/128 ::ffff:0:0/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:2::/48 2001:10::/28 2001:db8::/32 2002::/16
3fff::/20 5f00::/16 fc00::/7 fe80::/10 ff00::/8
"""
"""With those of which the registries say neither: 192.88.99.0/24 and 2002::/16 (6to4, deprecated by RFC 7526), 2001::/32 (Teredo)."""
_TABLE: Final = {block: said for text, said in ((_REACHABLE, True), (_NOT_REACHABLE, False)) for block in map(ip_network, text.split())}

_MAPPED: Final = IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2: a socket speaks IPv4
_LAST_32: Final = tuple(map(IPv6Network, ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")))
"""Mapped; compatible (RFC 4291, 2.5.5.1); translated (RFC 2765); NAT64, of all and of one network (RFC 6052, RFC 8215)."""
_NAT64_48: Final = IPv6Network("64:ff9b:1::/48")
_6TO4: Final = IPv6Network("2002::/16")  # RFC 3056, 2
_TEREDO: Final = IPv6Network("2001::/32")  # RFC 4380, 4: the server, and the client with all bits turned


def mapped(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a socket of IPv6 shows as this one (RFC 4291, 2.5.5.2); None for every other."""
    return _v4(address, 0) if address in _MAPPED else None


def is_public(address: Address) -> bool:
    """Whether the registries call this address globally reachable, and each IPv4 address in it too."""
    if isinstance(address, IPv6Address) and address in _MAPPED:
        return is_public(_v4(address, 0))
    return _said(address) and all(map(is_public, carried(address)))


def carried(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses inside an IPv6 one, where packets to it end or pass. A network may have prefixes of its own for that, which nobody else knows."""
    if isinstance(address, IPv4Address):
        return
    if any(address in block for block in _LAST_32):
        yield _v4(address, 0)
    if address in _NAT64_48:
        yield IPv4Address(((int(address) >> 64 & 0xFFFF) << 16) | (int(address) >> 40 & 0xFFFF))  # RFC 6052, 2.2: a gap in its middle
    if address in _6TO4:
        yield _v4(address, 80)
    if address in _TEREDO:
        yield _v4(address, 64)
        yield IPv4Address(int(_v4(address, 0)) ^ 0xFFFFFFFF)


def is_loopback(address: Address) -> bool:
    """Whether it is this machine's own, also where a socket of IPv6 shows one of IPv4."""
    if isinstance(address, IPv6Address):
        return address in IPv6Network("::1/128") or (address in _MAPPED and is_loopback(_v4(address, 0)))
    return address in IPv4Network("127.0.0.0/8")


def _said(address: Address) -> bool:
    return _TABLE[max((block for block in _TABLE if address in block), key=lambda block: block.prefixlen)]


def _v4(address: IPv6Address, right: int) -> IPv4Address:
    """The 32 bits that have so many bits to their right."""
    return IPv4Address(int(address) >> right & 0xFFFFFFFF)
