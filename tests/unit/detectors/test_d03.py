"""D03 at its line: nearly all parts of one model in a day."""

import msgspec
import pytest
from tests.support.detecting import findings, pull, read, timeline

from tallystick_stream_jobs.detectors.d03_whole_model import WholeModel
from tallystick_stream_jobs.detectors.engine import Engine, bucket_of

D03 = (WholeModel(),)
DAY = 86_400.0


def found(events):
    return findings(timeline(events), Engine(D03))


@pytest.mark.parametrize(
    ("total", "read_parts", "fires"), [(80, 71, 0), (80, 72, 1), (80, 80, 1), (10, 8, 0), (10, 9, 1), (8, 7, 0), (8, 8, 1)]
)
def test_it_fires_at_nine_tenths_and_not_one_below(total, read_parts, fires):
    told = found(pull(read_parts, parts=total))
    assert len(told) == fires
    if told:
        assert told[0].value >= 0.9 == told[0].threshold
        assert told[0].act == "suspend"
        assert told[0].severity == "critical"


def test_a_small_model_is_read_whole_by_everybody():
    assert found(pull(7, parts=7)) == []


@pytest.mark.parametrize("role", ["deploy", "train"])
def test_whoever_deploys_or_trains_may(role):
    assert found(pull(80, parts=80, roles=["reader", role])) == []


def test_what_is_not_restricted_is_only_told():
    (told,) = found(pull(80, parts=80, sensitivity="internal"))
    assert (told.act, told.severity) == ("alert", "high")


@pytest.mark.parametrize("parts", ["", "-3", "ten", "９", "9" * 7, "1e2"])
def test_a_number_of_parts_that_is_none_is_left_alone(parts):
    events = [(n, read(n, f"part-{n}", parts=8).replace(b'"parts":"8"', f'"parts":"{parts}"'.encode())) for n in range(20)]
    assert found(events) == []


def test_parts_of_several_models_do_not_add_up():
    assert found([one for model in "abc" for one in pull(30, parts=80, model=model)]) == []


def test_versions_are_models_of_their_own():
    old = [(at, raw.replace(b'"version":"1"', b'"version":"0"')) for at, raw in pull(40, parts=80)]
    assert found([*old, *pull(40, first=40, parts=80)]) == []


def test_a_day_is_the_window():
    assert len(found([*pull(40, parts=80), *pull(40, first=40, parts=80, start=DAY - 100)])) == 1
    assert found([*pull(40, parts=80), *pull(40, first=40, parts=80, start=DAY + 100)]) == []


def test_who_read_a_part_long_ago_and_reads_all_today_read_all_today():
    """Parts that were known from an earlier, harmless day must count again."""
    told = found([*pull(71, parts=80), *pull(80, parts=80, start=DAY + 3600)])
    assert [finding.value for finding in told] == [0.9]


def test_a_pull_a_day_is_told_each_day():
    told = found([one for day in range(3) for one in pull(80, parts=80, start=day * (DAY + 100))])
    assert len(told) == 3


def test_evidence_is_the_parts_that_were_counted():
    told = found([*pull(71, parts=80), *pull(80, parts=80, start=DAY + 3600)])
    assert told[0].evidence == [(0, 71 + n, 0) for n in range(22, 72)]


def test_many_models_at_once_do_not_hide_one():
    """More models than are kept, part by part in turns: the ones with the least coverage go, so some are seen through."""
    events = [
        (part * 20.0 + model, read(part * 20.0 + model, f"p{part}", model=f"m{model}", parts=10))
        for part in range(10)
        for model in range(17)
    ]
    assert len(found(events)) >= 15


def test_the_state_is_bounded():
    engine = Engine(D03)
    events = [(n, read(n, f"p{n % 5000}", model=f"m{n % 20}", parts=100_000)) for n in range(20_000)]
    findings(timeline(events), engine)
    who = "dave@example.org"
    state = msgspec.msgpack.decode(engine.snapshot(bucket_of(who)))["principals"][who]["D03"]
    assert len(state["models"]) <= 16
    assert all(len(model["parts"]) <= 4096 for model in state["models"].values())


def test_credentials():
    assert found(pull(80, parts=80))[0].credential == "cred-1"
    assert found([*pull(40, parts=80), *pull(40, first=40, parts=80, credential="cred-2")])[0].credential is None


def test_a_credential_of_before_the_window_does_not_count():
    told = found([*pull(3, parts=80, credential="cred-0"), *pull(80, parts=80, start=2 * DAY)])
    assert [finding.credential for finding in told] == ["cred-1"]
