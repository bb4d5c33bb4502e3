"""`recorder.is_locked`: one cache a process, over threads and forks; what its answers mean."""

import os
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.support.recorder import write_key
from tests.support.signing import Speaker

from tallystick_producers import Recorder
from tallystick_producers.enforcement import sdk
from tallystick_producers.enforcement.sdk import LockCache, LockState
from tallystick_producers.errors import RecorderClosed
from tallystick_producers.instants import now
from tallystick_schemas.messages import Lock
from tallystick_schemas.settings import AgentSettings, KafkaSettings, LogSettings

AT = "2026-01-01T00:00:00.000000Z"


class Quiet:
    """Stands for the feed and the announcer: nothing comes, nothing goes."""

    made: ClassVar[list[str]] = []

    def __init__(self, *_: Any) -> None:
        Quiet.made.append(f"{os.getpid()}")

    def applied(self, _lock: Lock, *, stood: bool = False) -> None: ...
    def heard(self, _at: str) -> None: ...
    def stop(self) -> None: ...
    def close(self, _timeout: float = 0) -> None: ...


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AgentSettings:
    monkeypatch.setattr(sdk, "LockFeed", Quiet)
    monkeypatch.setattr(sdk, "Announcer", Quiet)
    monkeypatch.setattr(Quiet, "made", [])
    write_key(tmp_path / "key.pem")
    nowhere = KafkaSettings("127.0.0.1:1")
    return AgentSettings("app", nowhere, LogSettings("test"), str(tmp_path / "key.pem"), str(tmp_path / "spool"))


def test_what_cannot_be_known_counts_as_locked_and_says_so(settings: AgentSettings) -> None:
    with Recorder.open(settings) as recorder:
        state = recorder.is_locked("ann", wait_s=0)
    assert bool(state)
    assert (state.locked, state.known, state.command) == (True, False, None)
    assert "has not heard from the responder yet" in state.text


def test_without_kafka_only_the_first_call_waits(settings: AgentSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, waited = LockCache(settings, Speaker("app").signer, lambda *_, **__: ""), []
    clock = [cache._began]
    monkeypatch.setattr(sdk.time, "monotonic", lambda: clock[0])

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        clock[0] += seconds
        return False

    monkeypatch.setattr(cache._known, "wait", wait)
    assert [cache.check("ann", None, None, 5.0).known for _ in range(3)] == [False] * 3
    assert waited == [5.0]
    cache.check("ann", None, None, 8.0)
    assert waited == [5.0, 3.0], "who would wait longer waits for the rest"


def test_leaving_does_not_wait_for_a_kafka_that_is_away(settings: AgentSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that connects cannot be interrupted; both threads hang in one."""
    released = threading.Event()

    def hang(*_: object) -> None:
        released.wait(30)
        raise OSError("away")

    monkeypatch.undo()
    for name in ("connect", "KafkaTopic"):
        monkeypatch.setattr(sdk, name, hang)
    monkeypatch.setattr(sdk, "_LEAVE_S", 0.2)
    cache = LockCache(settings, Speaker("app").signer, lambda *_, **__: "")
    began = time.monotonic()
    cache.close()
    assert time.monotonic() - began < 3, "each of the two was waited for"
    released.set()


def test_threads_share_one_cache(settings: AgentSettings) -> None:
    with Recorder.open(settings) as recorder:
        threads = [threading.Thread(target=lambda: recorder.is_locked("ann", wait_s=0)) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(Quiet.made) == 2, "one feed, one announcer"


def test_a_child_begins_a_cache_of_its_own(settings: AgentSettings) -> None:
    with Recorder.open(settings) as recorder:
        recorder.is_locked("ann", wait_s=0)
        mine = recorder._locks
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            recorder.is_locked("ann", wait_s=0)
            theirs = recorder._locks
            fresh = theirs is not None and theirs is not mine and theirs.name.endswith(f":{os.getpid()}")
            os.write(write, b"y" if fresh else b"n")
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 1) == b"y"
        os.close(read)
        os.close(write)
        assert recorder._locks is mine


def test_after_closing_there_is_no_answer(settings: AgentSettings) -> None:
    recorder = Recorder.open(settings)
    recorder.is_locked("ann", wait_s=0)
    recorder.close()
    with pytest.raises(RecorderClosed):
        recorder.is_locked("ann")


def test_a_lock_names_its_command_and_a_newer_credential_passes_a_step_up(settings: AgentSettings) -> None:
    cache = LockCache(settings, Speaker("app").signer, lambda *_, **__: "")
    assert cache._table.heartbeat(now().wall, now())
    cache.heard(AT)
    assert cache.check("ann", "cred", None, 0) == LockState(False, True)
    cache._table.apply(Lock(subject="credential:cred", state="locked", command="c1", reason="r", by="b", at=AT, level="step-up"))
    state = cache.check("ann", "cred", None, 0)
    assert (state.locked, state.known, state.level, state.command) == (True, True, "step-up", "c1")
    assert not cache.check("ann", "other", None, 0)
    assert not cache.check("ann", "cred", 2e9, 0)
