"""The drill's own receiver of deliveries, on loopback: refuses for a while, then accepts; counts both.

It listens where the connector that the scenario needs sends to, so connectors.toml of the deployment has to have one (docs/drills.md):

    [drill-receiver]
    kind = "webhook"
    url = "http://127.0.0.1:47099/drill"
    allow_private = true
    secret_file = "drill-receiver.secret"
"""

import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

from ..deployment import Deployment
from ..errors import DrillUnusable
from .scenario import Scenario

_MAX_BODY: Final = 1 << 20
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def receiver_port(deployment: Deployment, scenario: Scenario) -> int | None:
    """The port that the scenario's connector sends to; None when it needs none. DrillUnusable when the deployment has no such connector."""
    for name in scenario.needs:
        url = urlsplit(str(deployment.connectors().get(name, {}).get("url", "")))
        if url.hostname not in _LOOPBACK or url.port is None:
            raise DrillUnusable(
                f"connectors.toml has no webhook [{name}] to a port of 127.0.0.1 for this drill's receiver; docs/drills.md shows one, "
                "and the outbox has to be started again after it was added"
            )
        return url.port
    return None


class Receiver:
    """Listens until closed."""

    def __init__(self, port: int) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(min(int(self.headers.get("content-length") or 0), _MAX_BODY))
                status = receiver.answer()
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Counted, not printed."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise DrillUnusable(f"the drill's receiver cannot listen on port {port}: {error.strerror}") from error
        self._until = 0.0
        self.refused = self.accepted = 0
        self._thread = threading.Thread(target=self._server.serve_forever, name="drill-receiver", daemon=True)
        self._thread.start()

    def fail_for(self, seconds: float) -> None:
        """Answer 503 from now on for so long."""
        self._until = time.monotonic() + seconds

    def answer(self) -> int:
        """The status for one delivery."""
        if time.monotonic() < self._until:
            self.refused += 1
            return HTTPStatus.SERVICE_UNAVAILABLE
        self.accepted += 1
        return HTTPStatus.ACCEPTED

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)
