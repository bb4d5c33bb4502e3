"""Asking the store whether a name was ever seen. A lock waits for no answer; its telling waits for half a second."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from tallystick_schemas.messages import Decision
from tallystick_schemas.roles import Keyring
from tallystick_schemas.settings import ClickHouseSettings
from tallystick_schemas.stored import Read, read_signed

from .history import asking
from .known import EXACT, Looked, alike, bytes_sql, is_known, named_by, near_sql, not_checked, sentence, with_known

log: Final = logging.getLogger(__name__)
_WAIT_S: Final = 0.5
"""Longer than a store that is there takes for a column of 10 million names, and short enough for the orders that stand behind."""


def named_in_history(settings: ClickHouseSettings, subject: str, keyring: Keyring) -> Looked:
    """As what events of any time name the subject's name: exactly, else in other spellings. Raises what clickhouse_connect raises.

    Columns may say what whoever has the store's password wrote into them, and rows may be nobody's: they find candidates. What a candidate says is read
    from its bytes, where an agent signed them; that nobody is named is said by the bytes, as far as a store can read them in time.
    """
    import clickhouse_connect

    name = subject.partition(":")[2]
    client = clickhouse_connect.get_client(**settings.client_kwargs())
    try:
        exact = _read(client, EXACT, name, keyring)
        found = named_by(exact.held, name)
        if is_known(subject, found):
            return Looked(found, True)
        try:
            more, by_bytes = _read(client, bytes_sql(name), name, keyring), True
        except clickhouse_connect.driver.exceptions.DatabaseError as error:
            if "TOO_MANY_ROWS" not in str(error):
                raise
            more, by_bytes = _read(client, near_sql(name), name, keyring), False
        near = [one for one in named_by(more.held) if alike(one, name)]
        return Looked(sorted({*found, *near}), by_bytes, len(exact.broken | more.broken))
    finally:
        client.close()


def _read(client: Any, sql: str, name: str, keyring: Keyring) -> Read:
    """What stands where a question finds candidates."""
    rows = client.query(sql, parameters={"name": name}).result_rows
    return read_signed(asking(client), keyring, sorted({(int(shard), int(index), int(pos)) for shard, index, pos in rows}))


class SeenNames:
    """One question at a time: while a store hangs, its thread is not joined by others."""

    def __init__(self, look: Callable[[str], Looked], wait_s: float = _WAIT_S) -> None:
        self._look, self._wait_s = look, wait_s
        self._asking: asyncio.Future[Looked] | None = None

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
            looked = await asyncio.wait_for(asyncio.shield(self._asking), self._wait_s)
            return sentence(subject, looked)
        except TimeoutError:
            self._asking.add_done_callback(_noted)
            return not_checked("the store did not answer in time")
        except Exception as error:  # noqa: BLE001 - whatever a store's client raises, the lock stands and the decision is told
            return not_checked(f"the store answered {type(error).__name__}")


def _noted(late: "asyncio.Future[Looked]") -> None:
    """Take a late answer, so that nobody misses it; what failed is in the log."""
    if not late.cancelled() and (error := late.exception()) is not None:
        log.warning("the store's late answer about a name: %s", type(error).__name__)
