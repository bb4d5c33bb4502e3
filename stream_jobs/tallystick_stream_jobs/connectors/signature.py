"""Signatures of webhooks, for both sides: Standard Webhooks (standardwebhooks.com, symmetric), HMAC-SHA256 over id, timestamp and body.

A receiver needs this file alone; it imports nothing of ours.
"""

import hmac
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

WINDOW_S: Final = 300.0
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


class SignatureInvalid(Exception):
    """The request is not, or no longer, a delivery to act on; the text says why."""


def sign(secret: bytes, delivery_id: str, body: bytes, now: float) -> dict[str, str]:
    """The three headers of a request."""
    # The parts are joined with dots, so the id must have none: else one part could pass for another.
    message_id, timestamp = delivery_id.replace(".", "%2E"), str(int(now))
    return {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: "v1," + _mac(secret, message_id, timestamp, body)}


def _mac(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    return b64encode(hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, sha256).digest()).decode()


class Verifier:
    """Checks requests: the signature, its age, and that no delivery counts twice. One per receiver; give it old and new secret while one is changed."""

    def __init__(self, *secrets: bytes, window_s: float = WINDOW_S) -> None:
        self._secrets, self._window_s = secrets, window_s
        self._seen: OrderedDict[str, float] = OrderedDict()

    def check(self, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """True: act on it. False: it is genuine and was seen before, so answer 200 and do nothing. SignatureInvalid: answer 401.

        `headers` by lower-case name, `body` as it came, `now` in seconds since 1970. Ids are remembered for two windows; a delivery that is sent
        again later, after an outage, is known by its id alone: keep ids longer where a repeat would do harm.
        """
        message_id, timestamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
        if not message_id or "." in message_id or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
            raise SignatureInvalid("its id or its timestamp is missing or malformed")
        given = [part[3:] for part in headers.get(SIGNATURE, "").split(" ") if part.startswith("v1,")]
        wanted = [_mac(secret, message_id, timestamp, body) for secret in self._secrets]
        # Every pair is compared, in constant time each: which one fits is nobody's business.
        if not any([hmac.compare_digest(one.encode(), other.encode()) for one in given for other in wanted]):  # noqa: C419
            raise SignatureInvalid("no signature fits")
        if abs(now - int(timestamp)) > self._window_s:
            raise SignatureInvalid(f"its timestamp is more than {self._window_s:.0f} s from now")
        return self._is_new(message_id, now)

    def _is_new(self, message_id: str, now: float) -> bool:
        while self._seen and next(iter(self._seen.values())) < now - 2 * self._window_s:
            self._seen.popitem(last=False)
        new = message_id not in self._seen
        self._seen.setdefault(message_id, now)
        return new
