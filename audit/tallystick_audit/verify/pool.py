"""Spreads a verification's work over processes. Every process has a connection of its own; results and progress come back as messages.

The calling process is one of them, and begins at once: a fresh interpreter needs a third of a second before it can help.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any, TypeVar

from tallystick_schemas.settings import ClickHouseSettings

from .clickhouse import ClickHouseSource, open_source
from .source import HistorySource
from .step6_events import PieceResult
from .work import PieceTask, ShardResult, ShardTask, Tell, judge_piece, judge_shard

_Message = tuple[int, int, int]
_WAIT_S = 0.1
Task = TypeVar("Task", ShardTask, PieceTask)


def run_inline(
    source: HistorySource, shards: Sequence[ShardTask], pieces: Sequence[PieceTask], tell: Tell
) -> tuple[list[ShardResult], list[PieceResult]]:
    """All of it here, one after the other."""
    return [judge_shard(source, task, tell) for task in shards], [judge_piece(source, task, tell) for task in pieces]


def run_in_processes(
    source: HistorySource,
    settings: ClickHouseSettings,
    shards: Sequence[ShardTask],
    pieces: Sequence[PieceTask],
    processes: int,
    tell: Tell,
) -> tuple[list[ShardResult], list[PieceResult]]:
    """Shards first, the longest before the others, since each is one task; pieces fill what is left of the time.

    Processes are spawned, not forked: whoever calls may have threads.
    """
    context = get_context("spawn")
    messages: Queue[_Message] = context.Queue()
    longest_first = sorted(shards, key=lambda task: -(task.checkpoints[-1].size if task.checkpoints else 0))
    with closing(messages), ProcessPoolExecutor(processes - 1, context, _start, (settings, messages)) as pool:
        judged = [pool.submit(_judge_shard, task) for task in longest_first]
        checked = [pool.submit(_judge_piece, task) for task in pieces]
        here = _Here(messages, tell)
        try:
            own_shards = {task.shard: judge_shard(source, task, here.tell) for task in here.left(judged, longest_first)}
            own_pieces = {task: judge_piece(source, task, here.tell) for task in here.left(checked, pieces)}
            here.wait([*judged, *checked])
            return (
                [own_shards.get(task.shard) or future.result() for task, future in zip(longest_first, judged, strict=True)],
                [own_pieces.get(task) or future.result() for task, future in zip(pieces, checked, strict=True)],
            )
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Here:
    """The calling process's share."""

    def __init__(self, messages: "Queue[_Message]", tell: Tell) -> None:
        self._messages, self._tell = messages, tell

    def left(self, futures: Sequence[Future[Any]], tasks: Sequence[Task]) -> Iterator[Task]:
        """Tasks that no other process has begun, from the last on, since they begin with the first."""
        for future, task in reversed(list(zip(futures, tasks, strict=True))):
            if future.cancel():
                yield task

    def wait(self, futures: Iterable[Future[Any]]) -> None:
        """Until the others are done as well; the first error ends it."""
        waiting = {future for future in futures if not future.cancelled()}
        while waiting:
            done, waiting = wait(waiting, timeout=_WAIT_S)
            for future in done:
                future.result()
            self._pass_on()

    def tell(self, shard: int, index: int, events: int) -> None:
        """Progress of this process, and of the others."""
        self._tell(shard, index, events)
        self._pass_on()

    def _pass_on(self) -> None:
        try:
            while True:
                self._tell(*self._messages.get_nowait())
        except Empty:
            return


class _Worker:
    """What a process of the pool keeps between its tasks."""

    source: ClickHouseSource
    messages: "Queue[_Message]"

    def tell(self, shard: int, index: int, events: int) -> None:
        self.messages.put((shard, index, events))


_worker = _Worker()


def _start(settings: ClickHouseSettings, messages: "Queue[_Message]") -> None:
    _worker.source, _worker.messages = open_source(settings), messages


def _judge_shard(task: ShardTask) -> ShardResult:
    return judge_shard(_worker.source, task, _worker.tell)


def _judge_piece(task: PieceTask) -> PieceResult:
    return judge_piece(_worker.source, task, _worker.tell)
