"""Tokens and their file: hashes only, one writer at a time, and sentences for what is wrong."""

import contextlib
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_producers.gateway.errors import TokenFileError
from tallystick_producers.gateway.token_file import TokenFile, read_tokens
from tallystick_producers.gateway.tokens import add_token, append_token, new_token, parse_tokens, remove_tokens, token_record


def test_the_file_is_private_and_holds_no_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens.jsonl"
    token = add_token(path, "alice", "human", ("research",), "2099-01-01T00:00:00.000000Z")
    assert path.stat().st_mode & 0o777 == 0o600
    assert token not in path.read_text()
    record = read_tokens(path).find(token)
    assert record is not None
    assert (record.principal, record.kind, record.roles) == ("alice", "human", ["research"])
    assert record.credential.startswith("cred-")
    assert read_tokens(path).find(token + "x") is None


def test_adding_and_removing_at_once_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tokens.jsonl"
    stay: list[str] = []

    def work(name: str) -> None:
        for _ in range(10):
            stay.append(add_token(path, name, "human"))
            record = token_record(new_token(), name, "human")
            append_token(path, record)
            assert remove_tokens(path, record.credential) == 1

    threads = [threading.Thread(target=work, args=(f"p{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    book = read_tokens(path)
    assert len(book) == 40
    assert all(book.find(token) for token in stay)


def test_comments_blank_lines_and_a_missing_newline_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "tokens.jsonl"
    first = add_token(path, "a", "human")
    path.write_bytes(b"# ours\n\n" + path.read_bytes().rstrip(b"\n"))
    second = add_token(path, "b", "service")
    assert remove_tokens(path, "nobody") == 0
    book = read_tokens(path)
    assert book.find(first)
    assert book.find(second)
    assert path.read_bytes().startswith(b"# ours\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"ts_secret", "line 1: not a token record"),
        (b'{"sha256":"ts_secret","principal":"a","kind":"human","credential":"c"}', "a token itself must never stand"),
        (b'{"sha256":"' + b"0" * 64 + b'","principal":"","kind":"human","credential":"c"}', "must not be empty"),
        (b'{"sha256":"' + b"0" * 64 + b'","principal":"a","kind":"robot","credential":"c"}', "not a token record"),
        (b'{"sha256":"' + b"0" * 64 + b'","principal":"a","kind":"human","credential":"c","expires":"soon"}', "not a token record"),
    ],
)
def test_a_bad_line_is_named_and_not_shown(line: bytes, words: str) -> None:
    with pytest.raises(TokenFileError, match=words) as error:
        parse_tokens(line, "tokens.jsonl")
    assert "tokens.jsonl, line 1" in str(error.value)
    assert "secret" not in str(error.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_book_or_the_one_error(raw: bytes) -> None:
    with contextlib.suppress(TokenFileError):
        parse_tokens(raw)


def test_expiry_is_the_first_moment_without(tmp_path: Path) -> None:
    record = token_record("t", "a", "human", expires="2026-01-01T00:00:00.000000Z")
    assert not record.expired(1767225599.9)
    assert record.expired(1767225600.0)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens.jsonl"
    add_token(path, "a", "human")
    path.chmod(0o644)
    with pytest.raises(TokenFileError, match="chmod 600"):
        read_tokens(path)


def test_a_file_that_turns_bad_keeps_the_last_good_book_and_one_that_is_gone_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "tokens.jsonl"
    token = add_token(path, "a", "human")
    file = TokenFile(path)
    path.write_bytes(b"half a li")
    assert file.book(10.0).find(token)
    assert file.problem is not None
    path.unlink()
    assert file.book(20.0).find(token) is None
    again = add_token(path, "a", "human")
    assert file.book(20.1).find(again) is None  # looked at twice a second
    assert file.book(21.0).find(again)
    assert file.problem is None
