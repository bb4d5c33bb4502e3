"""Names and words that somebody else chose, to make a terminal, a log or a page say what is not so."""

import re
import unicodedata
from typing import Final

ACTING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
FORGED: Final = "Nobody is locked."
HOSTILE: Final = {
    "cleared screen": f"\x1b[2J\x1b[H{FORGED}",
    "hidden text": "\x1b[8mthief\x1b[0m\x9b31m",
    "link": "\x1b]8;;https://evil.example\x1b\\docs\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "overwritten line": f"thief\r{FORGED}",
    "backspaces": "thief\x08\x08\x08\x08\x08alice",
    "next line": f"thief\n{FORGED}\x85{FORGED}\u2028{FORGED}",
    "right to left": "\u202egro.elpmaxe@ecila\u2066\u2067\u2069\u200f",
    "unseen": "al\u200bi\ufeffce\u00ad\U000e0041\u3164",
    "markup": "[bold red]thief[/] [link=https://evil.example]docs[/link] :skull: [/red]",
}
"""What it tries -> text."""
LONG: Final = "\x1b[2J" + "x" * 10_000
ALL: Final = " ".join(HOSTILE.values())


def acts(text: str) -> list[str]:
    """What stands raw in text and should not: category and code point of each."""
    return [f"{unicodedata.category(char)} U+{ord(char):04X}" for char in text if char != "\n" and unicodedata.category(char) in ACTING]


def squeezed(text: str) -> str:
    """Text without blanks and line ends: tables fold."""
    return re.sub(r"\s", "", text)
