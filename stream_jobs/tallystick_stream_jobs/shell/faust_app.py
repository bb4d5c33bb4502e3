"""The Faust application: its settings, and a consumer that begins where the job's own store says, not where a group committed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import faust
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.threads import ServiceThread, WorkerThread

from tallystick_producers.tls import kafka_context
from tallystick_schemas.settings import KafkaSettings

from .bounded import read_within_bounds
from .bunches import bunched

Positions = Callable[[set[TP], Callable[..., Awaitable[Mapping[TP, int]]]], Awaitable[Mapping[TP, int]]]
"""(assigned, earliest offsets of) -> wanted offsets."""


_LEAST_PAUSE_S = 0.001
"""A timer that is shorter takes as long, and whoever has few messages pauses for nothing."""
_PATIENCE_S = 5.0


class _Forgotten(WorkerThread):
    """A thread that no process waits for when it ends: one whose client knocks at a broker for ever would keep a job that gave up from leaving."""

    def __init__(self, service: ServiceThread, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class _PatientThread(driver.AIOKafkaConsumerThread):
    """Never fetches the quiet partitions alone while the job still has to take what came of the others.

    aiokafka does so after 0.1 s, and a broker's answer about quiet partitions takes up to 1.5 s, for which the others wait. What came meanwhile took the
    job more than 0.1 s again: a full machine stayed at findings of 1.5 s also when it had room again.
    """

    def _create_worker_consumer(self, transport: Any) -> Any:
        """By ranges: partition 0 of each topic goes to one process. In turn, as Faust has it, a job of two topics would be split between two processes.

        Whoever still knows the other way alone may be in the group.
        """
        consumer = super()._create_worker_consumer(transport)
        consumer._partition_assignment_strategy = (RangePartitionAssignor, RoundRobinPartitionAssignor)
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        assert self._consumer is not None
        self._consumer._fetcher._prefetch_backoff = _PATIENCE_S
        consumer = self._consumer
        for task in (
            consumer._fetcher._fetch_task,
            consumer._client._sync_task,
            getattr(consumer._coordinator, "_coordination_task", None),
        ):
            if task is not None:
                task.add_done_callback(self._ended)

    async def _fetch_records(self, consumer: Any, *args: Any, **kwargs: Any) -> Any:
        """What the broker has when the job is ready for it, and nothing before.

        aiokafka asks for more as soon as it handed over what it had. The broker answers with the first message that comes, and whatever comes behind it
        waits until that one was taken: through the rest of this pause, and the next one.
        """
        positions = consumer._subscription
        for partition in positions.paused_partitions():
            positions.resume(partition)
        try:
            return await super()._fetch_records(consumer, *args, **kwargs)
        finally:
            for partition in positions.assigned_partitions():
                positions.pause(partition)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Tell the job's loop when fetching, metadata or the group ended by an error: aiokafka logs it at most, and the consumer would read nothing more."""
        if not task.cancelled() and (error := task.exception()) is not None and not self.parent_loop.is_closed():
            self.parent_loop.call_soon_threadsafe(self.failed, error)

    failed: Callable[[BaseException], None]
    """Called in the job's loop; set by whoever makes the thread."""


def _consumer_class(hooks: "Hooks", *, in_bunches: bool) -> type[driver.Consumer]:
    positions, pause_s, failed = hooks

    class PositionedConsumer(driver.Consumer):
        """Seeks on every assignment; fetches as often as the job can bear."""

        def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
            thread = _PatientThread(self, loop=self.loop, beacon=self.beacon, Worker=_Forgotten)
            thread.failed = failed
            return thread

        async def getmany(self, timeout: float) -> AsyncIterator[Any]:
            # What comes after a silence is fetched at once: the pause since the last fetch is over then.
            if (pause := pause_s()) >= _LEAST_PAUSE_S:
                await asyncio.sleep(pause)
            async for fetched in super().getmany(timeout):
                yield fetched

        async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
            fetched = await super()._getmany(active_partitions, timeout)
            return {tp: bunched(records) for tp, records in fetched.items()} if in_bunches else fetched

        async def seek_to_committed(self) -> Mapping[TP, int]:
            committed, assigned = dict(await super().seek_to_committed()), set(self.assignment())
            wanted = dict(await positions(assigned, self.earliest_offsets))
            if in_bunches and (unnamed := assigned - wanted.keys()):
                # Nothing is committed, so all that the partition has would be read, for a job that wants nothing of it.
                wanted |= await self.highwaters(*unnamed)
            for tp, offset in wanted.items():
                await self.seek(tp, offset)
            return committed | dict(wanted)

    return PositionedConsumer


class _QuietMonitor(faust.Monitor):
    """Counts no messages: nobody asks it, and it took 5 % of the detectors' CPU under a flow of small messages."""

    def on_message_in(self, *_: Any) -> None: ...

    def on_stream_event_in(self, *_: Any) -> None: ...

    def on_stream_event_out(self, *_: Any) -> None: ...

    def on_message_out(self, *_: Any) -> None: ...


class _App(faust.App):
    def _create_directories(self) -> None:
        """Makes none: there are no tables, and the folder that a job is started in is somebody else's, and perhaps closed to it."""


class Hooks(NamedTuple):
    """What a job has to say to its consumer, and to hear from it."""

    positions: Positions
    pause_s: Callable[[], float]
    """For how many seconds to wait, asked before each fetch."""
    failed: Callable[[BaseException], None]
    """The consumer fetches no more, and why."""


def make_app(name: str, kafka: KafkaSettings, hooks: Hooks, instance: str = "", *, in_bunches: bool = False) -> Any:
    """An application without web server, tables or log redirection. What is set was measured or has bitten.

    `in_bunches`: for a job that needs no committed offsets; a bunch has one, and Faust commits what it saw one after the other.
    """
    read_within_bounds()
    app = _App(
        f"tallystick-{name}",
        broker=[f"kafka://{address}" for address in kafka.bootstrap.split(",")],
        broker_credentials=_credentials(kafka),
        store="memory://",
        web_enabled=False,
        web_in_thread=False,
        autodiscover=False,
        processing_guarantee="at_least_once",
        # Whoever raises ends the process: Faust's default acks the batch that failed, and it is lost.
        agent_supervisor="mode.CrashingSupervisor",
        consumer_group_instance_id=f"{name}-{instance}" if instance else None,
        # A killed job's partitions stay with it for so long, unless it has a name of its own; Kafka's least by default.
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        broker_request_timeout=30.0,
        broker_max_poll_interval=600.0,
        broker_max_poll_records=500,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=8 << 20,
        producer_request_timeout=30.0,
        topic_replication_factor=1,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        stream_buffer_maxsize=512,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        worker_redirect_stdouts=False,
        Monitor=_QuietMonitor,
    )
    app.transport.Consumer = _consumer_class(hooks, in_bunches=in_bunches)  # type: ignore[misc]  # the transport is this app's own
    return app


def _credentials(kafka: KafkaSettings) -> Any:
    if kafka.security_protocol == "PLAINTEXT":
        return None
    context = kafka_context(kafka)
    if kafka.sasl_mechanism:
        return faust.SASLCredentials(
            mechanism=kafka.sasl_mechanism, username=kafka.sasl_username, password=kafka.sasl_password, ssl_context=context
        )
    return faust.SSLCredentials(context=context)
