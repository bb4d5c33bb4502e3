"""What people say about findings comes back: a detector that was wrong too often loses its leave to act, and says so.

A lane on `acts`. It answers for a message only when its verdicts were weighed, so that a crash means weighing them again; weighing twice
changes nothing. Detection never waits for it, nor for the store.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from tallystick_producers import Recorder
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Finding, Place, encode_json, parse_batch
from tallystick_schemas.settings import JobSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import FINDINGS

from ..policy.demotions import Standing, change_standing, read_standings
from ..policy.model import DetectionPolicy
from ..shell import Message, Outlet
from .quality import Fallen, Verdict, fallen
from .record import finding_event
from .store import holds, read_verdicts

log: Final = logging.getLogger(__name__)
DEMOTED: Final = "Q01"
_RETRY_S: Final = 2.0


@dataclass(frozen=True)
class Books:
    """Where verdicts come from: whether these events are in the store by now, and the newest verdict of each finding. Both block."""

    holds: Callable[[Sequence[Place]], bool]
    verdicts: Callable[[], list[Verdict]]


def store_books(settings: JobSettings) -> Books:
    """The store's."""
    agents = settings.log.command_agents
    return Books(lambda places: holds(settings.clickhouse, places), lambda: read_verdicts(settings.clickhouse, agents))


class FeedbackLane:
    """BatchJob on `acts`."""

    def __init__(self, state_dir: Path, policy: Callable[[], DetectionPolicy], books: Books, outlet: Outlet, recorder: Recorder) -> None:
        self._state_dir, self._policy, self._books = state_dir, policy, books
        self._outlet, self._recorder = outlet, recorder

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:  # noqa: ARG002 - the port's
        """On from where the group stood."""
        return {}

    def gone(self, partition: int, wanted: int, earliest: int) -> None:
        """Never asked for."""

    def revoked(self, partitions: Collection[int]) -> None:
        """Nothing is kept."""

    async def process(self, messages: list[Message]) -> Callable[[], Awaitable[None]] | None:
        places = [place for message in messages for place in closings(message.value or b"")]
        if not places:
            return None

        async def commit() -> None:
            while not await self._weighed(places):
                await asyncio.sleep(_RETRY_S)

        return commit

    async def _weighed(self, places: Sequence[Place]) -> bool:
        try:
            if not await asyncio.to_thread(self._books.holds, places):
                return False
            verdicts = await asyncio.to_thread(self._books.verdicts)
        except Exception as error:  # noqa: BLE001 - the store's client raises its own families; the store is away, and we try again
            log.warning("verdicts cannot be read, they are weighed later: %s", str(error)[:300])
            return False
        for one in fallen(verdicts, self._policy(), read_standings(self._state_dir)):
            await self._demote(one, time.time())
        return True

    async def _demote(self, one: Fallen, now: float) -> None:
        finding = notice(one, now)
        log.warning("%s", finding.text)
        await (await self._outlet.send(FINDINGS, finding.principal.encode(), encode_json(finding)))
        await asyncio.to_thread(self._record, one, finding)
        # If we crash here, the next verdict finds it below its bar again, under the same finding.
        change_standing(self._state_dir, one.detector, Standing(True, one.why, "detectors", now))

    def _record(self, one: Fallen, finding: Finding) -> None:
        source = f"demotions/{one.detector}"
        if self._recorder.place(source) != finding.id:
            self._recorder.record_batch_at(source, finding.id, [finding_event(finding)])

    async def tick(self, now: float) -> None:
        """Nothing runs by the clock."""

    async def stop(self) -> None:
        """Nothing is held back."""


class _Event(msgspec.Struct):
    action: str


_action: Final = msgspec.json.Decoder(_Event).decode


def closings(value: bytes) -> list[Place]:
    """Where the dispositions of a batch of `acts` stand; garbage has none."""
    try:
        batch = parse_batch(value)
        return [
            (batch.shard, segment.index, pos)
            for segment in batch.segments
            for pos, raw in segment.events
            if _action(raw).action == "incident.close"
        ]
    except (ParseError, msgspec.MsgspecError, UnicodeError) as error:
        log.error("a message of acts cannot be read and closes nothing: %s", error)
        return []


def notice(one: Fallen, now: float) -> Finding:
    """Q01: what people are told. The same fall has the same id."""
    fields: dict[str, Any] = {"value": one.right / one.verdicts, "threshold": one.bar, "window_s": 0, "emitted_ms": int(now * 1000)}
    return Finding(
        id=blake2b(f"{DEMOTED}\0{one.detector}\0{one.version}\0{one.newest}".encode(), digest_size=16).hexdigest(),
        detector=DEMOTED,
        version=1,
        title="A detector may no longer act by itself",
        severity="high",
        principal="detectors",
        subject="agent",
        time=wire_time(now),
        evidence=[],
        act="alert",
        deterministic=True,
        techniques=[],
        text=f"{one.why}. It recommends from now on; `tallystick detect policy restore {one.detector}` gives it its mode back.",
        features={"right": float(one.right), "verdicts": float(one.verdicts)},
        **fields,
    )
