"""A grant covers what it names and nothing else."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.detecting import T0, batch, read, segment
from tests.support.policies import NOW, finding

from tallystick_schemas.roles import Scope
from tallystick_stream_jobs.policy import DetectionPolicy, Grant
from tallystick_stream_jobs.triage.core import Triage, roles_of
from tallystick_stream_jobs.triage.state import State

WHO = "dave@example.org"
DAY = 86_400.0
GRANT = Grant("grant", "G-1", (WHO,), ("acme/atlas-*",), ("D01",), NOW - DAY, NOW + DAY, 30, "export", "ann")


def desk(*grants: Grant, seen: bool = True) -> Triage:
    """With grants that were there before anything happened, or (not `seen`) came after much had."""
    made = Triage(DetectionPolicy(), State("e"))
    if not seen:
        made.watch(batch(segment(99, [read(0, "x", "somebody")], 0)))
    made.use(replace(DetectionPolicy(), grants=grants))
    return made


def did(made: Triage, index: int, at: float, part: str = "p", model: str = "acme/atlas-7b", **fields: object) -> None:
    made.watch(batch(segment(index, [read(at, part, WHO, model=model, **fields)], at)))  # type: ignore[arg-type]


def judged(made: Triage, at: float = 60.0, **fields: object) -> str | None:
    return made.take(finding(at=at, **{"evidence": [(0, 100, 0)], **fields}))[0].suppressed  # type: ignore[arg-type]


def test_it_covers_what_it_names() -> None:
    made = desk(GRANT)
    for n in range(30):
        did(made, 100 + n, n, f"p{n}")
    assert judged(made) == f"covered by grant G-1 until {'2026-11-24T04:00Z'}, by ann: export"


@pytest.mark.parametrize(
    "fields",
    [
        {"principal": "eve@example.org"},
        {"principal": "Dave@example.org"},
        {"detector": "D03"},
        {"resource": "acme/other"},
        {"resource": None},
        {"at": 2 * DAY},
    ],
    ids=str,
)
def test_another_finding_is_not_covered(fields: dict[str, object]) -> None:
    made = desk(GRANT)
    did(made, 100, 0)
    made.watch(batch(segment(101, [read(1, "p", "eve@example.org")], 1)))
    assert judged(made, **fields) is None  # type: ignore[arg-type]
    assert judged(made) is not None


def test_one_object_over_its_cap_ends_it() -> None:
    made = desk(GRANT)
    for n in range(30):
        did(made, 100 + n, n, f"p{n}")
        did(made, 100 + n, n, f"p{n}")
    assert judged(made) is not None
    did(made, 131, 31, "one-more")
    assert judged(made, 32 + 3600) is None


def test_an_access_beside_it_within_the_window_ends_it() -> None:
    """The finding shows the last event; what it counted may have been elsewhere."""
    made = desk(GRANT)
    did(made, 100, 0, model="acme/secret")
    did(made, 101, 1)
    assert judged(made) is None
    did(made, 102, 8000)
    assert judged(made, 8001) is not None, "an hour and ten minutes later it is over"


def test_what_comes_after_the_finding_does_not_count_against_it() -> None:
    made = desk(GRANT)
    did(made, 100, 0)
    did(made, 101, 90, model="acme/secret")
    assert judged(made, 60) is not None
    assert judged(made, 91 + 3600) is None


def test_more_accesses_beside_it_than_are_remembered() -> None:
    made = desk(GRANT)
    did(made, 100, 0)
    for n in range(100):
        did(made, 101 + n, 100 + n, model="acme/secret")
    assert judged(made, 60) is None, "what was before may have been forgotten"


def test_a_new_grant_does_not_cover_what_was_done_before_it() -> None:
    made = desk(GRANT, seen=False)
    did(made, 100, 10)
    assert judged(made) is not None, "all of its evidence is newer"
    other = desk(GRANT, seen=False)
    did(other, 100, 10)
    assert judged(other, evidence=[(0, 99, 0), (0, 100, 0)]) is None
    third = desk(GRANT, seen=False)
    did(third, 100, 10)
    assert judged(third, evidence=[(0, 100 + n, 0) for n in range(50)]) is None, "there may be older evidence that is not shown"


def test_a_grant_that_was_changed_is_watched_anew() -> None:
    made = desk(replace(GRANT, resources=("acme/*",)))
    did(made, 100, 0, model="acme/secret")
    made.use(replace(DetectionPolicy(), grants=(GRANT,)))
    did(made, 101, 1)
    assert judged(made, evidence=[(0, 100, 0), (0, 101, 0)]) is None


def test_a_principal_that_nobody_saw_is_not_covered() -> None:
    assert judged(desk(GRANT)) is None


def test_roles_are_those_of_the_evidence() -> None:
    one = batch(segment(5, [read(0, "a", WHO, roles=["release"]), read(0, "b", WHO, roles=["other"]), read(0, "c", "eve", roles=["eve"])]))
    assert roles_of(one, finding(evidence=[(0, 5, 0), (0, 5, 2), (1, 5, 1)])) == {"release"}


ACCESSES = st.lists(
    st.tuples(st.sampled_from(["acme/atlas-7b", "acme/atlas-1b", "acme/secret", "other"]), st.integers(0, 6), st.integers(0, 9000)),
    min_size=1,
    max_size=25,
)


@given(ACCESSES, st.integers(1, 8), st.integers(-5000, 9000), st.integers(0, 25), st.integers(1, 25))
def test_covered_is_exactly_what_lies_within(accesses, cap, since, restart, size) -> None:
    """Whatever was done, in whatever batches, with a restart in between: covered if and only if everything in the window lies within."""
    grant = replace(GRANT, objects=cap, since=T0 + since, until=T0 + 8000)
    events = sorted(accesses, key=lambda access: access[2])
    made = desk(grant)
    cuts = [events[n : n + size] for n in range(0, len(events), size)]
    for number, cut in enumerate(cuts):
        made.watch(
            batch(*(segment(100 + number * size + n, [read(at, f"{p}", WHO, model=model)], at) for n, (model, p, at) in enumerate(cut)))
        )
        if number == restart:
            made = Triage.restore(replace(DetectionPolicy(), grants=(grant,)), made.snapshot(0))
    model, _, at = events[-1]
    inside = {(m, p) for m, p, when in events if m.startswith("acme/atlas-") and since <= when < 8000}
    window = [(m, when) for m, _, when in events if at - 3600 - 600 < when <= at]
    wanted = all(m.startswith("acme/atlas-") and since <= when < 8000 for m, when in window) and len(inside) <= cap
    assert (judged(made, at, resource=model) is not None) is wanted


def test_nobody_takes_a_grant_away_by_words_that_he_may_not_give() -> None:
    """What a stranger says of somebody beyond the grant is no reason to lock him."""
    made = Triage(DetectionPolicy(), State("e"), lambda agent, _: None if agent == "stranger" else Scope())
    made.use(replace(DetectionPolicy(), grants=(GRANT,)))
    did(made, 100, 0)
    beyond = segment(101, [read(1, "p", WHO, model="acme/other")], 1)
    made.watch(batch(msgspec.structs.replace(beyond, agent="stranger")))
    assert judged(made) is not None
    made.watch(batch(msgspec.structs.replace(beyond, index=102)))
    assert judged(made) is None
