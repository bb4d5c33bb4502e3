"""The producer SDK: record who touched what, signed, on disk first, confirmed by the history later.

with Recorder.open(settings) as recorder:
    recorder.record("artifact.download", actor=Actor("alice@example.org", "human"), resource=Resource("model", "models/atlas-7b"))
"""

from tallystick_schemas.events import Actor, Resource, Source, Usage, Why
from tallystick_schemas.settings import AgentSettings, KafkaSettings, LogSettings

from .access import Access, access
from .convenience import TallystickHandler, recorded
from .errors import InvalidEvent, KeyFileError, ProducerError, ReceiptTimeout, RecorderClosed, SegmentsRefused, SpoolFailed, SpoolFull
from .recorder import Recorder, Stats

__all__ = [
    "Access",
    "Actor",
    "AgentSettings",
    "InvalidEvent",
    "KafkaSettings",
    "KeyFileError",
    "LogSettings",
    "ProducerError",
    "ReceiptTimeout",
    "Recorder",
    "RecorderClosed",
    "Resource",
    "SegmentsRefused",
    "Source",
    "SpoolFailed",
    "SpoolFull",
    "Stats",
    "TallystickHandler",
    "Usage",
    "Why",
    "access",
    "recorded",
]
