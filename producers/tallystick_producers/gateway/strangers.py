"""What strangers are refused, as the history tells it: each refusal by itself while there are few, then one event a second that counts. Pure, given the time.

A refusal costs a stranger nothing and us a signed event, for ever. So each source has a bucket; what is over it is counted under the last of its kind,
and so is what is over the bucket of all sources together. Nothing goes untold: an event that stands for others says for how many, and since when.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, NamedTuple

from tallystick_schemas.addresses import mapped
from tallystick_schemas.signing import wire_time

from ..instants import Instant

BURST: Final = 10.0
"""Refusals of one source that are told each by itself: whoever mistyped a token, or a job with an old one, is seen at once."""
PER_S: Final = 1.0
ALL_BURST: Final = 100.0
ALL_PER_S: Final = 10.0
"""Of all sources together."""
MAX_SOURCES: Final = 4096
"""Whose buckets are remembered."""
MAX_COUNTS: Final = 16
"""Kinds that are counted apart within a second; what is beyond is counted together."""


class Refused(NamedTuple):
    """An event of a refusal: its action, and the arguments of `record`."""

    action: str
    fields: Mapping[str, Any]


@dataclass
class _Bucket:
    left: float
    at: float

    def take(self, most: float, per_s: float, mono: float) -> bool:
        self.left, self.at = min(most, self.left + (mono - self.at) * per_s), mono
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


@dataclass
class _Count:
    last: Refused
    since: float
    number: int = 0


class Strangers:
    """Buckets and counts of one process."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._all = _Bucket(ALL_BURST, 0.0)
        self._counts: dict[tuple[str, ...], _Count] = {}

    def is_told(self, source: str, refused: Refused, now: Instant) -> bool:
        """Whether a refusal is to be told by itself; else it is counted. `source`: whose bucket it takes from."""
        bucket = self._buckets.pop(source, None) or _Bucket(BURST, now.mono)
        self._buckets[source] = bucket
        if len(self._buckets) > MAX_SOURCES:
            self._buckets.popitem(last=False)
        if bucket.take(BURST, PER_S, now.mono) and self._all.take(ALL_BURST, ALL_PER_S, now.mono):
            return True
        self._count((source, refused.action, refused.fields["actor"].principal), refused, now.wall)
        return False

    def _count(self, kind: tuple[str, ...], refused: Refused, wall: float) -> None:
        if kind not in self._counts and len(self._counts) >= MAX_COUNTS:
            # The last of many sources says nothing of the others.
            kind, refused = (refused.action,), Refused(refused.action, {**refused.fields, "source": None})
        count = self._counts.setdefault(kind, _Count(refused, wall))
        count.last, count.number = refused, count.number + 1

    def counted(self) -> list[Refused]:
        """The events that stand for what was counted since the last call."""
        counts, self._counts = self._counts, {}
        return [_summed(count) for count in counts.values()]


def _summed(count: _Count) -> Refused:
    fields = count.last.fields
    marks = {"stands_for": str(count.number), "since": wire_time(count.since)}
    if fields.get("source") is None:
        marks["sources"] = "several"
    return Refused(count.last.action, {**fields, "attrs": {**fields["attrs"], **marks}})


def network_of(client: str | None) -> str:
    """Whose bucket an address takes from: of IPv6, a /64 is one household."""
    try:
        address = ip_address((client or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        return str(mapped(address) or IPv6Address(int(address) >> 64 << 64))
    return str(address)
