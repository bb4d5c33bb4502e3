"""Are the pinned keys those of this history at all? Pure.

A mistyped key and a history that somebody replaced as a whole look alike to whoever knows neither: both are told as that ambiguity, and
integrity fails. What names a key proves nothing; it helps only to find the typing mistake.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from tallystick_schemas.checkpoints import open_checkpoint, sealer_ends, verifiers_of
from tallystick_schemas.errors import ParseError, SettingsError, VerificationError
from tallystick_schemas.keys import key_id
from tallystick_schemas.notes import Note, Verifier, parse_note
from tallystick_schemas.settings import LogSettings
from tallystick_schemas.settings_check import key_mistakes

from .source import StoredCheckpoint, StoredLeaf

_NAMED: Final = 3
"""Keys or names that a sentence lists."""


def check_pinned(log: LogSettings) -> None:
    """SettingsError when no key is pinned, or one that is none: then nothing could be proven, whatever the history holds."""
    mistakes = [
        f"[log] {name} pins no key: put in the {whose}'s public key (64 hex digits), from somebody other than whoever keeps the store"
        for name, whose, keys in (("sealer_keys", "sealer", log.sealer_keys), ("operator_keys", "operator", log.operator_keys))
        if not keys
    ]
    mistakes += [
        f"[log] {name} {wrong}: copy it whole, 64 hex digits"
        for name, keys in (("sealer_keys", log.sealer_keys), ("operator_keys", log.operator_keys))
        for wrong in key_mistakes(keys)
    ]
    if mistakes:
        raise SettingsError(mistakes)
    sealer_ends(log)


def stranger_sealer(log: LogSettings, rows: Sequence[StoredCheckpoint], leaves: Sequence[StoredLeaf]) -> str | None:
    """The sentence for a history in which no checkpoint is signed, or claims to be, by a pinned sealer key for this deployment."""
    ours = {log.root_origin, *map(log.origin, range(log.shards))}
    raws = [row.note for row in rows] + [leaf.data for leaf in leaves]
    notes = [note for note in map(_parsed, raws) if note is not None]
    mine = [note for note in notes if _origin(note) in ours]
    if not mine:
        return _other_deployment(log, raws, notes) if notes else None
    if any(_named_by(note, verifiers_of(log, _origin(note))) for note in mine):
        return None
    pinned = _listed([f"{key_id(verifier.public)} ({_id(verifier, log)})" for verifier in verifiers_of(log, log.root_origin)])
    roots = [note for note in mine if _origin(note) == log.root_origin] or mine
    named = _listed(sorted({signature.key_hash.hex() for note in roots for signature in note.signatures}))
    return (
        f"no checkpoint is signed by the pinned sealer key {pinned}; those in the history name key {named}, which proves nothing. "
        "Either [log] sealer_keys is wrong, or all checkpoints were replaced: compare the key with whoever gave it to you"
    )


def stranger_operator(log: LogSettings, named: Iterable[str]) -> str:
    """The sentence for a history in which no operator's record is signed by a pinned operator key. `named` are ids that stand in the records."""
    pinned = _listed([key_id(public) for public in log.operator_keys])
    return (
        f"no record is signed by the pinned operator key {pinned}; the operator's records in the history name key "
        f"{_listed(sorted(set(named)))}, which proves nothing. Either [log] operator_keys is wrong, or the history was made with another "
        "operator's key: compare the key with whoever gave it to you; keys, verdicts and numbers were not judged"
    )


def _other_deployment(log: LogSettings, raws: Sequence[bytes], notes: Sequence[Note]) -> str:
    names = _listed(sorted({_origin(note).removesuffix("/root").partition("/shard/")[0] for note in notes}))
    signed = any(_holds(log, raw) for raw in raws)
    by = "is signed by the pinned sealer key" if signed else "is not signed by the pinned sealer key either"
    return (
        f"no checkpoint is of the deployment {log.deployment!r}; the history names itself {names}, and {by}. "
        "Either [log] deployment is wrong, or another history was put here: compare the name with whoever gave it to you"
    )


def _holds(log: LogSettings, raw: bytes) -> bool:
    """Whether the note is signed by a pinned key under whatever name it carries."""
    note = _parsed(raw)
    if note is None:
        return False
    try:
        open_checkpoint(raw, verifiers_of(log, _origin(note)), _origin(note))
    except (ParseError, VerificationError):
        return False
    return True


def _parsed(raw: bytes) -> Note | None:
    """The note, unchecked; None for leaves of another kind and for what is broken, which steps 1 and 2 tell."""
    try:
        return parse_note(raw)
    except ParseError:
        return None


def _origin(note: Note) -> str:
    return note.text.split("\n", 1)[0]


def _named_by(note: Note, verifiers: Iterable[Verifier]) -> bool:
    """A note that names a pinned key and does not hold under it is no typing mistake: steps 1 and 2 judge it."""
    return any((s.name, s.key_hash) == (v.name, v.key_hash) for s in note.signatures for v in verifiers)


def _id(verifier: Verifier, log: LogSettings) -> str:
    return f"in the notes of {log.root_origin}: {verifier.key_hash.hex()}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
