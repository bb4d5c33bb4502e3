"""What links are made of: the address in the settings, or the socket that a request came to."""

from pathlib import Path
from typing import Any

import pytest

from tallystick_infra.cli.console_settings import console_settings
from tallystick_infra.deployment import Deployment
from tallystick_producers.public_url import check_public_url, reached_at
from tallystick_schemas.errors import SettingsError


@pytest.mark.parametrize("url", ["", "https://m.example.org", "http://127.0.0.1:8080/", "https://m.example.org/hub", "http://[::1]:80"])
def test_an_address_that_paths_can_be_put_behind_is_taken(url: str) -> None:
    check_public_url("gateway", url)


@pytest.mark.parametrize(
    "url",
    [
        "m.example.org",
        "ftp://m.example.org",
        "https://",
        "https://u:p@m.example.org",
        "https://m.example.org/?x=1",
        "https://m.example.org/#x",
        "https://m.example.org>; rel=x, <https://evil.example",
        "https://m.example.org\r\nx: y",
        "https://m.example.org:0",
        "https://m.example.org:http",
        "http://[::1",
        "https://mödel.example",
    ],
)
def test_anything_else_is_a_mistake_in_its_section(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"\[signals\] public_url is "):
        check_public_url("signals", url)
    deployment = Deployment.create(tmp_path / "d", {"gateway": {"public_url": url}, "console": {"public_url": url}})
    with pytest.raises(SettingsError, match=r"\[gateway\] public_url is "):
        deployment.gateway()
    with pytest.raises(SettingsError, match=r"\[console\] public_url is "):
        console_settings(deployment)


@pytest.mark.parametrize(
    ("scope", "address"),
    [
        ({"scheme": "http", "server": ("127.0.0.1", 47080)}, "http://127.0.0.1:47080"),
        ({"scheme": "https", "server": ("::1", 443)}, "https://[::1]:443"),
        ({"server": ("/run/gateway.sock", None)}, ""),
        ({"server": None}, ""),
        ({}, ""),
    ],
)
def test_where_a_request_came_to(scope: dict[str, Any], address: str) -> None:
    assert reached_at(scope) == address
