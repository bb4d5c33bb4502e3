"""Garbage on topic `events`: `python -m tallystick_infra.bench.garbage DATA BYTES_PER_S mixed|small AGENT`. Until SIGTERM. Prints one JSON object.

Whoever has an agent's password and no key can write it: what is no record, and records that cost most to read before their signature is looked at.
"""

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaProducer

from tallystick_schemas.headers import MAX_HEADER_BYTES, Kind
from tallystick_schemas.records import MAX_BODY_BYTES, SIGNATURE_BYTES, frame_record
from tallystick_schemas.topics import EVENTS

from ..deployment import Deployment

_ESCAPES = b'{"' + b'\\"' * ((MAX_HEADER_BYTES - 4) // 2)
_KEYS = b"{" + b",".join(b'"%d":1' % number for number in range(400)) + b"}"
_UNKNOWN = (
    b'{"v":1,"agent":"nobody","key":"0123456789abcdef","run":"0123456789abcdef0123456789abcdef","n":0,"first":0,"count":1,'
    b'"root":"%b","prev":"%b","time":"2026-11-23T04:00:00.020000Z","seen":null}' % (b"0" * 64, b"0" * 64)
)


def pieces(*, small: bool = False) -> Iterator[bytes]:
    """Small and large, one after another, without an end; or small ones alone, which make the most entries."""
    if small:
        yield from itertools.repeat(b"TSG1" + os.urandom(60))
    signature = os.urandom(SIGNATURE_BYTES)
    kinds = [
        os.urandom(300),
        frame_record(Kind.SEGMENT, _ESCAPES, signature, b""),
        b"TSG1" + os.urandom(60),
        frame_record(Kind.SEGMENT, _KEYS, signature, b""),
        frame_record(Kind.DIRECTIVE, _ESCAPES, signature, b""),
        frame_record(Kind.SEGMENT, _UNKNOWN, signature, os.urandom(MAX_BODY_BYTES // 64)),
    ]
    for number in itertools.count():
        # One in a hundred is as large as a record may be.
        yield frame_record(Kind.SEGMENT, _UNKNOWN, signature, bytes(MAX_BODY_BYTES)) if number % 100 == 99 else kinds[number % len(kinds)]


def main(data: str, bytes_per_s: str, kind: str, agent: str) -> dict[str, Any]:
    """Send at this rate until SIGTERM."""
    enough = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: enough.set())
    producer = KafkaProducer(**Deployment.open(Path(data)).agent(agent).kafka.client_kwargs(), acks=1, linger_ms=5)
    partitions = itertools.cycle(sorted(producer.partitions_for(EVENTS)))
    began, sent, records = time.time(), 0, 0
    for piece, partition in zip(pieces(small=kind == "small"), partitions, strict=False):
        producer.send(EVENTS, value=piece, partition=partition)
        sent, records = sent + len(piece), records + 1
        if enough.wait(max(0.0, began + sent / float(bytes_per_s) - time.time())):
            break
    producer.flush()
    ended = time.time()
    producer.close()
    return {"bytes": sent, "records": records, "began": began, "ended": ended}


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(main(*sys.argv[1:])).decode() + "\n")
