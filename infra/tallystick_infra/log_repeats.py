"""Client libraries say the same again and again while a broker is away: each kind of line is told once in a while, and what was left out is counted."""

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final

_QUIET_S: Final = 10.0
_MOST_KINDS: Final = 64
_NUMBERS: Final = re.compile(r"\d+")
_SHOWN: Final = 160
Kind = tuple[str, int, str]
"""Logger, level, and what the line says before anything is put into it."""


def kind_of(record: logging.LogRecord) -> Kind:
    """Lines of one kind differ by addresses, numbers and times alone."""
    said = str(record.msg)
    return record.name, record.levelno, said if record.args else _NUMBERS.sub("#", said)


class Repeats:
    """One window of `quiet_s` seconds after another, in each of which a kind is told once. Given the time; not for several threads."""

    def __init__(self, quiet_s: float = _QUIET_S) -> None:
        self._quiet_s = quiet_s
        self._since = float("-inf")
        self._told: set[Kind] = set()
        self.left_out: Counter[Kind] = Counter()
        """Of the window that is open."""

    def ends_at(self) -> float:
        """When the window is over."""
        return self._since + self._quiet_s

    def take(self, kind: Kind, now: float) -> bool:
        """Whether to tell a line. The caller has taken what the window before left out."""
        if now >= self.ends_at():
            self._since, self._told = now, set()
        if kind not in self._told and len(self._told) < _MOST_KINDS:
            self._told.add(kind)
            return True
        self.left_out[kind if kind in self._told else ("", 0, "of other kinds")] += 1
        return False

    def summary(self) -> str:
        """What was left out since the last summary, in a sentence; empty when nothing was."""
        left, self.left_out = self.left_out, Counter()
        if not left:
            return ""
        (name, _, said), most = left.most_common(1)[0]
        often = f", {most:,} of them like {name}: {said[:_SHOWN]}" if name else ""
        return f"{left.total():,} more lines of client libraries were left out in {self._quiet_s:g} s{often}"


class Quietened(logging.Filter):
    """A handler's: holds the libraries' loggers to one line of a kind a window, and has the handler tell what was left out when the window ends."""

    def __init__(self, handler: logging.Handler, libraries: Collection[str], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._handler, self._libraries, self._clock = handler, frozenset(libraries), clock
        self._repeats, self._guard = Repeats(), threading.Lock()
        self._timer: threading.Timer | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the handler shows this line now."""
        if record.name == __name__ or record.name.partition(".")[0] not in self._libraries:
            return True
        with self._guard:
            now = self._clock()
            before = self._repeats.summary() if now >= self._repeats.ends_at() else ""
            told = self._repeats.take(kind_of(record), now)
            if not told and self._timer is None:
                # Nothing may come after this line that would have us say what was left out.
                self._timer = threading.Timer(max(0.0, self._repeats.ends_at() - now), self.tell)
                self._timer.daemon = True
                self._timer.start()
        self._say(before)
        return told

    def tell(self) -> None:
        """Say now what was left out: when the window ends, and when the process does."""
        with self._guard:
            said, self._timer = self._repeats.summary(), None
        self._say(said)

    def _say(self, said: str) -> None:
        if said:
            self._handler.handle(logging.LogRecord(__name__, logging.WARNING, __file__, 0, said, None, None))
