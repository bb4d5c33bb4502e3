"""The sealer's compare-and-swap file: what it signed last. Nothing is published that was not saved here first."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from tallystick_schemas.errors import ParseError

from ..errors import SealerBusy, SealerStateBroken
from .core import SealerState

KEPT_NAME: Final = "notes.jsonl"
_decoder = msgspec.json.Decoder(SealerState)


def parse_sealer_state(raw: bytes) -> SealerState:
    """A state, or ParseError."""
    try:
        return _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"not a sealer's state: {error}") from error


class StateFile:
    """One sealer a directory: a lock is held as long as this is open. `kept`: where its notes are kept, under the same lock."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path, self.kept = directory / "state.json", directory / KEPT_NAME
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise SealerBusy(directory) from error

    def __enter__(self) -> "StateFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._lock)

    def load(self) -> SealerState | None:
        """What was saved last; None before the first time."""
        try:
            return parse_sealer_state(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ParseError as error:
            raise SealerStateBroken(self.path, str(error)) from error

    def save(self, state: SealerState) -> SealerState:
        """Swap `state` in when the file still holds its version; the saved state has the next version. Durable on return."""
        held = self.load()
        if (held.version if held else 0) != state.version:
            raise SealerStateBroken(self.path, f"somebody else saved version {held.version if held else 0} over {state.version}")
        saved = msgspec.structs.replace(state, version=state.version + 1)
        temporary = self.path.with_suffix(".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(handle, msgspec.json.encode(saved))
            os.fsync(handle)
        finally:
            os.close(handle)
        # If we crash here, the old state stands and the same rows are signed again, to the same bytes.
        temporary.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return saved
