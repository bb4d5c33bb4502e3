"""D01 at its two lines, and what the window forgets."""

import pytest
from tests.support.detecting import T0, findings, pull, read, timeline

from tallystick_stream_jobs.detectors.d01_bulk_objects import BulkObjects
from tallystick_stream_jobs.detectors.engine import Engine

D01 = (BulkObjects(),)
HOUR = 3600.0


def found(events):
    return findings(timeline(events), Engine(D01))


@pytest.mark.parametrize(("objects", "acts"), [(24, []), (25, ["alert"]), (39, ["alert"]), (40, ["alert", "alert"])])
def test_it_speaks_at_its_lines_and_not_one_below(objects, acts):
    told = found(pull(objects))
    assert [finding.act for finding in told] == acts
    assert [finding.value for finding in told] == [25, 40][: len(acts)]
    assert [finding.threshold for finding in told] == [25, 40][: len(acts)]


def test_the_same_object_again_does_not_count():
    assert found(pull(24) * 4) == []


def test_a_decision_and_the_download_after_it_are_one_object():
    twice = [(at, read(at, f"part-{at}", action=action)) for at in range(24) for action in ("access.check", "artifact.download")]
    assert found(twice) == []
    assert len(found([*twice, (30, read(30, "one-more"))])) == 1


@pytest.mark.parametrize(
    "field",
    [{"outcome": "denied"}, {"action": "artifact.list"}, {"action": "access.check", "objects": None}],
    ids=["denied", "list", "check"],
)
def test_what_touches_nothing_does_not_count(field):
    assert found(pull(60, **field)) == []


def test_principals_are_counted_apart():
    assert found([*pull(24, principal="a"), *pull(24, principal="b")]) == []


def test_slower_than_the_window_is_below_it():
    assert found(pull(200, every=200.0)) == []


def test_an_hour_is_the_window():
    early, late = pull(12), pull(13, first=12, start=HOUR - 300)
    assert len(found([*early, *late])) == 1
    late = pull(13, first=12, start=HOUR)
    assert found([*early, *late]) == []


def test_an_open_finding_is_not_told_again_for_an_hour():
    told = found(pull(400, every=60.0))
    steps = [finding.time for finding in told if finding.threshold == 40]
    assert len(steps) == len(told) - 1 > 3
    assert steps == sorted(set(steps))


DAY = 86_400.0


def crowd(objects, *, day=-1):
    """Thirty other principals of the same partition on an earlier day."""
    return [one for who in range(30) for one in pull(objects, start=day * DAY + who, principal=f"peer-{who}", every=30.0)]


def test_it_steps_up_only_against_the_own_and_the_peers_days_before():
    own = pull(10, start=-2 * DAY)
    told = found([*own, *sorted(crowd(5)), *pull(40, first=500)])
    assert [(finding.value, finding.act) for finding in told] == [(25, "alert"), (40, "step-up")]
    assert (told[1].baseline, told[1].peers, told[1].missing) == (10, 10, [])
    assert told[1].features == {"distinct_objects": 40, "own_maximum": 10, "peers": 10}


def test_who_always_pulls_so_much_is_only_told():
    own = pull(22, start=-2 * DAY)
    told = found([*own, *sorted(crowd(5)), *pull(44, first=500)])
    assert [(finding.value, finding.act) for finding in told] == [(25, "alert")]
    told = found([*own, *sorted(crowd(5)), *pull(45, first=500)])
    assert [(finding.value, finding.act) for finding in told] == [(25, "alert"), (45, "step-up")]


def test_where_everybody_pulls_so_much_nobody_steps_up():
    told = found([*pull(10, start=-2 * DAY), *sorted(crowd(60)), *pull(50, first=500)])
    assert [(finding.act) for finding in told if finding.principal == "dave@example.org"] == ["alert"]


def test_today_is_no_baseline_of_today():
    told = found([*pull(10, start=-2 * DAY), *sorted(crowd(5)), *pull(30, first=500), *pull(45, first=600, start=2 * HOUR)])
    assert [(finding.value, finding.act) for finding in told] == [(25, "alert"), (25, "alert"), (40, "step-up")]


def test_without_a_baseline_it_is_a_floor_and_never_acts():
    told = found(pull(40))[-1]
    assert (told.act, told.missing, told.baseline, told.peers) == ("alert", ["own maximum", "peers"], None, None)


def test_the_value_saturates_and_so_does_the_state():
    engine = Engine(D01)
    findings(timeline(pull(4000, every=0.1)), engine)
    assert engine.sizes()[1] < 64 * 1024


def test_evidence_is_the_objects_that_were_counted():
    """A slow reader's objects of days ago are no evidence of today's burst."""
    days_ago = pull(24, start=-5 * 86_400.0)
    told = found([*days_ago, *pull(25, first=100)])
    assert len(told) == 1
    assert told[0].evidence == [(0, 24 + n, 0) for n in range(25)]


def test_evidence_is_at_most_the_newest_fifty():
    told = found([*pull(40), *pull(60, first=40, start=HOUR)])
    last = told[-1]
    assert len(last.evidence) <= 50
    assert all(shard == 0 and pos == 0 for shard, _, pos in last.evidence)
    assert len(set(last.evidence)) == len(last.evidence)


def test_the_lock_is_for_the_credential_that_spoke_alone():
    assert found(pull(25))[0].credential == "cred-1"


def test_two_credentials_make_it_the_principal():
    assert found([*pull(13), *pull(12, first=13, credential="cred-2")])[0].credential is None


def test_a_credential_of_yesterday_is_not_one_that_was_counted():
    """ADR 0010: all that the finding counted spoke with one credential. Tokens are exchanged every day."""
    told = found([*pull(5, start=-86_400.0, credential="cred-0"), *pull(25, first=50)])
    assert told[0].credential == "cred-1"


def test_without_a_credential_it_is_the_principal():
    assert found(pull(25, credential=None))[0].credential is None


def test_a_finding_says_what_it_counted():
    (told,) = found(pull(25))
    assert (told.detector, told.principal, told.window_s, told.deterministic) == ("D01", "dave@example.org", 3600, False)
    assert told.resource == "acme/atlas-7b"
    assert told.collection == "models"
    assert "25 distinct objects" in told.text
    assert T0 > 0
