"""The keyring on disk: one file of mode 0600, made at first use, changed by one writer at a time, read again when it changed."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from tallystick_producers.private_file import open_to_others

from .errors import KeyringBroken
from .keyring import Keyring, new_key

_decode: Final = msgspec.json.Decoder(Keyring).decode
_Mark = tuple[int, int, int]


def read_keyring(path: Path) -> Keyring:
    """The ring; KeyringBroken when it is missing, open to others, empty or no keyring."""
    return _read(path)[0]


def _read(path: Path) -> tuple[Keyring, _Mark]:
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if (trouble := open_to_others(path, facts)) is not None:
                raise KeyringBroken(path, f"are in a file that {trouble}")
            ring = _decode(file.read())
    except OSError as error:
        raise KeyringBroken(path, f"cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise KeyringBroken(path, "are not a keyring; restore the file from a copy") from error
    if not ring.keys:
        raise KeyringBroken(path, "are none; restore the file from a copy")
    return ring, (facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns)


def change_keyring(path: Path, change: Callable[[Keyring], Keyring]) -> Keyring:
    """Change the ring, one writer at a time; `change` sees an empty one when there is no file. If we crash here, the file is as it was."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path.with_name(f".{path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        before = read_keyring(path) if path.exists() else Keyring()
        after = change(before)
        if after == before:
            return before
        temporary = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(after))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return after


def ensure_keyring(path: Path, now: float) -> Keyring:
    """The ring, with a first key when there is none."""
    return change_keyring(path, lambda ring: ring if ring.keys else ring.begun(new_key(now)))


class KeyFile:
    """The newest ring, whoever changed the file: each use looks whether it did."""

    def __init__(self, path: Path, now: float) -> None:
        ensure_keyring(path, now)
        self._path = path
        self._ring, self._mark = _read(path)

    def ring(self) -> Keyring:
        """KeyringBroken when the file turned bad: better not to sign than to sign with a key that others could read."""
        try:
            facts = self._path.stat()
        except OSError as error:
            raise KeyringBroken(self._path, f"cannot be read: {error.strerror}") from error
        if (facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns) != self._mark:
            self._ring, self._mark = _read(self._path)
        return self._ring
