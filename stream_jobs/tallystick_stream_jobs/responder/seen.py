"""Asking the store whether a name was ever seen. A lock waits for no answer; its telling waits for half a second."""

import asyncio
import logging
from base64 import b64decode
from collections.abc import Callable
from typing import Final

from tallystick_schemas.messages import Decision
from tallystick_schemas.settings import ClickHouseSettings

from .known import EXACT, Looked, Named, bytes_sql, is_known, named_by, near_sql, not_checked, sentence, with_known

log: Final = logging.getLogger(__name__)
_WAIT_S: Final = 0.5
"""Longer than a store that is there takes for a column of 10 million names, and short enough for the orders that stand behind."""


def named_in_history(settings: ClickHouseSettings, subject: str) -> Looked:
    """As what events of any time name the subject's name: exactly, else in other spellings. Raises what clickhouse_connect raises.

    Columns may say what whoever has the store's password wrote into them: they find candidates, and that nobody is named is said by the bytes, as far
    as a store can read them in time.
    """
    import clickhouse_connect

    name = subject.partition(":")[2]
    client = clickhouse_connect.get_client(**settings.client_kwargs())
    try:
        found = named_by([b64decode(raw) for (raw,) in client.query(EXACT, parameters={"name": name}).result_rows], name)
        if is_known(subject, found):
            return Looked(found, True)
        try:
            rows, by_bytes = client.query(bytes_sql(name), parameters={"name": name}).result_rows, True
        except clickhouse_connect.driver.exceptions.DatabaseError as error:
            if "TOO_MANY_ROWS" not in str(error):
                raise
            rows, by_bytes = client.query(near_sql(name), parameters={"name": name}).result_rows, False
        return Looked([*found, *(Named(str(kind), str(one)) for kind, one in rows)], by_bytes)
    finally:
        client.close()


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
            return sentence(subject, looked.found, by_bytes=looked.by_bytes)
        except TimeoutError:
            self._asking.add_done_callback(_noted)
            return not_checked("the store did not answer in time")
        except Exception as error:  # noqa: BLE001 - whatever a store's client raises, the lock stands and the decision is told
            return not_checked(f"the store answered {type(error).__name__}")


def _noted(late: "asyncio.Future[Looked]") -> None:
    """Take a late answer, so that nobody misses it; what failed is in the log."""
    if not late.cancelled() and (error := late.exception()) is not None:
        log.warning("the store's late answer about a name: %s", type(error).__name__)
