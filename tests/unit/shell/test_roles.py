"""Words that are read before the role of who signed them: a part waits for it, and strangers cost one wait."""

import threading
import time
from types import SimpleNamespace

import pytest
from kafka.errors import KafkaTimeoutError
from tests.support.signing import DEPLOYMENT, OPERATORS, Speaker, directive

from tallystick_schemas.envelope import Opener
from tallystick_schemas.errors import NoRole
from tallystick_schemas.roles import Holder, Keyring
from tallystick_schemas.topics import DECISIONS
from tallystick_stream_jobs.patience import PatientOpener, wait_for_roles

WORD = Speaker("responder").says(DECISIONS, b"k", b"{}")


def patient(patience_s: float, stopping: threading.Event | None = None) -> PatientOpener:
    return PatientOpener(Opener(DEPLOYMENT, Keyring.of(OPERATORS)), stopping, patience_s)


def test_a_word_waits_for_the_role_of_who_signed_it() -> None:
    opener = patient(30.0)
    later = threading.Timer(0.1, lambda: opener.keyring.take(directive("responder")))
    later.start()
    assert opener.open(DECISIONS, b"k", WORD).holder.agent == "responder"
    later.join()


def test_a_role_of_somebody_else_does_not_end_the_waiting() -> None:
    opener = patient(1.0)
    timers = [threading.Timer(after, opener.keyring.take, [directive(who)]) for after, who in ((0.1, "outbox"), (0.4, "responder"))]
    for timer in timers:
        timer.start()
    assert opener.open(DECISIONS, b"k", WORD).holder.agent == "responder"
    for timer in timers:
        timer.join()


def test_a_role_that_comes_just_as_a_word_is_refused_is_seen_at_once() -> None:
    class Late(Keyring):
        def holder(self, agent: str, key: str) -> Holder | None:
            found = super().holder(agent, key)
            self.take(directive("responder"))
            return found

    began = time.monotonic()
    opener = PatientOpener(Opener(DEPLOYMENT, Late.of(OPERATORS)), patience_s=60.0)
    assert opener.open(DECISIONS, b"k", WORD).body == b"{}"
    assert time.monotonic() - began < 30


def test_strangers_cost_one_wait() -> None:
    opener, began = patient(0.2), time.monotonic()
    for _ in range(200):
        with pytest.raises(NoRole):
            opener.open(DECISIONS, b"k", WORD)
    assert 0.2 <= time.monotonic() - began < 5.0
    assert opener.keyring.take(directive("responder")) is not None
    assert opener.open(DECISIONS, b"k", WORD).body == b"{}"


def test_waiting_ends_with_the_part() -> None:
    stopping, began = threading.Event(), time.monotonic()
    stopping.set()
    with pytest.raises(NoRole):
        patient(60.0, stopping).open(DECISIONS, b"k", WORD)
    assert time.monotonic() - began < 30


def test_nobody_reads_on_while_no_role_was_read() -> None:
    asked: list[float] = []
    wait_for_roles(SimpleNamespace(wait=lambda _: True))  # type: ignore[arg-type]
    with pytest.raises(KafkaTimeoutError, match="not read to its end within 7 s"):
        wait_for_roles(SimpleNamespace(wait=asked.append), 7.0)  # type: ignore[arg-type]
    assert asked == [7.0]
