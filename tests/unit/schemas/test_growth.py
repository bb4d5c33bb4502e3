"""What a stranger sends costs time that grows with its size and not with the square of it: eight times the bytes, and the work is measured."""

import contextlib
import time
from collections.abc import Callable

import pytest

from tallystick_schemas.errors import ParseError
from tallystick_schemas.strict_json import check_json

SHAPES: dict[str, Callable[[int], bytes]] = {
    "a string that never ends, of escapes": lambda n: b'{"' + b'\\"' * (n // 2),
    "a string that never ends, of escapes and letters": lambda n: b'{"a":"' + b'x\\"' * (n // 3),
    "backslashes": lambda n: b'{"a":"' + b"\\" * n,
    "strings": lambda n: b"[" + b'"a",' * (n // 4) + b"1]",
    "brackets in brackets": lambda n: b"[" * n,
    "brackets beside brackets": lambda n: b"[" + b"[]," * (n // 3) + b"1]",
    "a long number": lambda n: b'{"a":' + b"1" * n + b"}",
    "a long fraction": lambda n: b'{"a":1.' + b"1" * n + b"}",
    "a long exponent": lambda n: b'{"a":1e' + b"9" * n + b"}",
    "one key again and again": lambda n: b"{" + b'"a":1,' * (n // 6) + b'"a":1}',
    "many keys": lambda n: b"{" + b",".join(b'"%d":1' % key for key in range(n // 9)) + b"}",
    "surrogates": lambda n: b'{"a":"' + b"\\ud83d\\ude00" * (n // 12) + b'"}',
    "half surrogates": lambda n: b'{"a":"' + b"\\ud83d" * (n // 6) + b'"}',
}
SMALL, TIMES = 16 << 10, 8
SQUARE = TIMES * TIMES


def cost(work: Callable[[bytes], object], raw: bytes) -> float:
    """The least of five: what else the machine did is not the work's."""
    least = float("inf")
    for _ in range(5):
        began = time.thread_time()
        with contextlib.suppress(ParseError):
            work(raw)
        least = min(least, time.thread_time() - began)
    return max(least, 1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_checking_json_costs_what_its_size_says(shape: str) -> None:
    """A ratio, not a time: 8 where the work is linear, 64 where it is quadratic."""
    small, large = (cost(check_json, SHAPES[shape](size)) for size in (SMALL, SMALL * TIMES))
    assert large / small < SQUARE / 2
