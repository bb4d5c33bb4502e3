"""The envelope of every message that makes somebody act (SPEC section 12): who made it, its number, and a signature over where it belongs.

    head = u64 fence || u64 n || LP(agent) || LP(key id) || u32 size || SHA-256 of body
    "TSM1" || head || 64 bytes of signature || body
    "TSM2" || head || u8 count || SHA-256 of each head that is signed together || 64 bytes of signature || body

Deployment, topic and the message's Kafka key are signed and not written: a message that lies elsewhere has a signature that does not fit.
The body is signed by its size and hash: what a stranger sends costs one signature check over a few hundred bytes, however long it is.
Messages for one place that are made at the same time share one signature, which costs who reads them all one check.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .encoding import digest, lp, pae, read_lp
from .errors import NoRole, ParseError, RevokedWord
from .keys import key_id
from .roles import SIGNERS, Holder, Keyring
from .signatures import fits
from .times import seconds_of

MAGIC: Final = b"TSM1"
TOGETHER: Final = b"TSM2"
PAYLOAD: Final = "application/vnd.tallystick.message.v1"
PAYLOAD_TOGETHER: Final = "application/vnd.tallystick.messages.v1"
MOST_TOGETHER: Final = 16
MAX_KAFKA_KEY: Final = 8_192
"""Bytes. It is signed with the rest, and whoever writes to a topic chooses it; the longest of ours name a point and a principal."""
MAX_MESSAGE_BYTES: Final = 8 << 20
_MAX_AGENT: Final = 128
_MAX_KEY: Final = 16
_SIGNATURE: Final = 64
_NUMBERS_END: Final = 20
_BODY: Final = 4 + 32
"""Bytes that say of the body what it is: its size and hash."""


class Number(NamedTuple):
    """Where a message stands among all of its role: by fence (which owner) first, then by the owner's own count."""

    fence: int
    n: int


NO_NUMBER: Final = Number(-1, -1)
"""Below every number."""


class Numbers:
    """Numbers of one owner, rising from 0 within its fence."""

    def __init__(self, fence: int) -> None:
        self.fence, self._n = fence, -1

    def next(self) -> Number:
        """The next number; each is given once."""
        self._n += 1
        return Number(self.fence, self._n)


@dataclass(frozen=True)
class Opened:
    """A message whose signature, role and place hold."""

    holder: Holder
    number: Number
    body: bytes


@dataclass(frozen=True)
class Signer:
    """One process that speaks for an agent: makes envelopes with the numbers that it is given."""

    deployment: str
    agent: str
    private_key: Ed25519PrivateKey

    @cached_property
    def key(self) -> str:
        """The id of the key that it signs with."""
        return key_id(self.private_key.public_key().public_bytes_raw())

    def sign(self, topic: str, key: bytes | None, number: Number, body: bytes) -> bytes:
        """The value to send under this key of the topic."""
        head = self._head(number, body)
        signature = self.private_key.sign(_signed(self.deployment, (topic, key), lp(head)))
        return b"".join((MAGIC, head, signature, body))

    def sign_together(self, topic: str, key: bytes | None, messages: Sequence[tuple[Number, bytes]]) -> list[bytes]:
        """The values of several messages under this key of the topic, with one signature for up to 16 of them."""
        values: list[bytes] = []
        for first in range(0, len(messages), MOST_TOGETHER):
            some = messages[first : first + MOST_TOGETHER]
            if len(some) == 1:
                values.append(self.sign(topic, key, *some[0]))
                continue
            heads = [self._head(number, body) for number, body in some]
            listed = bytes((len(heads),)) + b"".join(map(digest, heads))
            signature = self.private_key.sign(_signed(self.deployment, (topic, key), listed, PAYLOAD_TOGETHER))
            values += [b"".join((TOGETHER, head, listed, signature, body)) for head, (_, body) in zip(heads, some, strict=True)]
        return values

    def _head(self, number: Number, body: bytes) -> bytes:
        numbers = number.fence.to_bytes(8, "big") + number.n.to_bytes(8, "big")
        return b"".join((numbers, self._names, len(body).to_bytes(4, "big"), digest(body)))

    @cached_property
    def _names(self) -> bytes:
        return lp(self.agent.encode()) + lp(self.key.encode())

    def own(self, topic: str, key: bytes | None, raw: bytes) -> "Claim":
        """What this key itself signed for this place, read back; ParseError for everybody else's word. Needs no keyring: one's own word is known."""
        claim = parse_claim(raw)
        # Ed25519 is deterministic (RFC 8032, 5.1.6): the same words have the same signature.
        if self.sign(topic, key, claim.number, claim.body) != raw:
            raise ParseError(f"{self.agent} did not sign this with the key that it has now")
        return claim


def _signed(deployment: str, place: tuple[str, bytes | None], said: bytes, payload: str = PAYLOAD) -> bytes:
    topic, key = place
    # A message without a key is another one than a message with an empty key.
    named = b"\0" if key is None else b"\1" + lp(key)
    return pae(payload, b"".join((lp(deployment.encode()), lp(topic.encode()), named, said)))


class Claim(NamedTuple):
    """What an envelope says of itself, before anything is believed."""

    agent: str
    key: str
    number: Number
    head: bytes
    listed: bytes
    """Of messages signed together: how many, and the hashes of their heads. Empty where the head alone is signed."""
    raw: bytes

    @property
    def signature(self) -> bytes:
        at = len(MAGIC) + len(self.head) + len(self.listed)
        return self.raw[at : at + _SIGNATURE]

    @property
    def body(self) -> bytes:
        """A copy: not made before it is known whose it is."""
        return self.raw[len(MAGIC) + len(self.head) + len(self.listed) + _SIGNATURE :]

    def signed(self, deployment: str, place: tuple[str, bytes | None]) -> bytes:
        """The bytes that the signature is over, if this is the place."""
        return _signed(deployment, place, self.listed, PAYLOAD_TOGETHER) if self.listed else _signed(deployment, place, lp(self.head))


def parse_claim(raw: bytes) -> Claim:
    """The parts of an envelope; ParseError when it is none. Looks at no byte of the body."""
    if raw[:4] not in (MAGIC, TOGETHER):
        raise ParseError("not signed: it begins neither with TSM1 nor with TSM2")
    if len(raw) > MAX_MESSAGE_BYTES:
        raise ParseError(f"a message has {len(raw)} bytes, at most {MAX_MESSAGE_BYTES} are allowed")
    agent, at = read_lp(raw, _NUMBERS_END, _MAX_AGENT, "the message's agent")
    key, at = read_lp(raw, at, _MAX_KEY, "the message's key id")
    size, at = int.from_bytes(raw[at : at + 4], "big"), at + _BODY
    head = raw[4:at]
    listed = _listed(raw, at, head) if raw[:4] == TOGETHER else b""
    at += len(listed)
    if len(raw) < at + _SIGNATURE:
        raise ParseError("the message's signature is cut off")
    if len(raw) != at + _SIGNATURE + size:
        raise ParseError(f"the message's body has {len(raw) - at - _SIGNATURE} bytes, and {size} are signed")
    number = Number(int.from_bytes(raw[4:12], "big"), int.from_bytes(raw[12:20], "big"))
    try:
        names = agent.decode("ascii"), key.decode("ascii")
    except UnicodeError as error:
        raise ParseError("the message's agent is not ASCII") from error
    return Claim(*names, number, head, listed, raw)


def _listed(raw: bytes, at: int, head: bytes) -> bytes:
    """The count and the hashes of what is signed together, of which this head must be one: ParseError."""
    count = raw[at] if at < len(raw) else 0
    listed = raw[at : at + 1 + 32 * count]
    if not 1 <= count <= MOST_TOGETHER or len(listed) != 1 + 32 * count:
        raise ParseError(f"{count} messages are signed together, or their hashes are cut off; 1 to {MOST_TOGETHER} may be")
    if digest(head) not in (listed[first : first + 32] for first in range(1, len(listed), 32)):
        raise ParseError("this message is none of those that are signed together")
    return listed


def _verify(public: bytes, signature: bytes, signed: bytes) -> None:
    """ParseError when it does not fit: raised, so that the cache below keeps what fits alone."""
    if not fits(public, signature, signed):
        raise ParseError("the signature does not fit")


_verify_once: Final = lru_cache(maxsize=64)(_verify)
"""What was found to fit fits again. What does not is never remembered; who copies true messages can have others forgotten, which costs their check again."""


class Opener:
    """Opens messages of one deployment by what its keyring knows."""

    def __init__(self, deployment: str, keyring: Keyring, signers: Mapping[str, tuple[str, ...]] = SIGNERS) -> None:
        self.deployment, self.keyring, self._signers = deployment, keyring, signers

    def open(self, topic: str, key: bytes | None, raw: bytes) -> Opened:
        """The message under `key` of `topic`; ParseError says whose it is not, NoRole that it may become somebody's. One look-up before one signature check."""
        if key is not None and len(key) > MAX_KAFKA_KEY:
            raise ParseError(f"its Kafka key has {len(key)} bytes, at most {MAX_KAFKA_KEY} are allowed")
        claim = parse_claim(raw)
        holder = self.keyring.holder(claim.agent, claim.key)
        if holder is None:
            raise NoRole(f"signed by key {claim.key} of {claim.agent}, to which no operator gave a role")
        if not holder.active:
            raise self._revoked(holder, claim, topic, key)
        if holder.roles.isdisjoint(self._signers.get(topic, ())):
            raise NoRole(f"{claim.agent} may say nothing on {topic}: its roles are {', '.join(sorted(holder.roles)) or 'none'}")
        if not self._is_signed(holder, claim, topic, key):
            # The name of the deployment is signed and not said, so a reader that has another one can only be told what to look at.
            hint = f"does its signer call the deployment {self.deployment!r}, as [log] deployment does here?"
            raise ParseError(f"{claim.agent} did not sign this for this place: the signature does not fit; {hint}")
        body = claim.body
        # No secret is compared: who has the message has both.
        if digest(body) != claim.head[-32:]:
            raise ParseError(f"{claim.agent} signed another body than this one")
        return Opened(holder, claim.number, body)

    def _is_signed(self, holder: Holder, claim: Claim, topic: str, key: bytes | None) -> bool:
        try:
            verify = _verify_once if claim.listed else _verify
            verify(holder.public, claim.signature, claim.signed(self.deployment, (topic, key)))
        except ParseError:
            return False
        return True

    def _revoked(self, holder: Holder, claim: Claim, topic: str, key: bytes | None) -> ParseError:
        """What to say of a word in a revoked key's name: whoever only names it never had it."""
        if holder.time and self._is_signed(holder, claim, topic, key):
            return RevokedWord(claim.agent, claim.key, seconds_of(holder.time))
        return ParseError(f"in the name of key {claim.key} of {claim.agent}, which an operator revoked, and not signed by it")
