"""Compiled rules in the engine: windows, groups, order, lateness, bounds, and the laws that every detector obeys."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.detecting import T0, findings, read, timeline
from tests.support.sigma import EXAMPLES, SHIPPED, base, compiled, correlation, plain

from tallystick_schemas.events import parse_event
from tallystick_schemas.messages import Finding
from tallystick_stream_jobs.detectors.engine import BUCKETS, Engine
from tallystick_stream_jobs.sigma import rule as rule_module
from tallystick_stream_jobs.sigma.definition import Measure, Window
from tallystick_stream_jobs.sigma.example_files import run_example
from tallystick_stream_jobs.sigma.load import load_files, load_rules
from tallystick_stream_jobs.sigma.rule import UserRule
from tallystick_stream_jobs.sigma.windows import add

RULES, ERRORS = load_rules(SHIPPED)
HOUR = "group-by: [user]\ntimespan: 1h\n"


def rule(body: str, *bases: str) -> UserRule:
    return compiled(correlation(body, *bases))


def found(one: UserRule, events: list[tuple[float, bytes]], engine: Engine | None = None) -> list[Finding]:
    return findings(timeline(events), engine or Engine((one,)))


def reads(ats: list[float], **fields: object) -> list[tuple[float, bytes]]:
    return [(at, read(at, f"part-{number}", **fields)) for number, at in enumerate(ats)]  # type: ignore[arg-type]


def test_the_shipped_rules_compile_and_their_examples_hold() -> None:
    assert not ERRORS
    assert len(RULES) == 4
    assert {one.meta.most for one in RULES} <= {"signal", "alert", "step-up"}
    assert {measure.definition.window.measure for measure in RULES} == {"count", "distinct", "sum", "ordered"}


@pytest.mark.parametrize("one", RULES, ids=lambda one: one.meta.id)
def test_findings_show_what_was_counted(one: UserRule) -> None:
    told = [run_example(one, example) for example in one.definition.examples if example.expect]
    for finding in [finding for all_of_it in told for finding in all_of_it]:
        assert finding.value >= finding.threshold == one.definition.window.threshold
        assert finding.evidence[-1] == (0, len(finding.evidence) - 1, 0) or len(finding.evidence) == 1
        assert (finding.version, finding.act, finding.deterministic) == (one.meta.version, one.definition.act, False)


COUNT = rule(f"type: event_count\nrules: [base]\n{HOUR}condition: {{gte: 5}}")


def test_an_hour_is_twelve_panes() -> None:
    assert [one.value for one in found(COUNT, reads([0, 1, 2, 3, 3599]))] == [5]
    assert found(COUNT, reads([0, 1, 2, 3])) == []
    assert found(COUNT, reads([0, 1, 2, 3, 3600])) == []
    assert found(rule(f"type: event_count\nrules: [base]\n{HOUR}condition: {{gt: 4}}"), reads([0, 1, 2, 3, 4]))[0].threshold == 5


def test_it_is_told_once_a_pane() -> None:
    told = found(COUNT, reads([n * 30.0 for n in range(40)]))
    assert [one.time[11:16] for one in told] == ["04:02", "04:05", "04:10", "04:15"]


def test_groups_and_principals_are_apart() -> None:
    two = rule("type: event_count\nrules: [base]\ngroup-by: [user, resource]\ntimespan: 1h\ncondition: {gte: 5}")
    mixed = [*reads([0, 1, 2, 3], model="a"), *reads([0, 1, 2, 3], model="b"), *reads([0, 1, 2, 3], model="a", principal="eve")]
    assert found(two, mixed) == []
    assert [one.resource for one in found(two, [*mixed, *reads([9], model="b")])] == ["b"]


def test_values_are_counted_once() -> None:
    distinct = rule(f"type: value_count\nrules: [base]\n{HOUR}condition: {{gte: 3, field: part}}")
    assert found(distinct, [(at, read(at, "same")) for at in range(50)]) == []
    assert [one.value for one in found(distinct, reads([0, 1, 2]))] == [3]
    unknown = rule(f"type: value_count\nrules: [base]\n{HOUR}condition: {{gte: 1, field: why.ticket}}")
    assert found(unknown, reads([0, 1])) == [], "what is absent is no value"


def test_sums() -> None:
    total = rule(f"type: value_sum\nrules: [base]\n{HOUR}condition: {{gte: 10, field: objects}}")
    assert [one.value for one in found(total, reads([0, 1, 2], objects=4))] == [12]
    assert found(total, reads([0, 1, 2], objects=3)) == []
    big = found(total, reads([float(n) for n in range(30)], objects=2**63 - 1))
    assert [one.value for one in big] == [2**62]


BASES = (base("first", "artifact.list", 1), base("second", "artifact.read", 2), base("third", "artifact.download", 3))
BODY = f"rules: [first, second, third]\n{HOUR}"
L, R, D = "artifact.list", "artifact.read", "artifact.download"


@pytest.mark.parametrize(
    ("actions", "any_order", "ordered"),
    [
        ([L, R, D], 1, 1),
        ([D, R, L], 1, 0),
        ([L, D, R], 1, 0),
        ([L, L, R, D], 1, 1),
        ([D, L, R, L, D], 1, 1),
        ([L, R], 0, 0),
        ([L, R, R], 0, 0),
    ],
)
def test_orders(actions: list[str], any_order: int, ordered: int) -> None:
    events = [(float(at), read(at, "x", action=action)) for at, action in enumerate(actions)]
    assert len(found(rule(f"type: temporal\n{BODY}", *BASES), events)) == any_order
    assert len(found(rule(f"type: temporal_ordered\n{BODY}", *BASES), events)) == ordered


def test_some_of_the_rules() -> None:
    two = rule(f"type: temporal\n{BODY}condition: {{gte: 2}}", *BASES)
    assert len(found(two, [(0.0, read(0, "x", action=L)), (1.0, read(1, "x", action=D))])) == 1


def test_one_event_is_one_step() -> None:
    twice = rule(f"type: temporal_ordered\nrules: [first, second]\n{HOUR}", base("first", "'*'", 1), base("second", L, 2))
    assert found(twice, [(0.0, read(0, "x", action=L))]) == []
    assert len(found(twice, [(0.0, read(0, "x", action=R)), (1.0, read(1, "x", action=L))])) == 1


def test_a_flood_of_middle_steps_keeps_the_state_small() -> None:
    engine = Engine((rule(f"type: temporal_ordered\n{BODY}", *BASES),))
    flood = [(float(at) / 10, read(at / 10, "x", action=R)) for at in range(3000)]
    told = found(RULES[0], [(0.0, read(0, "x", action=L)), *flood, (301.0, read(301, "x", action=D))], engine)
    assert len(told) == 1
    assert engine.sizes()[1] < 4096


HITS = st.lists(st.tuples(st.integers(0, 4800), st.integers(0, 2)), min_size=1, max_size=40)
"""(half seconds since T0, which of three rules, or which value)."""


def _ends(window: Window, hits: list[tuple[int, int]]) -> tuple[set[int], list[list[int]]]:
    """(the ends of all windows that reached the line, those of each hit)."""
    group: dict[str, object] = {}
    place = {hit: number for number, hit in enumerate(sorted(set(hits)))}
    told = [
        [end for end, _ in add(window, group, (int((T0 + at / 2) * 1e6), (0, place[at, rule], 0), (rule,), rule))]
        for at, rule in dict.fromkeys(hits)
    ]
    return {end for ends in told for end in ends}, told


@pytest.mark.parametrize(("measure", "threshold"), [("count", 5), ("distinct", 3), ("sum", 7), ("rules", 3), ("ordered", 3)])
@given(hits=HITS, order=st.randoms(use_true_random=False))
def test_late_events_find_the_same_windows(measure: Measure, threshold: int, hits: list[tuple[int, int]], order: Random) -> None:
    """Up to ten minutes late. What a hit completes at once lies within one span: a finding about the first tells of all."""
    window = Window((), measure, threshold, 3600, 12)
    late = sorted(hits, key=lambda hit: hit[0] + order.uniform(0, 1199))
    straight, _ = _ends(window, sorted(hits))
    disordered, each = _ends(window, late)
    assert disordered == straight
    assert all(max(ends) - min(ends) < window.panes for ends in each if ends)


def test_state_is_bounded_whatever_comes() -> None:
    distinct = rule("type: value_count\nrules: [base]\ngroup-by: [user, resource]\ntimespan: 1h\ncondition: {gte: 1000, field: part}")
    engine = Engine((distinct,))
    found(distinct, [(n / 10, read(n / 10, f"part-{n % 997}", model=f"m-{n % 3}")) for n in range(9000)], engine)
    assert engine.sizes()[1] < 120_000
    many = Engine((COUNT, compiled(plain("sel: {action: artifact.*}\ncondition: sel", more=EXAMPLES))))
    found(COUNT, [(n * 20.0, read(n * 20.0, "x")) for n in range(3000)], many)
    assert many.sizes()[1] < 8192


def test_the_newest_window_survives_the_bound() -> None:
    """Values that come again and again do not push out the ones that came once."""
    distinct = rule(f"type: value_count\nrules: [base]\n{HOUR}condition: {{gte: 300, field: part}}")
    again = [(pane * 300.0 + n / 10, read(pane * 300.0 + n / 10, f"part-{n}")) for pane in range(11) for n in range(pane, 299)]
    assert found(distinct, again) == []
    assert [one.value for one in found(distinct, [*again, (3590.0, read(3590.0, "one-more"))])] == [300]
    more = [(at, read(at, f"more-{at}")) for at in (3900.0, 3901.0, 3902.0)]
    assert [one.value for one in found(distinct, [*again, *more])] == [300], "two panes are over, and what came again since counts"
    group: dict[str, Any] = {}
    for at, raw in again:
        add(distinct.definition.window, group, (int((T0 + at) * 1e6), (0, 0, 0), (0,), hash(parse_event(raw).resource.part)))
    assert sum(map(len, group["panes"].values())) <= 600


def test_another_text_of_a_rule_starts_anew() -> None:
    other = rule(f"type: event_count\nrules: [base]\n{HOUR}condition: {{gte: 6}}")
    assert other.meta.version != COUNT.meta.version
    first, second = Engine((COUNT,)), Engine((other,))
    found(COUNT, reads([0, 1, 2, 3]), first)
    for number in range(BUCKETS):
        second.restore(number, first.snapshot(number))
    later = [(10.0 + n, read(10.0 + n, "x")) for n in range(5)]
    assert findings(timeline(later, first=50), second) == []


def test_rules_that_ask_for_nothing_more_cost_nothing_more() -> None:
    """The whole event is decoded once, however many rules look at it."""
    raw = read(0, "x")
    first = rule_module._reader.event(raw)
    assert rule_module._reader.event(raw) is first


def test_a_broken_rule_stops_no_other(tmp_path: Path) -> None:
    good = (SHIPPED / "scripted_client.yml").read_text()
    (tmp_path / "a.yml").write_text("title: [")
    (tmp_path / "b.yml").write_text(good)
    (tmp_path / "c.yml").write_text(
        good.replace("6b2e4081", "6b2e4082").replace("curl on a build machine", "wrong").replace("10.20.3.4", "192.0.2.9")
    )
    (tmp_path / "d.yml").write_text(good)
    (tmp_path / "e.txt").write_text("not a rule")
    rules, errors = load_rules(tmp_path)
    assert [one.definition.path for one in rules] == [str(tmp_path / "b.yml")]
    assert [(Path(error.path).name, error.part) for error in errors] == [
        ("a.yml", "line 1"),
        ("c.yml", "tallystick.examples"),
        ("d.yml", "id"),
    ]
    assert "example 'wrong': found 1 (line 1) and must find nothing" in errors[1].reason
    assert load_rules(tmp_path / "nothing") == ((), ())
    assert load_files([tmp_path / "gone.yml"])[1][0].reason.startswith("it cannot be read")
