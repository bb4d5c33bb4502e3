"""What a body in chunks has beside its bytes: extensions and trailing headers are read by nobody, kept by nobody, and come to an end."""

import asyncio
from collections.abc import Iterable

import pytest
from tests.support.talking import Heard, talk

from tallystick_producers.serving import Limits

HEAD = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
MOST = Limits().head_bytes


def heard(*pieces: bytes, more: Iterable[bytes] = ()) -> Heard:
    return asyncio.run(talk([*pieces, *more]))


def test_headers_behind_a_body_are_not_kept() -> None:
    told = heard(HEAD, b"1\r\na\r\n0\r\n", b"a: b\r\n" * 1000, b"\r\n")
    assert told.written.startswith(b"HTTP/1.1 204")
    assert told.headers == [(b"host", b"a"), (b"transfer-encoding", b"chunked")]


ENDLESS = {
    "trailing headers": (b"1\r\na\r\n0\r\n", b"a: b\r\n" * 100),
    "one trailing header": (b"1\r\na\r\n0\r\na: ", b"b" * 600),
    "a chunk's extensions": (b"1;a=", b"b" * 600),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_has_no_end_is_cut(what: str) -> None:
    begin, more = ENDLESS[what]
    assert not heard(HEAD, begin, more=[more] * (MOST // len(more) - 1)).is_cut
    beyond = heard(HEAD, begin, more=[more] * (MOST // len(more) + 1))
    assert (beyond.is_cut, len(beyond.headers)) == (True, 2)


def test_a_body_may_come_in_as_small_chunks_as_it_likes() -> None:
    assert heard(HEAD, *[b"1\r\na\r\n"] * MOST, b"0\r\n\r\n").written.startswith(b"HTTP/1.1 204")


def test_after_a_body_the_next_request_has_a_head_again() -> None:
    told = heard(HEAD, b"1\r\na\r\n0\r\nx: y\r\n\r\n", b"GET / HTTP/1.1\r\nhost: b\r\n\r\n")
    assert told.written.count(b"HTTP/1.1 204") == 2
    assert told.headers == [(b"host", b"b")]
