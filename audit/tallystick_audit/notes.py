"""Notes that an auditor keeps between verifications: read, and written whole or not at all."""

import os
from pathlib import Path

from tallystick_schemas.checkpoints import open_checkpoint, parse_checkpoint, verifiers_of
from tallystick_schemas.errors import ParseError, VerificationError
from tallystick_schemas.notes import MAX_NOTE_BYTES, parse_note
from tallystick_schemas.settings import LogSettings

from .errors import UnusableNote
from .verify.kept import Kept
from .verify.pinned import check_pinned


def read_note(path: Path) -> bytes:
    """The file's bytes, as many as a note may have and one more; UnusableNote when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_NOTE_BYTES + 1)
    except OSError as error:
        raise UnusableNote(path, error.strerror or str(error)) from error


def open_kept(path: Path, raw: bytes, log: LogSettings) -> Kept:
    """The checkpoint in a kept note; UnusableNote when it is no note of this deployment that a pinned sealer key signed."""
    check_pinned(log)
    try:
        origin = parse_note(raw).text.split("\n", 1)[0]
        if origin not in {log.root_origin, *map(log.origin, range(log.shards))}:
            raise UnusableNote(path, f"it is of {origin[:200]!r}, which is no log of the deployment {log.deployment!r}")
        return Kept(str(path), open_checkpoint(raw, verifiers_of(log, origin, _root_size(raw) if origin == log.root_origin else 0), origin))
    except (ParseError, VerificationError) as error:
        raise UnusableNote(path, str(error)) from error


def _root_size(raw: bytes) -> int:
    return parse_checkpoint(parse_note(raw).text).size


def kept_to_extend(path: Path, log: LogSettings) -> tuple[bytes | None, list[Kept]]:
    """What stands where a note shall be saved: its bytes, and the root checkpoint that the new one must extend; none before the first."""
    if not path.exists():
        return None, []
    raw = read_note(path)
    kept = open_kept(path, raw, log)
    if kept.checkpoint.origin != log.root_origin:
        raise UnusableNote(path, f"it is a checkpoint of {kept.checkpoint.origin}; a root note is not saved over it")
    return raw, [kept]


def save_note(path: Path, note: bytes, before: bytes | None) -> None:
    """Put `note` in place of `before`, the bytes that were proven to be extended; UnusableNote when others stand there now."""
    if (read_note(path) if path.exists() else None) != before:
        raise UnusableNote(path, "it changed while the history was verified; nothing was saved")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(note)
            file.flush()
            os.fsync(handle)
        # If we crash here, the old note stands, and the next verification extends it as this one did.
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise UnusableNote(path, f"the new note was not saved: {error.strerror or error}") from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
