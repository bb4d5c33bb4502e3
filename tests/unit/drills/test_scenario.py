"""Scenarios: ours can be played, and what is wrong with somebody's own is said at once."""

import pytest

from tallystick_infra.drills.catalogue import find, names
from tallystick_infra.drills.scenario import MAX_BYTES, parse_scenario
from tallystick_infra.errors import BadScenario

GOOD = """
title: One
seed: 1
techniques: [T1530]
story: Somebody reads.
principals: {eve: {hostile: true}}
agents: [edge]
resources: {atlas: {parts: 2}}
steps:
  - {do: download, who: eve, what: atlas}
  - {do: forge, who: edge}
expect:
  - {see: finding, detector: D13, of: eve, within_s: 5}
"""


@pytest.mark.parametrize("name", names())
def test_ours_can_be_played(name):
    drill = find(name)
    assert drill.scenario.techniques
    assert len(drill.scenario.story.split()) > 15, "a story tells what happens and what should come of it"


def test_a_good_one():
    drill = parse_scenario("one", GOOD)
    assert drill.scenario.hostile == ["eve"]
    assert drill.scenario.expect[0].words() == "a finding of D13 (eve)"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("who: eve, what", "who: adam, what", "step 1: nobody is called adam"),
        ("what: atlas}", "what: titan}", "step 1: there is no resource titan"),
        ("who: edge}", "who: eve}", "step 2: nobody is called eve"),
        ("of: eve,", "of: adam,", "nobody is called adam"),
        ("do: download", "do: dance", "dance"),
        ("see: finding", "see: ghost", "ghost"),
        ("within_s: 5", "within_s: 0", "within_s"),
        ("seed: 1", "seed: 1\nsurprise: 2", "surprise"),
        ("title: One\n", "", "title"),
        ("expect:\n  - {see: finding, detector: D13, of: eve, within_s: 5}", "expect: []", "could not fail"),
        ("seed: 1", "seed: &a 1\nsettle_s: *a", "alias"),
        ("seed: 1", "seed: [", "while parsing"),
        ("seed: 1", "seed: !!python/object:os.system 1", "could not determine a constructor"),
        ("{parts: 2}", "{parts: 2000}", "parts"),
    ],
)
def test_what_is_wrong_is_said(old, new, said):
    assert old in GOOD
    with pytest.raises(BadScenario, match="the scenario one cannot be played") as caught:
        parse_scenario("one", GOOD.replace(old, new))
    assert said in str(caught.value)


def test_all_mistakes_are_told_at_once():
    text = GOOD.replace("who: eve, what: atlas", "who: adam, what: titan")
    with pytest.raises(BadScenario) as caught:
        parse_scenario("one", text)
    assert len(caught.value.mistakes) == 2


def test_a_large_one_is_refused():
    with pytest.raises(BadScenario, match="at most"):
        parse_scenario("one", GOOD + "#" * MAX_BYTES)


def test_a_name_that_is_none(tmp_path):
    with pytest.raises(BadScenario, match="stolen-token-weight-grab"):
        find("stolen-tokens")
    own = tmp_path / "own.yaml"
    own.write_text(GOOD)
    assert find(str(own)).name == "own"
    own.write_bytes(b"\xff")
    with pytest.raises(BadScenario, match="cannot be read"):
        find(str(own))
