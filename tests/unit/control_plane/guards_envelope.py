"""Guards of the envelope, which every reader of signed messages has in common: who signed, with which key, for which place, under which number."""

from collections.abc import Callable
from typing import Any, Final, get_args
from unittest.mock import patch

from tests.support.signing import public_of

from tallystick_schemas import envelope
from tallystick_schemas.envelope import MAGIC, Number, Opened, Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.roles import SIGNERS, Holder, Keyring, Role, Scope

from .guards import Guard, instead, together, wrapped

ROLES: Final[tuple[Role, ...]] = get_args(Role)


def _anybody(agent: str, key: str) -> Holder:
    """Who signs with mallory's key, as if an operator had let him do anything."""
    return Holder(agent, key, public_of("mallory"), frozenset(ROLES), True, Scope(), 0, b"")


def _unsigned(before: Callable[..., Opened]) -> Callable[..., Opened]:
    def open_any(self: Opener, topic: str, key: bytes | None, raw: bytes) -> Opened:
        if raw[: len(MAGIC)] != MAGIC:
            return Opened(_anybody((key or b"").decode(), ""), Number(99, 99), raw)
        return before(self, topic, key, raw)

    return open_any


def _elsewhere(before: Callable[..., Opened]) -> Callable[..., Opened]:
    def open_any(self: Opener, *said: Any) -> Opened:
        try:
            return before(self, *said)
        except ParseError:
            return before(Opener("other", self.keyring), *said)

    return open_any


UNSIGNED: Final = Guard("an unsigned value says nothing", wrapped(Opener, "open", _unsigned))
KEY: Final = Guard(
    "only a key that an operator enrolled",
    wrapped(Keyring, "holder", lambda before: lambda self, agent, key: before(self, agent, key) or _anybody(agent, key)),
)
ROLE: Final = Guard("the signer's role on this topic", lambda: patch.dict(SIGNERS, dict.fromkeys(SIGNERS, ROLES)))  # type: ignore[arg-type]  # a Mapping to others, and a dict
SIGNATURE: Final = Guard("the signature", instead(envelope, "fits", lambda *_: True))
BODY: Final = Guard("the body's hash", instead(envelope, "digest", lambda _: bytes(32)))
DEPLOYMENT: Final = Guard("the deployment is signed", wrapped(Opener, "open", _elsewhere))
NUMBER: Final = Guard(
    "a number must rise",
    together(instead(Number, "__le__", lambda *_: False), instead(Number, "__lt__", lambda *_: True)),
)
SPOKEN: Final = ((UNSIGNED,), (KEY,), (ROLE,), (SIGNATURE,), (BODY,))
"""What each forgery of a signed message meets: one guard each, so that each is missed."""
