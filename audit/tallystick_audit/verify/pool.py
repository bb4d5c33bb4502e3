"""Spreads a verification's work over processes. Every process has a connection of its own; results and progress come back as messages."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any

from tallystick_schemas.settings import ClickHouseSettings

from .clickhouse import ClickHouseSource, open_source
from .source import HistorySource
from .step6_events import PieceResult
from .work import PieceTask, ShardResult, ShardTask, Tell, judge_piece, judge_shard

_Message = tuple[int, int, int]


def run_inline(
    source: HistorySource, shards: Sequence[ShardTask], pieces: Sequence[PieceTask], tell: Tell
) -> tuple[list[ShardResult], list[PieceResult]]:
    """All of it here, one after the other."""
    return [judge_shard(source, task, tell) for task in shards], [judge_piece(source, task, tell) for task in pieces]


def run_in_processes(
    settings: ClickHouseSettings, shards: Sequence[ShardTask], pieces: Sequence[PieceTask], processes: int, tell: Tell
) -> tuple[list[ShardResult], list[PieceResult]]:
    """Shards first, the longest before the others, since each is one task; pieces fill what is left of the time.

    Processes are spawned, not forked: whoever calls may have threads.
    """
    context = get_context("spawn")
    messages: Queue[_Message] = context.Queue()
    longest_first = sorted(shards, key=lambda task: -(task.checkpoints[-1].size if task.checkpoints else 0))
    with closing(messages), ProcessPoolExecutor(processes, context, _start, (settings, messages)) as pool:
        judged = [pool.submit(_judge_shard, task) for task in longest_first]
        checked = [pool.submit(_judge_piece, task) for task in pieces]
        try:
            _follow([*judged, *checked], messages, tell)
            return [future.result() for future in judged], [future.result() for future in checked]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _follow(futures: Iterable[Future[Any]], messages: "Queue[_Message]", tell: Tell) -> None:
    """Pass progress on until all is done; the first error ends it."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=0.1)
        for future in done:
            future.result()
        try:
            while True:
                tell(*messages.get_nowait())
        except Empty:
            continue


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
