"""Looks at the roles: between two of them nobody is woken by a lock that is no business of his."""

from kafka import TopicPartition

from tallystick_producers.keyring import ROLES, Looks


class Fetching:
    """Whether a consumer fetches the roles, and how far it is."""

    def __init__(self, end: int | None = None) -> None:
        self.on, self.at, self.end = True, 0, end

    def pause(self, partition: TopicPartition) -> None:
        assert partition == ROLES
        self.on = False

    def resume(self, partition: TopicPartition) -> None:
        assert partition == ROLES
        self.on = True

    def position(self, partition: TopicPartition) -> int:
        assert partition == ROLES
        return self.at

    def highwater(self, partition: TopicPartition) -> int | None:
        assert partition == ROLES
        return self.end


def test_roles_are_fetched_while_it_is_looked_and_not_between() -> None:
    consumer = Fetching()
    looks = Looks(consumer, 2.0, 100.0)
    looks.before_poll(101.9)
    assert not consumer.on
    looks.before_poll(102.0)
    assert consumer.on
    looks.after_poll(102.1, found=False)
    assert (consumer.on, looks.done) == (True, 0), "nothing came yet"
    looks.after_poll(102.2, found=True)
    assert (consumer.on, looks.done) == (False, 1)
    looks.before_poll(104.1)
    assert not consumer.on
    looks.before_poll(104.2)
    assert consumer.on


def test_a_look_at_a_topic_that_has_nothing_new_ends() -> None:
    consumer = Fetching()
    looks = Looks(consumer, 2.0, 0.0)
    looks.before_poll(2.0)
    looks.after_poll(2.9, found=False)
    assert looks.done == 0
    looks.after_poll(3.0, found=False)
    assert (consumer.on, looks.done) == (False, 1)


def test_who_wants_a_look_gets_what_is_there_now_and_not_what_came_before() -> None:
    """The client may still have an answer of before: the first one is not enough."""
    consumer = Fetching()
    looks = Looks(consumer, 2.0, 0.0)
    wanted = looks.want(0.5)
    assert (consumer.on, wanted) == (True, 1)
    looks.after_poll(0.6, found=True)
    assert looks.done < wanted
    looks.after_poll(0.7, found=True)
    assert (looks.done, consumer.on) == (wanted, False)


def test_a_look_that_is_wanted_during_another_one_is_that_one_and_longer() -> None:
    looks = Looks(Fetching(), 2.0, 0.0)
    looks.before_poll(2.0)
    wanted = looks.want(2.5)
    looks.after_poll(2.6, found=True)
    assert looks.done == wanted - 1 == 0
    looks.after_poll(3.2, found=False)
    assert looks.done == 0, "a second since it was wanted"
    looks.after_poll(3.5, found=False)
    assert looks.done == wanted


def test_a_look_goes_on_while_more_stands_there() -> None:
    """A responder gone bad writes a heap before its revocation: at 500 values a look, its word would count for as many seconds more."""
    consumer = Fetching(end=2_000)
    looks = Looks(consumer, 1.0, 0.0)
    looks.before_poll(1.0)
    for second in (1, 2, 3):
        consumer.at += 500
        looks.after_poll(float(second), found=True)
        assert (consumer.on, looks.done) == (True, 0)
    looks.after_poll(3.9, found=False)
    assert consumer.on, "the rest was asked for within this second"
    consumer.at += 500
    looks.after_poll(3.95, found=True)
    assert (consumer.on, looks.done) == (False, 1)
    looks.before_poll(4.95)
    looks.after_poll(5.95, found=False)
    assert (consumer.on, looks.done) == (False, 2)


def test_a_look_for_more_that_does_not_come_ends() -> None:
    consumer = Fetching(end=2)
    looks = Looks(consumer, 1.0, 0.0)
    looks.before_poll(1.0)
    looks.after_poll(1.1, found=True)
    looks.after_poll(2.1, found=False)
    assert (consumer.on, looks.done) == (False, 1)
