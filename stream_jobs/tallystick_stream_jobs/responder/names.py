"""Names: whether one names anybody, and whether somebody passes for somebody else. Pure.

Protection goes by the exact name, so an imitation has none; what this tells is for the people who read the decision. Letters that look like Latin
ones are from Unicode's confusables (UTS #39): the Cyrillic, Armenian and Greek ones that pass for a-z; the rest is left to NFKC.
"""

import unicodedata
from collections.abc import Iterable
from typing import Final

_LOOK: Final = (
    "\u0430a\u0432b\u0441c\u0501d\u0435e\u04bbh\u0456i\u0458j\u043ak\u04cfl\u043cm"
    "\u0578n\u043eo\u0440p\u051bq\u0455s\u0442t\u051dw\u0445x\u0443y\u0475v\u03b1a\u03bfo\u03c1p\u03bdv\u03b9i\u03bak\u03c5u\u03c4t"
)
_LATIN: Final = {ord(_LOOK[at]): _LOOK[at + 1] for at in range(0, len(_LOOK), 2)}
_DIGITS: Final = str.maketrans({"0": "o", "1": "l", "|": "l"})


def flaw_of(name: str) -> str:
    """Why a name names nobody, or nothing: it cannot be seen, or a terminal would obey it rather than show it."""
    kinds = [unicodedata.category(char) for char in name]
    if all(kind[0] in ("Z", "C") for kind in kinds):
        return "the name is empty" if not name else f"the name {name[:100]!r} holds nothing that can be seen"
    if any(kind in ("Cc", "Zl", "Zp") for kind in kinds):
        return f"the name {name[:100]!r} holds a control character"
    return ""


def skeleton(name: str) -> str:
    """The same for names that a hurried reader takes for one: without case, spaces, accents and what cannot be seen."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold().translate(_LATIN))
    seen = "".join(char for char in plain if unicodedata.category(char)[0] not in ("Z", "C", "M"))
    return seen.translate(_DIGITS).replace("rn", "m")


def imitated(name: str, protected: Iterable[str]) -> str | None:
    """The protected principal that a name looks like without being it."""
    if name in (known := frozenset(protected)):
        return None
    look = skeleton(name)
    return next((one for one in sorted(known) if skeleton(one) == look), None)


def same_person(one: str, other: str) -> bool:
    """Whether two names may be one person's: `Ana` and `ana ` are not two people."""
    return skeleton(one) == skeleton(other)
