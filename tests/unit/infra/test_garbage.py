"""The benchmark's garbage is what it says: nobody's word, small and large, and no dearer to judge than what agents and operators write."""

import itertools
import json
from pathlib import Path

from tests.support.growth import cost

from tallystick_infra.bench.garbage import pieces
from tallystick_schemas.fold import Fold, Parameters
from tallystick_schemas.records import MAX_BODY_BYTES
from tallystick_schemas.verdicts import Verdict

PARAMETERS = Parameters.of(0, "x/shard/0", (), ())
VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "history-1.json").read_text())
HONEST = [(one["offset"], one["append_ms"], bytes.fromhex(one["record"])) for one in VECTOR["shards"][0]["records"]]
PINNED = Parameters.of(0, VECTOR["shards"][0]["origin"], tuple(bytes.fromhex(VECTOR["keys"][who]["public"]) for who in ("operator",)), ())


def judge_garbage(records: list[bytes]) -> None:
    fold = Fold(PARAMETERS)
    for offset, record in enumerate(records):
        fold.fold(record, offset, 0)


def judge_honest(times: int) -> None:
    for _ in range(times):
        fold = Fold(PINNED)
        for offset, append_ms, record in HONEST:
            fold.fold(record, offset, append_ms)


def test_nothing_of_it_is_accepted_and_all_sizes_are_there() -> None:
    fold, found = Fold(PARAMETERS), list(itertools.islice(pieces(), 200))
    verdicts = {fold.fold(piece, offset, 0).entry.verdict for offset, piece in enumerate(found)}
    assert verdicts == {Verdict.MALFORMED, Verdict.UNKNOWN_KEY}
    assert min(map(len, found)) < 100
    assert max(map(len, found)) > MAX_BODY_BYTES


def test_small_garbage_is_small() -> None:
    assert {len(piece) for piece in itertools.islice(pieces(small=True), 100)} == {64}


def test_no_kind_of_it_costs_the_notary_much_more_than_as_many_bytes_of_true_records() -> None:
    """2.4 MB of headers of escapes once held up an order to lock for a minute: they cost a hundred times what true records do."""
    true = cost(judge_honest, 20) / (20 * sum(len(record) for _, _, record in HONEST))
    for piece in itertools.islice(pieces(), 6):
        assert cost(judge_garbage, [piece] * 200) / (200 * len(piece)) < 10 * true, piece[:40]
