"""Everything of ours that reads Kafka reads within bounds: whoever takes the library's consumer is found here."""

import ast
from pathlib import Path

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from tallystick_producers.batches import Batches
from tallystick_schemas.settings import KafkaSettings
from tallystick_stream_jobs.shell.faust_app import Hooks, make_app

ROOT = Path(__file__).parents[3]
HOME = {"kafka": "producers/tallystick_producers/consumer.py", "aiokafka": ""}
"""Who may have the consumer of a library."""
CONSUMERS = {"KafkaConsumer": "kafka", "AIOKafkaConsumer": "aiokafka"}


def takers() -> dict[str, set[str]]:
    """Library -> modules that name its consumer."""
    found: dict[str, set[str]] = {name: set() for name in HOME}
    for package in ("schemas", "producers", "stream_jobs", "audit", "dashboard", "infra"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else [getattr(node, "attr", "")]
                for library in (CONSUMERS[name] for name in names if name in CONSUMERS):
                    found[library].add(str(path.relative_to(ROOT)))
    return found


def test_nobody_takes_a_librarys_own_consumer() -> None:
    assert takers() == {"kafka": {HOME["kafka"]}, "aiokafka": set()}


def test_every_job_takes_its_records_from_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "MemoryRecords", MemoryRecords)
    make_app("test", KafkaSettings(), Hooks(lambda *_: None, lambda: 0.0, lambda _: None))  # type: ignore[arg-type,return-value]  # nobody asks
    assert isinstance(fetcher.MemoryRecords(b""), Batches)
