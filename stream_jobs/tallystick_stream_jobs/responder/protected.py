"""Whom no automation locks: settings and the policy file together. The file is looked at again when it changes."""

import logging
import os
from pathlib import Path
from typing import Final

from tallystick_schemas.names import canonical
from tallystick_schemas.settings import JobSettings

from ..errors import PolicyRefused
from ..policy import load

log: Final = logging.getLogger(__name__)
_LOOK_EVERY_S: Final = 1.0


class Protected:
    """The newest good list. A file that turns bad keeps the last one: a slip of the pen must not take protection away."""

    def __init__(self, settings: JobSettings) -> None:
        self._always = frozenset(map(canonical, settings.protected))
        self._path = Path(settings.policy_file) if settings.policy_file else None
        self._names = self._always
        self._mark: tuple[int, int, int] | None = None
        self._look_at = float("-inf")

    def names(self, now: float) -> frozenset[str]:
        """In force at `now`, in the canonical form; the file is looked at once a second at the most."""
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            self._look()
        return self._names

    def _look(self) -> None:
        if self._path is None:
            return
        try:
            facts: os.stat_result | None = self._path.stat()
        except OSError:
            facts = None
        mark = None if facts is None else (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._names = self._always | load(self._path).protected
        except PolicyRefused as error:
            log.error("%s; whom it protected before stays protected", error)
