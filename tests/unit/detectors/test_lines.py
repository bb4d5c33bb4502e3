"""The lines of D02, D04 to D06, D07b, D08 to D12: true and false examples, one step apart where there is a step."""

import pytest
from tests.support.streams import DAY, HOUR, beat, crowd, event, messages, notice, ordered, pull, run
from tests.support.streams import _asked as asked
from tests.support.streams import _recon as recon

from tallystick_schemas.verdicts import Verdict
from tallystick_stream_jobs.detectors.engine import Engine
from tallystick_stream_jobs.detectors.registry import FACTORIES, METAS


def found(name, items, **parameters):
    make = dict(zip(METAS, FACTORIES, strict=True))[name]
    return run(messages(items), Engine((make(parameters or None),)))


OWN = [one for hour in range(24) for one in pull(2, 60.0, -2 * DAY + hour * HOUR, first=hour, bytes=10_000_000)]
WHOLE = {"collection_bytes": "2000000000"}


@pytest.mark.parametrize(("megabytes", "fires"), [(8, 0), (9, 1)])
def test_d02_three_times_the_own_hours_and_a_twentieth_of_the_collection(megabytes, fires):
    """20 MB an hour are 16 MiB by level, so three times are 50.3 MB; 12 reads of 8 MB are 96, less than 5 % of 2 GB."""
    told = found("D02", [*OWN, *pull(12, 20.0, first=500, bytes=megabytes * 1_000_000, attrs=WHOLE)])
    assert len(told) == fires
    if told:
        assert (told[0].act, told[0].missing) == ("alert", [])
        assert told[0].threshold == 3 * told[0].baseline > 50e6


def test_d02_without_its_figures_is_a_signal():
    [told] = found("D02", pull(12, 20.0, bytes=9_000_000))
    assert (told.act, told.missing, told.threshold) == ("signal", ["own hours", "size of the collection"], 50e6)


@pytest.mark.parametrize(("count", "fires"), [(64, 0), (140, 0), (180, 1), (400, 1)])
def test_d04_in_a_day(count, fires):
    told = found("D04", pull(count, 80.0))
    assert len(told) == fires
    if told:
        assert 160 <= told[0].value <= 185
        assert len(told[0].evidence) == 50


def test_d04_in_a_month_against_the_own_months_and_the_peers():
    calm = [one for day in range(-40, -10) for one in pull(2, 60.0, day * DAY, first=day * 10)]
    slow = [one for day in range(-9, 12) for one in pull(60, 300.0, day * DAY, first=1000 + day * 60)]
    told = found("D04", ordered(calm, crowd(10, -10, 600.0), slow))
    assert [one.window_s for one in told] == [30 * 86_400] * len(told)
    assert told[0].act == "alert"
    assert told[0].missing == ["peers"], "the crowd's days are over when the month is"
    assert told[0].value > told[0].threshold == 3 * told[0].baseline
    assert found("D04", calm) == []


@pytest.mark.parametrize(
    ("items", "fires"),
    [
        ([event(n * 0.6, part=f"x{n}", action="artifact.list") for n in range(15)], 0),
        ([event(n * 0.6, part=f"x{n}", action="artifact.list") for n in range(16)], 1),
        ([event(n * 0.6, part="same", action="artifact.list") for n in range(40)], 0),
        ([event(n * 9.0, part="same", outcome="denied") for n in range(39)], 0),
        ([event(n * 9.0, part="same", outcome="denied") for n in range(40)], 1),
        ([event(n * 500.0, outcome="denied", action=("artifact.read", "artifact.copy")[n % 2]) for n in range(5)], 0),
        ([event(n * 500.0, outcome="denied", action=("artifact.read", "artifact.copy")[n % 2]) for n in range(6)], 1),
        ([event(n * 500.0, outcome="denied") for n in range(7)], 0),
        ([event(n * 0.1, part=f"x{n}") for n in range(60)], 0),
    ],
)
def test_d05_its_three_lines(items, fires):
    assert len(found("D05", items)) == fires


@pytest.mark.parametrize(("days", "fires"), [(6, 0), (7, 1)])
def test_d06_needs_a_history(days, fires):
    items = [*(event(day * DAY, part="x") for day in range(days)), event(days * DAY, collection="secret", sensitivity="restricted")]
    told = found("D06", items)
    assert [one.missing for one in told] == [["peers"]] * fires


def test_d06_forgets_after_thirty_days_and_knows_what_a_bloom_filter_holds():
    first = event(0, collection="secret", sensitivity="restricted")
    again = [event(day * DAY, collection="secret", sensitivity="restricted") for day in (20, 49, 80)]
    assert [one.time[:10] for one in found("D06", [first, *again])] == ["2027-02-11"]
    many = [event(n * 60.0, collection=f"c{n}", sensitivity="restricted") for n in range(90)]
    late = [event(8 * DAY, collection=f"c{n}", sensitivity="restricted") for n in (0, 1, 2, 80)]
    assert found("D06", [*many, *late]) == []


@pytest.mark.parametrize(
    ("minutes", "where", "fires"),
    [(30, "US", 1), (600, "US", 0), (5, "FR", 0), (5, "DE", 0), (5, "XX", 0)],
)
def test_d07b_travel(minutes, where, fires):
    assert len(found("D07b", [event(0, country="DE"), event(minutes * 60, part="q", country=where)])) == fires


def test_d07b_by_the_doors_own_coordinates():
    berlin, munich = {"lat": "52.52", "lon": "13.40"}, {"lat": "48.14", "lon": "11.58"}
    assert len(found("D07b", [event(0, attrs=berlin, country="DE"), event(600, attrs=munich, country="DE")], distance=400)) == 1
    assert found("D07b", [event(0, attrs=berlin, country="DE"), event(600, attrs={"lat": "nan", "lon": "1"}, country="DE")]) == []


def test_d07b_many_countries_of_one_credential():
    two = [event(n * 600.0, country=land) for n, land in enumerate(("DE", "FR", "DE", "FR"))]
    assert found("D07b", two) == []
    [told] = found("D07b", [*two, event(2500, country="CH")])
    assert (told.value, told.threshold, told.credential) == (3, 3, "cred-eve")


@pytest.mark.parametrize(("weeks", "fires"), [(0, 1), (2, 1), (3, 0)])
def test_d08_an_hour_of_the_week_that_is_hardly_known(weeks, fires):
    office = [event(day * DAY, part="x") for day in range(42)]
    nights = [event((41 - 7 * back) * DAY + 15 * HOUR, part="y") for back in range(1, weeks + 1)]
    told = found("D08", ordered(office, nights, [event(41 * DAY + 15 * HOUR, part="night")]))
    assert [one.value for one in told if one.time.startswith("2027-01-03T19")] == [weeks] * fires


@pytest.mark.parametrize(("hours", "count", "fires"), [(14, 60, 0), (15, 60, 1), (15, 29, 0), (15, 30, 1)])
def test_d09_points_and_floor(hours, count, fires):
    calm = [one for hour in range(hours) for one in pull(3, 60.0, hour * HOUR, first=hour * 3)]
    told = found("D09", [*calm, *pull(count, 5.0, 40 * HOUR, first=900)])
    assert len(told) == fires
    if told:
        assert told[0].baseline == 3
        assert told[0].features["z"] > 3


@pytest.mark.parametrize(("hours", "fires"), [(15, 0), (16, 1)])
def test_d09_an_hour_is_a_point_when_two_later_ones_have_begun(hours, fires):
    """So a late event of the hour before finds the baseline that it would have found in time."""
    calm = [one for hour in range(hours) for one in pull(3, 60.0, hour * HOUR, first=hour * 3)]
    assert len(found("D09", [*calm, *pull(60, 5.0, hours * HOUR, first=900)])) == fires


@pytest.mark.parametrize(("count", "fires"), [(499, []), (500, ["alert"])])
def test_d10_in_an_hour(count, fires):
    assert [one.act for one in found("D10", asked(count, 5.0, 10))] == fires


@pytest.mark.parametrize(("different", "acts"), [(1000, ["step-up"]), (700, [])])
def test_d10_in_a_day_by_how_different_the_prompts_are(different, acts):
    assert [one.act for one in found("D10", asked(1000, 20.0, different), day=1000)] == acts


def test_d10_without_prompt_hashes_is_a_floor():
    items = [event(n * 20.0, part="", action="model.infer") for n in range(1000)]
    assert [(one.act, one.missing) for one in found("D10", items, day=1000)] == [("alert", ["prompt hashes"])]


@pytest.mark.parametrize(("lists", "reads", "pause", "fires"), [(5, 10, 30, 1), (4, 10, 30, 0), (5, 9, 30, 0), (5, 10, 880, 0)])
def test_d11_burst_then_bulk(lists, reads, pause, fires):
    told = found("D11", recon(lists, reads, pause))
    assert len(told) == fires
    assert all(len(one.evidence) == lists + reads for one in told)


def others(start, end):
    return [event(at, part=f"p{at}", shard=3) for at in range(int(start), int(end), 5)]


@pytest.mark.parametrize(("until", "fires"), [(150, 0), (165, 1)])
def test_d12_silence_over_three_heartbeats(until, fires):
    """The last heartbeat is at 60 s: silent from 150 s on."""
    told = found("D12", [*(beat(n * 30.0) for n in range(3)), *others(61, until)])
    assert [(one.subject, one.principal, one.act) for one in told] == [("agent", "gateway-1", "alert")] * fires


def test_d12_who_says_that_it_stops_is_not_silent_and_another_shards_clock_is_no_clock():
    beats = [beat(n * 30.0) for n in range(3)]
    assert found("D12", [*beats, beat(90, action="agent.stop"), *others(95, 900)]) == []
    assert found("D12", [*beats, *(one._replace(shard=5) for one in others(95, 900))]) == []


@pytest.mark.parametrize(("clock", "count", "fires"), [(59, 3, 0), (61, 1, 1), (-601, 2, 0), (-601, 3, 1), (-599, 5, 0)])
def test_d12_clocks(clock, count, fires):
    assert len(found("D12", [beat(n * 30.0, clock=clock) for n in range(count)])) == fires


@pytest.mark.parametrize(("count", "every", "fires"), [(4, 10, 0), (5, 150, 1), (5, 151, 0)])
def test_d12_bad_signatures(count, every, fires):
    assert len(found("D12", [notice(n * every, Verdict.BAD_SIGNATURE, "bad") for n in range(count)])) == fires


def test_d12_a_gap_is_a_signal():
    [told] = found("D12", [notice(1, Verdict.OUT_OF_ORDER, "segments 3 to 4 are missing")])
    assert (told.act, told.severity) == ("signal", "low")
