"""The policy in force: picked up from its files without a restart. A file that cannot be used changes nothing but what is said about it."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..errors import PolicyRefused
from .changes import digest_of, last_text
from .demotions import FILE_NAME as DEMOTIONS
from .demotions import demoted_of, parse_standings
from .load import named, read_text
from .model import DetectionPolicy
from .parse import parse

log: Final = logging.getLogger(__name__)
EVERY_S: Final = 1.0


class Reloader:
    """Ask `check` as often as you like; it looks once a second. `path`: detection.yaml; `state_dir`: demotions and the copy that was recorded.

    When the file cannot be used at the start, the one that was recorded last is in force; without one, the defaults, and nothing acts by
    itself: the file may have protected somebody.
    """

    def __init__(self, path: Path, state_dir: Path, say: Callable[[str], object] = log.error) -> None:
        self.path, self.state_dir, self._say = path, state_dir, say
        self.policy = DetectionPolicy()
        self.texts: dict[str, str | None] = {}
        """File name -> the text that is in force; None: no file."""
        self.mistakes: tuple[str, ...] = ()
        """Why the newest file is not used; empty: it is in force."""
        self.instead = ""
        """What is in force instead of a file that could not be used at the start."""
        self._seen: tuple[object, ...] = ()
        self._next = 0.0
        self._base = DetectionPolicy()
        self._look()
        if self.mistakes and self.path.name not in self.texts:
            self._fall_back()

    def check(self, now: float) -> bool:
        """Whether another policy is in force than before. `now` in seconds, of any clock that goes on."""
        if now < self._next:
            return False
        self._next = now + EVERY_S
        before = self.policy
        self._look()
        return self.policy != before

    def _look(self) -> None:
        seen = (_stamp(self.path), _stamp(self.state_dir / DEMOTIONS))
        if seen == self._seen:
            return
        self._seen = seen
        mistakes: list[str] = []
        self._read_policy(mistakes)
        demoted = self._read_demotions(mistakes)
        self.policy = replace(self._base, demoted=demoted)
        self.mistakes = tuple(mistakes)
        for mistake in mistakes:
            self._say(f"the policy in force stays as it was: {mistake}")

    def _read_policy(self, mistakes: list[str]) -> None:
        try:
            text = read_text(self.path)
            self._base = DetectionPolicy() if text is None else named(self.path.name, text)
            self.texts[self.path.name] = text
        except PolicyRefused as error:
            mistakes += error.mistakes

    def _read_demotions(self, mistakes: list[str]) -> dict[str, str]:
        try:
            text = read_text(self.state_dir / DEMOTIONS)
            found = demoted_of(parse_standings(text))
        except (PolicyRefused, ValueError) as error:
            mistakes.append(str(error))
            return dict(self.policy.demoted)
        self.texts[DEMOTIONS] = text
        return found

    def _fall_back(self) -> None:
        text = last_text(self.state_dir, self.path.name)
        try:
            self._base = parse(text) if text is not None else replace(DetectionPolicy(), default_mode="recommend")
        except PolicyRefused:
            self._base = replace(DetectionPolicy(), default_mode="recommend")
        self.policy = replace(self._base, demoted=self.policy.demoted)
        recorded = f"the one that was recorded last ({digest_of(text)[:12]}…)"
        self.instead = recorded if self._base.sha256 else "the defaults, and nothing acts by itself"
        self._say(f"{self.path.name} cannot be used; in force is {self.instead}")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        known = path.stat()
    except OSError:
        return None
    return known.st_mtime_ns, known.st_size, known.st_ino
