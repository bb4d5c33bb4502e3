"""Plain requests to an embedded store, without a client library between."""

import http.client
import ssl
from urllib.parse import urlencode

from tallystick_schemas.settings import ClickHouseSettings


class Asking:
    """One connection as one user. A context manager."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._headers = {"X-ClickHouse-User": settings.username, "X-ClickHouse-Key": settings.password}
        context = ssl.create_default_context(cafile=settings.ca_cert)
        self._connection = http.client.HTTPSConnection(settings.host, settings.port, timeout=30, context=context)

    def __enter__(self) -> "Asking":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, body: bytes | str, headers: dict[str, str] | None = None, **address: str) -> tuple[str | None, str]:
        """(ClickHouse's error code, body) of a POST to the database tallystick."""
        raw = body.encode() if isinstance(body, str) else body
        self._connection.request("POST", "/?" + urlencode({"database": "tallystick"} | address), raw, self._headers | (headers or {}))
        answer = self._connection.getresponse()
        return answer.headers["X-ClickHouse-Exception-Code"], answer.read().decode("utf-8", "replace")
