"""What stands above the newest seal. It is not judged, since nobody signed it yet; but it must be able to become history.

The notary inserts events and rejected records before the entries that commit them, so rows above the seal may be without an entry for a moment, or until the
notary is back from a crash in between. Nobody can tell such a row from one that was slipped in: integrity is unknown while one is there.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from .report import Aspect, Failure, Findings, Outcome
from .source import Beyond, HistorySource

_AGAIN_S: Final = 0.25
_NAMED: Final = 5


def check_beyond(source: HistorySource, sizes: Mapping[int, int], findings: Findings, settle_s: float) -> None:
    """`sizes`: shard -> entries below its newest seal. What is on its way gets `settle_s` seconds to arrive."""
    deadline = time.monotonic() + settle_s
    found = {shard: source.beyond(shard, size) for shard, size in sizes.items()}
    while any(map(_odd, found.values())) and time.monotonic() < deadline:
        time.sleep(_AGAIN_S)
        found = {shard: _still(one, source.beyond(shard, sizes[shard])) if _odd(one) else one for shard, one in found.items()}
    for shard, one in sorted(found.items()):
        _tell(findings, 6, shard, "event rows stand", one.orphans)
        _tell(findings, 5, shard, "a rejected record stands", one.rejected)
        if one.behind_gap is not None:
            findings.fail(3, shard, one.behind_gap, "an entry stands above the newest seal, and entries between are missing")


def _tell(findings: Findings, step: int, shard: int, what: str, indexes: Sequence[int]) -> None:
    more = f"; {len(indexes) - _NAMED} more like it" if len(indexes) > _NAMED else ""
    reason = f"{what} above the newest seal, and no entry of the ledger: cut off when the notary stopped, or slipped in{more}"
    for index in sorted(indexes)[:_NAMED]:
        findings.add(Failure(step, shard, index, reason, Aspect.INTEGRITY, Outcome.UNKNOWN))


def _odd(one: Beyond) -> bool:
    return bool(one.orphans or one.rejected) or one.behind_gap is not None


def _still(before: Beyond, now: Beyond) -> Beyond:
    """Of what was seen before, what is there yet: newer rows are on their way themselves."""
    gap = None if before.behind_gap is None else now.behind_gap
    return Beyond(_both(before.orphans, now.orphans), gap, _both(before.rejected, now.rejected))


def _both(before: Sequence[int], now: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted({*before} & {*now}))
