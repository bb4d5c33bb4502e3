"""The responder's second look: whether the topic still carries what the book says, and whether the ledger has what was acted on."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from tallystick_schemas.locks import Held
from tallystick_schemas.messages import Finding
from tallystick_schemas.orders import Order

from .confirming import Confirming
from .findings import not_heard, other_history, tampered
from .mirror import Seen
from .missed import Missed
from .ownership import Ownership
from .shown_roots import ShownRoots
from .sources import Sources

log: Final = logging.getLogger(__name__)
_LEDGER_EVERY_S: Final = 5.0
_LEDGER_FIRST_S: Final = 1.0
"""While the doors are shut for want of the ledger, it is asked each second."""


class Looked(NamedTuple):
    """What to tell, and orders that `acts` never brought."""

    findings: list[Finding]
    orders: list[Order]


class Watching:
    """Of one owner. `look` is called again and again, one call at a time."""

    def __init__(self, own: Ownership, sources: Sources, confirming: Confirming, missed: Missed, shown: ShownRoots) -> None:
        self._own, self._sources, self._confirming, self._missed, self._shown = own, sources, confirming, missed, shown
        self._ledger_at = 0.0

    def restored(self, words: Sequence[Held], now: float) -> list[Finding]:
        """What to tell about words that the topic lacked when it was taken over. Those of before this version were never on it as they are now."""
        lost = [held.lock.subject for held in words if held.number.fence > 0]
        return [tampered(lost, now)] if lost else []

    async def look(self, seen: Seen | None, now: float) -> Looked:
        """Findings about what was lost, overwritten, or is not in the ledger, and orders that the ledger alone has; the topic has its words again on
        return."""
        found = await self._repair(seen, now)
        if now < self._ledger_at:
            return Looked(found, [])
        self._ledger_at = now + (_LEDGER_EVERY_S if self._own.certain else _LEDGER_FIRST_S)
        await asyncio.to_thread(self._sources.warm)
        asked = await self._ask(now)
        return Looked(found + asked.findings + await self._other_histories(now), asked.orders)

    async def _repair(self, seen: Seen | None, now: float) -> list[Finding]:
        if seen is None:
            return []
        for key, record in seen.lacking_roles(self._own.topic.opener.keyring):
            log.error("the topic of locks lost the directive about %r; it is written again", key)
            await self._own.writer.role(key, record)
        lost = seen.lacking(self._own.book.held.values())
        for held in lost:
            await self._own.writer.again(held)
        if seen.newest.fence > self._own.writer.numbers.fence:
            log.error("somebody writes under fence %d, above ours", seen.newest.fence)
            self._own.writer.stop()
        return [tampered([held.lock.subject for held in lost], now)] if lost else []

    async def _other_histories(self, now: float) -> list[Finding]:
        """What agents were shown and the store does not have. Apart from the rest: orders must not wait for it."""
        try:
            said = await asyncio.to_thread(self._shown.contradicting, now)
        except Exception as error:  # noqa: BLE001 - the store may be away for long; nothing is marked as looked at
            log.warning("what agents were shown cannot be looked up (%s: %s)", type(error).__name__, str(error)[:200])
            return []
        return [other_history(one.agent, (one.shard, one.place, 0), one.seen.size, one.seen.root, now) for one in said]

    async def _ask(self, now: float) -> Looked:
        """Words of other instances that were killed before they wrote them onto the topic, the entries of what was acted on, and what was not."""
        try:
            words = await asyncio.to_thread(self._sources.words, self._own.topic.opener.keyring, dict(self._own.marks))
            entries = await asyncio.to_thread(self._sources.entries, self._confirming.places)
            orders = await asyncio.to_thread(self._missed.orders, now)
            unheard = await asyncio.to_thread(self._missed.findings, now)
        except Exception as error:  # noqa: BLE001 - the store may be away for long; what waits for it is told when its time is over
            log.warning("the ledger cannot be asked (%s: %s)", type(error).__name__, str(error)[:200])
            return Looked(self._confirming.settle({}, now), [])
        for held in self._own.merge(words.held, words.marks):
            log.warning("the ledger knows a later word about %r than the topic; it is written there", held.lock.subject)
            await self._own.writer.again(held)
        found = self._confirming.settle(entries, now)
        return Looked([*found, not_heard(unheard, now)] if unheard else found, orders)
