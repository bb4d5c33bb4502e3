"""Rules say and keep the same, to the byte, whether they run as machine code or as they are written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tallystick_infra.compiling import why_not
from tallystick_stream_jobs import compiled as module
from tallystick_stream_jobs.compiled import FOLDER, STAMP, SWITCH, shared_name, sum_of_sources, take_compiled

# Days of ordinary sessions with harvesters among them, and what was kept in between read again.
SCRIPT = """
import hashlib, sys, msgspec
from tallystick_infra.bench.detect import messages
from tallystick_schemas.messages import parse_batch
from tallystick_schemas.topics import VERIFIED_PARTITIONS
from tallystick_stream_jobs.detectors import COMPILED
from tallystick_stream_jobs.detectors.engine import BUCKETS, Engine

engines, found = [Engine() for _ in range(VERIFIED_PARTITIONS)], []
for number, chunk in enumerate(messages(30_000, principals=60)):
    for partition, raw in chunk:
        found += engines[partition].process(parse_batch(raw))
    if number == 25:
        kept = [[one.snapshot(bucket) for bucket in range(BUCKETS)] for one in engines]
        engines = [Engine() for _ in engines]
        for one, buckets in zip(engines, kept):
            for bucket, raw in enumerate(buckets):
                one.restore(bucket, raw)
states = b"".join(one.snapshot(bucket) for one in engines for bucket in range(BUCKETS))
sys.stdout.write(f"{COMPILED} {len(found)} {len({one.detector for one in found})} ")
sys.stdout.write(f"{hashlib.sha256(msgspec.json.encode(found)).hexdigest()} {hashlib.sha256(states).hexdigest()}")
"""


def told(switch: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT], env={**os.environ, SWITCH: switch}, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_findings_and_states_are_the_same_compiled_or_not():
    if (reason := why_not()) is not None:
        pytest.skip(f"nothing is compiled here: {reason}")
    machine_code, written = told("1"), told("0")
    assert (machine_code[0], written[0]) == ("True", "False"), "run make install: the compiled detectors are of other sources"
    assert machine_code[1:] == written[1:]
    assert int(written[1]) > 100
    assert int(written[2]) >= 5


def folder(tmp_path: Path) -> Path:
    (tmp_path / "rule.py").write_text("LINE = 25\n")
    made = tmp_path / FOLDER
    made.mkdir()
    (made / f"{shared_name()}{module.EXTENSION_SUFFIXES[0]}").write_bytes(b"never loaded")
    (made / STAMP).write_text(sum_of_sources(tmp_path))
    return tmp_path


@pytest.mark.parametrize("change", ["a source changed", "a source came", "a source went", "switched off", "nothing made", "no sum"])
def test_what_was_made_from_other_sources_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str):
    package = folder(tmp_path)
    if change == "a source changed":
        (package / "rule.py").write_text("LINE = 26\n")
    elif change == "a source came":
        (package / "other.py").write_text("")
    elif change == "a source went":
        (package / "rule.py").unlink()
    elif change == "switched off":
        monkeypatch.setenv(SWITCH, "0")
    elif change == "no sum":
        (package / FOLDER / STAMP).unlink()
    else:
        (package / FOLDER / f"{shared_name()}{module.EXTENSION_SUFFIXES[0]}").unlink()
    assert not take_compiled(package)


def test_what_was_made_from_these_sources_is_loaded_and_says_when_it_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SWITCH, "1")
    with pytest.raises(ImportError, match=r"delete .*_compiled, or set TALLYSTICK_COMPILED=0"):
        take_compiled(folder(tmp_path))
