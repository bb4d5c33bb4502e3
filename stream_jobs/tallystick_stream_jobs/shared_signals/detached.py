"""Work that may hang at somebody else's door, without holding up our end: a daemon thread of its own, unlike the loop's executor, which is waited for."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def detached(work: Callable[[], T], name: str) -> T:
    """What `work` gives or raises. When the caller is cancelled, the thread ends by itself, and what it gives is nobody's."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return  # the caller gave up
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # T where there is no error

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as problem:  # noqa: BLE001 - handed to whoever waits
            error = problem
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the caller with it
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future
