"""What is nobody's word on a topic: counted, and logged once in a while, so that whoever writes garbage does not fill the disk with our log."""

import logging
import time
from typing import Final

from tallystick_schemas.errors import RevokedWord

from .seldom import Seldom

log: Final = logging.getLogger(__name__)
_MAX_KEY: Final = 200


def is_past(why: object, at_s: float) -> bool:
    """Whether a word that came in at `at_s` (the broker's time) is no news: its key truly said it, and was revoked after that."""
    return isinstance(why, RevokedWord) and at_s < why.revoked_at


class Refused:
    """One topic's. `count` is of this process."""

    def __init__(self, topic: str) -> None:
        self._topic, self._seldom = topic, Seldom()
        self._past: set[str] = set()

    @property
    def count(self) -> int:
        return self._seldom.count

    def note(self, key: bytes | None, why: object, at_s: float | None = None) -> None:
        """One value that changed nothing, and why not. `at_s`: when the broker had it, for a topic with append times.

        What a key said before it was revoked is then told once, and as no error.
        """
        if at_s is not None and is_past(why, at_s):
            if str(why) not in self._past:
                self._past.add(str(why))
                log.info("topic %s: %s after it said this; it counts no longer", self._topic, why)
            return
        others = self._seldom.ask(time.monotonic())
        if others is None:
            return
        shown = None if key is None else key[:_MAX_KEY]
        log.error("topic %s, key %r: %s%s", self._topic, shown, why, others)
