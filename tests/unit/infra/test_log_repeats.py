"""Lines of client libraries: one of a kind a window, what was left out counted and told, and nothing of ours held back."""

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick_infra import log_repeats
from tallystick_infra.log_repeats import Quietened, Repeats, kind_of

LIBRARIES = ("kafka", "aiokafka")


def record(name: str, said: str, *arguments: Any) -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "x.py", 1, said, arguments, None)


class Kept(logging.Handler):
    """A handler that keeps what it shows, and whose filter asks this clock. Its timers are kept when they start, and none goes off by itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.said: list[str] = []
        self.now = 1_000.0
        self.rings: list[tuple[float, Callable[[], None]]] = []
        monkeypatch.setattr(log_repeats.threading, "Timer", self._timer)
        self.quietened = Quietened(self, LIBRARIES, lambda: self.now)
        self.addFilter(self.quietened)

    def _timer(self, seconds: float, tell: Callable[[], None]) -> Any:
        return type("Timer", (), {"start": lambda _: self.rings.append((self.now + seconds, tell))})()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(monkeypatch)


def test_a_thousand_lines_of_one_kind_are_two(handler: Kept) -> None:
    for number in range(969):
        handler.handle(record("kafka.conn", "connection to %s:%d refused, attempt %d", "10.0.0.7", 9092, number))
        handler.now += 15 / 1_000
    [(at, tell)] = handler.rings[:1]
    assert handler.said[0] == "connection to 10.0.0.7:9092 refused, attempt 0"
    assert at == 1_010.0
    tell()
    told = [one for one in handler.said if "left out" in one]
    assert len(handler.said) == 4, "one line a window of ten seconds, and a sentence about each"
    assert "more lines of client libraries were left out in 10 s, " in told[0]
    assert "of them like kafka.conn: connection to %s:%d refused, attempt %d" in told[0]
    counts = [int(one.split(" ")[0].replace(",", "")) for one in told]
    assert sum(counts) + 2 == 969


def test_other_kinds_and_ours_are_told(handler: Kept) -> None:
    said = [
        ("kafka.conn", "node 1 is away"),
        ("kafka.conn", "no brokers"),
        ("aiokafka", "no brokers"),
        ("tallystick_producers.hub", "Kafka does not take segments"),
        ("kafkaesque", "no brokers"),
    ]
    for name, text in said:
        handler.handle(record(name, text))
    assert handler.said == [text for _, text in said]
    for _ in range(50):
        handler.handle(record("tallystick_producers.hub", "Kafka does not take segments"))
        handler.handle(record("kafka.conn", "node 2 is away"))
    assert handler.said.count("Kafka does not take segments") == 51
    assert "node 2 is away" not in handler.said, "it differs by a number alone"


def test_what_was_left_out_is_told_before_the_next_window_s_first_line(handler: Kept) -> None:
    for _ in range(3):
        handler.handle(record("kafka", "gone"))
    handler.now += 60
    handler.handle(record("kafka", "gone"))
    assert handler.said[0] == handler.said[2] == "gone"
    assert handler.said[1].startswith("2 more lines of client libraries were left out")
    handler.quietened.tell()
    assert len(handler.said) == 3, "nothing was left out since"


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 30))))
def test_every_line_is_told_or_counted(lines: list[tuple[int, float]]) -> None:
    repeats, now, told, counted = Repeats(), 0.0, 0, 0
    for kind, later in lines:
        now += later
        if now >= repeats.ends_at():
            counted += repeats.left_out.total()
            repeats.summary()
        told += repeats.take(("kafka", 30, f"kind {kind}"), now)
    counted += repeats.left_out.total()
    assert told + counted == len(lines)


def test_kinds_are_bounded() -> None:
    repeats = Repeats()
    told = sum(repeats.take(("kafka", 30, chr(number + 300)), 0.0) for number in range(10_000))
    assert told == 64
    assert len(repeats.left_out) <= 65
    assert repeats.summary() == "9,936 more lines of client libraries were left out in 10 s"


def test_a_line_without_arguments_is_told_apart_by_its_words() -> None:
    assert kind_of(record("kafka", "node 1 gone")) == kind_of(record("kafka", "node 27 gone"))
    assert kind_of(record("kafka", "node 1 gone")) != kind_of(record("kafka", "node 1 back"))
    assert kind_of(record("kafka", "%s", "a")) == kind_of(record("kafka", "%s", "b"))


def test_a_process_that_ends_says_what_it_left_out() -> None:
    program = """
import logging
from tallystick_infra.logs import log_to_stderr
log_to_stderr("notary")
for number in range(30):
    logging.getLogger("kafka.conn").warning("node %d is away", number)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    first, last = done.stderr.splitlines()
    assert first.endswith("notary WARNING kafka.conn: node 0 is away")
    assert "29 more lines of client libraries were left out in 10 s, 29 of them like kafka.conn: node %d is away" in last
