"""Exactly once: whatever is written, rotated and restarted between any two steps, each line of the log is recorded once."""

import contextlib
import gzip
import os
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.collectors import Machine, line, numbered

from tallystick_producers.collectors import tail


class Died(Exception):
    """The process ended in the middle of a pass."""


class World:
    """A log with its writer and rotations; a collector that may die. Each step of a rotation is a step of its own."""

    def __init__(self, directory: Path, pattern: str) -> None:
        self.log = directory / "logs" / "app.log"
        self.log.parent.mkdir()
        self.machine = Machine(directory, numbered(), f"{self.log}{pattern}")
        self.written: list[str] = []
        self.rest = b""

    def write(self, count: int) -> None:
        """Whole lines, after the rest of a half one."""
        new = [str(len(self.written) + n) for n in range(count)]
        self._add(self.rest + b"".join(map(line, new)))
        self.written += new
        self.rest = b""

    def half(self) -> None:
        """The beginning of a line that counts, and is written to its end later."""
        if not self.rest:
            raw = line(len(self.written))
            self.written.append(str(len(self.written)))
            self._add(raw[:4])
            self.rest = raw[4:]

    def _add(self, raw: bytes) -> None:
        with self.log.open("ab") as file:
            file.write(raw)

    def rename(self, look: bool) -> None:
        """logrotate's way: the oldest moves first."""
        self.write(0)
        self._shift(look)
        self.log.rename(self._old(1))
        self._between(look)

    def copytruncate(self, look: bool) -> None:
        self.write(0)
        self._shift(look)
        shutil.copy2(self.log, self._old(1))
        self._between(look)
        os.truncate(self.log, 0)
        self._between(look)

    def _shift(self, look: bool) -> None:
        for number in range(20, 0, -1):
            for end in ("", ".gz"):
                if (one := self._old(number, end)).exists():
                    one.rename(self._old(number + 1, end))
                    self._between(look)

    def pack(self, number: int, look: bool) -> None:
        """gzip's way: both are there until the packed one is whole."""
        plain, packed = self._old(number), self._old(number, ".gz")
        if plain.exists():
            raw, stat = gzip.compress(plain.read_bytes()), plain.stat()
            packed.write_bytes(raw[: len(raw) // 2])
            self._between(look)
            packed.write_bytes(raw)
            os.utime(packed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            self._between(look)
            plain.unlink()

    def _old(self, number: int, end: str = "") -> Path:
        return self.log.with_name(f"app.log.{number}{end}")

    def _between(self, look: bool) -> None:
        if look:
            self.restart()
            self.collect()

    def collect(self) -> None:
        self.machine.collect()

    def restart(self) -> None:
        self.machine.restart()

    def die(self, commits: int, after: bool) -> None:
        """A pass whose process dies before or after one of its commits."""
        real, left = self.machine.recorder.record_batch_at, [commits]

        def commit(source: str, place: str, events: list[bytes]) -> None:
            left[0] -= 1
            if left[0] >= 0 or after:
                real(source, place, events)
            if left[0] < 0:
                raise Died

        with patch.object(self.machine.recorder, "record_batch_at", commit), contextlib.suppress(Died):
            self.machine.collect()
        self.restart()


STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 9)),
    st.tuples(st.just("half")),
    st.tuples(st.just("collect")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("die"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("rename"), st.booleans()),
    st.tuples(st.just("copytruncate"), st.booleans()),
    st.tuples(st.just("pack"), st.integers(1, 3), st.booleans()),
)


@settings(max_examples=40)
@given(pattern=st.sampled_from(["", "*"]), steps=st.lists(STEPS, max_size=25))
def test_each_line_is_recorded_once_whatever_happens_to_the_log(pattern, steps):
    with tempfile.TemporaryDirectory() as directory, patch.object(tail, "BATCH", 3):
        world = World(Path(directory), pattern)
        with world.machine:
            # Rotated before anybody looked: only what the pattern names is read then, so that here somebody looks first.
            world.write(1)
            world.collect()
            for name, *more in steps:
                getattr(world, name)(*more)
            world.write(1)
            world.collect()
            assert sorted(world.machine.recorded(), key=int) == world.written
            world.restart()
            assert world.machine.collect().read == 0
