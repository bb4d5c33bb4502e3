"""Generic webhook: the decision as JSON, signed. What the receiver makes of it is its own affair."""

from dataclasses import dataclass

import msgspec

from tallystick_schemas.messages import Decision, Delivery

from .base import Act, Connector, act_of
from .http import Http
from .setup import Common, Setup
from .signature import sign


@dataclass(frozen=True, kw_only=True)
class WebhookSettings(Common):
    """`secret_file`: in keys/, the key of the signatures, at least 24 characters."""

    url: str
    secret_file: str


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body. `id` is the same in every repeat; `decision` is documented with its message."""

    id: str
    type: str
    deployment: str
    decision: Decision
    act: Act


class Webhook:
    """Each message counts: somebody who is told of an unlock must have been told of the lock."""

    supersedes = False

    def __init__(self, http: Http, url: str, secret: bytes, deployment: str) -> None:
        self._http, self._url, self._secret, self._deployment = http, url, secret, deployment

    def deliver(self, delivery: Delivery, now: float) -> str:
        """POST it; any 2xx is a yes. Signed anew each time, so that a late repeat is inside the receiver's window."""
        act = act_of(delivery)
        body = msgspec.json.encode(Message(delivery.id, f"tallystick.{act}", self._deployment, delivery.decision, act))
        headers = {"content-type": "application/json", **sign(self._secret, delivery.id, body, now)}
        answer = self._http.send("POST", self._url, headers=headers, content=body).check()
        return f"told: {answer.host} answered {answer.status}"


def build(setup: Setup) -> Connector:
    settings = setup.settings(WebhookSettings)
    return Webhook(setup.http(settings), settings.url, setup.secret(settings.secret_file, least=24).encode(), setup.deployment)
