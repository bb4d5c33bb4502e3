"""A policy that changes under a running process, and the events that say so."""

import os
from pathlib import Path

import pytest
from tests.support.recorder import agent_settings, spooled

from tallystick_producers import Actor, Recorder
from tallystick_stream_jobs.policy import DetectionPolicy, Reloader
from tallystick_stream_jobs.policy.changes import By, change_file, last_text, record_change, short_diff
from tallystick_stream_jobs.policy.demotions import Standing, change_standing

FIRST = "detectors:\n  D01: {parameters: {alert: 30}}\n"
SECOND = "detectors:\n  D01: {parameters: {alert: 35}}\n"


class Clock:
    now = 0.0

    def on(self) -> float:
        self.now += 10
        return self.now


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path]:
    state = tmp_path / "jobs"
    state.mkdir()
    return tmp_path / "detection.yaml", state


def write(path: Path, text: str) -> None:
    """As an editor does: another file in its place."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


def test_a_change_is_picked_up(place) -> None:
    path, state = place
    reloader, clock = Reloader(path, state), Clock()
    assert reloader.policy == DetectionPolicy()
    assert not reloader.check(clock.on())
    write(path, FIRST)
    assert reloader.check(clock.on())
    assert reloader.policy.parameters == {"D01": {"alert": 30.0}}
    assert not reloader.check(clock.on())
    path.unlink()
    assert reloader.check(clock.on())
    assert reloader.policy == DetectionPolicy()


def test_it_looks_once_a_second(place) -> None:
    path, state = place
    reloader = Reloader(path, state)
    assert not reloader.check(100.0)
    write(path, FIRST)
    assert not reloader.check(100.9)
    assert reloader.check(101.0)


def test_a_bad_file_keeps_the_last_good_one_and_says_so(place, caplog) -> None:
    path, state = place
    write(path, FIRST)
    reloader, clock = Reloader(path, state), Clock()
    write(path, "detectors: {D99: {mode: auto}}\nfoo: 1\n")
    assert not reloader.check(clock.on())
    assert reloader.policy.parameters == {"D01": {"alert": 30.0}}
    assert len(reloader.mistakes) == 2
    assert "there is no detector D99" in caplog.text
    assert reloader.texts["detection.yaml"] == FIRST
    write(path, SECOND)
    assert reloader.check(clock.on())
    assert (reloader.policy.parameters["D01"]["alert"], reloader.mistakes) == (35.0, ())


def test_a_bad_file_at_the_start_means_the_recorded_one_or_nothing_acts(place, tmp_path: Path) -> None:
    path, state = place
    write(path, "mode: [\n")
    cautious = Reloader(path, state)
    assert (cautious.policy.mode("D13"), bool(cautious.mistakes)) == ("recommend", True)
    assert cautious.texts.get("detection.yaml", "absent") == "absent", "what is not in force is not recorded"
    with Recorder.open(agent_settings(tmp_path)) as recorder:
        record_change(recorder, state, "detection.yaml", FIRST)
    again = Reloader(path, state)
    assert again.policy.parameters == {"D01": {"alert": 30.0}}
    assert again.policy.mode("D13") == "auto"
    write(path, "")
    assert again.check(10.0)
    assert again.mistakes == ()


def test_demotions_come_and_go(place) -> None:
    path, state = place
    write(path, "detectors: {D01: {mode: auto}}\n")
    reloader, clock = Reloader(path, state), Clock()
    down, up = Standing(True, "precision 0.2", "detectors", 1.0), Standing(False, "it was mended", "ann", 2.0)
    assert change_standing(state, "D01", down) is not None
    assert reloader.check(clock.on())
    assert (reloader.policy.mode("D01"), reloader.policy.demoted) == ("recommend", {"D01": "precision 0.2"})
    assert change_standing(state, "D01", down) is None, "it is demoted already"
    assert change_standing(state, "D03", up) is None, "it never was"
    assert change_standing(state, "D01", up) is not None
    assert reloader.check(clock.on())
    assert reloader.policy.mode("D01") == "auto"
    (state / "demotions.json").write_text("[")
    assert not reloader.check(clock.on())
    assert "demotions.json cannot be read" in reloader.mistakes[0]


def changes(settings) -> list:
    return [event for events in spooled(settings).values() for event in events if event.action == "policy.update"]


def test_every_change_is_an_event_once_over_restarts_and_processes(place, tmp_path: Path) -> None:
    _, state = place
    settings = agent_settings(tmp_path, "detectors")
    for text in (None, FIRST, FIRST, SECOND, FIRST, None):
        # Two processes see each change, and both were started again in between.
        for _ in range(2):
            with Recorder.open(settings) as recorder:
                record_change(recorder, state, "detection.yaml", text)
    events = changes(settings)
    assert len(events) == 4
    sums = [(event.attrs["sha256_before"][:8], event.attrs["sha256_after"][:8]) for event in events]
    assert [after for _, after in sums[:-1]] == [before for before, _ in sums[1:]]
    assert (sums[0][0], sums[-1][1]) == ("none", "none")
    assert {(event.resource.kind, event.resource.id) for event in events} == {("policy", "detection.yaml")}
    assert events[1].why.text == "-  D01: {parameters: {alert: 30}}\n+  D01: {parameters: {alert: 35}}"
    assert last_text(state, "detection.yaml") is None


def test_a_change_says_who_made_it_and_why(place, tmp_path: Path) -> None:
    _, state = place
    settings = agent_settings(tmp_path, "detectors")
    with Recorder.open(settings) as recorder:
        assert record_change(recorder, state, "detection.yaml", FIRST, By(Actor("ann", "human"), "quarter\nend"))
        assert not record_change(recorder, state, "detection.yaml", FIRST)
    (event,) = changes(settings)
    assert (event.actor.principal, event.actor.kind) == ("ann", "human")
    assert event.why.text.startswith("quarter end\n+detectors:")


def test_a_persons_command_and_detection_record_one_event_between_them(place, tmp_path: Path) -> None:
    """They sign as two agents: a second run of detection's key beside the first would look like a fork (D07a)."""
    path, state = place
    people, detection = agent_settings(tmp_path, "cli"), agent_settings(tmp_path, "detectors")
    with Recorder.open(people) as person, Recorder.open(detection) as itself:
        assert change_file(person, state, path, FIRST, By(Actor("ann", "human"), "set"))
        assert not record_change(itself, state, path.name, FIRST)
        assert record_change(itself, state, path.name, SECOND), "somebody edited it by hand"
        assert change_file(person, state, path, FIRST, By(Actor("ann", "human"), "back")), "as it was once, and yet a change"
        assert not record_change(itself, state, path.name, FIRST)
        assert record_change(itself, state, path.name, SECOND)
    assert [event.why.text.split("\n")[0] for event in changes(people)] == ["set", "back"]
    assert len(changes(detection)) == 2
    assert path.read_text() == FIRST


def test_two_processes_at_once_record_one_event(place, tmp_path: Path) -> None:
    _, state = place
    settings = agent_settings(tmp_path, "detectors")
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            with Recorder.open(settings) as recorder:
                record_change(recorder, state, "detection.yaml", FIRST)
            os._exit(0)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    assert len(changes(settings)) == 1


def test_a_crash_after_the_event_leaves_no_second_one(place, tmp_path: Path, monkeypatch) -> None:
    _, state = place
    settings = agent_settings(tmp_path, "detectors")
    with Recorder.open(settings) as recorder:
        with monkeypatch.context() as broken:
            broken.setattr("tallystick_stream_jobs.policy.changes.write_whole", lambda *_: (_ for _ in ()).throw(OSError("gone")))
            with pytest.raises(OSError, match="gone"):
                record_change(recorder, state, "detection.yaml", FIRST)
        assert not record_change(recorder, state, "detection.yaml", FIRST)
        assert record_change(recorder, state, "detection.yaml", SECOND)
    first, second = changes(settings)
    assert second.why.text == "(what it said before is not known)"
    assert first.attrs["sha256_after"] == second.attrs["sha256_before"]


def test_a_long_change_is_cut(place) -> None:
    told = short_diff("", "\n".join(f"line {n} " + "x" * 500 for n in range(60)))
    assert len(told.splitlines()) == 21
    assert told.endswith("… and 40 more lines")
    assert max(map(len, told.splitlines())) <= 120
