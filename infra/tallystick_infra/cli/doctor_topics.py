"""What `tallystick doctor` asks Kafka, beside the store where both must agree: who is behind, who may say what, who is locked, who was told."""

import time

import clickhouse_connect

from tallystick_schemas.times import seconds_of
from tallystick_schemas.words import counted

from ..built_in import BUILT_IN_AGENTS
from ..deployment import Deployment
from ..deployment.keyfiles import read_key
from ..kafka.topics import Topics
from .doctor_check import Check

_HEARD_S = 5.0
"""Heartbeats of the responder come each second."""
_BEHIND_S = 10.0


def kafka(deployment: Deployment) -> list[Check]:
    topics = Topics(deployment.kafka(), deployment.log().shards)
    try:
        topics.check()
    finally:
        topics.close()
    return [Check("kafka", True, f"{deployment.kafka().bootstrap}, topics as they must be")]


def behind(deployment: Deployment) -> list[Check]:
    """Records that Kafka holds and the ledger does not, and shards that stand still."""
    from ..ledger_lag import measure_twice

    lags, wrong = measure_twice(deployment)
    if wrong:
        return [
            Check("notary", False, one, "see logs/notary.log, and docs/operator.md, restores; the notary looks again by itself")
            for one in wrong
        ]
    behind = [lag.behind for lag in lags.values()]
    worst = max(behind, default=0)
    return [Check("notary", worst < 1000, f"{counted(sum(behind), 'record')} behind, the worst shard {worst}", "see logs/notary.log")]


def detection(deployment: Deployment) -> list[Check]:
    """What is verified and waits for the detectors. They say once a second how far they are, so a second is nothing."""
    from tallystick_dashboard.group_lag import GroupLag

    with GroupLag(deployment.kafka()) as lag:
        waiting = lag.measure()
    age = 0.0 if waiting.since is None else max(0.0, time.time() - waiting.since)
    seen = f"{counted(waiting.records, 'verified record')} waiting" + (f", the oldest for {age:.1f} s" if waiting.records else "")
    return [Check("detectors", age < _BEHIND_S, seen, "see logs/detectors.log; what waits is found, and locked, that much later")]


def roles(deployment: Deployment) -> list[Check]:
    """Who may say what: as the topic has it that everybody acts on, and as the ledger has it."""
    from ..control import read_roles
    from ..enrolment import enrolled_agents, read_directives
    from ..role_state import faults, summary, unscoped_agents

    client = clickhouse_connect.get_client(**deployment.clickhouse().client_kwargs())
    log = deployment.log()
    topic, ledger, agents = read_roles(deployment.kafka(), log), read_directives(client, log), enrolled_agents(client, log)
    keys = {name: deployment.agent_key(name) for name in BUILT_IN_AGENTS}
    publics = {name: read_key(path).public_key().public_bytes_raw() if path.exists() else None for name, path in keys.items()}
    mend = "start the supervisor again; `tallystick agent list` shows every role, `agent scope` gives one"
    if wrong := faults(publics, topic, ledger, agents, log.shards):
        return [Check("roles", False, one, mend) for one in wrong]
    return [Check("roles", True, summary(topic, unscoped_agents(topic, agents)))]


def responder(deployment: Deployment) -> list[Check]:
    """The newest signed heartbeat on `locks`, and whether the topic holds what it speaks of: gateways deny when either is not so."""
    from tallystick_producers.keyring import opener_of
    from tallystick_stream_jobs.responder.lock_topic import read_lock_topic

    read = read_lock_topic(deployment.kafka(), opener_of(deployment.log()))
    if read.heartbeat is None:
        return [Check("responder", False, "no signed heartbeat", "see logs/responder.log; gateways deny until there is one")]
    age = time.time() - seconds_of(read.heartbeat.at)
    strange = f", {counted(read.refused, 'value')} that nobody signed" if read.refused else ""
    seen = f"{counted(read.heartbeat.count, 'lock')} by its word, {len(read.topic.locked(time.time()))} in force{strange}"
    return [
        Check("responder", age < _HEARD_S, f"heartbeat {age:.1f} s ago", "see logs/responder.log; gateways deny while it is away"),
        Check("lock topic", read.agreed, seen, "the topic lost or holds back locks; the responder writes them again, see its findings R05"),
    ]


def points(deployment: Deployment) -> list[Check]:
    """Enforcement points: each says every few seconds that it is there, and which locks it has applied."""
    from tallystick_schemas.locks import in_force
    from tallystick_stream_jobs.responder.client import read_locks
    from tallystick_stream_jobs.responder.points import read_enforcement, standing

    now = time.time()
    held = [lock for lock in read_locks(deployment.kafka(), deployment.log()) if in_force(lock, now)]
    checks = []
    for one in standing(read_enforcement(deployment.kafka(), deployment.log()), held, now):
        missing = sum(ms is None for ms in one.acked_ms.values())
        seen = f"{one.point.kind}, heard {one.age_s:.0f} s ago, {len(one.acked_ms) - missing} of {counted(len(one.acked_ms), 'lock')} acknowledged"
        checks.append(Check(f"point {one.point.name}", not one.silent and not missing, seen, "does it run? who is locked may get in there"))
    return checks


def outbox(deployment: Deployment) -> list[Check]:
    """What other systems were to be told, and whether each lock was seen to hold."""
    from tallystick_stream_jobs.outbox.orders import read_outbox, read_proofs

    states = [one.state for one in read_outbox(deployment.kafka(), deployment.log())]
    open_doors = sorted({one.point for one in read_proofs(deployment.kafka(), deployment.log()) if one.state == "still-works"})
    told = Check(
        "outbox",
        "given-up" not in states,
        f"{counted(states.count('waiting'), 'delivery waits', 'deliveries wait')}, {states.count('given-up')} given up",
        "`tallystick outbox` says why; `outbox retry ID` once it is mended",
    )
    seen = f"a lock does not hold at {', '.join(open_doors)}" if open_doors else "no lock is known that does not hold"
    return [told, Check("proofs", not open_doors, seen, "`tallystick outbox proofs` tells which; close that door by hand")]
