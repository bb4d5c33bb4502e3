"""Derived columns as one text, and how two such texts are compared: what step 7 has in common for events and entries. Pure.

The store joins a row's columns with NUL. No true value holds one (strict JSON, rule 4), so a text that equals the expected one has its NULs at
the same places, and every value is the same: one comparison a row, or one for many rows.
"""

import json
import math
from collections.abc import Sequence
from typing import Final

SEPARATOR: Final = "\0"
_SHOWN: Final = 100
_DIGITS: Final = 18
"""Whole numbers with as many are within 64 bits."""


def joined(columns: Sequence[str], **instead: str) -> str:
    """The SQL of a row's text; `instead` of a column's own printing. No backslash: the embedded server lets none into a question."""
    values = (instead.get(name, name) for name in columns)
    return f"concatWithSeparator(char(0), {', '.join(f'toString({value})' for value in values)})"


def differences(columns: Sequence[str], expected: Sequence[str | None], stored: bytes, source: str) -> list[str]:
    """A sentence for each column that says something else than `source`, the bytes that it is made of. None: not compared."""
    values = stored.decode("utf-8", "backslashreplace").split(SEPARATOR)
    if len(values) != len(columns):
        return [f"its {len(columns)} columns hold {len(values) - 1} NULs, and {source} holds none there"]
    return [
        f"column {name} says {_quoted(value)}, {source} {_quoted(true)}"
        for name, value, true in zip(columns, values, expected, strict=True)
        if true is not None and value != true
    ]


def _quoted(value: str) -> str:
    return f'"{value[:_SHOWN]}{"…" if len(value) > _SHOWN else ""}"'


def unreadable(raw: bytes) -> bool:
    """Whether the engine may have read nothing of this JSON: a number in it is beyond a double, or whole and beyond 64 bits."""
    found: list[bool] = []

    def whole(text: str) -> None:
        found.append(len(text) > _DIGITS and (len(text) > 21 or not -(2**63) <= int(text) < 2**64))

    def real(text: str) -> None:
        found.append(math.isinf(float(text)))

    json.loads(raw, parse_int=whole, parse_float=real)
    return any(found)
