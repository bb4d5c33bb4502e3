"""Which part of each shard is searched by its bytes."""

from hypothesis import given
from hypothesis import strategies as st

from tallystick_schemas.stored_bytes import newest

SHARDS = st.dictionaries(st.integers(0, 20), st.integers(-1, 3_000), min_size=1)


def test_rows_of_shards_that_nobody_has_leave_the_others_what_they_had() -> None:
    """Whoever may insert a row would otherwise choose how little of the history is searched by bytes, and hide the rest behind columns."""
    alone = newest({0: 999_999, 1: 999_999}, {}, range(2), 1_000_000)
    assert alone == {0: 499_999, 1: 499_999}
    beside = newest({0: 999_999, 1: 999_999, 4_095: 0}, {}, range(4_096), 1_000_000)
    assert beside[0] <= 500_000
    assert beside[1] <= 500_000
    assert beside[4_095] == -1


def test_a_small_shard_is_searched_whole_and_leaves_the_rest_to_the_others() -> None:
    assert newest({0: 9, 1: 999, 2: 999}, {0: 3}, range(3), 1_006) == {0: 3, 1: 499, 2: 499}


@given(SHARDS, SHARDS, st.integers(0, 5_000))
def test_no_more_is_searched_than_said_and_no_less_than_there_is_room_for(tips: dict[int, int], marks: dict[int, int], most: int) -> None:
    found = newest(tips, marks, tips.keys(), most)
    searched = {shard: max(0, tip - found[shard]) for shard, tip in tips.items()}
    there = {shard: max(0, tip - marks.get(shard, -1)) for shard, tip in tips.items()}
    assert sum(searched.values()) == min(most, sum(there.values()))
    assert all(found[shard] >= marks.get(shard, -1) for shard in tips)
    assert all(searched[shard] >= min(there[shard], most // len(tips)) for shard in tips)
