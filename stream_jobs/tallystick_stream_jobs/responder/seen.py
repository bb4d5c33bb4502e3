"""Asking the store whether a name was ever seen. A lock waits for no answer; its telling waits for half a second."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from tallystick_schemas.messages import Decision
from tallystick_schemas.settings import ClickHouseSettings

from .known import EXACT, Named, is_known, near_sql, not_checked, sentence, with_known

log: Final = logging.getLogger(__name__)
_WAIT_S: Final = 0.5
"""Longer than a store that is there takes for a column of 10 million names, and short enough for the orders that stand behind."""


def named_in_history(settings: ClickHouseSettings, subject: str) -> list[Named]:
    """As what events of any time name the subject's name: exactly, else in other spellings. Raises what clickhouse_connect raises."""
    import clickhouse_connect

    name = subject.partition(":")[2]
    client = clickhouse_connect.get_client(**settings.client_kwargs())
    try:
        found = [Named(str(kind), str(one)) for kind, one in client.query(EXACT, parameters={"name": name}).result_rows]
        if is_known(subject, found):
            return found
        return found + [Named(str(kind), str(one)) for kind, one in client.query(near_sql(name), parameters={"name": name}).result_rows]
    finally:
        client.close()


class SeenNames:
    """One question at a time: while a store hangs, its thread is not joined by others."""

    def __init__(self, look: Callable[[str], list[Named]], wait_s: float = _WAIT_S) -> None:
        self._look, self._wait_s = look, wait_s
        self._asking: asyncio.Future[list[Named]] | None = None

    async def marked(self, decision: Decision) -> Decision:
        """The decision with what the history says of its subject's name, where somebody is to be locked. Never raises: an unknown answer is told as one."""
        wanted = decision.lock or decision.proposed
        if wanted is None or wanted.state != "locked":
            return decision
        said = await self._says(wanted.subject)
        log.info("%s: %s", wanted.subject, said)
        return with_known(decision, said)

    async def _says(self, subject: str) -> str:
        if self._asking is not None and not self._asking.done():
            return not_checked("the store still owes an earlier answer")
        self._asking = asyncio.ensure_future(asyncio.to_thread(self._look, subject))
        try:
            return sentence(subject, await asyncio.wait_for(asyncio.shield(self._asking), self._wait_s))
        except TimeoutError:
            self._asking.add_done_callback(_noted)
            return not_checked("the store did not answer in time")
        except Exception as error:  # noqa: BLE001 - whatever a store's client raises, the lock stands and the decision is told
            return not_checked(f"the store answered {type(error).__name__}")


def _noted(late: "asyncio.Future[list[Named]]") -> None:
    """Take a late answer, so that nobody misses it; what failed is in the log."""
    if not late.cancelled() and (error := late.exception()) is not None:
        log.warning("the store's late answer about a name: %s", type(error).__name__)
