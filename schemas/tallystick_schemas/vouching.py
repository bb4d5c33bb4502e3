"""What agents put into `seen`: which root checkpoint they were shown, with the signature under it, so that it proves itself (SPEC section 4)."""

from collections.abc import Sequence

import msgspec

from .checkpoints import Checkpoint, checkpoint_text, open_checkpoint
from .errors import ParseError, VerificationError
from .headers import Seen
from .notes import Verifier, join_note, signature_by


def vouch(note: bytes, verifiers: Sequence[Verifier], origin: str) -> Seen:
    """What an agent says after it verified `note`; ParseError or VerificationError when it does not hold."""
    checkpoint = open_checkpoint(note, verifiers, origin)
    return Seen(checkpoint.size, checkpoint.root.hex(), msgspec.Raw(msgspec.json.encode(signature_by(note, verifiers))))


def note_of(seen: Seen, origin: str) -> bytes | None:
    """The note that `seen` was made of, with the one signature; None where it carries none. Nothing is checked."""
    if seen.signature is None:
        return None
    return join_note(checkpoint_text(Checkpoint(origin, seen.size, bytes.fromhex(seen.root))), origin, seen.signature)


def is_signed(seen: Seen, verifiers: Sequence[Verifier], origin: str) -> bool:
    """Whether one of `verifiers` signed what `seen` says. An agent alone cannot make such a one."""
    note = note_of(seen, origin)
    try:
        return note is not None and open_checkpoint(note, verifiers, origin).size == seen.size
    except (ParseError, VerificationError):
        return False
