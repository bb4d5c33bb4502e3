"""The rules of a deployment's folder in force: picked up from its files without a restart. A file that cannot be used stops no other."""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import RuleRefused
from .load import load_rules, rule_files
from .source import MAX_BYTES

if TYPE_CHECKING:
    from .rule import UserRule

log: Final = logging.getLogger(__name__)
EVERY_S: Final = 1.0
FOLDER: Final = "rules"
Stamps = dict[str, tuple[int, int, int]]


class RuleFolder:
    """Ask `check` as often as you like; it looks once a second. Files are compiled beside the stream, which goes on with the rules it has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rules: tuple[UserRule, ...] = ()
        self.errors: tuple[RuleRefused, ...] = ()
        """What is left out, and why."""
        self.texts: dict[str, str | None] = {}
        """`rules-` and the file's name -> what it says, so that a change can be recorded; None: it is gone."""
        self._next = 0.0
        self._stamps = _stamps(folder)
        self._worker = ThreadPoolExecutor(1, "rules")
        self._loading: Future[None] | None = None
        self._load()

    def check(self, now: float) -> bool:
        """Whether other rules are in force than before. `now` in seconds, of any clock that goes on."""
        if self._loading is not None:
            if not self._loading.done():
                return False
            loading, self._loading = self._loading, None
            loading.result()
            return True
        if now < self._next:
            return False
        self._next = now + EVERY_S
        stamps = _stamps(self.folder)
        if stamps != self._stamps:
            self._stamps = stamps
            self._loading = self._worker.submit(self._load)
        return False

    def _load(self) -> None:
        rules, errors = load_rules(self.folder)
        texts = {f"{FOLDER}-{name}": _text(self.folder / name) for name in self._stamps}
        self.texts = dict.fromkeys(self.texts, None) | texts
        for error in errors:
            log.error("left out: %s", error)
        if rules or self.rules:
            log.info("%d rules of %s are in force: %s", len(rules), self.folder, ", ".join(rule.meta.id for rule in rules))
        self.rules, self.errors = rules, errors


def _stamps(folder: Path) -> Stamps:
    """Name -> (changed, size, inode) of each file; empty where the folder cannot be read, which loading it says."""
    found: Stamps = {}
    try:
        for path in rule_files(folder):
            known = path.stat()
            found[path.name] = (known.st_mtime_ns, known.st_size, known.st_ino)
    except OSError:
        # A file that went between two lines: the next look sees what is left.
        return {}
    return found


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode(errors="replace")
    except OSError:
        return None
