"""What is wrong is said before the work that it is about: arguments, settings, and what `is_locked` is asked."""

from dataclasses import replace

import pytest
from tests.support.recorder import agent_settings, spooled

from tallystick_producers import Actor, Recorder, Resource
from tallystick_producers.convenience import recorded
from tallystick_producers.errors import InvalidEvent, InvalidQuestion, RecorderClosed
from tallystick_schemas.errors import SettingsError
from tallystick_schemas.settings import LogSettings

ANA = Actor("ana@example.org", "human")
ATLAS = Resource("model", "models/atlas")


@pytest.mark.parametrize(("action", "actor"), [("nope", ANA), ("artifact.read", "ana")])
def test_a_block_that_could_not_be_recorded_does_not_begin(tmp_path, action, actor):
    def work(recorder):
        with recorder.access(action, actor=actor, resource=ATLAS):
            pytest.fail("the block began")

    with Recorder.open(agent_settings(tmp_path)) as recorder, pytest.raises(InvalidEvent):
        work(recorder)


def test_a_closed_recorder_is_told_before_the_block(tmp_path):
    recorder = Recorder.open(agent_settings(tmp_path))
    recorder.close()
    with pytest.raises(RecorderClosed), recorder.access("artifact.read", actor=ANA, resource=ATLAS):
        pytest.fail("the block began")


def test_a_count_that_is_none_is_refused_where_it_is_said_and_the_event_is_recorded(tmp_path):
    settings = agent_settings(tmp_path)
    with Recorder.open(settings) as recorder, recorder.access("artifact.read", actor=ANA, resource=ATLAS) as one:
        one.used(bytes=7)
        with pytest.raises(InvalidEvent, match=r"usage\.bytes"):
            one.used(bytes=1.5)
        with pytest.raises(InvalidEvent):
            one.deny(7)
    [event] = [event for event in next(iter(spooled(settings).values())) if event.action == "artifact.read"]
    assert (event.usage.bytes, event.outcome) == (7, "allowed")


def test_the_applications_own_exception_goes_on_when_its_event_cannot_be_recorded(tmp_path, caplog):
    def work(recorder):
        with recorder.access("artifact.read", actor=ANA, resource=ATLAS) as one:
            one.attrs["note"] = "x" * 20_000
            raise KeyError("real")

    with Recorder.open(agent_settings(tmp_path)) as recorder, pytest.raises(KeyError) as caught:
        work(recorder)
    assert any("not recorded" in note for note in caught.value.__notes__)
    assert "is not recorded" in caplog.text


def test_a_decorator_tells_an_unknown_action_and_a_generator_function_at_once(tmp_path):
    def shards():
        yield 1

    async def later():
        yield 1

    with Recorder.open(agent_settings(tmp_path)) as recorder:
        with pytest.raises(InvalidEvent, match="nope"):
            recorded(recorder, "nope", actor=ANA, resource=ATLAS)
        for function in (shards, later):
            with pytest.raises(InvalidEvent, match="generator function"):
                recorded(recorder, "artifact.download", actor=ANA, resource=ATLAS)(function)


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        (ANA, {}),
        (b"ana@example.org", {}),
        (None, {}),
        ("", {}),
        (12345, {}),
        ("ana@example.org", {"credential": 7}),
        ("ana@example.org", {"credential": ""}),
        ("ana@example.org", {"issued": "x"}),
        ("ana@example.org", {"wait_s": "x"}),
    ],
)
def test_a_wrong_question_is_not_answered_with_not_locked(tmp_path, asked, fields):
    with Recorder.open(agent_settings(tmp_path)) as recorder, pytest.raises(InvalidQuestion):
        recorder.is_locked(asked, **fields)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"linger_ms": "20"}, "linger_ms is '20', not int"),
        ({"linger_ms": -1}, "linger_ms is -1, and must be at least 0"),
        ({"resend_s": -1}, "resend_s is -1, and must be more than 0"),
        ({"heartbeat_s": 0}, "heartbeat_s is 0, and must be more than 0"),
        ({"heartbeat_s": float("nan")}, "heartbeat_s is nan, and must be more than 0"),
        ({"spool_max_bytes": 0}, "spool_max_bytes is 0, and must be at least 1"),
        ({"when_full": "drop"}, "when_full is 'drop', not one of 'block', 'raise'"),
        ({"key_file": 5}, "key_file is 5, not str"),
        ({"kafka": "127.0.0.1:9092"}, "kafka is '127.0.0.1:9092', not KafkaSettings"),
        ({"log": LogSettings("test", sealer_keys=("3442",))}, "log.sealer_keys is ('3442',), not a tuple of bytes: bytes.fromhex"),
        ({"log": LogSettings("test", sealer_keys=(b"34",))}, "log.sealer_keys has a key of 2 bytes"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(tmp_path, changes, said):
    with pytest.raises(SettingsError) as caught:
        Recorder.open(replace(agent_settings(tmp_path), **changes))
    assert len(caught.value.mistakes) == 1
    assert said in caught.value.mistakes[0]


def test_all_mistakes_in_settings_are_told_at_once_and_no_settings_are_none(tmp_path):
    with pytest.raises(SettingsError) as caught:
        Recorder.open(replace(agent_settings(tmp_path), linger_ms="x", resend_s=0))
    assert len(caught.value.mistakes) == 2
    with pytest.raises(SettingsError, match="None"):
        Recorder.open(None)


def test_attrs_that_are_no_mapping_are_no_event(tmp_path):
    with Recorder.open(agent_settings(tmp_path)) as recorder, pytest.raises(InvalidEvent, match="mapping of text to text, not list"):
        recorder.record("artifact.read", actor=ANA, resource=ATLAS, attrs=["x"])
