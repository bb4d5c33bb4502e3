"""Agents for tests: keys, settings, and what a spool holds when nobody uses it any more."""

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from tests.support.signing import OPERATORS

from tallystick_producers import Actor, AgentSettings, KafkaSettings, LogSettings, Resource
from tallystick_producers.spool import Spool
from tallystick_schemas.events import Event, parse_event
from tallystick_schemas.headers import SegmentHeader
from tallystick_schemas.merkle import leaf_hashes, root_of
from tallystick_schemas.records import Kind, parse_record, signed_bytes, split_items
from tallystick_schemas.segments import genesis_link, segment_link

ALICE = Actor("alice@example.org", "human")
ATLAS = Resource("model", "models/atlas-7b")
NOWHERE = KafkaSettings(bootstrap="127.0.0.1:1")
"""Nobody listens on port 1."""


def write_key(path: Path, mode: int = 0o600) -> Path:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(pem)
    path.chmod(mode)
    return path


def agent_settings(directory: Path, agent: str = "agent-1", kafka: KafkaSettings = NOWHERE, **changes: Any) -> AgentSettings:
    """Settings with a key of its own (made once) and a spool under `directory`."""
    key = directory / f"{agent}.key"
    if not key.exists():
        write_key(key)
    settings = AgentSettings(
        agent, kafka, LogSettings("test", operator_keys=OPERATORS), str(key), str(directory / "spool" / agent), heartbeat_s=3600
    )
    return replace(settings, **changes)


def public_key(settings: AgentSettings) -> bytes:
    key = serialization.load_pem_private_key(Path(settings.key_file).read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return key.public_key().public_bytes_raw()


def rows(settings: AgentSettings, query: str) -> list[tuple[Any, ...]]:
    """What the spool's file says."""
    db = sqlite3.connect(Path(settings.spool_dir) / "spool.sqlite")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def spooled(settings: AgentSettings) -> dict[str, list[Event]]:
    """Events in the spool by run, each run checked as a notary would: signatures, roots, links, numbers and sequence without a gap."""
    runs: dict[str, list[Event]] = {}
    public = public_key(settings)
    expected: dict[str, tuple[int, int, bytes]] = {}
    for run, n, raw in rows(settings, "SELECT run, n, record FROM segments ORDER BY run, n"):
        record = parse_record(raw)
        header = record.header
        assert isinstance(header, SegmentHeader)
        Ed25519PublicKey.from_public_bytes(public).verify(record.sig, signed_bytes(Kind.SEGMENT, record.header_raw))
        items = split_items(record.body)
        assert (header.agent, header.run, header.n) == (settings.agent, run, n)
        want_n, want_first, want_prev = expected.get(run, (0, 0, genesis_link(settings.agent, run, public)))
        assert (header.n, header.first, header.prev) == (want_n, want_first, want_prev.hex())
        assert (header.count, header.root) == (len(items), root_of(leaf_hashes(items)).hex())
        expected[run] = (n + 1, header.first + header.count, segment_link(record.header_raw))
        runs.setdefault(run, []).extend(parse_event(item) for item in items)
    return runs


def recorded_ids(settings: AgentSettings) -> list[str]:
    """`attrs["id"]` of the events in the spool, in the order of runs and sequence numbers."""
    events = [event for run in spooled(settings).values() for event in run]
    return [event.attrs["id"] for event in events if event.attrs and "id" in event.attrs]


def free_all(settings: AgentSettings) -> list[str]:
    """Free what waits, as another process of the agent would when receipts come; `attrs["id"]` of the events that went."""
    spool, ids = Spool(Path(settings.spool_dir)), []
    for run, _ in spool.runs():
        waiting = spool.waiting(run)
        for one in waiting:
            record = spool.record(one.run, one.n)
            assert record is not None
            events = [parse_event(item) for item in split_items(parse_record(record).body)]
            ids += [event.attrs["id"] for event in events if event.attrs and "id" in event.attrs]
        spool.finish([(one.run, one.n) for one in waiting], [])
    spool.close()
    return ids


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Until it holds; the deadline only ends a test that would hang."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        pause.wait(0.01)
