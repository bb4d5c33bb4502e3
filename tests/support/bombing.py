"""Writes batches that unpack to far more than they are, or reads them, in a process of its own, whose memory is then its own as well.

python -m tests.support.bombing <write | kafka-python | aiokafka> <KafkaSettings as JSON> <how many records there are to read>
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AioPartition
from kafka import KafkaProducer, TopicPartition

from tallystick_producers.consumer import Consumer
from tallystick_schemas.settings import KafkaSettings
from tallystick_schemas.topics import EVENTS
from tallystick_stream_jobs.shell.bounded import read_within_bounds
from tallystick_stream_jobs.shell.outlet import aiokafka_kwargs

BOMB, MANY, SMALL = 300 << 20, 40, 15 << 20
"""Bytes of zeros: one value far beyond the bound with each codec; and as many batches, each within it, as one poll would keep together."""
CODECS = "gzip", "lz4", "zstd"
TOLD = [b"begin", *(word for codec in CODECS for word in (b"", codec.encode())), *[SMALL] * MANY, b"", b"end"]
"""What is to be read: values, or their lengths where they are long."""
_PATIENCE_S = 120.0
_SHORT = 100


def write(kafka: KafkaSettings) -> None:
    for codec in CODECS:
        producer = KafkaProducer(**kafka.client_kwargs(), compression_type=codec, max_request_size=1 << 30, acks="all")
        send = [b"begin"] if codec == CODECS[0] else []
        for value in (*send, bytes(BOMB), codec.encode()):
            producer.send(EVENTS, value=value, partition=0).get(_PATIENCE_S)
        if codec == CODECS[-1]:
            for _ in range(MANY):
                producer.send(EVENTS, value=bytes(SMALL), partition=0).get(_PATIENCE_S)
            producer.send(EVENTS, value=b"named", headers=[("", b"")] * 100_000, partition=0).get(_PATIENCE_S)
            producer.send(EVENTS, value=b"end", partition=0).get(_PATIENCE_S)
        producer.close()


def read_with_kafka_python(kafka: KafkaSettings, count: int) -> list[bytes | int]:
    consumer = Consumer(**kafka.client_kwargs(), group_id=None, auto_offset_reset="earliest", max_partition_fetch_bytes=8 << 20)
    consumer.assign([TopicPartition(EVENTS, 0)])
    found: list[bytes | int] = []
    deadline = time.monotonic() + _PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=500, max_records=5000).values():
            found += map(_shown, records)
    consumer.close()
    return found


async def read_with_aiokafka(kafka: KafkaSettings, count: int) -> list[bytes | int]:
    read_within_bounds()
    consumer = AIOKafkaConsumer(**aiokafka_kwargs(kafka), auto_offset_reset="earliest", max_partition_fetch_bytes=8 << 20)
    await consumer.start()
    consumer.assign([AioPartition(EVENTS, 0)])
    found: list[bytes | int] = []
    deadline = time.monotonic() + _PATIENCE_S
    while len(found) < count and time.monotonic() < deadline:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            found += map(_shown, records)
    await consumer.stop()
    return found


def _shown(record: Any) -> bytes | int:
    return record.value if len(record.value) < _SHORT else len(record.value)


def peak_mib() -> int:
    """The most that this process ever held; not what the one that started it held, which getrusage tells."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10


def main(does: str, kafka: KafkaSettings, count: int) -> None:
    if does == "write":
        return write(kafka)
    before = peak_mib()
    found = read_with_kafka_python(kafka, count) if does == "kafka-python" else asyncio.run(read_with_aiokafka(kafka, count))
    told = [value.decode() if isinstance(value, bytes) else value for value in found]
    return print(json.dumps({"told": told, "grew_mib": peak_mib() - before}))


if __name__ == "__main__":
    main(sys.argv[1], KafkaSettings(**json.loads(sys.argv[2])), int(sys.argv[3]))
