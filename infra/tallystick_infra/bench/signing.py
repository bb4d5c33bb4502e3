"""`bench signing`: what envelopes cost whoever writes, reads and refuses them, by size of the body. No broker and no store."""

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tallystick_schemas.directives import AGENT
from tallystick_schemas.encoding import to_base64
from tallystick_schemas.envelope import Number, Opener, Signer
from tallystick_schemas.errors import ParseError
from tallystick_schemas.headers import Directive
from tallystick_schemas.keys import key_id
from tallystick_schemas.roles import Keyring
from tallystick_schemas.signing import sign_record, wire_time
from tallystick_schemas.topics import VERIFIED

from .scratch import machine

SIZES: Final = (500, 10_000, 68_000, 1_000_000)
"""Bytes: a lock, a finding with its evidence, what the notary sends under load, the largest message that Kafka takes."""
_TURNS: Final = 5
_ONE_BYTE: Final = b"\x01"


def signing(repeats: int = 400) -> dict[str, Any]:
    """Microseconds of CPU of one message, medians of five turns of so many: by what is done, and by bytes of the body."""
    figures: dict[str, dict[str, float]] = {}
    for size in SIZES:
        for name, work in _works(bytes(size)).items():
            figures.setdefault(name, {})[f"{size} B"] = _microseconds(work, repeats)
    return {"cpu_us": figures, "machine": machine()}


def _works(body: bytes) -> dict[str, Callable[[], object]]:
    """What is measured. The forger has seen a true message: he changes its number, or its body, or has a key without a role."""
    notary, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signer, opener = Signer("bench", "notary", notary), _opener(notary)
    said = signer.sign(VERIFIED, None, Number(1, 1), body)
    renumbered, other = said[:19] + b"\x02" + said[20:], said[:-1] + _ONE_BYTE
    nobodys = Signer("bench", "notary", stranger).sign(VERIFIED, None, Number(1, 1), body)
    turn, counter = [body[: len(body) // 4]] * 4, itertools.count()

    def together() -> list[bytes]:
        return signer.sign_together(VERIFIED, None, [(Number(2, next(counter)), part) for part in turn])

    return {
        "sign": lambda: signer.sign(VERIFIED, None, Number(1, 1), body),
        "open": lambda: opener.open(VERIFIED, None, said),
        "sign four of a quarter together": together,
        "sign four of a quarter together and open each": lambda: [opener.open(VERIFIED, None, one) for one in together()],
        "refuse: the signature does not fit": lambda: _refused(opener, renumbered),
        "refuse: a true message with another body": lambda: _refused(opener, other),
        "refuse: a key without a role": lambda: _refused(opener, nobodys),
        "refuse: another size than is signed": lambda: _refused(opener, said + _ONE_BYTE),
        "refuse: not signed": lambda: _refused(opener, body),
    }


def _refused(opener: Opener, raw: bytes) -> None:
    try:
        opener.open(VERIFIED, None, raw)
    except ParseError:
        return
    raise AssertionError("a forged message was opened: its figure would be of something else")


def _opener(notary: Ed25519PrivateKey) -> Opener:
    """An opener of a deployment whose operator gave this key the notary's role."""
    operator = Ed25519PrivateKey.generate()
    public, pinned = notary.public_key().public_bytes_raw(), operator.public_key().public_bytes_raw()
    value = {"public_key": to_base64(public), "roles": ["notary"], "state": "active", "scope": None}
    given = Directive(1, key_id(pinned), wire_time(time.time()), AGENT, f"notary {key_id(public)}", 0, value)
    keyring = Keyring.of((pinned,))
    keyring.take(sign_record(given, operator))
    return Opener("bench", keyring)


def _microseconds(work: Callable[[], object], repeats: int) -> float:
    turns = []
    for _ in range(_TURNS):
        began = time.thread_time_ns()
        for _ in range(repeats):
            work()
        turns.append((time.thread_time_ns() - began) / repeats / 1000)
    return round(statistics.median(turns), 1)
