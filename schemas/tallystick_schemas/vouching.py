"""What agents put into `seen`: which root checkpoint they were shown, with the signature under it, so that it proves itself (SPEC section 4)."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from .checkpoints import Checkpoint, checkpoint_text, open_checkpoint, parse_checkpoint, verifiers_of
from .errors import ParseError, VerificationError
from .headers import Seen
from .notes import Verifier, join_note, parse_note, signature_by
from .settings import LogSettings


class SeenRoot(NamedTuple):
    """What a segment says of a root checkpoint; `root` in hex, `signature` empty where it carries none."""

    size: int
    root: str
    signature: str

    @classmethod
    def of(cls, seen: Seen) -> "SeenRoot":
        """As it stands in a header."""
        return cls(seen.size, seen.root, seen.signature or "")


def vouch(note: bytes, log: LogSettings) -> Seen:
    """What an agent says after it verified the root checkpoint in `note`; ParseError or VerificationError when it does not hold."""
    origin = log.root_origin
    verifiers = verifiers_of(log, origin, parse_checkpoint(parse_note(note).text).size)
    checkpoint = open_checkpoint(note, verifiers, origin)
    return Seen(checkpoint.size, checkpoint.root.hex(), msgspec.Raw(msgspec.json.encode(signature_by(note, verifiers))))


def note_of(seen: SeenRoot, origin: str) -> bytes:
    """The note that `seen` was made of, with the one signature. Nothing is checked."""
    return join_note(checkpoint_text(Checkpoint(origin, seen.size, bytes.fromhex(seen.root))), origin, seen.signature)


def is_signed(seen: SeenRoot, verifiers: Sequence[Verifier], origin: str) -> bool:
    """Whether one of `verifiers` signed what `seen` says. An agent alone cannot make such a one."""
    try:
        open_checkpoint(note_of(seen, origin), verifiers, origin)
    except (ParseError, VerificationError):
        return False
    return True
