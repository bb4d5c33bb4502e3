"""D13: one read of a decoy is enough, and each credential is told."""

from tests.support.detecting import findings, read, timeline

from tallystick_stream_jobs.detectors.d13_canary import Canary
from tallystick_stream_jobs.detectors.engine import Engine


def found(*events):
    return findings(timeline(events), Engine((Canary(),)))


def decoy(at, **fields):
    return at, read(at, "secret", canary=True, **fields)


def test_once_is_enough():
    (told,) = found(decoy(1))
    assert (told.act, told.severity, told.deterministic, told.evidence) == ("suspend", "critical", True, [(0, 0, 0)])
    assert (told.principal, told.credential) == ("dave@example.org", "cred-1")
    assert (told.value, told.threshold) == (1, 1)


def test_an_ordinary_file_is_none():
    assert found((1, read(1, "secret"))) == []


def test_a_decoy_that_was_not_had_is_none():
    assert found(decoy(1, outcome="denied"), decoy(2, action="artifact.list")) == []


def test_another_word_than_true_marks_nothing():
    at, raw = decoy(1)
    assert found((at, raw.replace(b'"canary":"true"', b'"canary":"TRUE"'))) == []


def test_again_within_the_hour_is_the_same_finding():
    assert len(found(decoy(0), decoy(3599), decoy(3600))) == 2


def test_a_thief_with_two_credentials_is_told_twice_and_locked_whole():
    """The lock on the first credential would leave the second free for an hour."""
    first, second = found(decoy(0), decoy(1, credential="cred-2"))
    assert first.credential == "cred-1"
    assert second.credential is None


def test_the_state_is_bounded():
    engine = Engine((Canary(),))
    findings(timeline(decoy(n, credential=f"cred-{n}") for n in range(2000)), engine)
    assert engine.sizes()[1] < 4096
