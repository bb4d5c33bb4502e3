"""A stranger's batches that unpack to gigabytes, on a real broker: readers of both libraries hold little, read past them, and see nobody's word in their place.

It fails as well when a new version of a library takes its batches from elsewhere.
"""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.bombing import TOLD
from tests.support.recorder_kafka import Broker, broker

from tallystick_schemas.access import AGENT
from tallystick_schemas.settings import KafkaSettings

pytestmark = [pytest.mark.embedded, pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")]
ROOT = Path(__file__).parents[2]
MOST_GROWTH_MIB = 150


def bombing(does: str, kafka: KafkaSettings) -> str:
    command = [sys.executable, "-m", "tests.support.bombing", does, json.dumps(dataclasses.asdict(kafka)), str(len(TOLD))]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def bombed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("bombs")) as one:
        bombing("write", one.role(AGENT))
        yield one


@pytest.mark.parametrize("library", ["kafka-python", "aiokafka"])
def test_a_reader_holds_little_and_reads_on(bombed: Broker, library: str) -> None:
    said = json.loads(bombing(library, bombed.role("notary")))
    assert said["told"] == [told if isinstance(told, int) else told.decode() for told in TOLD]
    assert said["grew_mib"] < MOST_GROWTH_MIB, said["grew_mib"]
