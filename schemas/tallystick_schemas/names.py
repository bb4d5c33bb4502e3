"""The one form of a principal's name (ADR 0026), the same on every Python, whatever version of Unicode it has.

1. Unicode's normal form C. Code points that Unicode 14.0 does not assign stay as they are, and what stands between them is normalised alone.
2. A mail address (`local@domain`) is lower-cased as a whole; a name that ends like one but is more than that (an ARN with a session
   `…/Admin/Alice@Example.org`, `CORP\\Alice@Example.org`) has its domain lower-cased alone.
3. Every other name keeps its case: `Alice`, `alice` and an ARN are what their system says they are.
4. A name of more than 1,024 code points stays as it is: putting combining marks in order costs the square of their number.

Nothing else is changed: no trimming, no compatibility forms (NFKC), no dots or tags of mail providers taken out, no Punycode in either
direction. Credentials have no canonical form; they are compared by their bytes.
"""

import re
from functools import lru_cache
from typing import Final
from unicodedata import normalize

from .unicode14 import unassigned

MAX_CANONICAL: Final = 1_024
"""Code points; a longer name stays as it is."""

_DOMAIN: Final = re.compile(r"[A-Za-z0-9._\-\x80-\U0010ffff]+")
_LOCAL: Final = re.compile(r'[^\x00-\x20\x7f"(),/:;<>@\[\\\]]+')
"""A local part without quotes: RFC 5322's specials (3.2.3) are what ARNs, URLs and paths have. `.` is in, `/` is out."""


def canonical(name: str) -> str:
    """The canonical form of a principal's name. Total on text, and idempotent: a canonical name is its own form."""
    # Nearly every name is lower-case ASCII, which is canonical by all four rules.
    return name if name.isascii() and name.islower() else _canonical(name)


def same_principal(one: str, other: str) -> bool:
    """True when both names are spellings of one principal."""
    return one == other or canonical(one) == canonical(other)


def canonical_subject(subject: str) -> str:
    """A lock's subject, `principal:NAME` in NAME's canonical form; every other text (`credential:ID`) as it is."""
    kind, colon, name = subject.partition(":")
    return f"principal:{canonical(name)}" if colon and kind == "principal" else subject


@lru_cache(maxsize=8_192)
def _canonical(name: str) -> str:
    if len(name) > MAX_CANONICAL:
        return name
    kept, folded = parts(_composed(name))
    # Composed again: a lower-case letter may compose where its upper-case one does not.
    return _composed(kept + _lowered(folded)) if folded else kept


def parts(name: str) -> tuple[str, str]:
    """What keeps its case in a composed name, and what follows and is lower-cased: ("", all) of a mail address, (all, "") of what ends like none."""
    local, at, domain = name.rpartition("@")
    if not (local and _DOMAIN.fullmatch(domain)):
        return name, ""
    return ("", name) if _LOCAL.fullmatch(local) else (local + at, domain)


def _composed(text: str) -> str:
    """NFC of each run that Unicode 14.0 assigns (UAX #15; its stability holds for assigned code points alone)."""
    if text.isascii():
        return text
    return "".join(run if at % 2 else normalize("NFC", run) for at, run in enumerate(unassigned().split(text)))


def _lowered(text: str) -> str:
    """`text` in lower case, code point by code point, so that no letter depends on its neighbours (the Greek sigma's end form)."""
    return text.lower() if text.isascii() else "".join(map(_lower, text))


def _lower(char: str) -> str:
    # A later version may pair a letter of today with one that 14.0 does not assign; such a pair counts for nothing.
    lower = char.lower()
    return char if unassigned().search(char + lower) else lower
