"""The detectors' job without Kafka: a broker in memory that is outlet and state topic at once, and messages as the notary sends them."""

import asyncio
from types import SimpleNamespace

from msgspec.structs import replace
from tests.support.signing import Speaker, opener

from tallystick_schemas.envelope import Number, Opener
from tallystick_schemas.messages import VerifiedBatch, encode_batch, parse_finding
from tallystick_schemas.topics import DETECTOR_STATE, FINDINGS, VERIFIED
from tallystick_stream_jobs.detectors.adoption import AdoptionPort
from tallystick_stream_jobs.detectors.job import DetectorsJob
from tallystick_stream_jobs.detectors.keeper import Keeper
from tallystick_stream_jobs.detectors.state import StateFold
from tallystick_stream_jobs.triage.desk import Desk

NOTARY = Speaker("notary")


class Broker:
    """Kafka as the job sees it: findings in order, and what is kept of partitions. `dies_at`: the send that the process dies of."""

    def __init__(self) -> None:
        self.findings, self.sends, self.dies_at = [], 0, -1
        self.kept: dict[int, list[tuple[bytes | None, bytes | None]]] = {}
        self.held: list[asyncio.Event] = []
        """What the next findings wait for until they are acknowledged."""

    async def send(self, topic, key, value, partition=None):
        self.sends += 1
        if self.sends == self.dies_at:
            raise KeyboardInterrupt
        hold = None
        if topic == FINDINGS:
            self.findings.append(parse_finding(opener().open(topic, key, value).body))
            hold = self.held.pop(0) if self.held else None
        else:
            assert topic == DETECTOR_STATE
            self.claim(partition, key, value)
        offset = len(self.kept.get(partition, ())) - 1

        async def done() -> SimpleNamespace:
            if hold is not None:
                await hold.wait()
            return SimpleNamespace(offset=offset)

        return done()

    def claim(self, partition, key, value) -> None:
        self.kept.setdefault(partition, []).append((key, value))

    def read(self, partition, first):
        kept = self.kept.get(partition, [])
        return kept[first:], len(kept)

    def ends(self, partitions):
        return {number: len(self.kept.get(number, ())) for number in partitions}

    def state(self, partition: int = 0) -> dict[bytes, bytes]:
        """Key -> body of what the detectors kept."""
        fold = StateFold(opener(), partition)
        for key, value in self.kept.get(partition, []):
            fold.take(key, value)
        return {key: kept.body for key, kept in fold.values.items()}


class Nothing:
    """No operator lets anything be adopted."""

    def allowed(self, partition):
        return None

    def done(self, partition, number):
        raise AssertionError("nothing was adopted")


def make_job(broker: Broker, desk: Desk, adoption: AdoptionPort | None = None, fence: int = 1, who: Opener | None = None) -> DetectorsJob:
    voice, believed = Speaker("detectors", fence).voice(), who or opener()
    keeper = Keeper(broker, voice, believed, lambda above: above + 1, adoption or Nothing())
    return DetectorsJob(broker, desk, voice, believed, keeper)  # type: ignore[arg-type]  # sends as an outlet does


def said(body: VerifiedBatch, number: int, partition: int = 0, speaker: Speaker = NOTARY) -> bytes:
    """The notary's message, made for a partition and counted in it."""
    return speaker.says(VERIFIED, None, encode_batch(replace(body, partition=partition)), Number(7, number))
