"""What is nobody's word on a topic: counted, and logged once in a while, so that whoever writes garbage does not fill the disk with our log."""

import logging
import time
from typing import Final

log: Final = logging.getLogger(__name__)
_QUIET_S: Final = 10.0
_MAX_KEY: Final = 200


class Refused:
    """One topic's. `count` is of this process."""

    def __init__(self, topic: str) -> None:
        self.count = 0
        self._topic, self._silent_until, self._logged = topic, 0.0, 0

    def note(self, key: bytes | None, why: object) -> None:
        """One value that changed nothing, and why not."""
        self.count += 1
        now = time.monotonic()
        if now < self._silent_until:
            return
        more = self.count - self._logged - 1
        self._silent_until, self._logged = now + _QUIET_S, self.count
        shown = None if key is None else key[:_MAX_KEY]
        log.error("topic %s, key %r: %s%s", self._topic, shown, why, f" (and {more} others since the last such line)" if more else "")
