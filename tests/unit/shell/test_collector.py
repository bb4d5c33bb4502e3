"""The collector of cycles: what lives long is walked through once, and its cycles are found within the hour all the same."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tallystick_infra.cli import common, processes
from tallystick_infra.clickhouse import __main__ as store

SCRIPT = """
import gc, weakref
from tallystick_stream_jobs import collector

class Ring:
    def __init__(self):
        self.me = self

now = [0.0]
collector.time.monotonic = lambda: now[0]
gc.disable()
kept = [[n] for n in range(1000)]
collector.walk_once()
long_lived = Ring()
long, short = weakref.ref(long_lived), weakref.ref(Ring())
gc.collect(1)
print(gc.get_freeze_count() > 1000, short() is None, long() is not None)
del long_lived
gc.collect()
print(long() is None)
now[0] = collector.SWEEP_EVERY_S
gc.collect()
print(long() is None, gc.get_freeze_count() > 1000)
"""


def test_what_outlives_a_collection_is_set_aside_until_the_hour_is_over() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["True True True", "False", "True True"]


SERVING = """
import gc, weakref
from tallystick_stream_jobs import collector

class Ring:
    def __init__(self):
        self.me = self
        self.parts = [[n] for n in range(35)]

kept = [[n] for n in range(1000)]
collector.walk_modules_once()
print(gc.get_freeze_count() > 1000)
known = weakref.WeakSet()
for _ in range(20):
    held = [Ring() for _ in range(500)]
    known.update(held)
    gc.collect(1)
    held.clear()
print(len(known) < 2_000, len(known))
"""


def test_what_strangers_held_over_collections_and_let_go_is_not_kept() -> None:
    """10,000 rings as large as connections, 500 at once."""
    done = subprocess.run([sys.executable, "-c", SERVING], capture_output=True, text=True, check=True, timeout=60)
    aside, few = done.stdout.splitlines()
    assert aside == "True"
    assert few.startswith("True"), few


class Began(Exception):
    """A part's first step."""


@pytest.mark.parametrize("part", ["gateway", "console", "signals"])
def test_parts_that_serve_strangers_set_no_connection_aside(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def aside() -> None:
        raise Began

    monkeypatch.setattr(common, "walk_modules_once", aside)
    monkeypatch.setattr(common, "walk_once", lambda: None)
    monkeypatch.setattr(common.logs, "log_to_stderr", lambda _: None)
    ran = CliRunner().invoke(getattr(processes, part), ["--data", str(tmp_path)])
    assert isinstance(ran.exception, Began)


def test_the_embedded_store_sets_no_connection_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def aside() -> None:
        raise Began

    monkeypatch.setattr(store, "walk_modules_once", aside)
    monkeypatch.setattr(store, "log_to_stderr", lambda *_: None)
    monkeypatch.setattr(store, "show_uncaught", lambda: None)
    monkeypatch.setattr(sys, "argv", ["store", "--data", str(tmp_path), "--port", "1", "--keys", str(tmp_path)])
    with pytest.raises(Began):
        store.main()
