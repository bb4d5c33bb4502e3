"""The outbox's core: order within a lane, back-off, bounds, what a later order does to an earlier one, and what an undo may rely on."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.receiver import NOW, decision

from tallystick_schemas.messages import Delivery
from tallystick_stream_jobs.outbox.core import Limits, Outbox, seconds_of
from tallystick_stream_jobs.outbox.errors import OrderImpossible

STATEFUL, TELLS = {"c": True}, {"c": False}


def take(outbox, one, connectors=STATEFUL, now=NOW):
    values = outbox.decided(one, connectors, now)
    for value in values:
        outbox.put(value)
    return values


def begin(outbox, delivery_id, now=NOW):
    value = outbox.begin(delivery_id, now)
    outbox.put(value)
    return value


def fail(outbox, delivery_id, now=NOW, chance=0.5, **more):
    value = outbox.failed(delivery_id, "500", now, chance, **more)
    outbox.put(value)
    return value


def done(outbox, delivery_id, detail="did it", now=NOW):
    outbox.put(outbox.done(delivery_id, detail, now))


def test_a_decision_makes_one_delivery_a_connector_and_only_once():
    outbox = Outbox()
    assert [value.id for value in take(outbox, decision(), {"a": True, "b": False})] == ["cmd-1/a", "cmd-1/b"]
    assert take(outbox, decision(), {"a": True, "b": False}) == []
    assert outbox.due(NOW) == ["cmd-1/a", "cmd-1/b"]


def test_a_decision_without_a_lock_is_nobody_elses_business():
    outbox = Outbox()
    assert outbox.decided(msgspec.structs.replace(decision(), lock=None), STATEFUL, NOW) == []


def test_an_unlock_never_overtakes_its_lock():
    outbox = Outbox()
    take(outbox, decision(), TELLS)
    begin(outbox, "cmd-1/c")
    take(outbox, decision("unlocked", number=2), TELLS)
    assert outbox.due(NOW + 9e4) == []
    fail(outbox, "cmd-1/c")
    assert outbox.due(NOW + 9e4) == ["cmd-1/c"]
    begin(outbox, "cmd-1/c")
    done(outbox, "cmd-1/c")
    assert outbox.due(NOW) == ["cmd-2/c"]


def test_other_subjects_do_not_wait():
    outbox = Outbox()
    take(outbox, decision(), TELLS)
    begin(outbox, "cmd-1/c")
    take(outbox, decision(subject="principal:eve", number=2), TELLS)
    assert outbox.due(NOW) == ["cmd-2/c"]


def test_where_only_the_newest_counts_a_later_order_takes_the_place_of_one_that_waits():
    outbox = Outbox()
    take(outbox, decision())
    values = take(outbox, decision("unlocked", number=2))
    assert [(value.id, value.state) for value in values] == [("cmd-1/c", "cancelled"), ("cmd-2/c", "waiting")]
    assert "cmd-2" in values[0].error
    assert outbox.due(NOW) == ["cmd-2/c"]


def test_a_lock_that_is_under_way_when_it_is_superseded_ends_first_and_the_truth_is_kept():
    outbox = Outbox()
    take(outbox, decision())
    begin(outbox, "cmd-1/c")
    take(outbox, decision("unlocked", number=2))
    assert outbox.due(NOW) == []
    done(outbox, "cmd-1/c", "disabled user")
    assert outbox.deliveries["cmd-1/c"].state == "done"
    assert begin(outbox, "cmd-2/c").detail == "disabled user"


def test_a_superseded_attempt_that_fails_stays_cancelled_and_its_undo_knows_that_it_does_not_know():
    outbox = Outbox()
    take(outbox, decision())
    begin(outbox, "cmd-1/c")
    take(outbox, decision("unlocked", number=2))
    fail(outbox, "cmd-1/c")
    assert outbox.deliveries["cmd-1/c"].state == "cancelled"
    assert begin(outbox, "cmd-2/c").detail == ""


def test_a_superseded_attempt_that_is_refused_is_nobodys_trouble():
    outbox = Outbox()
    take(outbox, decision())
    begin(outbox, "cmd-1/c")
    take(outbox, decision("unlocked", number=2))
    assert fail(outbox, "cmd-1/c", final=True).state == "cancelled"


def test_what_an_undo_may_rely_on():
    outbox = Outbox()
    take(outbox, decision("unlocked", number=0))
    assert begin(outbox, "cmd-0/c").detail is None
    done(outbox, "cmd-0/c")
    for number, detail in ((1, "first"), (2, "second")):
        take(outbox, decision(number=number))
        assert begin(outbox, f"cmd-{number}/c").detail == (None if number == 1 else "first")
        done(outbox, f"cmd-{number}/c", detail)
    take(outbox, decision("unlocked", number=3))
    assert begin(outbox, "cmd-3/c").detail == "second"
    done(outbox, "cmd-3/c")
    take(outbox, decision(number=4))
    assert begin(outbox, "cmd-4/c").detail is None


def test_full_jitter_between_nothing_and_twice_as_much_each_time_up_to_the_cap():
    outbox = Outbox(Limits(base_s=2.0, cap_s=30.0))
    take(outbox, decision())
    waits = []
    for _ in range(7):
        begin(outbox, "cmd-1/c")
        waits.append(seconds_of(fail(outbox, "cmd-1/c", chance=0.5).next_at) - NOW)
    assert waits == pytest.approx([1, 2, 4, 8, 15, 15, 15], abs=1e-5)
    begin(outbox, "cmd-1/c")
    assert seconds_of(fail(outbox, "cmd-1/c", chance=0.0).next_at) == pytest.approx(NOW, abs=1e-5)


def test_the_other_side_may_ask_for_more_patience():
    outbox = Outbox()
    take(outbox, decision())
    begin(outbox, "cmd-1/c")
    assert seconds_of(fail(outbox, "cmd-1/c", chance=0.5, after_s=90).next_at) == NOW + 90
    assert outbox.due(NOW + 89) == []
    assert outbox.due(NOW + 90) == ["cmd-1/c"]


def test_a_receiver_that_answers_500_for_an_hour_gets_it_afterwards():
    outbox, chance, now, tries = Outbox(), random.Random(7), NOW, 0
    take(outbox, decision())
    while now < NOW + 3600:
        begin(outbox, "cmd-1/c", now)
        now, tries = seconds_of(fail(outbox, "cmd-1/c", now, chance.random()).next_at), tries + 1
    assert outbox.deliveries["cmd-1/c"].state == "waiting"
    assert tries < 80
    begin(outbox, "cmd-1/c", now)
    done(outbox, "cmd-1/c", now=now)
    assert outbox.deliveries["cmd-1/c"].state == "done"


@pytest.mark.parametrize("limits", [Limits(attempts=3), Limits(give_up_h=1.0)])
def test_after_enough_attempts_or_hours_it_is_given_up(limits):
    outbox, now = Outbox(limits), NOW
    take(outbox, decision())
    while outbox.deliveries["cmd-1/c"].state == "waiting":
        begin(outbox, "cmd-1/c", now)
        fail(outbox, "cmd-1/c", now, 0.9)
        now += 500
    assert outbox.deliveries["cmd-1/c"].attempts == (3 if limits.attempts == 3 else 8)
    assert outbox.due(now) == []


def test_what_is_refused_is_given_up_at_once_and_the_next_order_gets_its_turn():
    outbox = Outbox()
    take(outbox, decision(), TELLS)
    take(outbox, decision("unlocked", number=2), TELLS)
    begin(outbox, "cmd-1/c")
    assert fail(outbox, "cmd-1/c", final=True).state == "given-up"
    assert outbox.due(NOW) == ["cmd-2/c"]


def test_an_attempt_that_kills_the_process_each_time_comes_to_an_end():
    limits = Limits(attempts=4)
    topic = {}
    outbox = Outbox(limits)
    topic["cmd-1/c"] = take(outbox, decision())[0]
    for _ in range(10):
        outbox = Outbox(limits)  # killed in each attempt: only the topic is left
        outbox.put(topic["cmd-1/c"])
        if outbox.due(NOW):
            topic["cmd-1/c"] = begin(outbox, "cmd-1/c")
    assert (topic["cmd-1/c"].state, topic["cmd-1/c"].attempts) == ("given-up", 4)


def test_a_person_may_try_again_what_was_given_up():
    outbox = Outbox(Limits(attempts=2))
    take(outbox, decision())
    for _ in range(2):
        begin(outbox, "cmd-1/c")
        fail(outbox, "cmd-1/c")
    outbox.put(outbox.retried("cmd-1/c", NOW + 9e6))
    assert outbox.due(NOW + 9e6) == ["cmd-1/c"]
    value = begin(outbox, "cmd-1/c", NOW + 9e6)
    assert value.attempts == 2, "a first attempt is one that nobody made before"
    done(outbox, "cmd-1/c")


def test_what_a_later_order_replaced_cannot_be_tried_again():
    outbox = Outbox()
    take(outbox, decision())
    take(outbox, decision("unlocked", number=2))
    with pytest.raises(OrderImpossible, match="later order"):
        outbox.retried("cmd-1/c", NOW)
    begin(outbox, "cmd-2/c")
    done(outbox, "cmd-2/c")
    for name, says in (("cmd-2/c", "it is done"), ("nobody", "no such delivery")):
        with pytest.raises(OrderImpossible, match=says):
            outbox.retried(name, NOW)
        with pytest.raises(OrderImpossible, match=says):
            outbox.cancelled(name, "x")


def test_a_person_may_cancel_what_waits():
    outbox = Outbox()
    take(outbox, decision())
    outbox.put(outbox.cancelled("cmd-1/c", "done by hand"))
    assert outbox.due(NOW) == []


def test_a_clock_that_steps_back_does_not_change_the_order():
    outbox = Outbox()
    take(outbox, decision(), TELLS, NOW)
    take(outbox, decision("unlocked", number=2), TELLS, NOW - 3600)
    again = Outbox()
    for value in reversed(outbox.deliveries.values()):
        again.put(value)
    assert again.due(NOW) == ["cmd-1/c"]


def test_what_is_finished_is_let_go_of_but_for_the_lock_in_force():
    outbox = Outbox(Limits(kept_days=1))
    late = NOW + 2 * 86_400
    for number, state in ((1, "locked"), (2, "unlocked"), (3, "locked")):
        take(outbox, decision(state, number=number))
        begin(outbox, f"cmd-{number}/c")
        done(outbox, f"cmd-{number}/c", f"said {number}")
    assert outbox.old(NOW + 3600) == []
    assert outbox.old(late) == ["cmd-1/c", "cmd-2/c"]
    for name in outbox.old(late):
        outbox.forget(name)
    take(outbox, decision("unlocked", number=4), now=late)
    assert begin(outbox, "cmd-4/c", late).detail == "said 3"
    done(outbox, "cmd-4/c", now=late)
    for name in outbox.old(late + 2 * 86_400):
        outbox.forget(name)
    assert outbox.deliveries == {}
    assert outbox._lanes == {}


STEPS = st.lists(
    st.tuples(st.sampled_from(["lock", "unlock", "work", "fail", "refuse", "restart"]), st.integers(0, 2), st.booleans()), max_size=40
)


@given(STEPS)
def test_whatever_happens_a_lane_is_done_in_order_and_a_replay_gives_the_same(steps):
    """Against a plain list of what was begun, for two connectors of each kind, with restarts from the topic in its compacted order."""
    kinds, topic, outbox, now, number = {"s": True, "t": False}, {}, Outbox(), NOW, 0
    begun: dict[tuple[str, str], list[int]] = {}
    ordered: dict[str, list[int]] = {}

    def put(value: Delivery) -> None:
        topic.pop(value.id, None)  # compaction keeps the place of the last word
        topic[value.id] = value
        outbox.put(value)

    for what, subject, early in steps:
        now += 0.0 if early else 400.0
        if what in ("lock", "unlock"):
            number += 1
            ordered.setdefault(f"principal:{subject}", []).append(number)
            for value in outbox.decided(decision(f"{what}ed", f"principal:{subject}", number), kinds, now):
                put(value)
        elif what == "restart":
            outbox = Outbox()
            for value in topic.values():
                outbox.put(value)
        else:
            for name in outbox.due(now):
                value = outbox.begin(name, now)
                put(value)
                begun.setdefault((value.decision.subject, value.connector), []).append(int(value.decision.id[4:]))
                if what == "work":
                    put(outbox.done(name, "did it", now))
                else:
                    put(outbox.failed(name, "no", now, 0.5, final=what == "refuse"))
    again = Outbox()
    for value in topic.values():
        again.put(value)
    assert again.deliveries == outbox.deliveries
    assert again.due(now + 1e4) == outbox.due(now + 1e4)
    for (subject, connector), numbers in begun.items():
        assert numbers == sorted(numbers)
        if not kinds[connector]:
            assert sorted(set(numbers)) == ordered[subject][: len(set(numbers))], "somebody who is told is told everything"
