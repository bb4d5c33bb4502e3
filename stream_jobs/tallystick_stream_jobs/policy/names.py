"""Names that could be mistaken for others, and globs. Matching is by bytes: what merely looks like a name is somebody else."""

import unicodedata
from typing import Final

from tallystick_schemas.names import canonical

MAX_NAME: Final = 256
_WILD: Final = "*?"
_AS_LETTERS: Final = {ord("*"): "\ue000", ord("?"): "\ue001"}
"""Of the private use area, which no pattern may hold and no rule of names touches."""
_AS_WILD: Final = {0xE000: "*", 0xE001: "?"}
_NO_GLOB: Final = "^$|\\[](){}"
_TOGETHER: Final = frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})
"""Scripts that are written beside Latin without looking like it (UTS #39, section 5.2, highly restrictive)."""
_LOOKALIKES: Final = frozenset("аеіјѕорсухԁһԛԝӏАВЕЅІЈКМНОРСТУХΑΒΕΖΗΙΚΜΝΟΡΤΥΧοινυα")
"""Cyrillic and Greek letters that look like Latin ones (Unicode's confusables.txt)."""


def ambiguous(name: str) -> str | None:
    """Why a name must not stand in a policy file, or None: two principals could look like it."""
    if not name or len(name) > MAX_NAME:
        return f"has {len(name)} characters, 1 to {MAX_NAME} are allowed"
    if name != name.strip():
        return "begins or ends with a space"
    strange = next((c for c in name if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}), None)
    if strange is not None:
        return f"contains the invisible character U+{ord(strange):04X}"
    if unicodedata.normalize("NFKC", name) != name:
        return "is not in Unicode's normal form NFKC, so that another spelling looks the same"
    scripts = {_script(c) for c in name if c.isalpha()}
    if len(scripts) > 1 and not scripts <= _TOGETHER:
        return f"mixes letters of {' and '.join(sorted(script.title() for script in scripts))}, which can look alike"
    letters = [c for c in name if c.isalpha()]
    if letters and all(c in _LOOKALIKES for c in letters):
        return "consists of letters that look like Latin ones and are not"
    return None


def folded(name: str) -> str:
    """What two names have in common that differ in case or width alone."""
    return unicodedata.normalize("NFKC", name).casefold()


def bad_glob(pattern: str) -> str | None:
    """Why a text is no pattern, or None. Only `*` and `?` are special; there are no regular expressions."""
    signs = [c for c in pattern if c in _NO_GLOB]
    if signs:
        return f"contains {signs[0]!r}; a pattern knows only * and ?, regular expressions are not taken"
    if pattern.count("*") > 8:
        return "has more than 8 stars"
    bare = pattern.translate({ord(c): None for c in _WILD})
    return ambiguous(bare) if bare else None


def canonical_glob(pattern: str) -> str:
    """A pattern as canonical names are: `*@Example.org` covers whom `*@example.org` covers. The wild signs stand for letters while that is decided."""
    return canonical(pattern.translate(_AS_LETTERS)).translate(_AS_WILD)


def matches(pattern: str, text: str) -> bool:
    """Whether a glob covers a text, case and all. Steps: at most len(pattern) * len(text), whatever the pattern."""
    at = star = -1
    here = mark = 0
    at = 0
    while here < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, here
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[here]):
            at, here = at + 1, here + 1
        elif star >= 0:
            mark += 1
            at, here = star + 1, mark
        else:
            return False
    return pattern[at:].strip("*") == ""


def _script(char: str) -> str:
    return unicodedata.name(char, "UNNAMED").split()[0].split("-")[0]
