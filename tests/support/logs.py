"""What loggers of this project said, without the words of libraries and of objects that earlier tests left to the collector."""

import logging

import pytest


def ours(caplog: pytest.LogCaptureFixture, *names: str) -> list[logging.LogRecord]:
    """Return the records of loggers whose names begin with one of `names` (default: "tallystick"), oldest first.

    asyncio, aiohttp and kafka-python log from destructors and threads, at any time and about any test: who counts all records counts theirs too.
    """
    return [record for record in caplog.records if record.name.startswith(names or ("tallystick",))]
