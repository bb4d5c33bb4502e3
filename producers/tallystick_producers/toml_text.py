"""TOML that a person wrote: settings, mappings. The one way in, with bounds, since the parser's work grows with the square of a key's parts. Pure."""

import re
import tomllib
from typing import Any, Final

MAX_BYTES: Final = 256 * 1024
MAX_PARTS: Final = 32
"""Of a key: a.b.c has three."""
_TOKEN: Final = re.compile(rb'"(?:[^"\\\n]+|\\.)*"?|\'[^\'\n]*\'?|#[^\n]*|[.=,\[\]{}\n]')


def parse_toml(raw: bytes) -> dict[str, Any]:
    """The tables; tomllib.TOMLDecodeError says where they are none, UnicodeDecodeError that it is no UTF-8."""
    if len(raw) > MAX_BYTES:
        raise tomllib.TOMLDecodeError(f"it has more than {MAX_BYTES:,} bytes")
    _check_keys(raw)
    try:
        return tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise
    except ValueError as error:
        raise tomllib.TOMLDecodeError(str(error)) from error
    except RecursionError as error:
        raise tomllib.TOMLDecodeError("lists or tables are nested too deep") from error


def _check_keys(raw: bytes) -> None:
    """TOMLDecodeError for dots in a row that no key of ours has, whatever stands between them but what ends a key. Linear."""
    dots = 0
    for match in _TOKEN.finditer(raw):
        first = raw[match.start() : match.start() + 1]
        if first == b".":
            dots += 1
            if dots >= MAX_PARTS:
                line = raw.count(b"\n", 0, match.start()) + 1
                raise tomllib.TOMLDecodeError(f"a key of more than {MAX_PARTS} parts (at line {line})")
        elif first not in (b'"', b"'", b"#"):
            dots = 0
