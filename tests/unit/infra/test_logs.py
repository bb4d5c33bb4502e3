"""Logs: one line an occurrence, whatever was logged; and what people are told of them."""

import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.hostile import ALL, FORGED, HOSTILE, acts

from tallystick_infra.logs import ShownFormatter, log_to_stderr, traceback_text
from tallystick_infra.processes import last_words, tail
from tallystick_schemas.shown import shown

LINE = "2026-11-29 13:11:24,255 notary ERROR tallystick: forged"


@contextmanager
def logged() -> Iterator[logging.Logger]:
    """A logger of a process; the tests' own logging is put back after it."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    log_to_stderr("gateway")
    try:
        yield logging.getLogger("tallystick_producers.enforcement.feed")
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = before
        root.setLevel(level)


@pytest.mark.parametrize("trick", list(HOSTILE))
def test_a_message_is_one_line(trick: str, capsys: pytest.CaptureFixture[str]) -> None:
    with logged() as log:
        log.error("%s is %s (command %s)", HOSTILE[trick], "locked", f"c\n{LINE}")
    said = capsys.readouterr().err
    assert acts(said) == []
    assert said.count("\n") == 1
    assert f"gateway ERROR tallystick_producers.enforcement.feed: {shown(HOSTILE[trick])} is locked (command c\\n{LINE})\n" in said


def test_a_traceback_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with logged() as log:
        try:
            raise ValueError(f"{ALL}\n{LINE}") from KeyError(f"{ALL}\n{LINE}")
        except ValueError:
            log.exception("request %s failed", ALL)
    said = capsys.readouterr().err
    assert acts(said) == []
    assert said.count("ValueError: ") == 1
    assert not any(line.startswith(("2026-11-29", FORGED)) for line in said.splitlines())


def test_another_handler_s_traceback_is_not_taken_over() -> None:
    try:
        raise ValueError(ALL)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "x", 1, "%s", (ALL,), sys.exc_info())
    logging.Formatter().format(record)
    assert acts(ShownFormatter("%(message)s").format(record)) == []


def test_warnings_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with logged():
            warnings.warn(ALL, stacklevel=1)
    said = capsys.readouterr().err
    assert "py.warnings" in said
    assert acts(said) == []


CRASH = """
import sys, threading
from tallystick_infra.logs import show_uncaught
show_uncaught()
text = sys.stdin.read()
worker = threading.Thread(target=lambda: 1 / 0 if not text else int(text), name=text)
worker.start()
worker.join()
int(text)
"""


def test_a_crash_shows_what_it_was_about() -> None:
    done = subprocess.run([sys.executable, "-c", CRASH], input=ALL, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert acts(done.stderr) == []
    assert done.stderr.count("ValueError: invalid literal") == 2
    assert done.stderr.count("Exception in thread ") == 1


def test_no_exception_is_said_as_such() -> None:
    assert traceback_text(None) == "no exception"


@pytest.mark.parametrize("trick", [trick for trick in HOSTILE if trick != "next line"])
def test_the_last_words_of_a_part_are_shown(trick: str, tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text(f"first\n2026-11-29 13:11:24,255 sealer ERROR tallystick: stops: {HOSTILE[trick]}\n\n", newline="")
    assert last_words(log) == f"stops: {shown(HOSTILE[trick])}"


def test_what_was_logged_raw_has_no_lines_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_bytes(b"[x] broken: \xff\x85 " + f"a\u2028{FORGED}\x85{FORGED}\x0b{FORGED}\r{FORGED}".encode())
    assert tail(log).startswith("[x] broken: ")
    assert acts(tail(log)) == []
    assert "\n" not in tail(log, 5)
