"""Text from outside as people may see it: what a terminal or a page would obey, or nobody would see, stands there as an escape. Pure.

Left alone is what `str.isprintable` lets through (categories L, M, N, P, S and the space) and three blanks that languages write; escaped are
controls, format characters, surrogates, private use and what this Unicode does not assign. That covers ANSI and OSC sequences (they begin
with a control), the controls of UAX #9, and tags. A few printable characters that have no look at all are escaped too (UAX #44,
Default_Ignorable_Code_Point). Joiners stay where writing needs them: see `_keeps`. A backslash stays as it is, so an escape can be imitated
by text that spells it; `--json` tells them apart.
"""

import re
import unicodedata
from typing import Final

_ZWNJ: Final = "\u200c"
_ZWJ: Final = "\u200d"
_PICTURE: Final = "\ufe0f"
_KEYCAP: Final = "\u20e3"
_BLANKS: Final = frozenset("\u00a0\u202f\u3000")
"""Blanks that take their room and are written: French before its punctuation, Chinese and Japanese between words."""
_UNSEEN: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Printable by their category, and yet without a look of their own: fillers, and selectors of a variant."""
_JOINING: Final = re.compile(
    "[\u0626\u0628\u062a-\u062e\u0633-\u063a\u0641-\u0647\u0649\u064a\u0679\u067e\u0686\u06a9\u06af\u06be\u06c1\u06cc]"
)
"""Arabic letters that join on both sides (Joining_Type D) in Arabic, Persian and Urdu: a non-joiner after one of them is seen."""
_SKIN: Final = frozenset("\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
_VIRAMA: Final = 9
_NAMED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_TAB: Final = 4
_JSON_RISK: Final = re.compile(r"[^\x00-\x7e]")


def shown(text: str) -> str:
    """The text on one line, with escapes (`\\x1b`, `\\u202e`, `\\n`) for what must not reach a reader raw. The same again for what it returned."""
    if text.isprintable() and not _UNSEEN.search(text):
        return text
    parts: list[str] = []
    before = ""
    for at, char in enumerate(text):
        kept = _is_seen(char) or _keeps(before, char, text[at + 1 : at + 2])
        before = char if kept else ""
        parts.append(char if kept else _escaped(char))
    return "".join(parts)


def shown_lines(text: str) -> str:
    """The same for text whose lines are its own: newlines stay, and a tab is four blanks at most."""
    if "\n" not in text and "\t" not in text:
        return shown(text)
    return "\n".join(shown(line.expandtabs(_TAB)) for line in text.split("\n"))


def shown_json(encoded: str) -> str:
    """JSON of the same value, in which nothing stands raw that `shown` would escape: RFC 8259, section 7, has `\\u` for all of it."""
    if encoded.isascii() and "\x7f" not in encoded:
        return encoded
    return _JSON_RISK.sub(lambda found: found[0] if _is_seen(found[0]) else _json_escaped(found[0]), encoded)


def _is_seen(char: str) -> bool:
    """Whether it has a look, or is a blank, wherever it stands."""
    return (char.isprintable() and not _UNSEEN.match(char)) or char in _BLANKS


def _keeps(before: str, char: str, after: str) -> bool:
    """Whether an unseen character is kept between these two: where leaving it out would be seen. `before` is empty when that was escaped.

    After a virama both joiners choose a form (RFC 5892, A.1 and A.2); a non-joiner after a joining Arabic letter breaks a word as Persian
    does; a joiner or a selector after a pictograph makes the picture. Elsewhere they would be a difference that nobody sees.
    """
    if not before:
        return False
    if char == _PICTURE:
        return _is_picture(before) or (before in "0123456789#*" and after == _KEYCAP)
    if char not in (_ZWJ, _ZWNJ) or not after or not _is_seen(after):
        return False
    if unicodedata.combining(before) == _VIRAMA:
        return after.isalpha()
    if char == _ZWNJ:
        return _JOINING.match(before) is not None and unicodedata.bidirectional(after) == "AL" and after.isalpha()
    return (_is_picture(before) or before in _SKIN or before == _PICTURE) and _is_picture(after)


def _is_picture(char: str) -> bool:
    return char > "\u2000" and unicodedata.category(char) == "So"


def _escaped(char: str) -> str:
    """As in a Python string."""
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escaped(char: str) -> str:
    """One `\\u`, or two for what lies beyond 16 bits."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
