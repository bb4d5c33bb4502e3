"""A process that ends without closing its recorder, and bytes that are no event."""

import subprocess
import sys

import pytest
from tests.support.recorder import NOWHERE, agent_settings, spooled

from tallystick_producers import Actor, Recorder, Resource
from tallystick_producers.errors import InvalidEvent

ANA = Actor("ana@example.org", "human")
ATLAS = Resource("model", "models/atlas")
PROGRAM = """
import os, sys
from tallystick_producers import Actor, Recorder, Resource
from tallystick_schemas.settings import AgentSettings, KafkaSettings, LogSettings
key, spool, kafka, fork = sys.argv[1:]
recorder = Recorder.open(AgentSettings("agent-1", KafkaSettings(kafka), LogSettings("test"), key, spool, linger_ms=60_000))
def record():
    for number in range(100):
        recorder.record("artifact.read", actor=Actor("ana", "human"), resource=Resource("model", "m"))
record()
if fork == "1" and os.fork() == 0:
    record()
    sys.exit(0)
if fork == "1":
    os.wait()
"""


@pytest.mark.parametrize(("fork", "events"), [("0", 100), ("1", 200)])
def test_what_was_recorded_is_on_disk_when_the_interpreter_ended(tmp_path, fork, events):
    settings = agent_settings(tmp_path)
    arguments = [settings.key_file, settings.spool_dir, NOWHERE.bootstrap, fork]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    kept = [event for run in spooled(settings).values() for event in run if event.action == "artifact.read"]
    assert len(kept) == events


@pytest.mark.parametrize(("source", "place", "said"), [("s", None, "are text"), (None, "1", "are text"), (b"s", "1", "are text")])
def test_a_place_is_text(tmp_path, source, place, said):
    settings = agent_settings(tmp_path)
    with Recorder.open(settings) as recorder:
        with pytest.raises(InvalidEvent, match=said):
            recorder.record_batch_at(source, place, [])
        recorder.record("artifact.read", actor=ANA, resource=ATLAS, durable=True)


def test_bytes_that_are_no_event_do_not_take_others_with_them(tmp_path):
    settings = agent_settings(tmp_path)
    with Recorder.open(settings) as recorder:
        good = recorder.encode("artifact.read", ANA, ATLAS)
        with pytest.raises(InvalidEvent, match="event 1 of the batch"):
            recorder.record_batch_at("s", "1", [good, b"hello"])
        assert recorder.place("s") is None
        recorder.record_batch_at("s", "2", [good])
        assert recorder.place("s") == "2"
