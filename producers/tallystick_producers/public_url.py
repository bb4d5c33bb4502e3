"""Addresses that others use: links are made of them, never of a request's Host header, in which whoever asks writes what he likes. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tallystick_schemas.errors import SettingsError


def check_public_url(section: str, url: str) -> None:
    """SettingsError unless the setting is empty, or an http(s) address that paths can be put behind."""
    if url and not _is_base(url):
        raise SettingsError([f"[{section}] public_url is {url!r}, and must be an http(s) address without user, query or fragment"])


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is none, a bracket that is not closed
        return False
    plain = url.isascii() and url.isprintable() and not set(url) & set(' "<>@?#\\')
    return named and plain and parts.scheme in ("http", "https")


def reached_at(scope: Mapping[str, Any]) -> str:
    """`http://host:port` of the socket of ours that an ASGI request came in by; empty where there is no such thing, for links without a host."""
    host, port = scope.get("server") or ("", None)
    if not host or port is None:
        return ""
    return f"{scope.get('scheme', 'http')}://{f'[{host}]' if ':' in host else host}:{port}"
