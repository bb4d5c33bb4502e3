"""Tokens and their file: hashes only, one writer at a time, and sentences for what is wrong."""

import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_producers.gateway.errors import TokenFileError, TokenRefused
from tallystick_producers.gateway.token_file import TokenFile, read_tokens
from tallystick_producers.gateway.tokens import (
    add_token,
    append_token,
    append_token_once,
    encode_record,
    new_token,
    parse_tokens,
    remove_tokens,
    token_record,
)


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
        (b'{"ts_secret\\n":1}', r"unknown field `ts_…?`"),
        (b'{"sha256":"' + b"0" * 64 + b'","principal":"a","kind":"ts_secret","credential":"c"}', "not a token record"),
        (b"[" * 70_000, "at most"),
        (b'{"sha256":"' + b"0" * 64 + b'","principal":"a","kind":"human","credential":" "}', "must not be empty"),
        (b'{"sha256":"' + b"0" * 64 + b'","principal":"a","kind":"human","credential":"c","roles":["' + b"r" * 257 + b'"]}', "has 257"),
        (b"ts_secret", "line 1: not a token record"),
        (b'{"sha256":"ts_secret","principal":"a","kind":"human","credential":"c"}', "a token itself must never stand"),
        (b'{"sha256":"' + b"0" * 64 + b'","principal":"","kind":"human","credential":"c"}', "must not be empty"),
        (b'{"sha256":"' + b"0" * 64 + b'","principal":"a","kind":"robot","credential":"c"}', "not a token record"),
        (b'{"sha256":"' + b"0" * 64 + b'","principal":"a","kind":"human","credential":"c","expires":"soon"}', "not a token record"),
    ],
)
def test_a_bad_line_is_named_and_not_shown(line: bytes, words: str) -> None:
    book = parse_tokens(line, "tokens.jsonl")
    (fault,) = book.faults
    assert words in fault
    assert fault.startswith("tokens.jsonl, line 1")
    assert "secret" not in fault
    assert len(book) == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_a_book(raw: bytes) -> None:
    """Every line is a token, a fault, or says nothing: blank, or a remark."""
    book = parse_tokens(raw)
    lines = [line.strip() for line in raw.split(b"\n")]
    assert len(book) + len(book.faults) == sum(bool(line) and not line.startswith(b"#") for line in lines)


@given(st.binary(max_size=200).filter(lambda raw: b"\n" not in raw), st.booleans())
def test_no_bad_line_shuts_out_the_others(raw: bytes, above: bool) -> None:
    good = encode_record(token_record("t", "alice", "human"))
    book = parse_tokens(raw + b"\n" + good if above else good + raw)
    assert book.find("t")


@pytest.mark.parametrize("name", ["", "  ", "a" * 257, "two\nlines", "nul\0", "\udcff"])
@pytest.mark.parametrize("field", ["principal", "credential", "role"])
def test_what_could_not_be_read_is_not_written(tmp_path: Path, name: str, field: str) -> None:
    path = tmp_path / "tokens.jsonl"
    given_names = {"principal": "alice", "credential": "c", "role": "r"} | {field: name}
    record = token_record("t", given_names["principal"], "human", roles=(given_names["role"],))
    record = msgspec.structs.replace(record, credential=given_names["credential"])
    for append in (append_token, append_token_once):
        with pytest.raises(TokenRefused, match=f"{field} must not be empty"):
            append(path, record)
    with pytest.raises(TokenRefused, match="not a token record"):
        add_token(path, "alice", "human", expires="soon")
    with pytest.raises(TokenRefused, match="65 roles"):
        add_token(path, "alice", "human", ("r",) * 65)
    assert not path.exists()


def test_revoking_works_beside_lines_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "tokens.jsonl"
    record, other = token_record("t", "alice", "human", credential="c-1"), token_record("o", "bob", "human", credential="c-2")
    again = msgspec.structs.replace(record, credential="c-3")
    bad = encode_record(msgspec.structs.replace(record, principal=""))
    path.write_bytes(b"half a li\n" + b"".join(map(encode_record, (record, other, again))) + bad + b'["c-1"]\n')
    path.chmod(0o600)
    assert remove_tokens(path, "c-1") == 3  # its line, the line without a principal, and the token's second line
    assert path.read_bytes() == b"half a li\n" + encode_record(other) + b'["c-1"]\n'
    book = read_tokens(path)
    assert book.find("t") is None
    assert book.find("o")
    assert [fault.split(":")[0] for fault in book.faults] == ["tokens.jsonl, line 1", "tokens.jsonl, line 3"]


def test_a_bad_line_closes_itself_alone_and_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tokens.jsonl"
    gone, stays = add_token(path, "a", "human"), add_token(path, "b", "human")
    file = TokenFile(path)
    path.write_bytes(b"half a li\n" + path.read_bytes().split(b"\n")[1] + b"\n" + b"x\n" * 100)
    added = add_token(path, "c", "human")
    book = file.book(10.0)
    assert (book.find(gone), book.find(stays) is None, book.find(added) is None) == (None, False, False)
    assert "tokens.jsonl, line 1" in caplog.text
    assert "and 96 more" in caplog.text
    caplog.clear()
    assert TokenFile(path).problem == file.problem
    assert "tokens.jsonl, line 1" in caplog.text


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


def test_a_file_that_cannot_be_read_keeps_the_book_of_before_and_one_that_is_gone_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "tokens.jsonl"
    token = add_token(path, "a", "human")
    file = TokenFile(path)
    path.chmod(0o644)
    assert file.book(10.0).find(token)
    assert file.problem is not None
    path.unlink()
    assert file.book(20.0).find(token) is None
    again = add_token(path, "a", "human")
    assert file.book(20.1).find(again) is None  # looked at twice a second
    assert file.book(21.0).find(again)
    assert file.problem is None
