"""Two responders of one deployment, each of which dies, is stopped and goes on, while locks stand that nobody lifts."""

import os
import signal
import time
from dataclasses import dataclass, field
from typing import Final

import clickhouse_connect
import psutil
from kafka import KafkaConsumer, TopicPartition
from tests.support.attacking import Broker, Door, locked, read_topic, until
from tests.support.deployment import cli
from tests.support.responding import finding

from tallystick_infra.deployment.keyfiles import read_key
from tallystick_infra.processes import Child, spawn
from tallystick_infra.supervisor import Supervisor
from tallystick_infra.supervisor.parts import own_command
from tallystick_producers import Actor, Recorder, Resource
from tallystick_schemas.envelope import Number, Signer
from tallystick_schemas.headers import SegmentHeader
from tallystick_schemas.messages import HEARTBEAT_KEY, encode_json
from tallystick_schemas.records import parse_record
from tallystick_schemas.signing import wire_time
from tallystick_schemas.times import seconds_of
from tallystick_schemas.topics import EVENTS, FINDINGS, LOCKS

SESSION_S: Final = 6.0
"""So long a group waits for a member that says nothing."""
FIRST, SECOND = "responder", "responder.second"


@dataclass
class Pair:
    """The supervisor's responder, and a second process of the same part under a name of its own."""

    supervisor: Supervisor
    second: Child | None = None
    standing: dict[str, str] = field(default_factory=dict)
    """Subject -> command of the person's order that locked it for an hour."""
    starts: int = 0

    def start(self) -> None:
        """The second process, where it does not run: as a supervisor of its own would."""
        if self.second is not None and self.second.poll() is not None:
            self.second.kill()
            self.second.close()
            self.second = None
        if self.second is None:
            deployment = self.supervisor.deployment
            command = own_command(deployment.path, "jobs", "responder", "--instance", "second")
            self.second = spawn(SECOND, command, deployment.path / "logs" / "responder.second.log")
            self.starts += 1

    def close(self) -> None:
        if self.second is not None:
            self.second.kill()
            self.second.close()

    def process(self, agent: str) -> psutil.Process | None:
        """The process itself, under its guard; None while there is none."""
        child = self.supervisor.children["responder"] if agent == FIRST else self.second
        try:
            return next(iter(psutil.Process(child.pid).children()), None) if child is not None and child.poll() is None else None
        except psutil.NoSuchProcess:
            return None

    def until(self, condition, what: str, seconds: float = 90.0) -> None:  # type: ignore[no-untyped-def]  # a test's
        """Wait for a condition; whoever died is started again meanwhile."""

        def look() -> object:
            self.start()
            return condition()

        until(self.supervisor, look, what, seconds)

    def run(self, agent: str) -> psutil.Process:
        self.until(lambda: self.process(agent) is not None, f"{agent} runs")
        found = self.process(agent)
        assert found is not None
        return found

    def owner(self) -> tuple[str, int]:
        """(agent, fence) of the newest heartbeat that counts."""
        newest, who = Number(-1, -1), ""
        opener = read_topic(self.supervisor.deployment).topic.opener
        for key, value in Broker(self.supervisor.deployment).values(LOCKS):
            if key == HEARTBEAT_KEY and value is not None:
                opened = opener.open(LOCKS, key, value)
                newest, who = max((newest, who), (opened.number, opened.holder.agent))
        return who, newest.fence

    def order(self, principal: str) -> None:
        """A person locks it for an hour. Who answers for the deployment then carries it out, at whatever time that is."""
        made = cli(
            self.supervisor, "lock", principal, "--unseen", "--minutes", "60", "--reason", "stolen token", "--by", "ann", "--timeout", "90"
        )
        self.standing[f"principal:{principal}"] = str(made["command"])

    def suspended(self, principal: str) -> float:
        """An automatic lock of a principal, by a finding whose evidence holds; until when it lasts (seconds since 1970)."""
        deployment, subject = self.supervisor.deployment, f"principal:{principal}"
        place, proof = recorded(self, principal)
        now = time.time()
        made = finding(
            who=principal,
            id=f"F-{principal}",
            credential=None,
            time=wire_time(now),
            evidence=[place],
            proof=proof,
            emitted_ms=int(now * 1000),
        )
        signer = Signer(deployment.log().deployment, "detectors", read_key(deployment.agent_key("detectors")))
        key = principal.encode()
        Broker(deployment).put(FINDINGS, key, signer.sign(FINDINGS, key, Number(int(now * 1000), 0), encode_json(made)))
        self.until(lambda: subject in locked(deployment), f"{principal} is locked by the finding")
        until_text = read_topic(deployment).topic.held[subject].lock.until
        assert until_text is not None
        return seconds_of(until_text)

    def settle(self) -> None:
        """Both are at work, and one has the turn for eight heartbeats on end: they do not take it from each other."""
        began: list[tuple[int | None, int | None, tuple[str, int], int]] = []

        def settled() -> bool:
            first, second = (self.process(agent) for agent in (FIRST, SECOND))
            now = (first.pid if first else None, second.pid if second else None, self.owner(), self.beats())
            if None in now or not began or began[-1][:3] != now[:3]:
                began.append(now)
            return now[3] >= began[-1][3] + 8

        self.until(settled, "one of both has the turn and keeps it", 60)

    def beats(self) -> int:
        """How many heartbeats stand on the topic."""
        return sum(key == HEARTBEAT_KEY for key, _ in Broker(self.supervisor.deployment).values(LOCKS))

    def kill(self, agent: str) -> None:
        """At once; whoever started it starts it again."""
        os.kill(self.run(agent).pid, signal.SIGKILL)

    def stop(self, agent: str, kept: str, ends: float) -> None:
        """Stop a process for longer than a session. Meanwhile the automatic lock of `kept`, which as it knows is over at `ends`, is kept for an hour
        by a person; after `ends` it goes on, with a book of before."""
        victim, owner = self.run(agent), self.owner()
        os.kill(victim.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            self.until(lambda: time.monotonic() > stopped + 1.5 * SESSION_S, "the group waits no longer for it")
            if owner[0] == agent:
                self.until(lambda: self.owner()[1] > owner[1], "the other one takes over")
            self.order(kept)
            self.until(lambda: time.time() > ends + 1, "the lock is over as the stopped one knows it")
        finally:
            os.kill(victim.pid, signal.SIGCONT)

    def check(self, doors: list[Door]) -> None:
        """Every lock stands as it was ordered, the topic is whole, both processes are at work, and each door is shut."""
        for agent in (FIRST, SECOND):
            self.run(agent)
        self.until(self.whole, "the topic holds every lock, and its newest heartbeat says so")
        held = read_topic(self.supervisor.deployment).topic.held
        assert {subject: held[subject].lock.command for subject in self.standing} == self.standing
        for door in doors:
            self.until(lambda door=door: door.status() == 403, "the door is shut to who is locked")  # type: ignore[misc]  # bound here

    def whole(self) -> bool:
        read = read_topic(self.supervisor.deployment)
        fresh = read.heartbeat is not None and time.time() - seconds_of(read.heartbeat.at) < 5
        return fresh and read.agreed and set(self.standing) <= {lock.subject for lock in read.topic.locked(time.time())}


def recorded(pair: Pair, principal: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """((shard, index, pos) in the ledger, (shard, offset, pos) on `events`) of an event about a principal."""
    deployment = pair.supervisor.deployment
    with Recorder.open(deployment.agent("one")) as recorder:
        recorder.record("artifact.read", actor=Actor(principal, "human"), resource=Resource("model", "m"), durable=True)
        recorder.flush()
        pair.until(lambda: not recorder.stats().waiting, "the event has its receipt")
    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    query = "SELECT shard, `index`, pos FROM events WHERE principal = {p:String} AND action = 'artifact.read' LIMIT 1"
    rows = client.query(query, parameters={"p": principal}).result_rows
    client.close()
    shard, index, pos = (int(one) for one in rows[0])
    return (shard, index, pos), (shard, offset_of(pair, shard, principal), pos)


def offset_of(pair: Pair, shard: int, principal: str) -> int:
    consumer, part = KafkaConsumer(**pair.supervisor.deployment.kafka_admin().client_kwargs(), group_id=None), TopicPartition(EVENTS, shard)
    try:
        consumer.assign([part])
        consumer.seek_to_beginning(part)
        end = consumer.end_offsets([part])[part]
        while consumer.position(part) < end:
            for one in consumer.poll(timeout_ms=200).get(part, []):
                if principal.encode() in one.value and isinstance(parse_record(one.value).header, SegmentHeader):
                    return int(one.offset)
    finally:
        consumer.close()
    raise AssertionError(principal)
