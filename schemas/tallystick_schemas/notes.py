"""Signed notes (C2SP `signed-note`, c2sp.org/signed-note): a text, an empty line, and a line a signature. Ed25519, type 0x01."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .encoding import from_base64, to_base64
from .errors import ParseError, VerificationError
from .signatures import fits

MAX_NOTE_BYTES: Final = 64 * 1024
MAX_SIGNATURES: Final = 100
_ED25519: Final = b"\x01"
_HASH_BYTES: Final = 4
_DASH: Final = "\u2014"
_NAME: Final = re.compile(r"[^\s+]+")


@dataclass(frozen=True)
class Verifier:
    """A key that may sign notes: its name, and 32 raw bytes."""

    name: str
    public: bytes

    @property
    def key_hash(self) -> bytes:
        """The 4 bytes by which a signature line names its key."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_HASH_BYTES]

    def encode(self) -> str:
        """The verifier key string `<name>+<hash>+<base64>`."""
        return f"{self.name}+{self.key_hash.hex()}+{to_base64(_ED25519 + self.public)}"


def parse_verifier(text: str) -> Verifier:
    """A verifier key string, or ParseError."""
    name, _, rest = text.partition("+")
    hashed, _, key = rest.partition("+")
    raw = from_base64(key, 33, "the verifier key")
    verifier = Verifier(name, raw[1:])
    if raw[:1] != _ED25519 or not _NAME.fullmatch(name) or hashed != verifier.key_hash.hex():
        raise ParseError("the verifier key is not Ed25519, or its hash is not its own")
    return verifier


class Signature(NamedTuple):
    """One signature line: who, by which key, and the signature's bytes."""

    name: str
    key_hash: bytes
    sig: bytes


class Note(NamedTuple):
    """A parsed note; nothing about its signatures has been checked."""

    text: str
    signatures: list[Signature]


def sign_note(text: str, name: str, private_key: Ed25519PrivateKey) -> bytes:
    """The note with one signature. `text` ends in a newline."""
    if not text.endswith("\n") or not _NAME.fullmatch(name):
        raise ParseError("a note's text ends in a newline, and a key name has neither spaces nor plus signs")
    verifier = Verifier(name, private_key.public_key().public_bytes_raw())
    return join_note(text, name, to_base64(verifier.key_hash + private_key.sign(text.encode())))


def join_note(text: str, name: str, signature: str) -> bytes:
    """The note of a text and what stands in one signature line; nothing is checked."""
    return f"{text}\n{_DASH} {name} {signature}\n".encode()


def signature_by(raw: bytes, verifiers: Sequence[Verifier]) -> str:
    """What the signature line of the first of `verifiers` holds, in base64. ParseError where none has a line."""
    signatures = parse_note(raw).signatures
    for verifier in verifiers:
        for signature in signatures:
            if (signature.name, signature.key_hash) == (verifier.name, verifier.key_hash):
                return to_base64(signature.key_hash + signature.sig)
    raise ParseError("the note carries no signature line of a key that is trusted for it")


def parse_note(raw: bytes) -> Note:
    """The text and the signatures in `raw`, or ParseError."""
    if len(raw) > MAX_NOTE_BYTES:
        raise ParseError(f"a note has {len(raw)} bytes, at most {MAX_NOTE_BYTES} are allowed")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError("a note is not UTF-8") from error
    if any(ord(c) < 0x20 and c != "\n" for c in whole):
        raise ParseError("a note holds a control character")
    at = whole.rfind("\n\n")
    if at < 0 or not whole.endswith("\n"):
        raise ParseError("a note has a text, an empty line, and signature lines that end in a newline")
    lines = whole[at + 2 : -1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise ParseError(f"a note has {len(lines)} signatures, at most {MAX_SIGNATURES} are allowed")
    return Note(whole[: at + 1], [_signature(line) for line in lines])


def _signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH or not _NAME.fullmatch(parts[1]):
        raise ParseError("a note's signature line is not '\u2014 <name> <base64>'")
    raw = from_base64(parts[2], None, "a note's signature")
    if len(raw) <= _HASH_BYTES:
        raise ParseError("a note's signature is cut off")
    return Signature(parts[1], raw[:_HASH_BYTES], raw[_HASH_BYTES:])


def open_note(raw: bytes, verifiers: Sequence[Verifier]) -> str:
    """The text, signed by at least one of `verifiers`; ParseError, or VerificationError when none signed or one's signature is wrong."""
    note = parse_note(raw)
    good = 0
    for verifier in verifiers:
        for signature in note.signatures:
            if (signature.name, signature.key_hash) == (verifier.name, verifier.key_hash):
                _check(verifier, signature, note.text)
                good += 1
    if not good:
        raise VerificationError("the note carries no signature of a key that is trusted for it")
    return note.text


def _check(verifier: Verifier, signature: Signature, text: str) -> None:
    if not fits(verifier.public, signature.sig, text.encode()):
        raise VerificationError(f"the note's signature by {verifier.name} is wrong")
