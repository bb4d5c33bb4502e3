"""What a stranger sends costs time that grows with its size and not with the square of it: eight times the bytes, and the work is measured."""

from collections.abc import Callable
from functools import partial

import pytest
from tests.support.growth import QUADRATIC, growth

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
    "many fractions": lambda n: b"[" + b"1.5e300," * (n // 8) + b"1]",
    "a fraction with as long an exponent": lambda n: b'{"a":' + b"1" * n + b"e-%d" % n + b"}",
    "a long exponent": lambda n: b'{"a":1e' + b"9" * n + b"}",
    "one key again and again": lambda n: b"{" + b'"a":1,' * (n // 6) + b'"a":1}',
    "many keys": lambda n: b"{" + b",".join(b'"%d":1' % key for key in range(n // 9)) + b"}",
    "surrogates": lambda n: b'{"a":"' + b"\\ud83d\\ude00" * (n // 12) + b'"}',
    "half surrogates": lambda n: b'{"a":"' + b"\\ud83d" * (n // 6) + b'"}',
}
SMALL = 16 << 10


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_checking_json_costs_what_its_size_says(shape: str, bounded: bool) -> None:
    assert growth(partial(check_json, bounded=bounded), SHAPES[shape], SMALL) < QUADRATIC / 2
