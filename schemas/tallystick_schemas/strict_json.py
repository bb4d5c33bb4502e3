"""The slow way for JSON of other writers: what two parsers could read differently is refused (SPEC section 2).

Where encoding a decoded value again gives the same bytes, none of this can be wrong and the search is skipped.
"""

import json  # the stdlib's is the one parser here that shows every key of an object, duplicates included
import re
from math import isfinite
from typing import Any, Final

from .errors import ParseError

MAX_NESTING: Final = 8
_DIGITS: Final = 20
_LOWEST, _HIGHEST = -(2**63), 2**64 - 1
# A string's end is optional and nothing of it is looked at twice: with one that must end, whoever leaves it open makes the search quadratic.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]+|\\.)*"?|[\[{]|[\]}]')
_NO_TEXT: Final = re.compile("[\0\ud800-\udfff]")


def check_json(raw: bytes, *, bounded: bool = False) -> dict[str, Any]:
    """The object in `raw`; ParseError for duplicate keys, lone surrogates, NUL characters, deep nesting, raw newlines, NaN.

    `bounded`: also for numbers that some reader cannot hold (rule 6, from level 3 on).
    """
    if b"\n" in raw or b"\r" in raw:
        raise ParseError("a raw newline")
    _check_depth(raw)
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant, **_NUMBERS[bounded])
    except (ValueError, RecursionError) as error:
        raise ParseError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ParseError("not a JSON object")
    _check_strings(value)
    return value


def _check_depth(raw: bytes) -> None:
    """ParseError at the first bracket outside strings that is too deep. Linear."""
    depth = 0
    for match in _TOKEN.finditer(raw):
        first = raw[match.start()]
        if first in b"[{":
            depth += 1
            if depth > MAX_NESTING:
                raise ParseError(f"nested deeper than {MAX_NESTING}")
        elif first in b"]}":
            depth -= 1


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ParseError("an object has a key twice")
    return keys


def _integer(text: str) -> int:
    """The number, or the beginning of a long one: how many digits an interpreter converts must not decide what is well-formed."""
    return int(text[:_DIGITS])


def _bounded_integer(text: str) -> int:
    """Integers of 64 bits, with a sign or without: what every reader holds."""
    if len(text) > _DIGITS or not _LOWEST <= int(text) <= _HIGHEST:
        raise ParseError(f"the integer {text[:_DIGITS]}… is not within -2^63 to 2^64-1")
    return int(text)


def _finite(text: str) -> float:
    """The double that is nearest, if there is one."""
    number = float(text)
    if not isfinite(number):
        raise ParseError(f"the number {text[:_DIGITS]} is beyond every double")
    return number


_NUMBERS: Final[dict[bool, dict[str, Any]]] = {
    False: {"parse_int": _integer},
    True: {"parse_int": _bounded_integer, "parse_float": _finite},
}


def _no_constant(text: str) -> None:
    raise ParseError(f"{text} is not JSON")


def _check_strings(value: object) -> None:
    if isinstance(value, str):
        if _NO_TEXT.search(value):
            raise ParseError("a NUL character or a lone surrogate")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_strings(key)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)
