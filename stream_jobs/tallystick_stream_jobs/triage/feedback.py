"""What people say about findings comes back: a detector that was wrong too often loses its leave to act, and says so.

A lane on `acts`. It answers for a message only when its verdicts were weighed, so that a crash means weighing them again; weighing twice
changes nothing. A verdict may be stored before its finding, whose event travels by another partition: those are written down in a file and
weighed again when the finding has come. Detection never waits for it, nor for the store.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from tallystick_producers import Recorder
from tallystick_producers.refused import Refused
from tallystick_schemas.envelope import Opener
from tallystick_schemas.errors import ParseError
from tallystick_schemas.messages import Finding, Place, VerifiedBatch, encode_json, parse_batch
from tallystick_schemas.settings import JobSettings
from tallystick_schemas.signing import wire_time
from tallystick_schemas.topics import ACTS, FINDINGS

from ..policy.demotions import Standing, change_standing, read_standings
from ..policy.files import write_whole
from ..policy.model import DetectionPolicy
from ..shell import Message, Outlet, Voice
from .awaited import Awaited, parse_awaited
from .quality import Fallen, Verdict, fallen
from .record import finding_event
from .store import holds, read_stored, read_verdicts

_Answer = TypeVar("_Answer")
log: Final = logging.getLogger(__name__)
DEMOTED: Final = "Q01"
AWAITED_FILE: Final = "verdicts-awaiting-findings.json"
_RETRY_S: Final = 2.0


@dataclass(frozen=True)
class Books:
    """Where verdicts come from: whether these events are in the store by now, the newest verdict of each finding, and which of these
    findings the store has. All of them block."""

    holds: Callable[[Sequence[Place]], bool]
    verdicts: Callable[[], list[Verdict]]
    stored: Callable[[Sequence[str]], set[str]]


def store_books(settings: JobSettings, opener: Opener) -> Books:
    """The store's. Whose verdicts count, the operator's directives say."""
    store, keyring = settings.clickhouse, opener.keyring
    return Books(
        lambda places: holds(store, places),
        lambda: read_verdicts(store, keyring),
        lambda findings: read_stored(store, keyring, findings),
    )


@dataclass(frozen=True)
class Told:
    """Where findings of this lane go: to topic `findings`, and into the history."""

    outlet: Outlet
    voice: Voice
    recorder: Recorder

    async def tell(self, finding: Finding, source: str) -> None:
        """On the topic, then recorded once as what `source` said last."""
        said = await self.voice.send(self.outlet, FINDINGS, finding.principal.encode(), encode_json(finding))
        await said.sent
        await asyncio.to_thread(self._record, finding, source)

    def _record(self, finding: Finding, source: str) -> None:
        if self.recorder.place(source) != finding.id:
            self.recorder.record_batch_at(source, finding.id, [finding_event(finding)])


class FeedbackLane:
    """BatchJob on `acts`."""

    def __init__(self, state_dir: Path, policy: Callable[[], DetectionPolicy], books: Books, told: "Told", opener: Opener) -> None:
        self._state_dir, self._policy, self._books = state_dir, policy, books
        self._told, self._opener, self._refused = told, opener, Refused(ACTS)
        self._awaited = _read_awaited(state_dir / AWAITED_FILE)
        self._one_at_a_time = asyncio.Lock()
        self._late: asyncio.Task[bool] | None = None

    def start(self, partitions: Collection[int]) -> Mapping[int, int]:  # noqa: ARG002 - the port's
        """On from where the group stood."""
        return {}

    def gone(self, partition: int, wanted: int, earliest: int) -> None:
        """Never asked for."""

    def revoked(self, partitions: Collection[int]) -> None:
        """Nothing is kept."""

    async def process(self, messages: list[Message]) -> Callable[[], Awaitable[None]] | None:
        closed = {place: finding for message in messages for place, finding in self._closings(message).items()}
        if not closed:
            return None

        async def commit() -> None:
            while not await self._answered(self._weigh_new(closed)):
                await asyncio.sleep(_RETRY_S)

        return commit

    def _closings(self, message: Message) -> dict[Place, str]:
        """Of what a notary copied to `acts`; anybody else's message closes nothing."""
        try:
            return closings(parse_batch(self._opener.open(ACTS, message.key, message.value or b"").body))
        except ParseError as error:
            self._refused.note(message.key, f"offset {message.offset} closes nothing: {error}")
            return {}

    async def _answered(self, weighing: Awaitable[bool]) -> bool:
        """The answer; False when the store is away, and that is logged."""
        try:
            return await weighing
        except _StoreAway as error:
            log.warning("verdicts cannot be read, they are weighed later: %s", str(error)[:300])
            return False

    async def _weigh_new(self, closed: Mapping[Place, str]) -> bool:
        """Weigh what people have just said; False when the store has not got it yet."""
        if not await _ask(self._books.holds, list(closed)):
            return False
        # The other way around a finding that comes between the two would be missed by both.
        missing = set(closed.values()) - await _ask(self._books.stored, sorted(set(closed.values())))
        await self._weigh()
        if missing:
            # If we crash before this is written, the message comes again.
            self._awaited.add(missing, time.time())
            await self._keep_awaited()
        return True

    async def _weigh_late(self) -> bool:
        """Weigh again when a finding has come that was closed before; whether any had."""
        come = await _ask(self._books.stored, self._awaited.findings())
        if come:
            await self._weigh()
        before = self._awaited.findings()
        # If we crash before this is written, they are weighed once more.
        self._awaited.drop(come, time.time())
        if self._awaited.findings() != before:
            await self._keep_awaited()
        return bool(come)

    async def _weigh(self) -> None:
        async with self._one_at_a_time:
            verdicts = await _ask(self._books.verdicts)
            for one in fallen(verdicts, self._policy(), read_standings(self._state_dir)):
                await self._demote(one, time.time())

    async def _keep_awaited(self) -> None:
        async with self._one_at_a_time:
            self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            await asyncio.to_thread(write_whole, self._state_dir / AWAITED_FILE, self._awaited.encoded())

    async def _demote(self, one: Fallen, now: float) -> None:
        finding = notice(one, now)
        log.warning("%s", finding.text)
        await self._told.tell(finding, f"demotions/{one.detector}")
        # If we crash here, the next verdict finds it below its bar again, under the same finding.
        change_standing(self._state_dir, one.detector, Standing(True, one.why, "detectors", now))

    async def tick(self, now: float) -> None:
        """Ask for awaited findings, beside what ticks here: detection shares this loop. What fails there but the store ends the process."""
        if self._late is not None:
            if not self._late.done():
                return
            self._late.result()
            self._late = None
        if self._awaited.due(now):
            self._late = asyncio.create_task(self._answered(self._weigh_late()))

    async def stop(self) -> None:
        """What is awaited stands in its file."""
        if self._late is not None:
            self._late.cancel()


class _StoreAway(Exception):
    """The store did not answer."""


async def _ask(question: Callable[..., _Answer], *about: Any) -> _Answer:
    try:
        return await asyncio.to_thread(question, *about)
    except Exception as error:  # the store's client raises its own families
        raise _StoreAway(error) from error


def _read_awaited(path: Path) -> Awaited:
    try:
        return parse_awaited(path.read_text())
    except FileNotFoundError:
        return Awaited()
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        log.error("%s cannot be read; the verdicts in it are weighed with the next one: %s", path.name, error)
        return Awaited()


class _Resource(msgspec.Struct):
    id: str


class _Event(msgspec.Struct):
    action: str
    resource: _Resource


_event: Final = msgspec.json.Decoder(_Event).decode


def closings(batch: VerifiedBatch) -> dict[Place, str]:
    """Where the dispositions of a batch of `acts` stand, and the finding of each; ParseError when an event is none."""
    try:
        events = (((batch.shard, segment.index, pos), _event(raw)) for segment in batch.segments for pos, raw in segment.events)
        return {place: event.resource.id for place, event in events if event.action == "incident.close"}
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ParseError(f"an event of acts cannot be read: {error}") from error


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
