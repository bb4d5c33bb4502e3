"""Taking the topic of locks over: what is known of locks is put together, a fence is claimed, and what the topic lacks is written again.

Words come from the topic, the ledger and the spool; each is signed, so the union of them by number is right whatever any one of them hides. The doors
stay shut (no heartbeat) until nothing can be missing: the ledger was read, or the topic itself is whole by a heartbeat of a moment ago.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tallystick_schemas.envelope import Signer
from tallystick_schemas.locks import Held, LockTopic
from tallystick_schemas.times import seconds_of

from .book import LockBook
from .lock_topic import ReadTopic
from .sources import Sources
from .writer import LockWriter, Recording, Sending

log: Final = logging.getLogger(__name__)
_RECENT_S: Final = 30.0
"""As old may the heartbeat be by which a topic is taken for whole without the ledger: a broker's older copy has an older one."""


@dataclass
class Ownership:
    """One owner's book and pen. `certain`: nothing can be missing in the book. `marks`: what was read of the ledger."""

    book: LockBook
    writer: LockWriter
    carried: dict[str, Held]
    """Subject -> the word that the topic carried when it was read."""
    certain: bool
    marks: dict[int, int] = field(default_factory=dict)
    opened: bool = False

    @property
    def topic(self) -> LockTopic:
        return self.book.topic

    def lacking(self) -> list[Held]:
        """Words that lock and that the topic does not carry, or that a key signed which counts no longer; and liftings of locks that it carries."""
        return [held for held in self.book.held.values() if not self._carries(held)]

    def _carries(self, held: Held) -> bool:
        there = self.carried.get(held.lock.subject)
        if held.lock.state == "unlocked":
            return there is None or there.lock.state == "unlocked"
        holder = self.topic.opener.keyring.holder(held.agent, held.key)
        return holder is not None and holder.active and there is not None and there.number == held.number

    async def open(self) -> list[Held]:
        """Once: what the topic lacks is written again. Those words."""
        if self.opened:
            return []
        lacking = self.lacking()
        for held in lacking:
            await self.writer.again(held)
        # If we crash here, the next owner reads the same words and writes what is lacking then.
        self.opened = True
        return lacking

    def merge(self, words: list[Held], marks: dict[int, int]) -> list[Held]:
        """Take words of the ledger in; those that are news."""
        news = [held for held in words if (known := self.book.held.get(held.lock.subject)) is None or known.number < held.number]
        for held in words:
            self.book.put(held)
        self.marks |= marks
        self.certain = True
        return news


def take_over(sources: Sources, signer: Signer, outlet: Sending, recorder: Recording, clock: Callable[[], float] = time.time) -> Ownership:
    """The book as everything that is known gives it, and a pen with a fence above all others."""
    read = sources.topic()
    carried = dict(read.topic.held)
    book = LockBook(read.topic)
    for held in sources.spooled(read.topic.opener.keyring):
        book.put(held)
    words, marks, certain = _ledger(sources, read, clock())
    for held in words:
        book.put(held)
    writer = LockWriter(signer, outlet, recorder, book, sources.fence(read.topic.newest.fence))
    log.info("fence %d: %d subjects known, %d on the topic", writer.numbers.fence, len(book.held), len(carried))
    return Ownership(book, writer, carried, certain, marks)


def _ledger(sources: Sources, read: ReadTopic, now: float) -> tuple[list[Held], dict[int, int], bool]:
    try:
        words = sources.words(read.topic.opener.keyring, {})
    except Exception as error:  # noqa: BLE001 - whatever the store's client raises: locks that people order now must not wait for it
        certain = read.agreed and read.heartbeat is not None and now - seconds_of(read.heartbeat.at) <= _RECENT_S
        said = "the topic is whole by its newest heartbeat" if certain else "doors stay shut until it is there"
        log.warning("the ledger cannot be asked about locks (%s: %s); %s", type(error).__name__, str(error)[:300], said)
        return [], {}, certain
    return words.held, words.marks, True
