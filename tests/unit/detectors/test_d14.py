"""D14: risk over several detectors, and a harvest that newcomers share out, across partitions."""

from datetime import datetime

import pytest
from tests.support.streams import DAY, SPEAKS, T0, event, messages, ordered, pull, reborn, run

from tallystick_schemas.topics import VERIFIED_PARTITIONS, verified_partition
from tallystick_stream_jobs.detectors.d01_bulk_objects import BulkObjects
from tallystick_stream_jobs.detectors.d05_enumeration import Enumeration
from tallystick_stream_jobs.detectors.d14_together import META, POINTS, TACTICS, Together
from tallystick_stream_jobs.detectors.engine import Engine
from tallystick_stream_jobs.detectors.harvest_view import HarvestView, harvest_meta
from tallystick_stream_jobs.detectors.registry import METAS


def together(items):
    return [one for one in run(messages(items), Engine((BulkObjects(), Enumeration(), Together()))) if one.detector == "D14"]


def test_two_detectors_and_two_tactics_are_told_with_their_parts():
    first, *_ = together(SPEAKS["D14"])
    assert (first.value, first.threshold, first.act, first.severity) == (2, 2, "alert", "high")
    assert first.missing == ["whole figures of D01"], "D01 had no baseline: the sum is a floor"
    assert "at the least" in first.text
    assert first.features["part D01"] + first.features["part D05"] == pytest.approx(first.features["score"], abs=0.02)
    assert first.features["part D05"] == POINTS["medium"] > first.features["part D01"], "what is older has faded"
    assert first.credential == "cred-eve"


def test_one_tactic_or_a_day_between_is_nothing():
    refused = [event(DAY + 600 + n, part=f"no-{n}", outcome="denied") for n in range(45)]
    assert together(ordered(pull(30), refused)) == []
    assert together(pull(60)) == []


def test_the_score_halves_in_a_day():
    rule, state = Together(), {}
    [finding, *_] = run(messages(pull(25)), Engine((BulkObjects(),)))
    assert rule.weigh(state, finding) is None
    at = datetime.fromisoformat(finding.time).timestamp()
    assert rule.score(state, at) == (25, {"D01": 25})
    assert rule.score(state, at + DAY)[0] == 12.5


def test_every_technique_has_a_tactic():
    assert {technique for meta in METAS.values() for technique in meta.techniques} <= TACTICS.keys()


def crew(count, parts=10, start=8 * DAY, share=True):
    """`count` newcomers, `parts` objects each; the same ones unless they share out."""
    return [one for who in range(count) for one in pull(parts, 30.0, start + who, first=who * parts * share, who=f"thief-{who}")]


def old_hands():
    """Ten people have read 200 objects of the collection, for days."""
    return [one for day in (0, 4, 8) for who in range(10) for one in pull(20, 20.0, day * DAY + who, first=who * 20, who=f"member-{who}")]


def harvest(items, engines=None, view=None):
    """As the job does: one engine a partition, the view after each message."""
    engines, view, found = engines or {n: Engine((Together(),)) for n in range(VERIFIED_PARTITIONS)}, view or HarvestView(), []
    for partition, engine in engines.items():
        mine = [one for one in items if verified_partition(_who(one)) == partition]
        for batch in messages(mine, range(len(mine))):
            engine.process(batch)
            found += view.take(harvest_meta(engine.rules) or META, partition, engine.harvest())
        engine._harvest_at = 0
        found += view.take(META, partition, engine.harvest())
    return found


def _who(item):
    return item.raw.split(b'"principal":"')[1].split(b'"')[0].decode()


def test_newcomers_of_several_partitions_together_are_found_once():
    items = ordered(old_hands(), crew(8))
    [told] = harvest(items)
    assert (told.detector, told.act, told.collection, told.missing) == ("D14", "alert", "models", [])
    assert 0.3 <= told.value <= 0.6
    assert told.features["newcomers"] >= 5
    assert told.principal.startswith("thief-")
    partitions = {verified_partition(f"thief-{who}") for who in range(8)}
    assert len(partitions) > 1
    assert harvest(ordered(old_hands(), crew(8)))[0].id == told.id


@pytest.mark.parametrize("items", [crew(4, 25), crew(8, 4), crew(8, 10, share=False)], ids=["too few", "too little", "the same ones"])
def test_who_is_few_or_takes_little_is_not(items):
    assert [one for one in harvest(ordered(old_hands(), items)) if not one.missing] == []


def test_members_are_no_newcomers():
    again = [one for who in range(10) for one in pull(20, 20.0, 9 * DAY + who, who=f"member-{who}")]
    assert [one for one in harvest(ordered(old_hands(), again)) if not one.missing] == []


def test_a_young_collection_is_a_floor():
    told = harvest(crew(8, start=0.0))
    assert [(one.act, one.missing) for one in told] == [("signal", ["history of the collection"])]


def test_after_a_restart_the_view_is_made_anew_and_says_the_same():
    items = ordered(old_hands(), crew(8))
    engines = {n: Engine((Together(),)) for n in range(VERIFIED_PARTITIONS)}
    [told] = harvest(items, engines)
    again = harvest([], {n: reborn(engine, Engine((Together(),))) for n, engine in engines.items()})
    assert [one.id for one in again] == [told.id]
    assert T0 > 0
