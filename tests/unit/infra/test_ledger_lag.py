"""Which shard stands still: it has waited long, something waits for it, and it did not move between two looks."""

from tallystick_infra.ledger_lag import STILL_S, ShardLag, trouble

LONG = STILL_S + 1


def test_a_shard_that_did_not_move_is_told() -> None:
    still = {0: ShardLag(3, 9, LONG), 1: ShardLag(0, 5, LONG)}
    assert trouble(still, still) == [f"shard 0 stands still for {LONG:.0f} s, 3 records wait in Kafka"]


def test_a_shard_that_moves_or_has_only_begun_to_wait_is_not() -> None:
    for before, now in (
        (ShardLag(3, 9, LONG), ShardLag(3, 10, LONG)),
        (ShardLag(0, 9, LONG), ShardLag(3, 9, LONG)),
        (ShardLag(3, 9, 1.0), ShardLag(3, 9, 4.0)),
        (ShardLag(0, 9, LONG), ShardLag(0, 9, LONG)),
    ):
        assert trouble({0: before}, {0: now}) == []


def test_a_kafka_that_holds_less_is_told() -> None:
    [said] = trouble({2: ShardLag(-4, 9, 0.0)}, {2: ShardLag(-4, 9, 0.0)})
    assert "shard 2: Kafka ends 4 records below the ledger" in said
