"""Keeps what the detectors know in topic `detector-state`: taken up behind a claim, signed, and left alone once somebody newer owns it."""

import logging
from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

import msgspec

from tallystick_schemas.envelope import Number, Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.topics import DETECTOR_STATE

from ..errors import SnapshotFenced
from ..shell import Outlet, Voice
from .adoption import AdoptionPort
from .state import FENCE, OWNER, TRIAGE, Fence, Kept, Restored, StateFold, place, restored
from .state_topic import StatePort

log: Final = logging.getLogger(__name__)
Claim = Callable[[int], int]
"""Highest fence that was seen -> a higher one of our own. Blocks."""


class Snapshot(NamedTuple):
    """What is kept of one partition at once."""

    offset: int
    heard: dict[str, tuple[int, int]]
    triage: bytes
    buckets: dict[int, bytes]


class _Held:
    """A partition that is ours."""

    def __init__(self, fold: StateFold, read_to: int) -> None:
        self.fold, self.read_to = fold, read_to
        self.numbers: dict[bytes, Number] = {}
        self.adopting: int | None = None


class Keeper:
    """`take_up` and `check` block, and are called one at a time."""

    def __init__(self, topic: StatePort, voice: Voice, opener: Opener, claim: Claim, adoption: AdoptionPort) -> None:
        self._topic, self._voice, self._opener, self._claim, self._adoption = topic, voice, opener, claim, adoption
        self._held: dict[int, _Held] = {}
        self._wrote = False
        """Values under our fence may be our own."""

    def take_up(self, partitions: Collection[int]) -> dict[int, Restored]:
        """Own these partitions from here on, and what was kept of each. Who had them before reads our claim, and writes no more."""
        held = {number: self._read(number) for number in partitions}
        newest = max((one.fold.fence for one in held.values()), default=-1)
        if newest > self._voice.fence or (newest == self._voice.fence and not self._wrote):
            self._voice.renew(self._claim(newest))
        self._wrote = True
        for number, one in held.items():
            self._topic.claim(number, OWNER, self._voice.says(DETECTOR_STATE, place(number, OWNER), b""))
            # What came between reading and claiming counts as well; what comes after our claim does not.
            self._read_on(number, one)
        self._held |= held
        return {number: self._restore(number, one) for number, one in held.items()}

    def release(self, partition: int) -> None:
        self._held.pop(partition, None)

    def check(self, partitions: Collection[int]) -> None:
        """SnapshotFenced when somebody newer owns one of them."""
        for number, end in self._topic.ends(partitions).items():
            one = self._held.get(number)
            if one is None:
                continue
            if end < one.read_to:  # the topic was made anew
                one.read_to = 0
            if end > one.read_to:
                self._read_on(number, one)
            if one.fold.fence > self._voice.fence:
                raise SnapshotFenced(number)

    async def keep(self, outlet: Outlet, partition: int, snapshot: Snapshot) -> int | None:
        """Triage, buckets, fence, in this order; the number of the directive that was used up by it, to be recorded with `adopted`."""
        one = self._held[partition]
        # If we crash here, messages up to the triage's offset come again and are not told again.
        await (await self._send(outlet, partition, TRIAGE, snapshot.triage))
        sends = [await self._send(outlet, partition, str(number).encode(), raw) for number, raw in snapshot.buckets.items()]
        for send in sends:
            await send
        kept = {key.decode(): (number.fence, number.n) for key, number in one.numbers.items() if key != FENCE}
        fence = msgspec.json.encode(Fence(snapshot.offset, snapshot.heard, kept))
        last = await (await self._send(outlet, partition, FENCE, fence))
        if last.offset + 1 - one.read_to == len(sends) + 2:  # nobody wrote between, so nothing has to be read
            one.read_to = last.offset + 1
        used, one.adopting = one.adopting, None
        return used

    def adopted(self, partition: int, number: int) -> None:
        """Blocking: an earlier version's state stands signed now, and is read no more."""
        self._adoption.done(partition, number)

    async def _send(self, outlet: Outlet, partition: int, key: bytes, body: bytes) -> Any:
        said = await self._voice.send(outlet, DETECTOR_STATE, key, body, partition, signed_as=place(partition, key))
        self._held[partition].numbers[key] = said.number
        return said.sent

    def _read(self, partition: int) -> _Held:
        held = _Held(StateFold(self._opener, partition), 0)
        self._read_on(partition, held)
        return held

    def _read_on(self, partition: int, held: _Held) -> None:
        values, held.read_to = self._topic.read(partition, held.read_to)
        refused = [said for key, value in values if (said := _take(held.fold, key, value)) is not None]
        if refused:
            log.error(
                "topic %s, partition %d: %d values are nobody's word and change nothing; the first: %s",
                DETECTOR_STATE, partition, len(refused), refused[0],
            )  # fmt: skip

    def _restore(self, partition: int, held: _Held) -> Restored:
        number = self._adoption.allowed(partition) if held.fold.unsigned else None
        try:
            found = restored(held.fold, number is not None)
        except ParseError as error:
            log.error("%s, partition %d: %s; windows begin anew", DETECTOR_STATE, partition, error)
            found = Restored(Fence(0), None, {}, {})
        held.numbers = dict(found.numbers)
        held.fold.values = {key: Kept(kept.number, b"") for key, kept in held.fold.values.items()}  # the bytes are the engine's now
        if found.adopted:
            held.adopting = number
            log.warning("partition %d: state of an earlier version is read on, as the operator's directive %d allows", partition, number)
        elif held.fold.unsigned and not held.fold.values.keys() - {OWNER}:
            log.warning(
                "partition %d: what was kept without a signature is left out, and windows begin anew; an operator may have it read on once: "
                "directive adopt, subject detectors", partition,
            )  # fmt: skip
        return found


def _take(fold: StateFold, key: bytes | None, value: bytes | None) -> str | None:
    try:
        fold.take(key, value)
    except ParseError as error:
        return f"key {None if key is None else key[:100]!r}: {error}"
    return None
