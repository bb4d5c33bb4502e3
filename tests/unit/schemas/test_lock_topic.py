"""The fold of topic `locks`: what was signed and cannot be read locks, and what is old or nobody's changes nothing."""

import pytest
from tests.support.signing import Speaker, opener

from tallystick_schemas.envelope import Number
from tallystick_schemas.errors import OldMessage, ParseError
from tallystick_schemas.locks import UNREADABLE, Held, LockTopic, in_force
from tallystick_schemas.messages import HEARTBEAT_KEY
from tallystick_schemas.topics import LOCKS

KEY = b"principal:eve"
RESPONDER = Speaker("responder")


@pytest.mark.parametrize("body", [b"\xff", b"{}", b'{"subject":"principal:bob"}', b'{"state":"quarantined"}'])
def test_a_signed_word_that_cannot_be_read_locks_its_subject(body: bytes) -> None:
    topic = LockTopic(opener())
    taken = topic.take(KEY, RESPONDER.says(LOCKS, KEY, body))
    assert isinstance(taken, Held)
    assert (taken.lock.subject, taken.lock.state, taken.lock.command) == ("principal:eve", "locked", UNREADABLE)
    assert in_force(taken.lock, 4e9)
    assert topic.standing()[0] == 1, "who wrote it counts it too"


@pytest.mark.parametrize("key", [HEARTBEAT_KEY, b"nonsense", b"model:m"])
def test_one_about_nobody_locks_nobody(key: bytes) -> None:
    topic = LockTopic(opener())
    with pytest.raises(ParseError):
        topic.take(key, RESPONDER.says(LOCKS, key, b"\xff"))
    assert topic.held == {}


def test_one_that_nobody_signed_locks_nobody() -> None:
    topic = LockTopic(opener())
    for value in (b"\xff", b"{}", Speaker("responder", key="mallory").says(LOCKS, KEY, b"\xff")):
        with pytest.raises(ParseError):
            topic.take(KEY, value)
    assert topic.held == {}


def test_an_old_message_is_told_from_a_forged_one() -> None:
    topic = LockTopic(opener())
    topic.take(KEY, RESPONDER.says(LOCKS, KEY, b"\xff", Number(2, 0)))
    with pytest.raises(OldMessage, match="2/0 is not above 2/0"):
        topic.take(KEY, RESPONDER.says(LOCKS, KEY, b"\xff", Number(2, 0)))
    with pytest.raises(OldMessage, match="1/9 is not above 2/0"):
        topic.take(KEY, RESPONDER.says(LOCKS, KEY, b"\xff", Number(1, 9)))
