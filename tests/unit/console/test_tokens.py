"""Sign-in links and sessions: who gets in, once, and for how long."""

import contextlib
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_dashboard.errors import LinkRefused, SecretMissing
from tallystick_dashboard.sessions import MAX_SESSIONS, SessionTable
from tallystick_dashboard.tokens import LINK_SECONDS, csrf_token, make_link_token, open_link_token
from tallystick_dashboard.used_links import UsedLinks, read_secret, sign_in_link

SECRET, OTHER = b"a" * 32, b"b" * 32
NOW = 1_800_000_000.0


@given(who=st.text(max_size=40), nonce=st.binary(min_size=16, max_size=16), age=st.floats(0, LINK_SECONDS - 1))
def test_a_link_opens_until_it_expires(who: str, nonce: bytes, age: float) -> None:
    token = make_link_token(SECRET, who, NOW, nonce)
    link = open_link_token(SECRET, token, NOW + age)
    assert (link.who, link.nonce) == (who, nonce.hex())
    with pytest.raises(LinkRefused, match="expired"):
        open_link_token(SECRET, token, NOW + LINK_SECONDS)


@given(at=st.integers(0, 200), bit=st.integers(0, 6))
def test_no_changed_link_opens(at: int, bit: int) -> None:
    token = make_link_token(SECRET, "ana", NOW, b"n" * 16)
    at %= len(token)
    changed = token[:at] + chr(ord(token[at]) ^ (1 << bit)) + token[at + 1 :]
    try:
        link = open_link_token(SECRET, changed, NOW)
    except LinkRefused:
        return
    # Base64's last digit of the MAC has unused bits: another spelling of the same token, and so of the same nonce.
    assert at == len(token) - 1
    assert link.nonce == (b"n" * 16).hex()


@given(st.text(max_size=300))
def test_rubbish_is_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(LinkRefused):
        open_link_token(SECRET, text, NOW)


def test_another_secret_opens_nothing() -> None:
    with pytest.raises(LinkRefused, match="not made by this console"):
        open_link_token(OTHER, make_link_token(SECRET, "ana", NOW, b"n" * 16), NOW)


def token_of(link: str) -> str:
    return link.partition("?t=")[2]


def test_a_link_opens_once_even_after_a_restart(tmp_path: Path) -> None:
    token = token_of(sign_in_link(SECRET, "http://127.0.0.1:1/", NOW, "ana"))
    assert UsedLinks(SECRET, tmp_path).redeem(token, NOW + 1).who == "ana"
    for _ in range(2):
        with pytest.raises(LinkRefused, match="used"):
            UsedLinks(SECRET, tmp_path).redeem(token, NOW + 2)


def test_of_many_that_follow_one_link_one_gets_in(tmp_path: Path) -> None:
    token, links = token_of(sign_in_link(SECRET, "http://x", NOW, "ana")), UsedLinks(SECRET, tmp_path)
    opened: list[str] = []
    gate = threading.Barrier(8)

    def follow() -> None:
        gate.wait()
        with contextlib.suppress(LinkRefused):
            opened.append(links.redeem(token, NOW).nonce)

    threads = [threading.Thread(target=follow) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(opened) == 1


def test_used_links_are_forgotten_after_they_expired(tmp_path: Path) -> None:
    links = UsedLinks(SECRET, tmp_path)
    links.redeem(token_of(sign_in_link(SECRET, "http://x", NOW, "ana")), NOW)
    links.redeem(token_of(sign_in_link(SECRET, "http://x", NOW + 5_000, "ana")), NOW + 5_000)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_short_or_absent_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretMissing, match="No such file or directory; put 32 random bytes or more there, mode 0600"):
        read_secret(str(tmp_path / "none"))
    (tmp_path / "short").write_bytes(b"x" * 31)
    (tmp_path / "short").chmod(0o600)
    with pytest.raises(SecretMissing, match="31 bytes"):
        read_secret(str(tmp_path / "short"))


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Whoever reads it makes sign-in links of his own, in anybody's name."""
    path = tmp_path / "console.secret"
    path.write_bytes(SECRET)
    for mode in (0o644, 0o604, 0o666):
        path.chmod(mode)
        with pytest.raises(SecretMissing, match=f"open to other users .mode {mode:04o}.; run: chmod 600 {path}"):
            read_secret(str(path))
    path.chmod(0o600)
    assert read_secret(str(path)) == SECRET


def test_csrf_tokens_belong_to_one_session_and_secret() -> None:
    assert len({csrf_token(SECRET, "a"), csrf_token(SECRET, "b"), csrf_token(OTHER, "a")}) == 3


def test_a_session_ends_by_idling_by_age_and_by_sign_out() -> None:
    table = SessionTable(absolute_s=100, idle_s=30)
    cookie, session = table.open("ana", 0)
    assert table.check(cookie, 29) is not None
    assert session.who == "ana"
    assert table.check(cookie, 58) is not None
    assert table.check(cookie, 88) is None
    cookie, _ = table.open("ana", 0)
    assert all(table.check(cookie, t) for t in range(0, 100, 20))
    assert table.check(cookie, 100) is None
    cookie, _ = table.open("ana", 0)
    table.close(cookie)
    table.close("unknown")
    assert table.check(cookie, 1) is None


def test_pushes_do_not_keep_a_session_alive() -> None:
    table = SessionTable(absolute_s=100, idle_s=30)
    cookie, _ = table.open("ana", 0)
    assert all(table.check(cookie, t, touch=False) for t in range(30))
    assert table.check(cookie, 30, touch=False) is None


def test_there_is_room_for_so_many_sessions_and_no_more() -> None:
    table = SessionTable(absolute_s=1000, idle_s=1000)
    cookies = [table.open("ana", n)[0] for n in range(MAX_SESSIONS + 1)]
    assert table.check(cookies[0], MAX_SESSIONS) is None
    assert all(table.check(c, MAX_SESSIONS) for c in cookies[1:])
