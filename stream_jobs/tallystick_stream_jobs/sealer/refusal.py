"""Why nothing is signed now, as a file beside the sealer's state: `tallystick doctor` reads it."""

import logging
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)
NAME: Final = "refusal.txt"
MOST: Final = 4096
"""Characters of it that are read."""


class Refusal:
    """Written by the sealer alone; said in its log once."""

    def __init__(self, directory: Path) -> None:
        self._path, self._said = directory / NAME, ""

    def tell(self, sentence: str) -> None:
        """Nothing is signed, and why."""
        if sentence != self._said:
            log.error("%s", sentence)
            self._said = sentence
            self._path.write_text(sentence)

    def over(self) -> None:
        """It is signed again."""
        if self._said:
            log.warning("what forbade to sign is mended")
        self._said = ""
        self._path.unlink(missing_ok=True)


def read_refusal(directory: Path) -> str:
    """The sentence; empty when nothing forbids to sign."""
    try:
        with (directory / NAME).open() as file:
            return file.read(MOST)
    except FileNotFoundError:
        return ""
