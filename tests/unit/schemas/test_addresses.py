"""The public internet by IANA's registries, the same on every Python."""

import ast
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_schemas.addresses import carried, is_loopback, is_public

ROOT = Path(__file__).parents[3]
PACKAGES = ("schemas", "producers", "stream_jobs", "audit", "dashboard", "infra")

# First and last address of each block that the registries list, and of what they leave to others, up to RFC 9780.
NOT_REACHABLE = """
0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.0 127.255.255.255 169.254.0.0 169.254.255.255
172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.7 192.0.0.8 192.0.0.11 192.0.0.170 192.0.0.171 192.0.0.255 192.0.2.0 192.0.2.255
192.88.99.0 192.88.99.2 192.88.99.255 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255
203.0.113.0 203.0.113.255 224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255 :: ::1 64:ff9b:1::
64:ff9b:1:ffff:ffff:ffff:ffff:ffff 100:: 100::ffff:ffff:ffff:ffff 100:0:0:1:: 100:0:0:1:ffff:ffff:ffff:ffff 2001::
2001:0:ffff:ffff:: 2001:1:: 2001:1::4 2001:2:: 2001:2:0:ffff:: 2001:4:111:: 2001:4:113:: 2001:10:: 2001:1f:ffff:: 2001:40::
2001:1ff:ffff:: 2001:db8:: 2001:db8:ffff:: 2002:: 2002:ffff:: 3fff:: 3fff:fff:ffff:: 5f00:: 5f00:ffff:: fc00:: fdff:ffff:: fe80::
febf:ffff:: fec0:: feff:ffff:: ff00:: ff0e::1 ffff:ffff:: 200:: 1fff:ffff:: 4000:: ::a00:1 ::5db8:d70e
"""
REACHABLE = """
1.0.0.0 9.255.255.255 11.0.0.0 93.184.215.14 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0
172.15.255.255 172.32.0.0 192.0.0.9 192.0.0.10 192.0.1.0 192.0.3.0 192.31.196.0 192.52.193.0 192.88.98.255 192.88.100.0
192.167.255.255 192.169.0.0 192.175.48.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
223.255.255.255 2001:1::1 2001:1::2 2001:1::3 2001:3:: 2001:3:ffff:: 2001:4:112:: 2001:20:: 2001:2f:ffff:: 2001:30::
2001:3f:ffff:: 2001:200:: 2001:db7:: 2001:db9:: 2003:: 2000:: 2606:2800:21f:cb07:6820:80da:af6b:8b2c 2620:4f:8000:: 3fff:1000::
3ffe:: 64:ff9b::5db8:d70e ::ffff:93.184.215.14
"""


@pytest.mark.parametrize("address", NOT_REACHABLE.split())
def test_what_the_registries_keep_from_the_internet(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", REACHABLE.split())
def test_what_they_do_not(address: str) -> None:
    assert is_public(ip_address(address))


FORMS = {
    "mapped": lambda v4: IPv6Address((0xFFFF << 32) | v4),
    "compatible": IPv6Address,
    "translated": lambda v4: IPv6Address((0xFFFF << 48) | v4),
    "NAT64": lambda v4: IPv6Address((0x64FF9B << 96) | v4),
    "NAT64 of a network, /96": lambda v4: IPv6Address((0x64FF9B0001 << 80) | v4),
    "NAT64 of a network, /48": lambda v4: IPv6Address((0x64FF9B0001 << 80) | ((v4 >> 16) << 64) | ((v4 & 0xFFFF) << 40)),
    "6to4": lambda v4: IPv6Address((0x2002 << 112) | (v4 << 80)),
    "Teredo's server": lambda v4: IPv6Address((0x20010000 << 96) | (v4 << 64)),
    "Teredo's client": lambda v4: IPv6Address((0x20010000 << 96) | (v4 ^ 0xFFFFFFFF)),
}


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(FORMS)))
def test_an_address_inside_another_is_seen(v4: int, form: str) -> None:
    one = FORMS[form](v4)
    assert IPv4Address(v4) in set(carried(one))
    if not is_public(IPv4Address(v4)):
        assert not is_public(one)


def test_forms_are_those_that_people_write() -> None:
    metadata = int(IPv4Address("169.254.169.254"))
    assert {name: str(form(metadata)) for name, form in FORMS.items() if name in ("NAT64", "6to4", "NAT64 of a network, /48")} == {
        "NAT64": "64:ff9b::a9fe:a9fe",
        "6to4": "2002:a9fe:a9fe::",
        "NAT64 of a network, /48": "64:ff9b:1:a9fe:a9:fe00::",
    }


@given(st.ip_addresses())
def test_every_address_has_an_answer(address: IPv4Address | IPv6Address) -> None:
    assert isinstance(is_public(address), bool)


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("128.0.0.1", False),
        ("::2", False),
        ("::7f00:1", False),
    ],
)
def test_loopback(address: str, ours: bool) -> None:
    assert is_loopback(ip_address(address)) is ours


def test_nobody_asks_the_interpreter() -> None:
    """Its tables change between versions, also between bug-fix releases of one."""
    asked = {"is_global", "is_private", "is_reserved", "is_link_local", "is_site_local", "is_multicast", "is_unspecified"}
    properties = {*asked, "is_loopback", "ipv4_mapped", "sixtofour", "teredo"}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in properties
    ]
    assert found == []
