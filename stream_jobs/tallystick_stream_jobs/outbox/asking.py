"""How a point is asked: a canary at a gateway's probe (docs/adr/0016), or a connector's introspection. Runs in threads, never raises."""

import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from tallystick_schemas.enforcement import CONNECTOR
from tallystick_schemas.messages import Decision, Delivery

from ..connectors.base import Connector
from ..connectors.errors import ConnectorError
from ..connectors.http import Answer, Http
from .proofs import Question, Seen

log: Final = logging.getLogger(__name__)
PROBE_PATH: Final = "/.well-known/tallystick/probe"
_TIMEOUT_S: Final = 3.0
_MAX_BYTES: Final = 64 * 1024


class Asker:
    """`canary`: the bearer token that opens nothing but probes. Gateways are our own and live on private networks, so those are allowed here."""

    def __init__(self, canary: str, connectors: Mapping[str, Connector], *, allow_private: bool = True) -> None:
        self._canary, self._connectors, self._allow_private = canary, connectors, allow_private
        self._http: Http | None = None

    def introspecting(self) -> list[str]:
        """Names of the connectors that can ask the other side."""
        return [name for name, one in self._connectors.items() if hasattr(one, "still_works")]

    def ask(self, question: Question, now: float) -> Seen:
        """Whether the subject would get in now, as tried."""
        try:
            if question.probe is not None:
                return self._probe(question.probe, question.decision)
            return self._introspect(question.point.removeprefix(CONNECTOR), question.decision, now)
        except ConnectorError as error:
            return Seen(None, str(error))
        except Exception as error:  # noqa: BLE001 - whatever a point answers is no proof, and must not stop the others; its text may hold anything
            log.error("asking %s failed with %s", question.point, type(error).__name__)
            return Seen(None, f"asking failed: {type(error).__name__}")

    def _probe(self, url: str, decision: Decision) -> Seen:
        # The address comes from a topic: the canary's token goes to a probe's path alone.
        if urlsplit(url).path != PROBE_PATH or urlsplit(url).query:
            return Seen(None, f"the point names an address that does not end in {PROBE_PATH}")
        if self._http is None:
            self._http = Http(allow_private=self._allow_private, timeout_s=_TIMEOUT_S, max_bytes=_MAX_BYTES)
        headers = {"authorization": f"Bearer {self._canary}", "accept": "application/json"}
        return judge(self._http.send("GET", f"{url}?subject={quote(decision.subject, safe=':')}", headers=headers), decision)

    def _introspect(self, name: str, decision: Decision, now: float) -> Seen:
        connector = self._connectors.get(name)
        still_works = getattr(connector, "still_works", None)
        if still_works is None:
            return Seen(None, "this connector is no longer configured")
        delivery = Delivery(id=f"{decision.id}/{name}", decision=decision, connector=name, state="done", created_at=decision.at)
        how = still_works(delivery, now)
        return Seen(how is not None, f"introspection: {how or 'refused'}")


def judge(answer: Answer, decision: Decision) -> Seen:
    """What a gateway's answer means, by the table of docs/adr/0016."""
    if answer.status == 204:
        return Seen(True, "canary credential: let in")
    body = _body(answer)
    lock, level = body.get("lock"), decision.lock.level if decision.lock is not None else "suspend"
    if answer.status == 403 and lock:
        return Seen(False, "canary credential: refused" + ("" if lock == decision.id else f" by another lock, {str(lock)[:100]}"))
    if answer.status == 401 and lock:
        # A step-up that stands there already is less than a suspension.
        return (
            Seen(False, "canary credential: a fresh proof is asked for") if level == "step-up" else Seen(None, "only a step-up is in force")
        )
    if answer.status == 401 and "expired" in answer.headers.get("x-error-message", ""):
        return Seen(False, "canary credential: every token of it has expired")
    if answer.status == 404:
        return Seen(None, "no token of it is known there, and no lock yet")
    code = answer.headers.get("x-error-code", "")
    return Seen(None, f"the point answered {answer.status} {code[:60]}".rstrip())


def _body(answer: Answer) -> dict[str, object]:
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
