"""The engine and its rules: what crosses a line is found once, however the stream was cut, replayed, interleaved or interrupted."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.facts import batch, read, run, segment

from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import VerifiedBatch, VerifiedSegment
from tallystick_stream_jobs.detectors.engine import BUCKETS, Engine, bucket_of
from tallystick_stream_jobs.detectors.kept import FORM


def pull(who: str, count: int, step: float = 1.0, first: int = 0, **more: object) -> list[tuple[float, bytes]]:
    return [read(who, f"part-{number}", number * step, **more) for number in range(first, first + count)]  # type: ignore[arg-type]


def found(events: list[tuple[float, bytes]]) -> list[tuple[str, float, str]]:
    return [(one.detector, one.value, one.act) for one in run([batch([segment(at, [one])]) for at, one in enumerate(events)])]


def test_d01_speaks_at_its_lines_and_not_one_object_earlier() -> None:
    assert found(pull("ann", 24)) == []
    assert found(pull("ann", 25)) == [("D01", 25, "alert")]
    assert found(pull("ann", 39)) == [("D01", 25, "alert")]
    assert found(pull("ann", 40)) == [("D01", 25, "alert"), ("D01", 40, "alert")]
    assert found([*pull("ann", 24), *pull("ann", 24)]) == [], "the same objects again are no more objects"
    assert found(pull("ann", 60, step=170)) == [], "21 within an hour, for hours"
    assert [one for one in found(pull("ann", 60, outcome="denied")) if one[0] != "D05"] == [], "what was refused was not taken"


def test_d03_speaks_at_nine_tenths_of_the_parts() -> None:
    whole = {"parts": "20"}
    assert found(pull("ann", 17, attrs=whole)) == []
    [(detector, value, act)] = found(pull("ann", 18, attrs=whole))
    assert (detector, value, act) == ("D03", 0.9, "suspend")
    assert found(pull("ann", 20, attrs=whole, roles=["deploy"])) == []
    assert found(pull("ann", 7, attrs={"parts": "7"})) == [], "a small model is loaded whole by everybody"
    for nonsense in ("", "-1", "x", "9999999", "\N{ARABIC-INDIC DIGIT ONE}0", "0"):
        assert found(pull("ann", 20, attrs={"parts": nonsense})) == []


def test_d13_speaks_at_the_first_touch_of_a_decoy() -> None:
    [one] = run([batch([segment(3, [read("ann", "x", 0), read("ann", "decoy", 1, attrs={"canary": "true"})])], shard=2)])
    assert (one.detector, one.act, one.deterministic, one.evidence) == ("D13", "suspend", True, [(2, 3, 1)])
    assert one.credential == "cred"


def test_evidence_leads_to_the_events() -> None:
    findings = run([batch([segment(5, pull("ann", 25))], shard=3)])
    assert findings[0].evidence == [(3, 5, pos) for pos in range(25)]


def test_a_wrong_clock_blinds_nothing() -> None:
    """Times that are far from the broker's do not count: it would be easy to spread a theft over years."""
    events = [(float(number), read("ann", f"part-{number}", number * 86_400.0)[1]) for number in range(30)]
    assert [one.detector for one in run([batch([segment(0, events)])])] == ["D01"]


def stream() -> list[VerifiedSegment]:
    """Three principals at once: a bulk pull, a theft with a decoy, an ordinary day."""
    theft = pull("mallory", 30, step=2, attrs={"parts": "32"}, model="models/secret")
    decoy = [read("mallory", "decoy", 61, attrs={"canary": "true"})]
    bulk, calm = pull("bob", 45, step=3, model="models/other"), pull("carol", 20, step=7)
    events = sorted([*theft, *decoy, *bulk, *calm], key=lambda one: one[0])
    return [segment(index, events[at : at + 4]) for index, at in enumerate(range(0, len(events), 4))]


STREAM = stream()
EXPECTED = run([batch([one]) for one in STREAM])


def test_the_stream_holds_what_it_should() -> None:
    assert sorted({(one.principal, one.detector) for one in EXPECTED}) == [
        ("bob", "D01"),
        ("mallory", "D01"),
        ("mallory", "D03"),
        ("mallory", "D13"),
        ("mallory", "D14"),
    ]


@given(cuts=st.sets(st.integers(1, len(STREAM) - 1)))
def test_batches_can_be_cut_anywhere(cuts: set[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    assert run([batch(STREAM[a:b]) for a, b in itertools.pairwise(places)]) == EXPECTED


@given(again=st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.integers(0, 5)), max_size=8))
def test_a_message_that_comes_again_changes_nothing(again: list[tuple[int, int]]) -> None:
    messages: list[VerifiedBatch] = []
    for at, one in enumerate(STREAM):
        messages.append(batch([one]))
        messages += [messages[max(0, at - back)] for number, back in again if number == at]
    assert run(messages) == EXPECTED


@given(kill=st.integers(0, len(STREAM)), back=st.integers(0, 10))
def test_a_snapshot_anywhere_changes_nothing(kill: int, back: int) -> None:
    """Buckets are kept, the process dies, and the next one reads on from some messages earlier."""
    first, second = Engine(), Engine()
    findings = run([batch([one]) for one in STREAM[:kill]], first)
    for number in range(BUCKETS):
        second.restore(number, first.snapshot(number))
    findings += run([batch([one]) for one in STREAM[max(0, kill - back) :]], second)
    assert findings == EXPECTED


@given(st.randoms(use_true_random=False))
def test_shards_can_be_interleaved_in_any_way(random: object) -> None:
    """Each shard keeps its own order; which finding is crossed where may differ, who is found by what does not."""
    shards = [[segment(index, pull("ann", 5, first=shard * 40 + index * 5, step=0.1)) for index in range(4)] for shard in range(3)]
    queue = [(shard, one) for shard, segments in enumerate(shards) for one in segments]
    order = [shard for shard, _ in queue]
    random.shuffle(order)  # type: ignore[attr-defined]
    heads = [iter(segments) for segments in shards]
    findings = run([batch([next(heads[shard])], shard) for shard in order])
    assert [(one.principal, one.detector, one.value) for one in findings] == [("ann", "D01", 25), ("ann", "D01", 40)]


def test_events_that_come_late_count_in_their_own_time() -> None:
    """An event up to ten minutes late: the same findings, whichever came first."""
    early, late = pull("ann", 20, step=10), pull("ann", 20, step=10, first=20)
    forwards = run([batch([segment(0, early)]), batch([segment(1, late)])])
    backwards = run([batch([segment(0, late)]), batch([segment(1, [(max(at for at, _ in late), raw) for _, raw in early])])])
    assert [(one.detector, one.value) for one in forwards] == [(one.detector, one.value) for one in backwards]


def test_state_is_bounded() -> None:
    engine = Engine(most=10)
    for number in range(5000):
        engine.process(batch([segment(number, [read(f"user-{number}", "x", number / 100)])]))
    principals, size = engine.sizes()
    assert principals <= 10 * BUCKETS
    assert size < 10 * BUCKETS * 2000
    one = Engine()
    for number in range(3000):
        one.process(
            batch([segment(number, [read("ann", f"part-{number}", number / 10, model=f"models/{number}", attrs={"parts": "100000"})])])
        )
    assert one.sizes()[1] < 300_000


def test_what_cannot_be_read_says_where_it_stands() -> None:
    with pytest.raises(ParseError, match="4:9:0"):
        run([VerifiedBatch(1, 4, [VerifiedSegment(9, "a", "0" * 32, 0, 0, [(0, b"{}")])], [])])
    with pytest.raises(ParseError, match="bucket 3"):
        Engine().restore(3, b"\xc1")


def test_a_segment_that_cannot_be_read_changes_nothing() -> None:
    engine = Engine()
    _, decoy = read("ann", "x", 0, attrs={"canary": "true"})
    with pytest.raises(ParseError, match="0:5:1"):
        engine.process(VerifiedBatch(1, 0, [VerifiedSegment(5, "a", "0" * 32, 0, 0, [(0, decoy), (1, b"{}")])], []))
    assert engine.sizes()[0] == 0
    assert [one.detector for one in run([batch([segment(5, [(0.0, decoy)])])], engine)] == ["D13"]


def test_who_was_silent_for_ninety_days_is_forgotten_as_newcomers_come() -> None:
    engine = Engine()
    same = [name for name in (f"user-{number}" for number in range(1000)) if bucket_of(name) == bucket_of("ann")][:2]
    day = 86_400.0
    run([batch([segment(0, [read("ann", "x", 0)])]), batch([segment(1, [read(same[0], "x", 80 * day)])])], engine)
    assert engine.sizes()[0] == 2
    run([batch([segment(2, [read(same[1], "x", 92 * day)])])], engine)
    assert engine.sizes()[0] == 2


def test_ids_and_buckets_are_the_same_everywhere() -> None:
    assert [one.id for one in EXPECTED] == [one.id for one in run([batch([one]) for one in stream()])]
    assert len({one.id for one in EXPECTED}) == len(EXPECTED)
    assert (bucket_of("ann"), bucket_of("bob")) == (24, 41)
    assert msgspec.msgpack.decode(Engine().snapshot(0)) == {"seen": {}, "principals": {}, "form": FORM}


def test_a_bucket_of_an_older_form_is_refused_and_says_so() -> None:
    """Its states would be read as something that they are not."""
    with pytest.raises(ParseError, match=r"bucket 7 .* form 0"):
        Engine().restore(7, msgspec.msgpack.encode({"seen": {}, "principals": {"ann": {"D01": {"spoke": {"cred": 1.0}}}}}))


def test_a_replay_leaves_the_state_as_it_is_to_the_byte() -> None:
    """Also after its window is over, when an old object would look like a new one, and in who spoke last."""
    engine = Engine()
    later = [batch([segment(len(STREAM) + n, [read("bob", f"new-{n}", 8000.0 + n)])]) for n in range(30)]
    run([*(batch([one]) for one in STREAM), *later], engine)
    before = [engine.snapshot(number) for number in range(BUCKETS)]
    assert run([batch([one]) for one in STREAM], engine) == []
    assert [engine.snapshot(number) for number in range(BUCKETS)] == before
